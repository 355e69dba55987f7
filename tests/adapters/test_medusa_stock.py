"""What a quantity means, on the fake and on a real store alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.conftest import Medusa

from catalogsync import (
    Price,
    Product,
    ProductKey,
    RunStatus,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.adapters.medusa.levels import Level
from catalogsync.catalog.changes import Existing, Update
from catalogsync.catalog.products import Field
from catalogsync.diff.compare import compare

RESERVATIONS = "/admin/reservations"
LEVELS = "/admin/inventory-items/location-levels/batch"
KEY = ProductKey("stock", "1")


def lamp(quantity: int) -> Product:
    price = Price(amount=Decimal(9), currency="USD")
    stock = [StockLevel(quantity=quantity)]
    return Product(
        key=KEY,
        title="Lamp",
        variants=[Variant(id="v", sku="lamp", prices=[price], stock=stock)],
    )


@attrs.frozen
class Shop:
    """A store with one lamp, and the sink that fills it."""

    medusa: Medusa
    sink: MedusaSink

    async def sync(self, quantity: int) -> str:
        """Bring the lamp to this quantity; the outcome."""
        report = await sync(as_source([lamp(quantity)], name=KEY.source), self.sink)
        assert report.status is RunStatus.SUCCEEDED, report
        counts = attrs.asdict(report.counts)
        (status,) = [n for n, count in counts.items() if count and n != "fetched"]
        return status

    async def level(self) -> dict[str, Any]:
        """The lamp's level."""
        fields = "id,location_levels.location_id,location_levels.stocked_quantity"
        fields += ",location_levels.reserved_quantity"
        path = f"/admin/inventory-items?sku=lamp&fields={fields}"
        (item,) = (await self.medusa.get(path))["inventory_items"]
        (level,) = item["location_levels"]
        return {"inventory_item_id": item["id"], **level}

    async def numbers(self) -> tuple[int, int]:
        """Stocked and reserved pieces."""
        level = await self.level()
        return level["stocked_quantity"], level["reserved_quantity"]

    async def place(self) -> dict[str, str]:
        level = await self.level()
        return {n: level[n] for n in ("inventory_item_id", "location_id")}

    async def order(self, quantity: int) -> str:
        """Reserve pieces, as a placed order does; the reservation's id."""
        body = {**await self.place(), "quantity": quantity}
        made = await self.medusa.post(RESERVATIONS, body)
        return str(made["reservation"]["id"])

    async def cancel(self, reservation: str) -> None:
        status, _ = await self.medusa.ask("DELETE", f"{RESERVATIONS}/{reservation}")
        assert status == 200

    async def ship(self, reservation: str, quantity: int) -> None:
        """Send what was reserved: it leaves the shelf."""
        level, place = await self.level(), await self.place()
        after = {**place, "stocked_quantity": level["stocked_quantity"] - quantity}
        await self.medusa.post(LEVELS, {"update": [after]})
        await self.cancel(reservation)

    async def planned(self, quantity: int) -> Update:
        """The change to this quantity, found and not written yet."""
        desired, fields = lamp(quantity), frozenset(Field)
        found = (await self.sink.find([desired], fields=fields))[KEY]
        assert isinstance(found, Existing)
        change = compare(desired, found).change
        assert isinstance(change, Update)
        return change


@asynccontextmanager
async def shop(
    medusa: Medusa, stock: Literal["on_hand", "available"]
) -> AsyncGenerator[Shop]:
    settings = MedusaSettings(
        url=medusa.url, email=medusa.email, password=medusa.password, stock=stock
    )
    async with settings.open() as sink:
        yield Shop(medusa, sink)


async def test_on_hand_counts_the_pieces_of_open_orders(medusa: Medusa) -> None:
    async with shop(medusa, "on_hand") as one:
        assert await one.sync(5) == "created"
        await one.order(2)
        assert await one.sync(5) == "unchanged"
        assert await one.numbers() == (5, 2)
        assert await one.sync(6) == "updated"
        assert await one.numbers() == (6, 2)
        checks = await one.sink.check()
        assert "stock" not in {check.what for check in checks}


