"""Options that change with their variants, and inventory items on their own: the fake
Medusa and a real one alike."""

from __future__ import annotations

from typing import Any

from tests.conftest import Medusa

from .medusa_bodies import product, shirt, variant
from .test_medusa_variants import Row, batch, create, look, options, refused

ITEMS = "/admin/inventory-items"
UPDATE = "/admin/products/batch?fields=id"


async def item_of(medusa: Medusa, id_: str) -> Any:
    fields = "id,sku,variants.id,location_levels.stocked_quantity"
    path = f"{ITEMS}/{id_}?fields={fields}"
    return (await medusa.get(path))["inventory_item"]


def titles(item: Row) -> set[str]:
    return {value["value"] for value in item["options"]}


async def test_management_is_switched_off_and_on(medusa: Medusa) -> None:
    """The item stays, with its SKU and its levels, and is in the way of a new one."""
    (row,) = await create(medusa, product("cup", variants=[variant("cup", Size="S")]))
    (link,) = (await look(medusa, row))["cup"]["inventory_items"]
    item, id_ = link["inventory_item_id"], row["variants"][0]["id"]
    level = {"inventory_item_id": item, "location_id": medusa.stock_location_id}
    body: Row = {"create": [{**level, "stocked_quantity": 3}], "update": []}
    await medusa.post(f"{ITEMS}/location-levels/batch", body)

    off = {"update": [{"id": id_, "manage_inventory": False}]}
    await medusa.post(batch(row), off)
    assert (await look(medusa, row))["cup"]["inventory_items"] == []
    left = await item_of(medusa, item)
    assert (left["sku"], left["variants"]) == ("cup", [])
    assert [x["stocked_quantity"] for x in left["location_levels"]] == [3]

    on = {"update": [{"id": id_, "manage_inventory": True}]}
    taken = "Inventory item with sku: cup, already exists."
    assert await refused(medusa, batch(row), on) == (400, taken)
    path = f"/admin/products/{row['id']}/variants/{id_}/inventory-items"
    link = {"inventory_item_id": item, "required_quantity": 1}
    await medusa.post(path, link)
    await medusa.post(batch(row), on)
    (again,) = (await look(medusa, row))["cup"]["inventory_items"]
    assert again["inventory_item_id"] == item


async def test_the_sku_of_an_item_is_its_own(medusa: Medusa) -> None:
    """It does not follow its variant, may be nothing, and is there only once."""
    cups = [
        product(name, variants=[variant(name, Size="S")]) for name in ("cup", "mug")
    ]
    cup, _ = await create(medusa, *cups)
    (link,) = (await look(medusa, cup))["cup"]["inventory_items"]
    item = f"{ITEMS}/{link['inventory_item_id']}"
    change = {"update": [{"id": cup["variants"][0]["id"], "sku": "bowl"}]}
    await medusa.post(batch(cup), change)
    (link,) = (await look(medusa, cup))["bowl"]["inventory_items"]
    assert link["inventory"]["sku"] == "cup"
    taken = "Inventory item with sku: mug, already exists."
    assert await refused(medusa, item, {"sku": "mug"}) == (400, taken)
    for sku in (None, "bowl"):
        assert (await medusa.post(item, {"sku": sku}))["inventory_item"]["sku"] == sku


async def test_options_change_with_their_variants(medusa: Medusa) -> None:
    """In one update, though variants have values of the option that goes."""
    (row,) = await create(medusa, shirt())
    known = await options(medusa, row)
    found = await look(medusa, row)
    path = f"/admin/products/{row['id']}/options/batch"
    await medusa.post(path, {"add": [{"title": "Fit", "values": ["slim", "wide"]}]})
    ids = await options(medusa, row)
    first, second, *rest = sorted(found.values(), key=lambda item: str(item["sku"]))
    variants: list[Row] = [
        *({"id": item["id"]} for item in rest),
        {"id": first["id"], "options": {"Fit": "slim"}},
        {"id": second["id"], "options": {"Fit": "slim"}},
    ]
    body = {"id": row["id"], "option_ids": [ids["Fit"][""]], "variants": variants}
    status, said = await refused(medusa, UPDATE, {"update": [body]})
    assert (status, "has same combination of option values" in said) == (400, True)

    variants[-1]["options"] = {"Fit": "wide"}
    await medusa.post(UPDATE, {"update": [body]})
    assert set(await options(medusa, row)) == {"Fit"}
    after = await look(medusa, row)
    assert titles(after[first["sku"]]) == {"slim"}
    assert titles(after[rest[0]["sku"]]) == set()
    gone = {known["Color"][""], known["Size"][""]}
    listed = await medusa.get("/admin/product-options?fields=id&limit=100")
    assert gone.isdisjoint(option["id"] for option in listed["product_options"])

    variants[-2:] = [
        {"id": first["id"], "options": {"Fit": "wide"}},
        {"id": second["id"], "options": {"Fit": "slim"}},
    ]
    await medusa.post(UPDATE, {"update": [{"id": row["id"], "variants": variants}]})
    after = await look(medusa, row)
    assert titles(after[second["sku"]]) == {"slim"}
