"""Products, categories and tags: the fake Medusa and a real one alike."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import Medusa

from .medusa_bodies import product, usd, variant

FIELDS = (
    "id,subtitle,material,hs_code,origin_country,mid_code,discountable,"
    "handle,external_id,title,description,thumbnail,weight,metadata,status,"
    "updated_at,images.id,images.url,images.rank,tags.value,categories.name,"
    "sales_channels.id,shipping_profile.id,variants.id,variants.sku,"
    "variants.metadata,variants.prices.amount,"
    "variants.inventory_items.inventory_item_id"
)
BATCH = f"/admin/products/batch?fields={FIELDS}"
INVALID = "invalid_data"


async def create(medusa: Medusa, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """Make products; in the order of the bodies."""
    created = (await medusa.post(BATCH, {"create": bodies}))["created"]
    by_handle = {row["handle"]: row for row in created}
    return [by_handle[body["handle"]] for body in bodies]


async def change(medusa: Medusa, row: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await medusa.post(BATCH, {"update": [{"id": row["id"], **body}]})
    (updated,) = answer["updated"]
    assert isinstance(updated, dict)
    return updated


async def refused(medusa: Medusa, body: object) -> tuple[int, str]:
    """How a batch is refused."""
    status, answer = await medusa.ask("POST", BATCH, body)
    return status, answer["message"]


async def handles(medusa: Medusa) -> set[str]:
    body = await medusa.get("/admin/products?fields=handle&limit=100")
    return {row["handle"] for row in body["products"]}


async def test_the_created_come_in_an_order_of_their_own(medusa: Medusa) -> None:
    names = [f"p{n}" for n in range(12)]
    body = {"create": [product(name) for name in names]}
    answer = await medusa.post("/admin/products/batch?fields=handle", body)
    assert {row["handle"] for row in answer["created"]} == set(names)
    assert [row["handle"] for row in answer["created"]] != names
    assert answer["updated"] == []
    assert answer["deleted"] == {"ids": [], "object": "product", "deleted": True}


async def test_a_created_product_shows_its_inventory_items(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    (only,) = row["variants"]
    assert only["inventory_items"][0]["inventory_item_id"].startswith("iitem_")
    assert "shipping_profile" not in row
    assert row["sales_channels"] == []


async def test_one_bad_product_fails_the_whole_batch(medusa: Medusa) -> None:
    await create(
        medusa, product("taken", variants=[variant("sku", Size="S", barcode="1")])
    )
    for bad, status, message in [
        (product("taken"), 400, "Product with handle: taken, already exists."),
        (
            product("x", variants=[variant("sku", Size="S")]),
            400,
            "Product variant with sku: sku, already exists.",
        ),
        (
            product("x", variants=[variant("x", Size="S", barcode="1")]),
            400,
            "Product variant with barcode: 1, already exists.",
        ),
        (product("x", options=[]), 400, "Product options are not provided for: [X]."),
        (
            product("x", variants=[variant("x", Size="XL")]),
            400,
            "Option value XL does not exist for option Size",
        ),
        (
            product("x", variants=[variant("x", Format="S")]),
            400,
            "Option value S does not exist for option Format",
        ),
        (
            product("x", variants=[variant("x", Size="S", Color="Red")]),
            400,
            ("Product has 1 option values but there were 2 provided option values for"
            " the variant: S / Red."),
        ),
        (
            product("x", options=[{"id": "opt_x"}]),
            400,
            "Some product options were not found: [opt_x]",
        ),
        (
            product("Bad Handle"),
            400,
            "Invalid product handle 'Bad Handle'. It must contain URL safe characters",
        ),
        (
            product("x", tags=[{"id": "ptag_x"}]),
            400,
            ("Tag with id ptag_x not found. Please create the tag before associating it"
            " with the product."),
        ),
        (
            product("x", categories=[{"id": "pcat_x"}]),
            404,
            ("You tried to set relationship product_category_id: pcat_x, but such"
            " entity does not exist"),
        ),
        (
            product("x", collection_id="pcol_x"),
            404,
            ("You tried to set relationship collection_id: pcol_x, but such entity does"
            " not exist"),
        ),
        (product("x", title="a\0b"), 500, "An unknown error occurred."),
    ]:  # fmt: skip
        body = {"create": [product("good"), bad, product("fine")]}
        assert await refused(medusa, body) == (status, message)
        assert await handles(medusa) == {"taken"}
    items = await medusa.get("/admin/inventory-items?fields=sku")
    assert [row["sku"] for row in items["inventory_items"]] == ["sku"]


async def test_a_refused_creation_hurts_what_the_same_request_updates(
    medusa: Medusa,
) -> None:
    whole, hurt = await create(
        medusa,
        product("a", images=[{"url": "1"}]),
        product("b", images=[{"url": "1"}]),
    )
    prices = [{"id": hurt["variants"][0]["id"], "prices": [usd(1)]}]
    keep = [{"id": whole["variants"][0]["id"]}]
    changes = [
        {"id": whole["id"], "title": "new", "variants": keep},
        {"id": hurt["id"], "images": [{"url": "2"}], "variants": prices},
    ]
    taken = {"create": [product("a")], "update": changes}
    assert (await refused(medusa, taken))[0] == 400
    found = {
        row["handle"]: row
        for row in (await medusa.get(f"/admin/products?fields={FIELDS}"))["products"]
    }
    assert {**found["a"], "updated_at": whole["updated_at"]} == whole
    assert [image["url"] for image in found["b"]["images"]] == ["2"]
    assert found["b"]["variants"][0]["prices"] == []
    assert found["b"]["title"] == "B"
    # An update that is refused itself hurts nothing.
    await change(medusa, hurt, variants=[{**prices[0], "prices": [usd(3)]}])
    stranger = {"update": [{"id": hurt["id"], "variants": prices}, {"id": "prod_x"}]}
    assert (await refused(medusa, stranger))[0] == 404
    path = f"/admin/products/{hurt['id']}?fields=variants.prices.amount"
    (only,) = (await medusa.get(path))["product"]["variants"]
    assert only["prices"][0]["amount"] == 3


async def test_an_update_of_a_stranger_fails_the_whole_batch(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    changes = [{"id": row["id"], "title": "B"}, {"id": "prod_x", "title": "C"}]
    message = "Unable to update the products with ids: prod_x"
    assert await refused(medusa, {"update": changes}) == (404, message)
    found = await medusa.get(f"/admin/products/{row['id']}?fields=title")
    assert found["product"]["title"] == "A"


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        ({"tags": [{"id": "x"}]}, "product_tag_id: x"),
        ({"categories": [{"id": "x"}]}, "product_category_id: x"),
        ({"type_id": "x"}, "type_id: x"),
        ({"collection_id": "x"}, "collection_id: x"),
    ],
)
async def test_an_update_with_an_unknown_relative_fails(
    medusa: Medusa, relation: dict[str, Any], message: str
) -> None:
    (row,) = await create(medusa, product("a"))
    status, text = await refused(medusa, {"update": [{"id": row["id"], **relation}]})
    assert status == 404
    assert f"You tried to set relationship {message}, but such" in text


async def test_external_ids_need_not_be_unique(medusa: Medusa) -> None:
    await create(medusa, product("a", external_id="1"), product("b", external_id="1"))
    body = await medusa.get("/admin/products?external_id[]=1&fields=handle")
    assert {row["handle"] for row in body["products"]} == {"a", "b"}


async def test_a_deleted_product_frees_all_that_was_unique(medusa: Medusa) -> None:
    body = product("a", variants=[variant("a", Size="S", barcode="1")])
    (row,) = await create(medusa, body)
    answer = await medusa.post(BATCH, {"delete": [row["id"], "prod_x"]})
    assert answer["deleted"]["ids"] == [row["id"], "prod_x"]
    assert (await medusa.get("/admin/inventory-items"))["count"] == 0
    assert (await medusa.ask("GET", f"/admin/products/{row['id']}"))[0] == 404
    assert (await create(medusa, body))[0]["id"] != row["id"]


async def test_a_handle_is_not_free_in_the_request_that_deletes_it(
    medusa: Medusa,
) -> None:
    (row,) = await create(medusa, product("a"))
    body = {"delete": [row["id"]], "create": [product("a")]}
    assert (await refused(medusa, body))[0] == 400


async def test_columns_are_set_as_they_are_sent(medusa: Medusa) -> None:
    (row,) = await create(
        medusa, product("a", description="d", thumbnail="t", weight=4)
    )
    for body in [
        {"title": "B"},
        {"title": ""},
        {"description": ""},
        {"description": None},
        {"thumbnail": None},
        {"weight": None},
        {"weight": 1.5},
        {"subtitle": "s", "material": "", "hs_code": "6912.00", "mid_code": " x "},
        {"origin_country": "pt", "discountable": False},
        {"origin_country": "Portugal", "mid_code": None},
        {"status": "draft"},
        {"handle": "über-uns"},
        {"external_id": None},
        {"external_id": "2"},
    ]:
        row = await change(medusa, row, **body)
        assert {key: row[key] for key in body} == body
    assert (await change(medusa, row, weight=1.123456789))["weight"] == 1.1234568
    found = await medusa.get(
        "/admin/products?external_id=2&handle=%C3%BCber-uns&fields=id"
    )
    assert found["count"] == 1


async def test_metadata_is_merged(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a", metadata={"a": 1, "b": {"x": 1}}))
    for metadata, expected in [
        ({"c": "3"}, {"a": 1, "b": {"x": 1}, "c": "3"}),
        ({"b": {"y": 2}}, {"a": 1, "b": {"y": 2}, "c": "3"}),
        ({"a": "", "c": None}, {"b": {"y": 2}, "c": None}),
        ({}, {}),
        ({"a": 1}, {"a": 1}),
        (None, None),
    ]:
        row = await change(medusa, row, metadata=metadata)
        assert row["metadata"] == expected


async def test_images_are_replaced(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a", images=[{"url": "1"}, {"url": "2"}]))
    old = {image["url"]: image["id"] for image in row["images"]}
    row = await change(medusa, row, images=[{"url": "2"}, {"url": "1", "id": old["1"]}])
    images = sorted(row["images"], key=lambda image: int(image["rank"]))
    assert [image["url"] for image in images] == ["2", "1"]
    assert images[0]["id"] != old["2"]
    assert images[1]["id"] == old["1"]
    assert (await change(medusa, row, images=[]))["images"] == []


async def test_relations_are_replaced(medusa: Medusa) -> None:
    tags = [
        (await medusa.post("/admin/product-tags", {"value": value}))["product_tag"]
        for value in ("red", "round")
    ]
    category = (await medusa.post("/admin/product-categories", {"name": "C"}))[
        "product_category"
    ]
    body = product(
        "a",
        tags=[{"id": tags[0]["id"]}],
        categories=[{"id": category["id"]}],
        sales_channels=[{"id": medusa.sales_channel_id}],
        shipping_profile_id=medusa.shipping_profile_id,
    )
    (row,) = await create(medusa, body)
    row = await change(medusa, row, tags=[{"id": tags[1]["id"]}])
    assert row["tags"] == [{"value": "round"}]
    assert row["categories"] == [{"name": "C"}]
    row = await change(
        medusa, row, tags=[], categories=[], sales_channels=[], shipping_profile_id=None
    )
    assert (row["tags"], row["categories"], row["sales_channels"]) == ([], [], [])
    assert "shipping_profile" not in row
    await medusa.post(
        f"/admin/product-categories/{category['id']}/products",
        {"add": [row["id"], "prod_x"]},
    )
    found = await medusa.get(f"/admin/products/{row['id']}?fields=categories.name")
    assert found["product"]["categories"] == [{"name": "C"}]


async def test_an_unknown_channel_or_profile_is_not_noticed(medusa: Medusa) -> None:
    body = product("a", sales_channels=[{"id": "sc_x"}], shipping_profile_id="sp_x")
    (row,) = await create(medusa, body)
    assert row["sales_channels"] == [None]
    assert "shipping_profile" not in row


async def test_a_thumbnail_is_the_first_image_unless_given(medusa: Medusa) -> None:
    images = [{"url": "1"}, {"url": "2"}]
    rows = await create(
        medusa,
        product("a", images=images),
        product("b", images=images, thumbnail=""),
        product("c", images=images, thumbnail="t"),
        product("d"),
    )
    assert [row["thumbnail"] for row in rows] == ["1", "1", "t", None]
    row = await change(medusa, rows[0], images=[{"url": "3"}])
    assert row["thumbnail"] == "1"


async def test_a_refused_product_may_leave_its_options(medusa: Medusa) -> None:
    path = "/admin/product-options?fields=title"
    await create(medusa, product("a"))
    bad = {"options": [{"title": "Orphan", "values": ["S"]}]}
    for body, left in [
        (product("a", **bad, variants=[variant("x", Orphan="S")]), 0),
        (product("b", **bad, variants=[variant("x", Orphan="M")]), 1),
        (product("b", **bad, variants=[variant("a-s", Orphan="S")]), 2),
    ]:
        assert (await refused(medusa, {"create": [body]}))[0] == 400
        assert (await medusa.get(f"{path}&title=Orphan"))["count"] == left


async def test_a_deleted_product_takes_its_own_options_along(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    await medusa.post(BATCH, {"delete": [row["id"]]})
    assert (await medusa.get("/admin/product-options"))["count"] == 0


async def test_only_real_changes_have_a_time(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a", metadata={"a": 1}))
    same = await change(
        medusa, row, title="A", metadata={"a": 1}, images=[{"url": "1"}]
    )
    assert same["updated_at"] == row["updated_at"]
    times: set[str] = set()
    for number in range(20):  # several may fall into one millisecond
        times.add((await change(medusa, row, title=f"{number}"))["updated_at"])
    assert max(times) > row["updated_at"]


async def test_a_product_can_be_handled_alone(medusa: Medusa) -> None:
    path = "/admin/products"
    made = (await medusa.post(path, product("a")))["product"]
    assert {"variants", "options", "tags"} <= set(made)
    changed = await medusa.post(f"{path}/{made['id']}?fields=title", {"title": "B"})
    assert changed["product"]["title"] == "B"
    status, body = await medusa.ask("POST", f"{path}/prod_x", {"title": "B"})
    assert (status, body["message"]) == (404, 'Product with id "prod_x" not found')
    status, body = await medusa.ask("DELETE", f"{path}/{made['id']}")
    assert body == {"id": made["id"], "object": "product", "deleted": True}


async def test_defaults_of_a_product(medusa: Medusa) -> None:
    body = {"title": "Ünï & Co! 5/6", "options": [{"title": "A", "values": ["b"]}]}
    (row,) = (await medusa.post(BATCH, {"create": [body]}))["created"]
    assert (row["handle"], row["status"]) == ("ünï-co-56", "draft")
    assert row["variants"] == []


async def test_categories(medusa: Medusa) -> None:
    path = "/admin/product-categories"
    body = {"name": "A", "handle": "a", "external_id": "x:a", "metadata": {"k": 1}}
    a = (await medusa.post(path, body))["product_category"]
    assert (a["is_active"], a["description"], a["rank"]) == (False, "", 0)
    child = {
        "name": "B",
        "handle": "b",
        "is_active": True,
        "parent_category_id": a["id"],
    }
    b = (await medusa.post(path, child))["product_category"]
    assert b["parent_category"]["id"] == a["id"]
    for query, expected in [
        ("external_id[]=x:a&external_id[]=x:z", {"A"}),
        ("external_id=x:a", {"A"}),
        ("handle[]=a&handle[]=b", {"A", "B"}),
        (f"parent_category_id={a['id']}", {"B"}),
        ("parent_category_id=null", {"A"}),
        ("is_active=true", {"B"}),
    ]:
        rows = (await medusa.get(f"{path}?fields=name&{query}"))["product_categories"]
        assert {row["name"] for row in rows} == expected, query
    status, answer = await medusa.ask("GET", f"{path}?name=A")
    assert answer["message"] == "Invalid request: Unrecognized fields: 'name'"
    for bad, status, message in [
        ({"name": "A", "handle": "a"}, 400, "Product category with handle: a, already exists."),
        ({"handle": "c"}, 400, "Invalid request: Field 'name' is required"),
        ({"name": "c", "foo": 1}, 400, "Invalid request: Unrecognized fields: 'foo'"),
        ({"name": "c", "parent_category_id": "pcat_x"}, 500, "Parent category with id: 'pcat_x' does not exist"),
    ]:  # fmt: skip
        found, answer = await medusa.ask("POST", path, bad)
        assert (found, answer["message"]) == (status, message)
    moved = await medusa.post(
        f"{path}/{b['id']}", {"name": "B2", "parent_category_id": None}
    )
    assert moved["product_category"]["parent_category_id"] is None
    changed = await medusa.post(f"{path}/{a['id']}", {"metadata": {"l": 2}})
    assert changed["product_category"]["metadata"] == {"l": 2}
    assert await medusa.post(f"{path}/pcat_x", {"name": "y"}) == {}
    await medusa.post(f"{path}/{b['id']}", {"parent_category_id": a["id"]})
    status, answer = await medusa.ask("DELETE", f"{path}/{a['id']}")
    assert (status, answer["type"]) == (400, "not_allowed")
    for row in (b, a):
        assert (await medusa.ask("DELETE", f"{path}/{row['id']}"))[0] == 200
    assert (await medusa.get(path))["count"] == 0


@pytest.mark.parametrize(
    ("path", "column", "key", "label"),
    [
        ("product-tags", "value", "product_tag", "Product tag"),
        ("product-types", "value", "product_type", "Product type"),
        ("collections", "title", "collection", "Product collection"),
    ],
)
async def test_tags_types_and_collections(
    medusa: Medusa, path: str, column: str, key: str, label: str
) -> None:
    path, plural = f"/admin/{path}", f"{key}s"
    body = {column: "red", "external_id": "e"}
    row = (await medusa.post(path, body))[key]
    assert (row[column], row["external_id"]) == ("red", "e")
    await medusa.post(
        path, {column: "Red", **({} if column == "value" else {"handle": "r"})}
    )
    _status, answer = await medusa.ask("POST", path, {column: "red"})
    unique = "value" if column == "value" else "handle"
    assert answer["message"] == f"{label} with {unique}: red, already exists."
    found = await medusa.get(f"{path}?{unique}[]=red&{unique}[]=blue&fields=id")
    assert found[plural] == [{"id": row["id"]}]
    changed = await medusa.post(f"{path}/{row['id']}", {column: "green"})
    assert changed[key][column] == "green"
    assert (await medusa.ask("DELETE", f"{path}/{row['id']}"))[0] == 200
    assert (await medusa.get(path))["count"] == 1


async def test_a_shopper_sees_what_is_offered(medusa: Medusa) -> None:
    tag = (await medusa.post("/admin/product-tags", {"value": "red"}))["product_tag"]
    offered = {
        "sales_channels": [{"id": medusa.sales_channel_id}],
        "tags": [{"id": tag["id"]}],
        "images": [{"url": "u"}],
    }
    priceless = {**variant("c-s", Size="S"), "prices": []}
    rows = await create(
        medusa,
        product("a", **offered),
        product("draft", **offered, status="draft"),
        product("nowhere"),
        product("c", **offered, variants=[priceless]),
    )
    item = rows[0]["variants"][0]["inventory_items"][0]["inventory_item_id"]
    level = {"inventory_item_id": item, "location_id": medusa.stock_location_id}
    levels = {"create": [{**level, "stocked_quantity": 7}]}
    await medusa.post("/admin/inventory-items/location-levels/batch", levels)
    fields = (
        "handle,*tags,*images,*categories,*variants.calculated_price,"
        "%2Bvariants.inventory_quantity"
    )
    path = f"/store/products?fields={fields}"
    headers = {"x-publishable-api-key": medusa.publishable_key}
    status, body = await medusa.ask(
        "GET", f"{path}&region_id={medusa.region_id}", headers=headers
    )
    assert status == 200, body
    shown = {row["handle"]: row for row in body["products"]}
    assert set(shown) == {"a", "c"}
    (seen,) = shown["a"]["variants"]
    assert seen["calculated_price"]["calculated_amount"] == 9.99
    assert seen["calculated_price"]["currency_code"] == "usd"
    assert seen["inventory_quantity"] == 7
    assert shown["a"]["tags"][0]["value"] == "red"
    assert shown["a"]["images"][0]["url"] == "u"
    assert shown["c"]["variants"][0]["calculated_price"] is None
    # Without a region, the store's own.
    _, default = await medusa.ask("GET", path, headers=headers)
    assert default == body
    status, refusal = await medusa.ask("GET", f"{path}&region_id=x", headers=headers)
    assert (status, refusal["type"]) == (400, "invalid_data")
    other = {"x-publishable-api-key": medusa.other_publishable_key}
    status, body = await medusa.ask("GET", "/store/products", headers=other)
    assert (status, body["count"]) == (200, 0)


async def test_a_price_of_a_region_wins_there(medusa: Medusa) -> None:
    rule = usd(5, rules={"region_id": medusa.region_id})
    body = {**variant("a-s", Size="S"), "prices": [usd(9.99), rule]}
    channels = [{"id": medusa.sales_channel_id}]
    await create(medusa, product("a", variants=[body], sales_channels=channels))
    headers = {"x-publishable-api-key": medusa.publishable_key}
    path = f"/store/products?fields=*variants.calculated_price&region_id={medusa.region_id}"
    _, answer = await medusa.ask("GET", path, headers=headers)
    price = answer["products"][0]["variants"][0]["calculated_price"]
    assert price["calculated_amount"] == 5


# --- the tree of categories ---

CATEGORIES = "/admin/product-categories"


class Trees:
    """Categories, by names that are their handles too."""

    def __init__(self, medusa: Medusa) -> None:
        self.medusa = medusa
        self.ids: dict[str, str] = {}

    async def make(self, name: str, parent: str | None = None) -> None:
        body = {"name": name, "handle": name, "is_active": True}
        if parent:
            body["parent_category_id"] = self.ids[parent]
        answer = await self.medusa.post(CATEGORIES, body)
        self.ids[name] = answer["product_category"]["id"]

    async def move(self, name: str, parent: str | None) -> int:
        body = {"parent_category_id": parent and self.ids[parent]}
        path = f"{CATEGORIES}/{self.ids[name]}"
        return (await self.medusa.ask("POST", path, body))[0]

    async def kept(self) -> dict[str, tuple[str, int]]:
        """The path, by names, and the rank of each."""
        query = "limit=100&fields=id,name,mpath,rank"
        rows = (await self.medusa.get(f"{CATEGORIES}?{query}"))["product_categories"]
        names = {row["id"]: row["name"] for row in rows}
        return {
            row["name"]: (
                ".".join(names.get(part, part) for part in row["mpath"].split(".")),
                row["rank"],
            )
            for row in rows
        }

    async def shopped(self, query: str) -> tuple[int, dict[str, str]]:
        """What a shopper is answered: each category with those above and below."""
        status, body = await self.medusa.ask(
            "GET",
            f"/store/product-categories?{query}",
            headers={"x-publishable-api-key": self.medusa.publishable_key},
        )
        rows = body.get("product_categories", ())
        return status, {row["handle"]: _above(row) + _below(row) for row in rows}


def _above(row: Any) -> str:
    parent = row.get("parent_category")
    return row["handle"] + (f" < {_above(parent)}" if parent else "")


def _below(row: Any) -> str:
    children = sorted(row.get("category_children") or (), key=lambda c: c["rank"])
    texts = [child["handle"] + _below(child) for child in children]
    return f" ({', '.join(texts)})" if texts else ""


UP = "include_ancestors_tree=true&fields=handle,*parent_category"
DOWN = "include_descendants_tree=true&fields=handle,rank,*category_children"


async def test_categories_that_move(medusa: Medusa) -> None:
    """Ranks and paths follow, except the paths below a new root."""
    trees = Trees(medusa)
    await trees.make("a")
    await trees.make("b", "a")
    await trees.make("c", "b")
    await trees.make("d", "c")
    await trees.make("e")
    assert await trees.kept() == {
        "a": ("a", 0), "b": ("a.b", 0), "c": ("a.b.c", 0), "d": ("a.b.c.d", 0),
        "e": ("e", 1),
    }  # fmt: skip
    assert await trees.move("b", "e") == 200
    assert await trees.kept() == {
        "a": ("a", 0), "b": ("e.b", 0), "c": ("e.b.c", 0), "d": ("e.b.c.d", 0),
        "e": ("e", 1),
    }  # fmt: skip
    assert await trees.shopped(f"{UP}&handle=d") == (200, {"d": "d < c < b < e"})
    assert await trees.shopped(f"{DOWN}&handle=e") == (200, {"e": "e (b (c (d)))"})
    assert await trees.move("b", None) == 200
    assert await trees.kept() == {
        "a": ("a", 0), "b": ("", 2), "c": ("e.b.c", 0), "d": ("e.b.c.d", 0),
        "e": ("e", 1),
    }  # fmt: skip
    assert await trees.shopped(f"{UP}&handle=d") == (200, {"d": "d < c"})
    status, shown = await trees.shopped(UP)
    assert (status, shown["d"]) == (200, "d < c < b")
    assert await trees.shopped(f"{DOWN}&handle=b") == (200, {"b": "b (c (d))"})
    assert await trees.move("a", "b") == 200
    assert await trees.move("c", "a") == 200
    assert await trees.kept() == {
        "a": (".a", 0), "b": ("", 1), "c": (".a.c", 0), "d": (".a.c.d", 0),
        "e": ("e", 0),
    }  # fmt: skip
    assert await trees.shopped(f"{UP}&handle=d") == (200, {"d": "d < c < a < b"})
    status, shown = await trees.shopped("handle=a")
    assert (status, shown) == (200, {"a": "a < b (c)"})


@pytest.mark.parametrize("into", ["a", "b", "c"])
async def test_a_category_below_itself(medusa: Medusa, into: str) -> None:
    """It is not refused; then no shopper sees a tree that meets it, and it is stuck."""
    trees = Trees(medusa)
    await trees.make("a")
    await trees.make("b", "a")
    await trees.make("c", "b")
    await trees.make("other")
    assert await trees.move("a", into) == 200
    status, shown = await trees.shopped("handle=a&fields=handle,*parent_category")
    assert (status, shown) == (200, {"a": f"a < {into}"})
    for query in (UP, DOWN, f"{DOWN}&handle=a"):
        assert (await trees.shopped(query))[0] == 500, query
    for query in (f"{UP}&handle=other", f"{DOWN}&handle=other"):
        assert await trees.shopped(query) == (200, {"other": "other"})
    path = f"{CATEGORIES}?include_descendants_tree=true"
    assert (await medusa.ask("GET", path))[0] == 500
    assert (await medusa.ask("GET", CATEGORIES))[0] == 200
    assert await trees.move("a", "other") == 500
    assert await trees.move("a", None) == 200
    assert (await trees.shopped(UP))[0] == 200
    assert await trees.move("a", "other") == 200
    assert (await trees.shopped(DOWN))[0] == 200


async def test_categories_that_shoppers_do_not_see(medusa: Medusa) -> None:
    trees = Trees(medusa)
    await trees.make("a")
    await trees.make("b", "a")
    await trees.make("c", "b")
    await medusa.post(f"{CATEGORIES}/{trees.ids['b']}", {"is_active": False})
    assert await trees.shopped(f"{UP}&order=handle") == (200, {"a": "a", "c": "c"})
    assert await trees.shopped(f"{DOWN}&handle=a") == (200, {"a": "a"})
    key = {"x-publishable-api-key": medusa.publishable_key}
    for name, expected in (("a", {"handle": "a", "id": trees.ids["a"]}), ("b", None)):
        path = f"/store/product-categories/{trees.ids[name]}?fields=handle"
        status, body = await medusa.ask("GET", path, headers=key)
        assert (status, body.get("product_category")) == (200, expected)
    status, body = await medusa.ask("GET", "/store/product-categories")
    assert (status, body["type"]) == (400, "not_allowed")


async def test_a_parent_or_a_category_that_is_gone(medusa: Medusa) -> None:
    trees = Trees(medusa)
    await trees.make("a")
    await trees.make("gone")
    path = f"{CATEGORIES}/{trees.ids['gone']}"
    assert (await medusa.ask("DELETE", path))[0] == 200
    assert await trees.move("a", "gone") == 500
    status, body = await medusa.ask("DELETE", path)
    assert (status, body["type"]) == (404, "not_found")
    assert (await medusa.ask("POST", path, {"name": "x"})) == (200, {})