async def test_available_leaves_the_pieces_of_open_orders_to_them(
    medusa: Medusa,
) -> None:
    async with shop(medusa, "available") as one:
        assert await one.sync(5) == "created"
        assert await one.numbers() == (5, 0)
        order = await one.order(2)
        # The source learns of the order: 3 can still be sold.
        assert await one.sync(3) == "unchanged"
        assert await one.numbers() == (5, 2)
        # Once shipped, still 3 can be sold.
        await one.ship(order, 2)
        assert await one.sync(3) == "unchanged"
        assert await one.numbers() == (3, 0)
        await one.order(1)
        assert await one.sync(7) == "updated"
        assert await one.numbers() == (8, 1)
        assert await one.sync(7) == "unchanged"
        assert await one.sync(0) == "updated"
        assert await one.numbers() == (1, 1)
        assert await one.sync(0) == "unchanged"
        checks = {check.what: check.text for check in await one.sink.check()}
        assert checks["stock"].startswith("quantities can still be sold")


async def test_a_store_that_sold_too_much_is_overwritten(medusa: Medusa) -> None:
    async with shop(medusa, "available") as one:
        await one.sync(5)
        await one.order(4)
        after = {**await one.place(), "stocked_quantity": 1}
        await medusa.post(LEVELS, {"update": [after]})
        assert await one.sync(0) == "updated"
        assert await one.numbers() == (4, 4)
        assert await one.sync(0) == "unchanged"


@pytest.mark.parametrize("event", ["order", "cancel", "ship", "ship and order"])
async def test_what_happens_before_the_write_is_counted(
    medusa: Medusa, event: str
) -> None:
    async with shop(medusa, "available") as one:
        await one.sync(5)
        before = await one.order(2)
        change = await one.planned(9)
        available = 9
        if "ship" in event:
            await one.ship(before, 2)
        if event == "cancel":
            await one.cancel(before)
            available += 2
        if "order" in event:
            await one.order(1)
            available -= 1
        (outcome,) = await one.sink.write([change])
        assert outcome.key == KEY
        stocked, reserved = await one.numbers()
        assert stocked - reserved == available


async def test_the_setting_is_part_of_what_a_product_was_compared_with(
    medusa: Medusa,
) -> None:
    """A run with the other setting must not recognise the product as unchanged."""
    keys, fields, digests = [KEY], frozenset(Field), set[str]()
    for stock in ("on_hand", "available"):
        async with shop(medusa, stock) as one:
            await one.sync(5)
            digests |= {(await one.sink.fingerprints(keys, fields=fields))[KEY]}
    assert len(digests) == 2


@given(
    stocked=st.integers(0, 50),
    reserved=st.integers(0, 20),
    desired=st.integers(0, 50),
    orders=st.integers(0, 20),
    data=st.data(),
)
def test_no_order_makes_more_available_than_there_is(
    stocked: int, reserved: int, desired: int, orders: int, data: st.DataObject
) -> None:
    """Between comparing and writing, pieces are ordered, shipped and released."""
    shipped = data.draw(st.integers(0, min(reserved, stocked)))
    released = data.draw(st.integers(0, reserved - shipped))
    before = Level(stocked, reserved)
    now = Level(stocked - shipped, reserved - shipped - released + orders)
    after = before.restocked(desired, now)
    assert after >= 0
    if after:
        assert after - now.reserved == desired + released - orders
    else:
        assert desired + released - orders + now.reserved <= 0


@given(stocked=st.integers(0, 50), more=st.integers(0, 50), reserved=st.integers(0, 20))
def test_pieces_that_others_add_meanwhile_are_not_counted_twice(
    stocked: int, more: int, reserved: int
) -> None:
    now = Level(stocked + more, reserved)
    assert Level(stocked, reserved).restocked(4, now) == 4 + reserved
