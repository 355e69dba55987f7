"""Variants, prices, options and stock: the fake Medusa and a real one alike."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import Medusa

from .medusa_bodies import product, shirt, usd, variant

PRODUCTS = "/admin/products/batch?fields=id,handle,variants.id,variants.sku"
VARIANT = (
    "id,title,sku,barcode,metadata,product_id,prices.amount,prices.currency_code,"
    "options.value,inventory_items.inventory_item_id,inventory_items.inventory.sku"
)
LEVELS = "/admin/inventory-items/location-levels/batch"
Row = dict[str, Any]


async def create(medusa: Medusa, *bodies: Row) -> list[Row]:
    created = (await medusa.post(PRODUCTS, {"create": bodies}))["created"]
    by_handle = {row["handle"]: row for row in created}
    return [by_handle[body["handle"]] for body in bodies]


async def look(medusa: Medusa, row: Row) -> dict[str, Row]:
    """A product's variants by SKU, as they are now."""
    fields = ",".join(f"variants.{name}" for name in VARIANT.split(","))
    found = await medusa.get(f"/admin/products/{row['id']}?fields={fields}")
    return {item["sku"]: item for item in found["product"]["variants"]}


async def options(medusa: Medusa, row: Row) -> dict[str, dict[str, str]]:
    """The ids of a product's values, by option and text."""
    path = f"/admin/products/{row['id']}?fields=*options,*options.values"
    found = await medusa.get(path)
    return {
        option["title"]: {
            "": option["id"],
            **{value["value"]: value["id"] for value in option["values"]},
        }
        for option in found["product"]["options"]
    }


def batch(row: Row) -> str:
    return f"/admin/products/{row['id']}/variants/batch?fields={VARIANT}"


async def refused(medusa: Medusa, path: str, body: object) -> tuple[int, str]:
    status, answer = await medusa.ask("POST", path, body)
    return status, answer["message"]


def texts(item: Row) -> set[str]:
    return {value["value"] for value in item["options"]}


async def skus(medusa: Medusa) -> set[str]:
    """Of the inventory items."""
    body = await medusa.get("/admin/inventory-items?fields=sku&limit=100")
    return {row["sku"] for row in body["inventory_items"]}


