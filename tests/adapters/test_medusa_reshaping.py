"""Products whose options and variants change as a whole, and requests that break off.

A shopper can buy the product at each moment, it keeps its id and handle, and the next
run finishes what was begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from tests.chaos.proxy import proxy
from tests.history.story import product, variant

from catalogsync import Options, Product, Report, RetryPolicy, Variant, as_source, sync
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import lost, reset

ONCE = Options(retry=RetryPolicy(attempts=1))
FIELDS = (
    "id,handle,external_id,options.title,options.values.value,variants.id,"
    "variants.title,variants.sku,variants.metadata,variants.manage_inventory,"
    "variants.options.value,variants.options.option.title,variants.prices.amount,"
    "variants.inventory_items.inventory.location_levels.stocked_quantity"
)


def sized(prefix: str, *sizes: str, **more: str) -> list[Variant]:
    return [
        variant(size, f"{prefix}-{size}", options={"Size": size, **more})
        for size in sizes
    ]


SHAPES: dict[str, tuple[Sequence[Variant], Sequence[Variant]]] = {
    "gains variants": ([variant("default", "A")], sized("B", "S", "M")),
    "gains variants, one with the old SKU": (
        [variant("default", "A-S")],
        sized("A", "S", "M"),
    ),
    "loses variants": (sized("A", "S", "M"), [variant("default", "B")]),
    "loses variants, and keeps an SKU": (
        sized("A", "S", "M"),
        [variant("default", "A-M")],
    ),
    "an option more": (sized("A", "S", "M"), sized("A", "S", "M", Fit="slim")),
    "an option less": (sized("A", "S", "M", Fit="slim"), sized("A", "S", "M")),
    "another option": (
        sized("A", "S", "M"),
        [variant(s, f"A-{s}", options={"Fit": s}) for s in "SM"],
    ),
    "all variants are others": (sized("A", "S", "M"), sized("B", "L", "XL")),
    "all variants have other ids": (
        sized("A", "S", "M"),
        [attrs.evolve(v, id=f"new {v.id}") for v in sized("A", "S", "M")],
    ),
    "an option less, and other variants": (
        [
            variant(f"{s}{c}", f"A-{s}{c}", options={"Size": s, "Color": c})
            for s in "SM"
            for c in ("red", "blue")
        ],
        sized("B", "S", "M", "L"),
    ),
    "options trade places": (
        sized("A", "S", "M"),
        [
            variant("S", "A-S", options={"Size": "M"}),
            variant("M", "A-M", options={"Size": "S"}),
        ],
    ),
    "SKUs trade places": (
        sized("A", "S", "M"),
        [
            variant("S", "A-M", options={"Size": "S"}),
            variant("M", "A-S", options={"Size": "M"}),
        ],
    ),
}


def of(id_: str, variants: Sequence[Variant]) -> Product:
    """A product with these variants, whose SKUs are its own."""
    own = [
        attrs.evolve(v, sku=f"{id_}.{v.sku}", barcode=f"{id_}.{v.barcode}")
        for v in variants
    ]
    return product(id_, *own)


async def put(sink: MedusaSink, each: Product) -> Report:
    return await sync(as_source([each], name="shop"), sink, options=ONCE)


async def read(medusa: Any, id_: str) -> Any:
    path = f"/admin/products?external_id=shop:{id_}&fields={FIELDS}"
    (found,) = (await medusa.get(path))["products"]
    return found


def can_be_bought(row: Any) -> bool:
    """Whether a variant has a price, and some pieces are there."""
    return any(
        v.get("prices")
        and (
            not v["manage_inventory"]
            or any(
                level["stocked_quantity"] > 0
                for item in v["inventory_items"]
                for level in item["inventory"]["location_levels"] or ()
            )
        )
        for v in row["variants"]
    )


def shape_of(row: Any) -> Any:
    """Options and SKUs of the variants, by the ids they have in the source."""
    return {
        v["metadata"]["catalogsync_id"]: (
            {o["option"]["title"]: o["value"] for o in v["options"]},
            v["sku"],
        )
        for v in row["variants"]
    }


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_change_of_shape_can_break_off_anywhere(
    medusa: Any, shape: str
) -> None:
    """Whichever request is lost, before Medusa has it or after."""
    before, after = SHAPES[shape]
    plan = FaultPlan()
    async with proxy(medusa.url, plan) as line:
        settings = MedusaSettings(
            url=line.url, email=medusa.email, password=medusa.password
        )
        async with settings.open() as sink:
            await put(sink, of("0", before))
            for number in range(1, 30):
                id_ = f"{number}"
                await put(sink, of(id_, before))
                first = await read(medusa, id_)
                fault = (reset, lost)[number % 2]
                strikes = len(plan.injected)
                plan.add(fault("POST", "*", on=[(number + 1) // 2]))
                broken = await put(sink, of(id_, after))
                struck = len(plan.injected) > strikes
                plan.clear()
                then = await read(medusa, id_)
                assert can_be_bought(then), (number, then)
                report = await put(sink, of(id_, after))
                assert report.counts.failed == report.counts.unresolved == 0, (
                    number,
                    str(broken),
                    str(report),
                )
                last = await read(medusa, id_)
                assert (last["id"], last["handle"]) == (first["id"], first["handle"])
                assert shape_of(last) == {
                    v.id: (dict(v.options) or {"Title": "Default"}, v.sku)
                    for v in of(id_, after).variants or ()
                }
                assert (await put(sink, of(id_, after))).counts.unchanged == 1
                if not struck:
                    break
            assert not struck


@pytest.mark.parametrize("number", range(2, 6))
async def test_another_shape_after_one_that_broke_off(medusa: Any, number: int) -> None:
    """A variant that was to go, and comes back, is not left without options."""
    plan = FaultPlan()
    async with proxy(medusa.url, plan) as line:
        settings = MedusaSettings(
            url=line.url, email=medusa.email, password=medusa.password
        )
        async with settings.open() as sink:
            await put(sink, of("1", sized("A", "S", "M")))
            plan.add(lost("POST", "*", on=[number]))
            await put(sink, of("1", [variant("S", "A-S")]))
            plan.clear()
            await put(sink, of("1", [variant("M", "A-M")]))
    found = shape_of(await read(medusa, "1"))
    assert found == {"M": ({"Title": "Default"}, "1.A-M")}
