"""Reservations, which placed orders make: the fake Medusa and a real one alike."""

from __future__ import annotations

from typing import Any

from tests.conftest import Medusa

from .medusa_bodies import product

RESERVATIONS = "/admin/reservations"
LEVELS = "/admin/inventory-items/location-levels/batch"


async def stocked(medusa: Medusa, quantity: int) -> dict[str, Any]:
    """The item and the location of a new product with this stock."""
    made = await medusa.post("/admin/products/batch", {"create": [product("a")]})
    path = f"/admin/products/{made['created'][0]['id']}"
    query = "fields=variants.inventory_items.inventory_item_id"
    found = (await medusa.get(f"{path}?{query}"))["product"]["variants"][0]
    place = {
        "inventory_item_id": found["inventory_items"][0]["inventory_item_id"],
        "location_id": medusa.stock_location_id,
    }
    level = {**place, "stocked_quantity": quantity}
    await medusa.post(LEVELS, {"create": [level]})
    return place


async def numbers(medusa: Medusa, place: dict[str, Any]) -> tuple[Any, ...]:
    """Stocked and reserved pieces of the level, reserved ones of the item."""
    path = f"/admin/inventory-items?id[]={place['inventory_item_id']}"
    fields = "fields=id,reserved_quantity,location_levels.stocked_quantity"
    fields += ",location_levels.reserved_quantity,location_levels.location_id"
    (item,) = (await medusa.get(f"{path}&{fields}"))["inventory_items"]
    (level,) = item["location_levels"]
    assert level["location_id"] == place["location_id"]
    return level["stocked_quantity"], level["reserved_quantity"]


async def test_a_reservation_takes_from_what_can_be_sold(medusa: Medusa) -> None:
    place = await stocked(medusa, 5)
    made = (await medusa.post(RESERVATIONS, {**place, "quantity": 2}))["reservation"]
    assert {key: made[key] for key in place} == place
    assert (made["quantity"], made["line_item_id"]) == (2, None)
    assert made["inventory_item"]["id"] == place["inventory_item_id"]
    assert await numbers(medusa, place) == (5, 2)
    status, body = await medusa.ask("POST", RESERVATIONS, {**place, "quantity": 4})
    item, location = place["inventory_item_id"], place["location_id"]
    message = f"Not enough stock available for item {item} at location {location}"
    assert (status, body["type"], body["message"]) == (400, "not_allowed", message)
    await medusa.post(LEVELS, {"update": [{**place, "stocked_quantity": 1}]})
    assert await numbers(medusa, place) == (1, 2)
    listed = await medusa.get(f"{RESERVATIONS}?inventory_item_id={item}")
    assert [row["id"] for row in listed["reservations"]] == [made["id"]]
    gone = await medusa.ask("DELETE", f"{RESERVATIONS}/{made['id']}")
    assert gone == (200, {"id": made["id"], "object": "reservation", "deleted": True})
    assert await numbers(medusa, place) == (1, 0)


async def test_a_reservation_needs_a_level(medusa: Medusa) -> None:
    place = await stocked(medusa, 5)
    elsewhere = {**place, "location_id": "sloc_x", "quantity": 1}
    status, body = await medusa.ask("POST", RESERVATIONS, elsewhere)
    message = f"Item {place['inventory_item_id']} is not stocked at location sloc_x"
    assert (status, body["type"], body["message"]) == (404, "not_found", message)
    status, body = await medusa.ask("POST", RESERVATIONS, place)
    assert (status, body["message"]) == (
        400,
        "Invalid request: Field 'quantity' is required",
    )