async def test_a_product_with_two_options(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    found = await look(medusa, row)
    assert texts(found["shirt-red-s"]) == {"Red", "S"}
    assert found["shirt-blue-m"]["metadata"] == {"key": "BlueM"}
    assert {len(item["inventory_items"]) for item in found.values()} == {1}
    assert set(await options(medusa, row)) == {"Color", "Size"}


async def test_variants_change_as_they_are_named(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    ids = {item["sku"]: item["id"] for item in row["variants"]}
    answer = await medusa.post(
        batch(row),
        {
            "create": [],
            "update": [{"id": ids["shirt-red-s"], "prices": [usd(1.5)]}],
            "delete": [ids["shirt-blue-s"], "variant_x"],
        },
    )
    (updated,) = answer["updated"]
    assert [price["amount"] for price in updated["prices"]] == [1.5]
    assert answer["deleted"]["object"] == "variant"
    found = await look(medusa, row)
    assert set(found) == {"shirt-red-s", "shirt-red-m", "shirt-blue-m"}
    assert found["shirt-red-s"]["title"] == "Red / S"
    assert found["shirt-red-m"]["prices"][0]["amount"] == 9.99
    assert await skus(medusa) == set(found)


async def test_a_removed_variant_can_be_added_again(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    ids = {item["sku"]: item["id"] for item in row["variants"]}
    await medusa.post(batch(row), {"delete": [ids["shirt-red-s"]]})
    body = variant("shirt-red-s", Color="Red", Size="S")
    (made,) = (await medusa.post(batch(row), {"create": [body]}))["created"]
    assert made["inventory_items"][0]["inventory"]["sku"] == "shirt-red-s"
    assert made["product_id"] == row["id"]


async def test_variants_of_several_products_change_in_one_request(
    medusa: Medusa,
) -> None:
    first, second = await create(medusa, shirt("a"), shirt("b"))
    changes = [
        {"id": row["variants"][0]["id"], "prices": [usd(amount)]}
        for row, amount in [(first, 1), (second, 2)]
    ]
    path = f"/admin/products/any/variants/batch?fields={VARIANT}"
    updated = (await medusa.post(path, {"update": changes}))["updated"]
    assert {item["prices"][0]["amount"] for item in updated} == {1, 2}


async def test_a_variants_batch_fails_as_a_whole(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    ids = {item["sku"]: item["id"] for item in row["variants"]}
    good = {"id": ids["shirt-red-s"], "title": "changed"}
    exists = "Product variant with sku: shirt-red-m, already exists."
    for body, message in [
        ({"update": [good, {"id": "variant_x"}]}, "Cannot update non-existing variants with ids: variant_x"),
        ({"update": [good, {"id": ids["shirt-blue-s"], "sku": "shirt-red-m"}]}, exists),
        ({"update": [good], "create": [variant("x", Color="Pink", Size="S")]}, "Option value Pink does not exist for option Color"),
        ({"update": [good], "create": [variant("x", Color="Red", Size="S")]}, "Variant (Red / S) with provided options already exists."),
        ({"update": [good], "create": [variant("x", Color="Red")]}, "Product has 2 option values but there were 1 provided option values for the variant: Red."),
        ({"update": [{**good, "foo": 1}]}, "Invalid request: Unrecognized fields: 'foo'"),
    ]:  # fmt: skip
        status, found = await refused(medusa, batch(row), body)
        assert status == 400
        # Medusa works on both lists at once: which title it names is luck.
        assert found == message or "with provided options already exists" in found
    assert (await look(medusa, row))["shirt-red-s"]["title"] == "Red / S"
    assert len(await skus(medusa)) == 4


async def test_a_refused_variant_costs_the_updated_their_prices(
    medusa: Medusa,
) -> None:
    (row,) = await create(medusa, shirt())
    ids = {item["sku"]: item["id"] for item in row["variants"]}
    update = [
        {"id": ids["shirt-red-s"], "prices": [usd(1)]},
        {"id": ids["shirt-red-m"], "title": "new"},
    ]
    bad = [variant("x", Color="Pink", Size="S")]
    assert (await refused(medusa, batch(row), {"create": bad, "update": update}))[
        0
    ] == 400
    gone = [ids["shirt-blue-m"]]
    assert (await refused(medusa, batch(row), {"create": bad, "delete": gone}))[
        0
    ] == 400
    found = await look(medusa, row)
    assert len(found) == 4
    assert found["shirt-red-s"]["prices"] == []
    assert found["shirt-red-m"]["title"] == "Red / M"
    assert found["shirt-red-m"]["prices"][0]["amount"] == 9.99


async def test_a_variants_columns_change(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    key = row["variants"][0]["id"]
    old = {item["id"]: item for item in (await look(medusa, row)).values()}[key]
    for body in [
        {"title": "New"},
        {"sku": "new", "barcode": "1"},
        {"sku": None, "barcode": None},
    ]:
        answer = await medusa.post(batch(row), {"update": [{"id": key, **body}]})
        (found,) = answer["updated"]
        assert {name: found[name] for name in body} == body
        assert found["inventory_items"] == old["inventory_items"]
    path = f"/admin/products/{row['id']}/variants/{key}?fields=variants.title"
    answer = await medusa.post(path, {"title": "Newer"})
    assert "Newer" in {item["title"] for item in answer["product"]["variants"]}


async def test_variant_metadata_is_merged_or_replaced(medusa: Medusa) -> None:
    (row,) = await create(
        medusa, product("a", variants=[variant("a", Size="S", metadata={"a": 1})])
    )
    key = row["variants"][0]["id"]
    path = "/admin/products/batch?fields=variants.metadata"
    for metadata, expected in [
        ({"b": "2"}, {"a": 1, "b": "2"}),
        ({"a": ""}, {"b": "2"}),
    ]:
        body = {"update": [{"id": key, "metadata": metadata}]}
        (found,) = (await medusa.post(batch(row), body))["updated"]
        assert found["metadata"] == expected
    for change, kept in [
        ({"metadata": {"c": "3"}}, {"c": "3"}),
        ({"title": "T"}, {"c": "3"}),
    ]:
        body = {"update": [{"id": row["id"], "variants": [{"id": key, **change}]}]}
        (found,) = (await medusa.post(path, body))["updated"]
        assert found["variants"][0]["metadata"] == kept


# --- variants within a product's update ---


async def update(medusa: Medusa, row: Row, variants: list[Row]) -> tuple[int, Any]:
    body = {"update": [{"id": row["id"], "variants": variants}]}
    return await medusa.ask("POST", PRODUCTS, body)


async def test_a_products_update_replaces_its_variants(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    ids = {item["sku"]: item["id"] for item in row["variants"]}
    kept = [{"id": ids["shirt-red-s"]}, {"id": ids["shirt-red-m"], "title": "T"}]
    assert (await update(medusa, row, kept))[0] == 200
    found = await look(medusa, row)
    assert set(found) == {"shirt-red-s", "shirt-red-m"}
    assert found["shirt-red-s"]["prices"][0]["amount"] == 9.99
    assert found["shirt-red-m"]["title"] == "T"
    # The items of those left out stay behind, and occupy their SKUs.
    assert "shirt-blue-s" in await skus(medusa)
    body = variant("shirt-blue-s", Color="Blue", Size="S")
    answer = await refused(medusa, batch(row), {"create": [body]})
    assert answer == (400, "Inventory item with sku: shirt-blue-s, already exists.")
    items = await medusa.get("/admin/inventory-items?sku[]=shirt-blue-s&fields=id")
    (item,) = items["inventory_items"]
    link = {"inventory_item_id": item["id"], "required_quantity": 1}
    adopted = {"create": [{**body, "inventory_items": [link]}]}
    (made,) = (await medusa.post(batch(row), adopted))["created"]
    assert made["inventory_items"][0]["inventory_item_id"] == item["id"]


async def test_an_orphan_inventory_item_can_be_deleted(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    assert (await update(medusa, row, []))[0] == 200
    items = await medusa.get("/admin/inventory-items?sku=a-s&fields=id")
    (item,) = items["inventory_items"]
    path = f"/admin/inventory-items/{item['id']}"
    _status, answer = await medusa.ask("DELETE", path)
    assert answer == {"id": item["id"], "object": "inventory_item", "deleted": True}
    await medusa.post(batch(row), {"create": [variant("a-s", Size="S")]})


async def test_a_variant_unknown_to_an_update_removes_the_known(
    medusa: Medusa,
) -> None:
    (row,) = await create(medusa, shirt())
    assert (await update(medusa, row, [{"id": "variant_x", "title": "x"}]))[0] == 200
    (found,) = (await look(medusa, row)).values()
    assert (found["id"], found["title"]) == ("variant_x", "x")
    assert (await update(medusa, row, [{"id": "variant_y"}]))[0] == 500


async def test_a_variant_added_by_an_update_lacks_an_item(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    key = row["variants"][0]["id"]
    status, _ = await update(medusa, row, [{"id": key}, variant("a-m", Size="M")])
    assert status == 200
    found = await look(medusa, row)
    assert found["a-m"]["prices"][0]["amount"] == 9.99
    assert found["a-m"]["inventory_items"] == []
    repair = {"id": found["a-m"]["id"], "manage_inventory": True}
    assert (await update(medusa, row, [{"id": key}, repair]))[0] == 200
    assert len((await look(medusa, row))["a-m"]["inventory_items"]) == 1


async def test_options_must_not_stand_before_none(medusa: Medusa) -> None:
    (row,) = await create(
        medusa,
        product("a", variants=[variant("a-s", Size="S"), variant("a-m", Size="M")]),
    )
    ids = {item["sku"]: item["id"] for item in row["variants"]}
    small, medium = {"id": ids["a-s"]}, {"id": ids["a-m"]}
    size = {"options": {"Size": "S"}}
    other = {"options": {"Size": "M"}}
    assert (await update(medusa, row, [{**small, **size}, medium]))[0] == 500
    assert (await update(medusa, row, [medium, {**small, **size}]))[0] == 200
    both = [{**medium, **other}, {**small, **size}]
    assert (await update(medusa, row, both))[0] == 200


# --- prices ---


async def test_prices_are_replaced(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    key = row["variants"][0]["id"]
    rule = usd(4, rules={"region_id": medusa.region_id})
    asked = "prices.price_rules.attribute,prices.price_rules.value"
    fields = f"prices.id,prices.amount,prices.currency_code,{asked}"
    path = f"/admin/products/{row['id']}/variants/batch?fields={fields}"

    async def price(*prices: Row) -> list[Row]:
        body = {"update": [{"id": key, "prices": prices}]}
        (found,) = (await medusa.post(path, body))["updated"]
        return sorted(found["prices"], key=lambda item: -float(item["amount"]))

    plain, ruled = await price(usd(9), rule)
    assert (plain["rules"], ruled["rules"]) == ({}, rule["rules"])
    again, same = await price(
        {**usd(8), "id": plain["id"]}, {**rule, "id": ruled["id"]}
    )
    assert (again["id"], same["id"]) == (plain["id"], ruled["id"])
    assert same["rules"] == rule["rules"]
    # Sent without its rules, the one looks like the other: the last wins.
    (only,) = await price({**usd(8), "id": plain["id"]}, {**usd(4), "id": ruled["id"]})
    assert (only["id"], only["rules"]) == (ruled["id"], rule["rules"])
    (only,) = await price(usd(4))
    assert only["id"] not in {plain["id"], ruled["id"]}
    assert len(await price(usd(4), usd(5, currency_code="eur"))) == 2
    assert await price() == []
    assert len(await price(usd(4), usd(3, min_quantity=10))) == 2


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("variants.prices.rules", False),
        ("variants.prices.price_rules.value", False),
        ("variants.prices.price_rules.attribute,variants.prices.price_rules.value", True),
        ("id,*variants.prices.price_rules", True),
        ("id,*variants.prices", False),
        ("*variants.prices", True),
    ],
)  # fmt: skip
async def test_rules_of_prices_are_shown_where_asked_for(
    medusa: Medusa, fields: str, *, shown: bool
) -> None:
    rules = {"region_id": medusa.region_id}
    body = {**variant("a", Size="S"), "prices": [usd(4, rules=rules)]}
    (row,) = await create(medusa, product("a", variants=[body]))
    found = await medusa.get(f"/admin/products/{row['id']}?fields={fields}")
    (price,) = found["product"]["variants"][0]["prices"]
    assert price["rules"] == (rules if shown else {})
    assert "price_rules" not in price


@pytest.mark.parametrize("amount", [9.99, 0.1 + 0.2, 12.345, 36999.99, 0])
async def test_amounts_are_kept_as_they_are(medusa: Medusa, amount: float) -> None:
    (row,) = await create(
        medusa, product("a", variants=[variant("a", amount, Size="S")])
    )
    assert (await look(medusa, row))["a"]["prices"][0]["amount"] == amount


# --- options ---


async def test_a_value_is_added_and_used(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    color = (await options(medusa, row))["Color"]
    path = f"/admin/products/{row['id']}/options/batch?fields=id"
    green = variant("green", Color="Green", Size="S")
    complaint = "Option value Green does not exist for option Color"
    assert await refused(medusa, batch(row), {"create": [green]}) == (400, complaint)
    # On the option alone, it is not the product's.
    values = {"values": ["Red", "Blue", "Green"]}
    await medusa.post(f"/admin/product-options/{color['']}", values)
    assert await refused(medusa, batch(row), {"create": [green]}) == (400, complaint)
    add = {
        "product_option_id": color[""],
        "add": [{"value": "Green"}, {"value": "Gold"}],
    }
    for _ in range(2):
        await medusa.post(path, {"update": [add]})
    found = (await options(medusa, row))["Color"]
    assert set(found) == {"", "Red", "Blue", "Green", "Gold"}
    (made,) = (await medusa.post(batch(row), {"create": [green]}))["created"]
    assert texts(made) == {"Green", "S"}
    text = {"product_option_id": color[""], "add": ["Pink"]}
    status, message = await refused(medusa, path, {"update": [text]})
    assert (status, message.split(",")[0]) == (
        404,
        "You tried to set relationship product_option_value_id: Pink",
    )


async def test_a_value_is_removed_when_nothing_uses_it(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    size = (await options(medusa, row))["Size"]
    path = f"/admin/products/{row['id']}/options/batch?fields=id"
    status, message = await refused(
        medusa,
        path,
        {"update": [{"product_option_id": size[""], "remove": [size["S"]]}]},
    )
    assert (status, message) == (
        400,
        (
            "Cannot unassign option values from product because the following variant(s)"
            " are using it: S"
        ),
    )
    value = f"/admin/product-options/{size['']}/values"
    status, answer = await medusa.ask("DELETE", f"{value}/{size['M']}")
    assert answer["message"] == (
        "Cannot delete product option values that are associated with products."
    )
    remove = {"product_option_id": size[""], "remove": [size["M"], "ignored"]}
    await medusa.post(path, {"update": [remove]})
    assert set((await options(medusa, row))["Size"]) == {"", "S"}
    assert (await medusa.ask("DELETE", f"{value}/{size['M']}"))[0] == 200
    found = await medusa.get(f"/admin/product-options/{size['']}?fields=values.value")
    assert found["product_option"]["values"] == [{"value": "S"}]


async def test_options_and_values_are_renamed(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    color = (await options(medusa, row))["Color"]
    path = f"/admin/product-options/{color['']}"
    await medusa.post(f"{path}/values/{color['Red']}", {"value": "Crimson"})
    await medusa.post(path, {"title": "Colour"})
    assert set((await options(medusa, row))["Colour"]) == {"", "Crimson", "Blue"}
    assert texts((await look(medusa, row))["shirt-red-s"]) == {"Crimson", "S"}
    status, message = await refused(
        medusa, f"{path}/values/{color['Red']}", {"value": "Blue"}
    )
    assert (status, message) == (
        400,
        (
            f"Product option value with option_id: {color['']}, value: Blue, already"
            " exists."
        ),
    )


async def test_an_option_is_added_and_removed(medusa: Medusa) -> None:
    (row,) = await create(medusa, product("a"))
    path = f"/admin/products/{row['id']}/options/batch?fields=id"
    fit = {"title": "Fit", "values": ["Slim", "Wide"]}
    await medusa.post(path, {"add": [fit]})
    found = await options(medusa, row)
    assert set(found["Fit"]) == {"", "Slim", "Wide"}
    key = row["variants"][0]["id"]
    change = {"id": key, "options": {"Size": "M"}}
    _status, message = await refused(medusa, batch(row), {"update": [change]})
    assert message.startswith(("Product has 3", "Product has 2"))
    await medusa.post(path, {"remove": [found["Fit"][""]]})
    assert set(await options(medusa, row)) == {"Size"}
    assert (await refused(medusa, path, {"add": [fit]})) == (
        400,
        "Product option with title: Fit, already exists.",
    )
    await medusa.post(path, {"add": [found["Fit"][""]]})
    found = await options(medusa, row)
    assert set(found["Fit"]) == {"", "Slim", "Wide"}
    change = {"id": key, "options": {"Size": "M", "Fit": "Slim"}}
    (updated,) = (await medusa.post(batch(row), {"update": [change]}))["updated"]
    assert texts(updated) == {"M", "Slim"}
    answer = await refused(medusa, path, {"remove": [found["Fit"][""]]})
    assert answer == (
        400,
        (
            "Cannot unassign product option from product which has variants for that"
            " option"
        ),
    )
    ids = {"update": [{"id": row["id"], "option_ids": [found["Size"][""]]}]}
    assert await refused(medusa, PRODUCTS, ids) == answer


async def test_products_share_an_option(medusa: Medusa) -> None:
    body = {"title": "Material", "values": ["Wool", "Silk"]}
    made = (await medusa.post("/admin/product-options", body))["product_option"]
    assert made["is_exclusive"] is False
    silk = next(item["id"] for item in made["values"] if item["value"] == "Silk")
    whole, part = await create(
        medusa,
        product("a", options=[{"id": made["id"]}], variants=[variant("a", Material="Wool")]),
        product(
            "b",
            options=[{"id": made["id"], "value_ids": [silk]}],
            variants=[variant("b", Material="Silk")],
        ),
    )  # fmt: skip
    path = f"/admin/products/{part['id']}/options/batch?fields=id"
    add = {"product_option_id": made["id"], "add": [{"value": "Linen"}]}
    await medusa.post(path, {"update": [add]})
    assert set((await options(medusa, part))["Material"]) == {"", "Silk", "Linen"}
    assert set((await options(medusa, whole))["Material"]) == {"", "Silk", "Wool"}
    _status, message = await refused(
        medusa, f"/admin/product-options/{made['id']}", {"values": ["Silk", "Linen"]}
    )
    assert "associated with products" in message


# --- stock ---


async def test_levels_are_made_and_changed_across_items(medusa: Medusa) -> None:
    (row,) = await create(medusa, shirt())
    found = await look(medusa, row)
    items = [item["inventory_items"][0]["inventory_item_id"] for item in found.values()]
    place = {"location_id": medusa.stock_location_id}
    levels = [
        {**place, "inventory_item_id": item, "stocked_quantity": 5} for item in items
    ]
    made = await medusa.post(LEVELS, {"create": levels})
    assert {level["stocked_quantity"] for level in made["created"]} == {5}
    assert len(made["created"]) == 4
    more = {**levels[0], "stocked_quantity": 7}
    (changed,) = (await medusa.post(LEVELS, {"update": [more]}))["updated"]
    assert changed["stocked_quantity"] == 7
    for body, status, message in [
        ({"create": [levels[0]]}, 400, f"Inventory level with inventory_item_id: {items[0]}, location_id: {place['location_id']}, already exists."),
        ({"create": [{**place, "inventory_item_id": "iitem_x"}]}, 404, "You tried to set relationship inventory_item_id: iitem_x, but such entity does not exist"),
        ({"update": [{**more, "inventory_item_id": "iitem_x"}]}, 404, f"Item iitem_x is not stocked at location {place['location_id']}"),
        ({"update": [{**more, "stocked_quantity": -1}]}, 400, "Invalid request: Value for field 'update, 0, stocked_quantity' too small, expected at least: '0'"),
        ({"update": [{**more, "stocked_quantity": "7"}]}, 400, "Invalid request: Field 'update, 0, stocked_quantity' is required"),
        ({"create": [{"inventory_item_id": items[0]}]}, 400, "Invalid request: Field 'create, 0, location_id' is required"),
        ({"foo": 1}, 400, "Invalid request: Unrecognized fields: 'foo'"),
    ]:  # fmt: skip
        assert await refused(medusa, LEVELS, body) == (status, message)
    body = {
        "update": [
            {**more, "stocked_quantity": 1},
            {**more, "inventory_item_id": "iitem_x"},
        ]
    }
    assert (await refused(medusa, LEVELS, body))[0] == 404
    path = f"/admin/inventory-items/{items[0]}?fields=location_levels.stocked_quantity"
    (level,) = (await medusa.get(path))["inventory_item"]["location_levels"]
    assert level["stocked_quantity"] == 7


async def test_a_variant_may_do_without_stock(medusa: Medusa) -> None:
    body = variant("a", Size="S", manage_inventory=False)
    (row,) = await create(medusa, product("a", variants=[body]))
    assert (await look(medusa, row))["a"]["inventory_items"] == []
    assert await skus(medusa) == set()


@pytest.mark.parametrize("column", ["weight", "length", "width", "height"])
async def test_a_large_size_is_refused_with_an_inventory_item(
    medusa: Medusa, column: str
) -> None:
    """By the creation of a variant; an update takes it."""
    large = {**variant("large", Size="L"), column: 2**31}
    options = [{"title": "Size", "values": ["L"]}]
    product = {**shirt(), "variants": [large], "options": options}
    answer = await refused(medusa, PRODUCTS, {"create": [product]})
    assert answer == (500, "An unknown error occurred.")
    without = {**large, "manage_inventory": False}
    (row,) = await create(medusa, {**product, "variants": [without]})
    (found,) = (await look(medusa, row)).values()
    path = f"/admin/products/{row['id']}/variants/{found['id']}"
    assert (await medusa.ask("POST", path, {column: 2**32}))[0] == 200
