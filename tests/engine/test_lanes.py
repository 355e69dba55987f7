"""Lanes: runs that compare and write some fields of products that exist already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings, strategies as st

from catalogsync import (
    UNSET,
    BusyError,
    Change,
    Field,
    InvalidValueError,
    OnManualEdit,
    Options,
    Price,
    Product,
    ProductStatus,
    Prune,
    Report,
    RunStatus,
    StateSettings,
    StockLevel,
    Sync,
    Variant,
    as_source,
    sync,
)
from catalogsync.catalog.changes import ReferenceChange
from catalogsync.catalog.products import evolve_unchecked
from catalogsync.diff.last_applied import LastApplied
from catalogsync.diff.ownership import narrowed
from catalogsync.errors import BrokenPromiseError
from catalogsync.plans import Plan, PlanWriter, estimate, plan_head
from catalogsync.protocols import Page
from catalogsync.state import StateStore
from catalogsync.state.protocols import FailedProduct, Intent

from .fakes import check, fast, key, product, run
from .lanes import Narrow
from .shop import Shop
from .test_recognizing import Drafts

STOCK = frozenset({Field.STOCK})
BOTH = frozenset({Field.STOCK, Field.PRICES})


@pytest.fixture
async def store() -> AsyncIterator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


def sold(
    number: object, quantity: int = 5, amount: str = "1.00", *ids: str, **fields: Any
) -> Product:
    """A product with prices and stock; *ids* are those of its variants."""
    variants = [
        Variant(
            id=id_,
            sku=f"sku-{number}-{id_}",
            options={"Size": id_} if ids else {},
            prices=[Price(amount=Decimal(amount), currency="USD")],
            stock=[StockLevel(quantity=quantity)],
        )
        for id_ in ids or ("v",)
    ]
    return product(number, variants=variants, **fields)


def quantity(product: Product, variant: int = 0) -> int:
    (level,) = [*([*(product.variants or ())][variant].stock or ())]
    return level.quantity


def amount(product: Product) -> str:
    (price,) = [*(next(iter(product.variants or ())).prices or ())]
    return str(price.amount)


async def lane(
    products: Sequence[Product],
    sink: Any,
    store: StateStore | None = None,
    only: frozenset[Field] = STOCK,
    **more: Any,
) -> Report:
    options = fast(only=only, **more)
    report = await sync(
        as_source(products, name="shop"), sink, options=options, state=store, job="j"
    )
    check(report)
    return report


async def full(
    products: Sequence[Product], sink: Any, store: StateStore | None = None, **more: Any
) -> Report:
    source = as_source(products, name="shop")
    report = await sync(source, sink, options=fast(**more), state=store, job="j")
    check(report)
    return report


async def test_only_these_fields_are_read_and_written() -> None:
    sink = Narrow()
    await full([sold(1), sold(2)], sink)
    before = dict(sink.last_applied)
    sink.asked.clear()
    report = await lane([sold(1, 3, "2.00", title="New"), sold(2)], sink)
    assert (report.counts.updated, report.counts.unchanged) == (1, 1)
    assert report.status is RunStatus.SUCCEEDED
    assert sink.asked == [{Field.VARIANTS, Field.STOCK}]
    assert sink.wrote == ["1.stock"]
    assert sink.products[key(1)] == sold(1, 3)
    assert sink.last_applied == before
    assert report.partial
    assert report.only == ("stock",)
    assert report.summary.startswith(
        "j: succeeded: 2 fetched = 1 updated + 1 unchanged (only stock)"
    )


async def test_a_price_is_written_and_remembered() -> None:
    """A return to the old price is no manual edit, and neither is it overlooked."""
    sink = Narrow()
    await full([sold(1)], sink, on_manual_edit=OnManualEdit.KEEP)
    for text in ("2.00", "1.00"):
        only = frozenset({Field.PRICES})
        keep = OnManualEdit.KEEP
        report = await lane([sold(1, 9, text)], sink, only=only, on_manual_edit=keep)
        assert report.counts.updated == 1
        assert amount(sink.products[key(1)]) == text
        assert not report.manual_edits
    report = await full([sold(1)], sink, on_manual_edit=OnManualEdit.KEEP)
    assert report.counts.unchanged == 1


async def test_a_price_that_a_person_changed_stays() -> None:
    sink = Narrow()
    await full([sold(1)], sink)
    sink.products[key(1)] = sold(1, 5, "9.99")
    report = await lane([sold(1)], sink, only=BOTH, on_manual_edit=OnManualEdit.KEEP)
    assert [edit.kept for edit in report.manual_edits] == [True]
    assert amount(sink.products[key(1)]) == "9.99"


async def test_nothing_is_created() -> None:
    sink = Narrow()
    await full([sold(1)], sink)
    report = await lane([sold(1), sold(2), sold(3)], sink)
    assert (report.counts.unchanged, report.counts.skipped) == (1, 2)
    why = "skipped, because the sink does not have it: a full run creates it"
    assert report.warnings == (f"{why}: 2 products, for example shop:2",)
    assert report.status is RunStatus.SUCCEEDED
    assert set(sink.products) == {key(1)}


async def test_incomplete_products_are_left_to_a_full_run() -> None:
    shop = Shop()
    await full([sold(1)], shop)
    shop.rows[0].missing_parts, shop.rows[0].age = ("no price",), 1000.0
    report = await lane([sold(1, 1)], shop)
    assert report.counts.skipped == 1
    assert "skipped, because it is incomplete in the sink" in report.warnings[0]
    assert shop.one(key(1)).missing_parts == ("no price",)


async def test_variants_neither_come_nor_go() -> None:
    sink = Narrow()
    await full([sold(1, 5, "1.00", "S", "M")], sink)
    state = LastApplied.parse(sink.last_applied[key(1)])
    report = await lane([sold(1, 4, "1.00", "M", "L")], sink)
    assert report.counts.updated == 1
    after = sink.products[key(1)]
    assert [v.id for v in after.variants or ()] == ["S", "M"]
    assert (quantity(after, 0), quantity(after, 1)) == (5, 4)
    assert LastApplied.parse(sink.last_applied[key(1)]) == state
    await full([sold(1, 4, "1.00", "M", "L")], sink)
    assert [v.id for v in sink.products[key(1)].variants or ()] == ["M", "L"]


async def test_nothing_is_pruned_or_published(store: StateStore) -> None:
    prune: dict[str, Any] = {"prune": Prune.UNPUBLISH, "max_prune": 10}
    sink = Narrow()
    both = [sold(n, status=ProductStatus.PUBLISHED) for n in (1, 2)]
    await full(both, sink, store, **prune)
    assert (await lane(both[:1], sink, store, **prune)).counts.removed == 0
    for _ in range(2):
        await full(both[:1], sink, store, **prune)
    assert sink.products[key(2)].status is ProductStatus.DRAFT
    unpublished = sink.last_applied[key(2)]
    assert LastApplied.parse(unpublished).unpublished
    await lane([both[0], sold(2, 1)], sink, store, only=BOTH, **prune)
    assert quantity(sink.products[key(2)]) == 1
    assert sink.products[key(2)].status is ProductStatus.DRAFT
    assert sink.last_applied[key(2)] == unpublished
    again = await lane([both[0], sold(2, 1)], sink, store, only=BOTH, **prune)
    assert again.counts.unchanged == 2
    await full(both, sink, store, **prune)
    assert sink.products[key(2)].status is ProductStatus.PUBLISHED


async def test_an_interrupted_update_is_left_to_a_full_run() -> None:
    sink = Narrow()
    await full([sold(1)], sink)
    state = LastApplied.parse(sink.last_applied[key(1)])
    sink.last_applied[key(1)] = attrs.evolve(state, writing=True).text()
    await lane([sold(1, 2, "3.00")], sink, only=BOTH)
    assert LastApplied.parse(sink.last_applied[key(1)]).writing
    again = await lane([sold(1, 2, "3.00")], sink, only=BOTH)
    assert again.counts.unchanged == 1  # it is not for a lane to finish it
    assert (await full([sold(1, 2, "3.00")], sink)).counts.updated == 1
    assert not LastApplied.parse(sink.last_applied[key(1)]).writing


async def test_the_product_of_another_job_stays_its_own() -> None:
    sink = Narrow()
    await sync(as_source([sold(1)], name="shop"), sink, job="other", options=fast())
    report = await lane([sold(1, 1, "2.00")], sink, only=BOTH)
    assert report.counts.updated == 1
    assert LastApplied.parse(sink.last_applied[key(1)]).job == "other"
    assert (await lane([sold(1, 1, "2.00")], sink, only=BOTH)).counts.unchanged == 1


async def test_failures_absences_and_intents_stay(store: StateStore) -> None:
    """A lane says nothing of the whole product."""
    sink = Narrow()
    await full([sold(1), sold(2)], sink, store)
    failed = FailedProduct(
        key=key(1), reason="no", payload=None, first_at=1.0, last_at=1.0, run_id="r"
    )
    await store.put_failures("j", [failed])
    await store.put_intents(sink.endpoint, "r", {key(1): ""})
    await store.note_absences("j", sink.endpoint, "r", [key(2)])
    keep = OnManualEdit.KEEP
    await lane([sold(1, 1), sold(2, 1)], sink, store, on_manual_edit=keep)
    assert [each.key for each in await store.failures("j")] == [key(1)]
    assert await store.absences("j", sink.endpoint, source=None) == {key(2)}
    intents = await store.intents(sink.endpoint, "shop")
    assert {k: i.run_id for k, i in intents.items()} == {key(1): "r"}
    assert all(isinstance(intent, Intent) for intent in intents.values())


@attrs.define
class Versioned:
    """A source that knows whether it has changed."""

    products: Sequence[Product]
    name: str = "shop"

    async def read(self, _: str | None, /) -> Page:
        return Page(products=self.products)

    async def version(self) -> str | None:
        return repr(self.products)


async def test_a_lane_is_neither_skipped_nor_a_run_to_compare_with(
    store: StateStore,
) -> None:
    sink, source = Narrow(), Versioned([sold(1)])
    whole = fast(skip_unchanged=True)
    part = attrs.evolve(whole, only=STOCK)
    for options, status in (
        (whole, RunStatus.SUCCEEDED),
        (part, RunStatus.SUCCEEDED),
        (part, RunStatus.SUCCEEDED),
        (whole, RunStatus.SKIPPED),
    ):
        report = await sync(source, sink, options=options, job="j", state=store)
        assert report.status is status, report
    last = await store.last_whole("j")
    assert last is not None
    assert last.report is not None
    assert not last.report.only


async def test_the_lease_is_shared(store: StateStore) -> None:
    async with Sync(Versioned([sold(1)]), Narrow(), state=store, job="j").run() as it:
        await it.report()
    sink = Narrow()
    gate = asyncio.Event()

    class Slow(Versioned):
        async def read(self, cursor: str | None, /) -> Page:
            await gate.wait()
            return await Versioned.read(self, cursor)

    async with Sync(Slow([sold(1)]), sink, state=store, job="j").run() as whole:
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await lane([sold(1)], sink, store)
        gate.set()
        await whole.report()


async def test_a_plan_of_a_lane_is_applied_as_one(tmp_path: Path) -> None:
    sink, path = Narrow(), tmp_path / "plan"
    await full([sold(1), sold(2)], sink)
    source = as_source([sold(1, 1, title="New"), sold(2)], name="shop")
    this = Sync(source, sink, options=fast(only=STOCK), job="j")
    head = plan_head("j", source, sink, this.options.only)
    with PlanWriter(path, head) as writer:
        report = await this.plan(writer.add)
        writer.finish(report, estimate(report, ()))
    assert report.counts.updated == 1
    whole = attrs.evolve(this, options=fast())
    report = await whole.apply(Plan.read(path))
    assert report.counts.updated == 1
    assert sink.products == {key(1): sold(1, 1), key(2): sold(2)}


@pytest.mark.parametrize("field", ["sku", "categories", "variants", "options", "tags"])
def test_fields_that_need_a_full_run(field: str) -> None:
    with pytest.raises(InvalidValueError, match=f"only: {field} can only be written"):
        Options(only=frozenset({Field(field)}))


def test_no_field_at_all() -> None:
    with pytest.raises(InvalidValueError, match="only: needs at least one field"):
        Options(only=frozenset())


@pytest.mark.parametrize("field", sorted(frozenset(Field) - {Field.STATUS}))
async def test_every_field_alone(field: Field) -> None:
    """What a lane over one field writes is that field, for each that may be alone."""
    try:
        fast(only=[field])
    except InvalidValueError:
        return
    sink = Narrow()
    old = sold(1, brand="A", description="A", weight=Decimal(1), attributes={"a": 1})
    new = sold(1, 1, "2.00", brand="B", description="B", title="B", thumbnail="b")
    new = attrs.evolve(new, weight=Decimal(2), attributes={"a": 2})
    await full([old], sink)
    await lane([new], sink, only=frozenset({field}))
    assert set(sink.wrote) <= {f"1.{field}"}
    assert not (await lane([new], sink, only=frozenset({field}))).counts.updated
    await full([new], sink)
    assert sink.products[key(1)] == attrs.evolve(
        new, **{n: getattr(old, n) for n in ("images", "dimensions")}
    )


# --- lanes between full runs change nothing in the end ---


@attrs.frozen
class Step:
    """What happens before a run: at the source, and by hand in the store."""

    what: str
    which: int = 0
    value: int = 0


SOURCE_STEPS = ["stock", "price", "title", "leave", "return", "variant"]
LANES = {
    "lane_stock": STOCK,
    "lane_prices": frozenset({Field.PRICES}),
    "lane_both": BOTH,
}
RUNS = ["full", *LANES]
steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([*SOURCE_STEPS, *RUNS]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=14,
)
deeds = st.lists(
    st.builds(
        Step,
        st.sampled_from([*SOURCE_STEPS, *RUNS, "their_stock", "their_price"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=14,
)


@attrs.define
class World:
    """A source and a store, with people in it."""

    lanes: bool
    options: Options
    sink: Narrow = attrs.field(factory=Narrow)
    source: dict[int, Product] = attrs.field(
        factory=lambda: {n: sold(n, 5, "1.00", "S", "M") for n in range(3)}
    )
    away: dict[int, Product] = attrs.field(factory=dict[int, Product])

    async def live(self, story: Sequence[Step]) -> None:
        async with StateSettings().open() as store:
            await self._run(store, None)
            for step in story:
                await self._happen(store, step)
            for number in sorted(self.away):
                self.source[number] = self.away[number]
            await self._run(store, None)
            await self._run(store, None)

    async def _happen(self, store: StateStore, step: Step) -> None:
        if step.what in LANES:
            if self.lanes:
                await self._run(store, LANES[step.what])
        elif step.what == "full":
            await self._run(store, None)
        elif step.what.startswith("their"):
            there = self.sink.products.get(key(step.which))
            if there is not None:
                self.sink.products[there.key] = _edited(there, step)
        else:
            self._edit(step)

    def _edit(self, step: Step) -> None:
        number = step.which
        if step.what == "leave" and number in self.source:
            self.away[number] = self.source.pop(number)
        elif step.what == "return" and number in self.away:
            self.source[number] = self.away.pop(number)
        elif number in self.source:
            self.source[number] = _edited(self.source[number], step)

    async def _run(self, store: StateStore, only: frozenset[Field] | None) -> None:
        source = Drafts([self.source[n] for n in sorted(self.source)])
        options = attrs.evolve(self.options, only=only)
        report = await sync(source, self.sink, options=options, state=store, job="j")
        check(report)
        assert not report.counts.failed + report.counts.unresolved, report
        if only is not None:
            assert not report.counts.created + report.counts.removed
            return
        for desired in self.source.values():
            there = self.sink.products[desired.key]
            if self.options.on_manual_edit is not OnManualEdit.KEEP:
                assert evolve_unchecked(there, status=UNSET) == desired, report


def _edited(product: Product, step: Step) -> Product:
    first, *others = [*(product.variants or ())]
    match step.what.removeprefix("their_"):
        case "stock":
            stock = (StockLevel(quantity=step.value),)
            first = evolve_unchecked(first, stock=stock)
        case "price":
            price = Price(amount=Decimal(step.value), currency="USD")
            first = evolve_unchecked(first, prices=(price,))
        case "title":
            return evolve_unchecked(product, title=f"Title {step.value}")
        case _:
            id_ = f"L{step.value}"
            new = evolve_unchecked(first, id=id_, options={"Size": id_}, sku=UNSET)
            others = [new] if step.value else []
    return evolve_unchecked(product, variants=(first, *others))


def _lived(story: Sequence[Step], options: Options, *, lanes: bool) -> World:
    world = World(lanes=lanes, options=options)
    asyncio.run(world.live(story))
    return world


PRUNES = st.sampled_from([None, Prune.UNPUBLISH, Prune.DELETE])


@settings(max_examples=150, deadline=None)
@given(story=steps, prune=PRUNES, keep=st.sampled_from([None, OnManualEdit.KEEP]))
@example([Step("price", 0, 2), Step("lane_prices"), Step("price", 0, 1)], None, None)
@example(
    [
        Step("price", 0, 2),
        Step("lane_prices"),
        Step("price", 0, 1),
        Step("lane_prices"),
    ],
    None,
    OnManualEdit.KEEP,
)
@example(
    [
        *(Step("leave", 1), Step("full"), Step("return", 1), Step("lane_stock")),
        *(Step("leave", 1), Step("full")),
    ],
    Prune.DELETE,
    None,
)
def test_lanes_between_full_runs(
    story: list[Step], prune: Prune | None, keep: OnManualEdit | None
) -> None:
    """The store is the same in the end, and so is what it remembers of us."""
    options = fast(prune=prune, max_prune=100, on_manual_edit=keep)
    with_lanes = _lived(story, options, lanes=True)
    without = _lived(story, options, lanes=False)
    assert with_lanes.sink.products == without.sink.products
    assert with_lanes.sink.last_applied == without.sink.last_applied


@settings(max_examples=150, deadline=None)
@given(story=deeds, prune=PRUNES)
@example([Step("their_price", 0, 2), Step("lane_prices"), Step("full")], None)
def test_lanes_between_full_runs_and_people(
    story: list[Step], prune: Prune | None
) -> None:
    """The same while people edit stock and prices, which the source owns."""
    options = fast(prune=prune, max_prune=100)
    with_lanes = _lived(story, options, lanes=True)
    without = _lived(story, options, lanes=False)
    assert with_lanes.sink.products == without.sink.products


async def test_nothing_is_built_after_a_lane(store: StateStore) -> None:
    """A full run still recognises the products that a lane left alone."""
    sink, source = Narrow(), Drafts([sold(1), sold(2)])
    for _ in range(2):
        await sync(source, sink, options=fast(), state=store, job="j")
    source.records[0] = sold(1, 1)
    await sync(source, sink, options=fast(only=STOCK), state=store, job="j")
    source.taken()
    report = await sync(source, sink, options=fast(), state=store, job="j")
    assert report.counts.unchanged == 2
    assert source.taken() == {key(1): 1}


async def test_a_dry_run_of_a_lane() -> None:
    sink = Narrow()
    await full([sold(1)], sink)
    shown: list[Change | ReferenceChange] = []
    source = as_source([sold(1, 1), sold(2)], name="shop")
    report = await run(source, sink, options=fast(only=STOCK), show=shown.append)
    assert (report.counts.updated, report.counts.skipped) == (1, 1)
    assert len(shown) == 1
    assert sink.products == {key(1): sold(1)}


@attrs.define
class Selecting(Versioned):
    """A source that can read a part of each product, and notes which."""

    asked: list[frozenset[Field]] = attrs.field(factory=list[frozenset[Field]])

    def select(self, fields: frozenset[Field], /) -> Versioned:
        self.asked.append(fields)
        return Versioned([narrowed(product, fields) for product in self.products])


async def test_a_source_is_asked_for_these_fields_only() -> None:
    sink, source = Narrow(), Selecting([sold(1)])
    await sync(source, sink, options=fast())
    assert not source.asked
    source.products = [sold(1, 2)]
    assert (await sync(source, sink, options=fast(only=STOCK))).counts.updated == 1
    assert source.asked == [STOCK]
    assert sink.products == {key(1): sold(1, 2)}
    options = fast(only=STOCK, transform=_kept)
    await sync(source, sink, options=options)
    assert source.asked == [STOCK]


def _kept(found: Product) -> Product:
    return found


async def test_another_source_instead_of_a_part() -> None:
    class Others(Selecting):
        def select(self, fields: frozenset[Field], /) -> Versioned:
            return Versioned(self.products, name="others")

    with pytest.raises(BrokenPromiseError, match="must be a source named 'shop'"):
        await sync(Others([sold(1)]), Narrow(), options=fast(only=STOCK))
