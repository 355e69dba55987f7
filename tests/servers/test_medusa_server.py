"""Access, transport and look-up: the fake Medusa and a real one alike."""

from __future__ import annotations

import base64
import gzip
import io
import json

import pytest
from tests.conftest import Medusa

from .medusa_bodies import product, variant

BATCH = "/admin/products/batch?fields=id,handle,external_id"


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


async def test_a_secret_key_opens_the_admin_api_as_basic_only(medusa: Medusa) -> None:
    path = "/admin/products?limit=0"
    for headers, status in [
        (basic(f"{medusa.api_key}:"), 200),
        ({"Authorization": f"Basic {medusa.api_key}"}, 200),
        ({"Authorization": f"Bearer {medusa.api_key}"}, 401),
        (basic("sk_nonsense:"), 401),
        ({"Authorization": "Basic nonsense"}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
    ]:
        found, body = await medusa.ask("GET", path, headers=headers)
        assert found == status, body
    message = "A secret API key was passed as a Bearer token."
    status, body = await medusa.ask(
        "GET", path, headers={"Authorization": f"Bearer {medusa.api_key}"}
    )
    assert body["message"].startswith(message)


async def test_a_token_is_had_by_password_and_by_an_older_token(medusa: Medusa) -> None:
    refreshed = await medusa.post("/auth/token/refresh", {})
    headers = {"Authorization": f"Bearer {refreshed['token']}"}
    assert (await medusa.ask("GET", "/admin/products", headers=headers))[0] == 200
    login = {"email": medusa.email, "password": "wrong"}
    assert await medusa.ask("POST", "/auth/user/emailpass", login) == (
        401,
        {"type": "unauthorized", "message": "Invalid email or password"},
    )
    status, body = await medusa.ask(
        "POST", "/auth/token/refresh", {}, headers={"Authorization": ""}
    )
    assert (status, body) == (401, {"message": "Unauthorized"})


async def test_nobody_comes_in_without_a_key(medusa: Medusa) -> None:
    headers = {"Authorization": ""}
    answer = await medusa.ask("GET", "/admin/products", headers=headers)
    assert answer == (401, {"message": "Unauthorized"})
    status, body = await medusa.ask("GET", "/store/products")
    assert (status, body["type"]) == (400, "not_allowed")
    shopper = {"x-publishable-api-key": medusa.publishable_key, **headers}
    assert (await medusa.ask("GET", "/admin/products", headers=shopper))[0] == 401


async def test_an_unknown_route_is_a_page_of_html(medusa: Medusa) -> None:
    for method, path in [("GET", "/admin/nope"), ("PUT", "/admin/products")]:
        status, body = await medusa.ask(method, path)
        assert status == 404
        assert f"<pre>Cannot {method} {path}</pre>" in body


async def test_bodies_have_limits(medusa: Medusa) -> None:
    long = {"title": "x" * 150_000}
    too_large = {"message": "request entity too large", "type": "unknown_error"}
    single = await medusa.ask("POST", "/admin/products", product("a", **long))
    assert single == (413, too_large)
    await medusa.post(BATCH, {"create": [product("a", **long)]})
    longer = io.BytesIO(json.dumps({"create": ["x" * 2_200_000]}).encode())
    headers = {"Content-Type": "application/json"}
    batch = await medusa.ask("POST", BATCH, data=longer, headers=headers)
    assert batch == (413, too_large)


async def test_a_gzipped_body_is_read(medusa: Medusa) -> None:
    raw = gzip.compress(json.dumps({"create": [product("a")]}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    status, body = await medusa.ask("POST", BATCH, data=raw, headers=headers)
    assert (status, body["created"][0]["handle"]) == (200, "a")


async def test_headers_have_a_limit_of_16_kb(medusa: Medusa) -> None:
    assert (await medusa.ask("GET", f"/admin/products?x={'y' * 14_000}"))[0] == 200
    assert (await medusa.ask("GET", f"/admin/products?x={'y' * 17_000}"))[0] == 431


async def test_broken_json_is_refused(medusa: Medusa) -> None:
    headers = {"Content-Type": "application/json"}
    status, body = await medusa.ask("POST", BATCH, data=b'{"create":', headers=headers)
    assert (status, body["type"]) == (400, "invalid_data")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"updates": []}, "Unrecognized fields: 'updates'"),
        ({"create": [{}]}, "Field 'create, 0, title' is required"),
        (
            {"update": {}},
            "Expected type: 'array' for field 'update', got: '[object Object]'",
        ),
        (
            {"delete": "x"},
            "Expected type: 'array' for field 'delete', got: 'x'",
        ),
        ({"update": [{"title": "x"}]}, "Field 'update, 0, id' is required"),
        ({"update": [{"id": "p", "a": 1, "b": 2}]}, "Unrecognized fields: 'a, b'"),
        ({"update": [{"id": "p", "title": 5}]}, "Field 'update, 0, title' is required"),
        ({"update": [{"id": "p", "title": None}]}, "Field 'update, 0, title' is required"),
        ({"update": [{"id": "p", "weight": "4"}]}, "Field 'update, 0, weight' is required"),
        ({"update": [{"id": "p", "status": "x"}]}, "Field 'update, 0, status' is required"),
        ({"update": [{"id": "p", "tags": [{}]}]}, "Field 'update, 0, tags, 0, id' is required"),
        (
            {"update": [{"id": "p", "variants": [{"prices": [{"amount": "9"}]}]}]},
            "Field 'update, 0, variants, 0, prices, 0, amount' is required",
        ),
        (
            {"update": [{"id": "p", "options": []}]},
            ("The 'options' property was removed in version 2.16.0. Please remove it"
            " from your request payload."),
        ),
        (
            {"update": [{"id": "p", "title": 5, "weight": "x", "foo": 1}]},
            ("Field 'update, 0, title' is required; Field 'update, 0, weight' is"
            " required; Unrecognized fields: 'foo'"),
        ),
        (
            {"create": [{"title": "x", "variants": [{"title": "v"}]}]},
            "Field 'create, 0, variants, 0, prices' is required",
        ),
    ],
)  # fmt: skip
async def test_bodies_are_strict(medusa: Medusa, body: object, complaint: str) -> None:
    message = f"Invalid request: {complaint}"
    answer = await medusa.ask("POST", BATCH, body)
    assert answer == (400, {"type": "invalid_data", "message": message})


