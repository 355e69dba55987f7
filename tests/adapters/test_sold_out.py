"""`prune = "sold_out"`: products that left the source stay, without stock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.conftest import Medusa
from tests.engine.fakes import LookupSource

from catalogsync import (
    Change,
    Existing,
    Field,
    MemorySink,
    Options,
    Outcome,
    OutcomeStatus,
    Owner,
    Plan,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    Report,
    RetryPolicy,
    RunStatus,
    StockLevel,
    Sync,
    Variant,
)
from catalogsync.adapters.jsonl import JSONLSinkSettings
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.catalog.changes import SellOut
from catalogsync.catalog.products import UNSET
from catalogsync.diff.last_applied import LastApplied
from catalogsync.plans import PlanHead, PlanWriter, estimate
from catalogsync.protocols import Limits, SellOutSink, endpoint_of
from catalogsync.testing import FaultPlan, fake_medusa
from catalogsync.testing.faults import reset

FAST = RetryPolicy(wait_initial=0, wait_jitter=0)
SOLD_OUT = Options(prune=Prune.SOLD_OUT, max_prune=5, retry=FAST, grace=0)
FIELDS = frozenset(Field)


def mug(number: int, quantity: int = 3, **more: Any) -> Product:
    price = Price(amount=Decimal(9), currency="USD")
    stock = [StockLevel(quantity=quantity)]
    variant: Any = {"prices": [price], "stock": stock, **more}
    return Product(
        key=ProductKey("shop", f"{number}"),
        title=f"Mug {number}",
        variants=[Variant(id="v", sku=f"mug-{number}", **variant)],
    )


@attrs.frozen
class Pair:
    """A sink, and the runs of a job into it."""

    sink: Any

    async def run(self, *products: Product, options: Options = SOLD_OUT) -> Report:
        return await self.job(*products, options=options).run()

    def job(self, *products: Product, options: Options = SOLD_OUT) -> Sync:
        source = LookupSource(products=list(products))
        return Sync(source, self.sink, options=options, job="mugs")

    async def existing(self, product: Product) -> Existing:
        """What the sink has of a product."""
        found = (await self.sink.find([product], fields=FIELDS))[product.key]
        assert isinstance(found, Existing)
        return found

    async def stock(self, product: Product) -> list[int]:
        """The quantities of a product, of all variants and locations."""
        existing = await self.existing(product)
        variants = existing.product.variants or ()
        return [level.quantity for v in variants for level in v.stock or ()]


@pytest.fixture(params=["memory", "jsonl", "sql", "medusa"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Pair]:
    async with opened(request, tmp_path) as sink:
        yield Pair(sink)


@asynccontextmanager
async def opened(request: pytest.FixtureRequest, folder: Path) -> AsyncGenerator[Any]:
    match request.param:
        case "memory":
            yield MemorySink()
        case "jsonl":
            async with JSONLSinkSettings(path=f"{folder}/mugs.jsonl").open() as sink:
                yield sink
        case "sql":
            async with SQLSettings(url=f"sqlite:///{folder}/mugs.db").open() as sink:
                yield sink
        case _:
            async with fake_medusa() as fake:
                settings = MedusaSettings(
                    url=fake.url, email=fake.email, password=fake.password
                )
                async with settings.open() as sink:
                    yield sink


async def test_a_product_that_left_is_sold_out_and_comes_back(pair: Pair) -> None:
    one, two = mug(1), mug(2)
    await pair.run(one, two)
    before = await pair.existing(two)
    report = await pair.run(one)
    assert report.status is RunStatus.SUCCEEDED, report
    assert (report.counts.removed, report.counts.unchanged) == (1, 1)
    assert await pair.stock(two) == [0]
    assert await pair.stock(one) == [3]
    after = await pair.existing(two)
    assert before.product.variants
    assert after.product.variants
    same = attrs.evolve(after.product, variants=before.product.variants)
    assert same == before.product  # its page and everything else
    for _ in range(2):
        report = await pair.run(one)
        assert (report.counts.removed, report.writes) == (0, 0), report
    back = await pair.run(one, two)
    assert back.counts.updated == 1
    assert await pair.stock(two) == [3]
    assert (await pair.existing(two)).last_applied == before.last_applied
    again = await pair.run(one, two)
    assert again.counts.unchanged == 2
    gone = await pair.run(one)
    assert gone.counts.removed == 1
    assert await pair.stock(two) == [0]


async def test_a_product_without_stock_is_marked_all_the_same(pair: Pair) -> None:
    """It comes back without a change of stock; only then is it no longer sold out."""
    one, empty = mug(1), mug(2, quantity=0)
    await pair.run(one, empty)
    assert (await pair.run(one)).counts.removed == 1
    assert (await pair.run(one)).counts.removed == 0
    assert (await pair.run(one, empty)).counts.updated == 1
    assert (await pair.run(one, empty)).counts.unchanged == 2


async def test_stock_that_people_gave_it_stays(pair: Pair) -> None:
    one, two = mug(1), mug(2)
    await pair.run(one, two)
    await pair.run(one)
    sold = await pair.existing(two)
    await pair.run(one, two)
    restocked = await pair.existing(two)
    assert sold.last_applied
    if isinstance(pair.sink, MemorySink):
        # As if people restocked it: the state of before, the stock of now.
        pair.sink.last_applied[two.key] = sold.last_applied
        report = await pair.run(one)
        assert report.counts.removed == 0
        assert (await pair.existing(two)).product == restocked.product


async def test_too_many_are_not_sold_out(pair: Pair) -> None:
    mugs = [mug(number) for number in range(4)]
    await pair.run(*mugs)
    few = attrs.evolve(SOLD_OUT, max_prune=2)
    report = await pair.run(mugs[0], options=few)
    assert report.status is RunStatus.DEGRADED
    assert "nothing is removed" in str(report)
    assert [await pair.stock(each) for each in mugs] == [[3]] * 4
    # Those that are sold out already no longer count.
    await pair.run(*mugs[:2], options=few)
    report = await pair.run(mugs[0], options=few)
    assert report.counts.removed == 1, report


async def test_stock_that_the_source_never_supplied_is_left_alone(pair: Pair) -> None:
    one, two = mug(1), mug(2, stock=UNSET)
    await pair.run(one, two)
    before = await pair.existing(two)
    report = await pair.run(one)
    assert (report.counts.removed, report.status) == (0, RunStatus.SUCCEEDED)
    assert await pair.existing(two) == before


async def test_the_stock_comes_back_to_a_job_that_writes_it_on_creation_only(
    pair: Pair,
) -> None:
    one, two = mug(1), mug(2)
    once = attrs.evolve(SOLD_OUT, owns={Field.STOCK: Owner.ON_CREATE})
    await pair.run(one, two, options=once)
    await pair.run(one, options=once)
    assert await pair.stock(two) == [0]
    await pair.run(one, mug(2, quantity=8), options=once)
    assert await pair.stock(two) == [8]
    await pair.run(one, mug(2, quantity=9), options=once)
    assert await pair.stock(two) == [8]


@pytest.mark.parametrize("before", [Prune.UNPUBLISH, Prune.DELETE])
async def test_the_ways_to_prune_follow_each_other(pair: Pair, before: Prune) -> None:
    one, two = mug(1), mug(2)
    await pair.run(one, two)
    await pair.run(one, options=attrs.evolve(SOLD_OUT, prune=before))
    report = await pair.run(one)
    if before is Prune.UNPUBLISH:
        assert report.counts.removed == 1
        existing = await pair.existing(two)
        assert existing.product.status is ProductStatus.DRAFT
        assert LastApplied.parse(existing.last_applied).unpublished
    await pair.run(one, two)
    existing = await pair.existing(two)
    assert existing.product.status is not ProductStatus.DRAFT
    assert await pair.stock(two) == [3]
    await pair.run(one)
    hide = attrs.evolve(SOLD_OUT, prune=before)
    assert (await pair.run(one, options=hide)).counts.removed == 1


async def test_a_lane_of_stock_brings_it_back(pair: Pair) -> None:
    one, two = mug(1), mug(2)
    await pair.run(one, two)
    await pair.run(one)
    stock = attrs.evolve(SOLD_OUT, prune=None, only=[Field.STOCK])
    await pair.run(one, two, options=stock)
    assert await pair.stock(two) == [3]
    # It leaves again before any run over all fields.
    assert (await pair.run(one)).counts.removed == 1
    assert await pair.stock(two) == [0]


async def test_a_saved_plan_sells_out(pair: Pair, tmp_path: Path) -> None:
    one, two = mug(1), mug(2)
    await pair.run(one, two)
    path, shown = tmp_path / "plan", list[Any]()
    head = PlanHead(
        job="mugs",
        source="shop",
        sink=pair.sink.name,
        endpoint=endpoint_of(pair.sink),
        made_at=0.0,
    )
    with PlanWriter(path, head) as writer:

        def show(change: Any) -> None:
            shown.append(change)
            writer.add(change)

        report = await pair.job(one).plan(show)
        writer.finish(report, estimate(report, []))
    (change,) = shown
    assert isinstance(change, SellOut)
    assert [item.variant.stock for item in change.variants] == [
        (StockLevel(quantity=0),)
    ]
    assert await pair.stock(two) == [3]
    plan = Plan.read(path)
    source = LookupSource(products=[one])
    async with Sync(source, pair.sink, options=SOLD_OUT).apply(plan) as run:
        report = await run.report()
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 1), report
    assert await pair.stock(two) == [0]


@attrs.define(kw_only=True)
class Simple:
    """A sink that can remove products in the three older ways only."""

    inner: MemorySink = attrs.field(factory=MemorySink)
    name: str = "simple"

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        return await self.inner.find(desired, fields=fields)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        return await self.inner.write(changes)

    async def owned(self, source: str, /) -> AsyncGenerator[Sequence[Existing]]:
        async for page in self.inner.owned(source):
            yield page


async def test_a_sink_that_cannot_says_so() -> None:
    pair = Pair(Simple())
    await pair.run(mug(1), mug(2))
    report = await pair.run(mug(1))
    assert report.status is RunStatus.DEGRADED
    warning = '`prune = "sold_out"` ignored: not supported by this sink'
    assert [*report.warnings] == [warning]
    assert await pair.stock(mug(2)) == [3]
    report = await pair.run(mug(1), options=attrs.evolve(SOLD_OUT, prune="unpublish"))
    assert report.counts.removed == 1


def test_every_shipped_sink_that_removes_can_sell_out(pair: Pair) -> None:
    assert isinstance(pair.sink, SellOutSink)
    assert pair.sink.sells_out


# --- Medusa ---


async def rows(medusa: Medusa) -> dict[str, list[dict[str, Any]]]:
    """The levels of the items by SKU."""
    fields = "id,sku,location_levels.location_id,location_levels.stocked_quantity"
    found = await medusa.get(f"/admin/inventory-items?limit=100&fields={fields}")
    return {item["sku"]: item["location_levels"] for item in found["inventory_items"]}


@asynccontextmanager
async def filled(medusa: Medusa, *mugs: Product, **more: Any) -> AsyncGenerator[Pair]:
    login = {"email": medusa.email, "password": medusa.password}
    async with MedusaSettings(url=medusa.url, **login, **more).open() as sink:
        pair = Pair(sink)
        report = await pair.run(*mugs)
        assert report.status is RunStatus.SUCCEEDED, report
        yield pair


async def test_levels_and_variants_of_people_stay(medusa: Medusa) -> None:
    """We zero what we wrote: not another location, not another variant."""
    body = {"name": "Outlet"}
    made = await medusa.post("/admin/stock-locations", body)
    outlet = made["stock_location"]["id"]
    async with filled(medusa, mug(1), mug(2)) as pair:
        path = "/admin/inventory-items?sku=mug-2&fields=id"
        (item,) = (await medusa.get(path))["inventory_items"]
        level = {"inventory_item_id": item["id"], "location_id": outlet}
        await medusa.post(
            "/admin/inventory-items/location-levels/batch",
            {"create": [{**level, "stocked_quantity": 6}]},
        )
        assert (await pair.run(mug(1))).counts.removed == 1
        levels = {
            x["location_id"]: x["stocked_quantity"]
            for x in (await rows(medusa))["mug-2"]
        }
        assert levels == {medusa.stock_location_id: 0, outlet: 6}
        report = await pair.run(mug(1), mug(2))
        assert report.counts.updated == 1
        levels = {
            x["location_id"]: x["stocked_quantity"]
            for x in (await rows(medusa))["mug-2"]
        }
        assert levels == {medusa.stock_location_id: 3, outlet: 6}


async def test_open_orders_keep_their_pieces(medusa: Medusa) -> None:
    async with filled(medusa, mug(1), mug(2), stock="available") as pair:
        path = "/admin/inventory-items?sku=mug-2&fields=id"
        (item,) = (await medusa.get(path))["inventory_items"]
        place = {
            "inventory_item_id": item["id"],
            "location_id": medusa.stock_location_id,
        }
        await medusa.post("/admin/reservations", {**place, "quantity": 1})
        assert (await pair.run(mug(1))).counts.removed == 1
        (level,) = (await rows(medusa))["mug-2"]
        assert level["stocked_quantity"] == 1
        assert await pair.stock(mug(2)) == [0]


async def test_an_interrupted_sale_is_repeated() -> None:
    """The line breaks between the stock and the last-applied state."""
    plan = FaultPlan()
    async with (
        fake_medusa(faults=plan) as fake,
        MedusaSettings(
            url=fake.url, email=fake.email, password=fake.password
        ).open() as sink,
    ):
        pair = Pair(sink)
        await pair.run(mug(1), mug(2))
        once = attrs.evolve(SOLD_OUT, retry=RetryPolicy(attempts=1))
        plan.add(reset("POST", "/admin/products/batch*", on=1))
        report = await pair.run(mug(1), options=once)
        assert (report.counts.removed, report.status) == (0, RunStatus.INCOMPLETE)
        assert await pair.stock(mug(2)) == [0]
        report = await pair.run(mug(1))
        assert report.counts.removed == 1
        state = (await pair.existing(mug(2))).last_applied
        assert LastApplied.parse(state).sold_out


def test_the_outcome_of_a_sale_is_removed() -> None:
    change = SellOut(existing=Existing(product=mug(1)), last_applied="{}")
    assert change.done().status is OutcomeStatus.REMOVED
    assert change.after == mug(1)