async def test_products_are_looked_up(medusa: Medusa) -> None:
    await medusa.post(BATCH, {"create": [product(name) for name in "abcd"]})
    for query, expected in [
        ("external_id[]=src:a&external_id[]=src:b&external_id[]=src:x", "ab"),
        ("external_id[0]=src:a", "a"),
        ("external_id=src:c", "c"),
        ("handle[]=d&handle[]=a", "ad"),
        ("handle=d", "d"),
        ("handle=d&external_id=src:a", ""),
        ("title=B", "b"),
        ("variants[sku][]=c-s", "c"),
        ("status[]=draft", ""),
        ("id[]=prod_nope", ""),
        ("sku=c-s&foo[bar]=1", "abcd"),
        ("created_at[$gt]=2100-01-01T00:00:00Z", ""),
        ("sales_channel_id[]=sc_nope", ""),
    ]:
        body = await medusa.get(f"/admin/products?fields=handle&{query}")
        handles = sorted(row["handle"] for row in body["products"])
        assert handles == sorted(expected), query
        assert body["count"] == len(expected)


async def test_two_hundred_external_ids_fit_into_an_address(medusa: Medusa) -> None:
    await medusa.post(BATCH, {"create": [product(name) for name in "ab"]})
    ids = "&".join(f"external_id[]=dummyjson:{n}" for n in range(198))
    ids = f"{ids}&external_id[]=src:a&external_id[]=src:b"
    body = await medusa.get(f"/admin/products?limit=200&fields=id&{ids}")
    assert body["count"] == 2


async def test_answers_come_in_pages(medusa: Medusa) -> None:
    await medusa.post(BATCH, {"create": [product(f"p{n}") for n in range(5)]})
    path = "/admin/products?fields=handle&order=handle"
    body = await medusa.get(f"{path}&limit=2&offset=3")
    assert [row["handle"] for row in body["products"]] == ["p3", "p4"]
    assert (body["count"], body["offset"], body["limit"]) == (5, 3, 2)
    body = await medusa.get("/admin/products?fields=handle&order=-handle&limit=1")
    assert body["products"][0]["handle"] == "p4"
    assert (await medusa.get("/admin/products?limit=0"))["products"] == []
    assert (await medusa.get("/admin/products"))["limit"] == 50
    assert (await medusa.ask("GET", "/admin/products?order=nope"))[0] == 500
    status, body = await medusa.ask("GET", "/admin/products?limit=abc")
    assert status == 400
    complaint = "Expected type: 'number' for field 'limit', got: 'abc'"
    assert body["message"] == f"Invalid request: {complaint}"


async def test_fields_choose_what_is_shown(medusa: Medusa) -> None:
    await medusa.post(BATCH, {"create": [product("a", description="d")]})

    async def shown(fields: str) -> dict[str, object]:
        body = await medusa.get(f"/admin/products?fields={fields}")
        (row,) = body["products"]
        return dict(row)

    assert set(await shown("handle,nope,categories,variants")) == {"id", "handle"}
    assert set(await shown("id,variants.nope")) == {"id", "variants"}
    assert set(await shown("*images,id")) == {"id", "images"}
    assert {"title", "categories"} <= set(await shown("%2Bcategories.id"))
    assert "description" in await shown("%2Bhandle")
    assert "description" not in await shown("-description")
    assert set(await shown("")) == {"id"}
    everything = (await medusa.get("/admin/products"))["products"][0]
    assert {"variants", "options", "tags", "images", "sales_channels"} <= set(
        everything
    )
    assert not {"categories", "shipping_profile"} & set(everything)
    prices = await shown("variants.prices.amount,shipping_profile.id")
    (only,) = prices["variants"]  # type: ignore[misc]
    assert set(only["prices"][0]) == {"id", "amount", "variant_id", "rules"}
    assert "shipping_profile" not in prices


async def test_the_lean_read_has_all_that_is_compared(medusa: Medusa) -> None:
    fields = (
        "id,external_id,handle,title,description,status,thumbnail,weight,metadata,"
        "type_id,collection_id,created_at,updated_at,images.id,images.url,images.rank,"
        "tags.id,tags.value,categories.id,categories.name,sales_channels.id,"
        "shipping_profile.id,options.id,options.title,options.values.id,"
        "options.values.value,variants.id,variants.title,variants.sku,"
        "variants.barcode,variants.manage_inventory,variants.metadata,"
        "variants.options.value,variants.options.option_id,variants.prices.amount,"
        "variants.prices.currency_code,variants.inventory_items.inventory_item_id,"
        "variants.inventory_items.inventory.location_levels.stocked_quantity,"
        "variants.inventory_items.inventory.location_levels.location_id"
    )
    body = product(
        "a",
        sales_channels=[{"id": medusa.sales_channel_id}],
        shipping_profile_id=medusa.shipping_profile_id,
        images=[{"url": "https://cdn.example/1"}],
        weight=1.5,
        metadata={"k": {"x": 1}},
        variants=[variant("a-s", Size="S", barcode="123", metadata={"m": "n"})],
    )
    await medusa.post(BATCH, {"create": [body]})
    (row,) = (await medusa.get(f"/admin/products?fields={fields}"))["products"]
    (only,) = row.pop("variants")
    (option,) = row.pop("options")
    assert {key: row[key] for key in ("title", "weight", "metadata", "thumbnail")} == {
        "title": "A",
        "weight": 1.5,
        "metadata": {"k": {"x": 1}},
        "thumbnail": "https://cdn.example/1",
    }
    (image,) = row["images"]
    assert (image["url"], image["rank"]) == ("https://cdn.example/1", 0)
    assert row["sales_channels"] == [{"id": medusa.sales_channel_id}]
    assert row["shipping_profile"] == {"id": medusa.shipping_profile_id}
    assert (row["tags"], row["categories"], row["type_id"]) == ([], [], None)
    assert sorted(value["value"] for value in option["values"]) == ["M", "S"]
    assert only["options"] == [{"value": "S", "option_id": option["id"]}]
    (item,) = only["inventory_items"]
    assert item["inventory"]["location_levels"] == []
    assert item["inventory"]["id"] == item["inventory_item_id"]
    assert (only["barcode"], only["metadata"]) == ("123", {"m": "n"})
    assert only["manage_inventory"] is True


@pytest.mark.parametrize(
    "path",
    [
        *("product-categories", "product-tags", "product-types", "collections"),
        *("product-options", "inventory-items", "sales-channels", "regions"),
        *("stock-locations", "shipping-profiles", "stores", "api-keys"),
    ],
)
async def test_other_lists_refuse_unknown_parameters(medusa: Medusa, path: str) -> None:
    status, body = await medusa.ask("GET", f"/admin/{path}?foo=1")
    complaint = "Invalid request: Unrecognized fields: 'foo'"
    assert (status, body["message"]) == (400, complaint)


async def test_a_store_says_how_it_is_set_up(medusa: Medusa) -> None:
    (store,) = (await medusa.get("/admin/stores"))["stores"]
    assert store["default_sales_channel_id"] == medusa.sales_channel_id
    assert store["default_region_id"] == medusa.region_id
    assert store["default_location_id"] == medusa.stock_location_id
    (currency,) = store["supported_currencies"]
    assert (currency["currency_code"], currency["is_default"]) == ("usd", True)
    channels = (await medusa.get("/admin/sales-channels?fields=id"))["sales_channels"]
    assert {row["id"] for row in channels} == {
        medusa.sales_channel_id,
        medusa.other_sales_channel_id,
    }
    path = "/admin/stock-locations?fields=id,name,sales_channels.id"
    (location,) = (await medusa.get(path))["stock_locations"]
    assert len(location["sales_channels"]) == 2
    (profile,) = (await medusa.get("/admin/shipping-profiles"))["shipping_profiles"]
    assert profile["id"] == medusa.shipping_profile_id
    (region,) = (await medusa.get("/admin/regions"))["regions"]
    assert (region["id"], region["currency_code"]) == (medusa.region_id, "usd")
    for path, message in [
        ("sales-channels/sc_x", "Sales channel with id: sc_x not found"),
        ("stock-locations/sloc_x", "Stock location with id: sloc_x was not found"),
        ("products/prod_x", "Product not found"),
    ]:
        answer = await medusa.ask("GET", f"/admin/{path}")
        assert answer == (404, {"type": "not_found", "message": message})
    assert await medusa.get("/admin/shipping-profiles/sp_x") == {}
    user = (await medusa.get("/admin/users/me"))["user"]
    assert user["email"] == medusa.email
    assert (await medusa.ask("GET", "/health"))[1] == "OK"
