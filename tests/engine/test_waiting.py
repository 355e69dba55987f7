"""SKUs that trade places, move along a chain, or that another product gives up.

The sink refuses what would give one SKU to two variants, at each moment, and takes
only a few products at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.engine.fakes import LookupSource, check, fast
from tests.engine.moving import beginning, expected, moved, products, values_of

from catalogsync import (
    UNSET,
    BatchRefusedError,
    Change,
    Field,
    Limits,
    MemorySink,
    OnManualEdit,
    Outcome,
    OutcomeStatus,
    Owner,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    Report,
    RunStatus,
    StateSettings,
    TransientError,
    Variant,
    sync,
)


@attrs.define
class UniqueSink(MemorySink):
    """A sink in which an SKU is on one variant only, as in most stores.

    Attributes:
        limits: What it can take.
        one_by_one: Whether it answers for each product, and writes the others.
    """

    limits: Limits = attrs.field(
        factory=partial(Limits, batch=2, writers=2, collides=True)
    )
    one_by_one: bool = False

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        after = {change.key: change.product for change in changes}
        owners = {
            sku: key
            for key, product in self.products.items()
            if key not in after
            for sku in _skus(product)
        }
        holders = {
            key: owner
            for key, product in after.items()
            for sku in _skus(product)
            if (owner := owners.setdefault(sku, key)) != key
        }
        if holders and self.one_by_one:
            good = [change for change in changes if change.key not in holders]
            bad = [change for change in changes if change.key in holders]
            return [
                *await self.write(good),
                *(
                    each.failed(
                        f"taken by {holders[each.key]}", holder=holders[each.key]
                    )
                    for each in bad
                ),
            ]
        if holders:
            reasons = {key: f"taken by {other}" for key, other in holders.items()}
            raise BatchRefusedError("taken", culprits=reasons, holders=holders)
        return await MemorySink.write(self, changes)


def _skus(product: Product) -> list[str]:
    values = [*values_of([product]).values()]
    assert len(values) == len({*values}), "two variants of one product have it"
    return [str(value) for value in values]


def thing(id_: str, sku: str | None) -> Product:
    variant = Variant(id="1", sku=sku)
    return Product(key=ProductKey("shop", id_), title=id_, variants=[variant])


def skus(sink: UniqueSink) -> dict[str, object]:
    return {
        key.id: (product.variants or ())[0].sku
        for key, product in sink.products.items()
        if product.status is not ProductStatus.DRAFT
    }


async def put(
    sink: UniqueSink, desired: Mapping[str, str], **options: object
) -> Report:
    products = [thing(id_, sku) for id_, sku in desired.items()]
    report = await sync(
        LookupSource(products=products, name="shop"),
        sink,
        options=fast(**options),
        job="job",
    )
    check(report)
    return report


IDS = [f"{n}" for n in range(9)]


@given(st.permutations(IDS), st.integers(1, 9), st.sampled_from(OnManualEdit))
async def test_any_permutation_is_written_in_one_run(
    order: list[str], size: int, edits: OnManualEdit
) -> None:
    sink = UniqueSink()
    sink.limits = Limits(batch=size, writers=2, collides=True)
    await put(sink, {id_: f"S{id_}" for id_ in IDS}, on_manual_edit=edits)
    desired = {id_: f"S{other}" for id_, other in zip(IDS, order, strict=True)}
    report = await put(sink, desired, on_manual_edit=edits)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert skus(sink) == desired
    assert not report.manual_edits
    again = await put(sink, desired, on_manual_edit=edits)
    assert again.counts.unchanged == len(IDS)


@given(st.lists(st.sampled_from(IDS), min_size=1, max_size=6, unique=True))
async def test_new_products_take_over_from_old_ones(gone: list[str]) -> None:
    """Their SKUs are free when the old ones are deleted, at the end of the run."""
    sink = UniqueSink()
    old = {id_: f"S{id_}" for id_ in IDS}
    await put(sink, old)
    new = {f"new {id_}": f"S{id_}" for id_ in gone}
    desired = {**new, **{id_: sku for id_, sku in old.items() if id_ not in gone}}
    report = await put(sink, desired, prune=Prune.DELETE, max_prune=10)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert skus(sink) == desired


async def test_what_we_unpublished_lets_go() -> None:
    """It keeps its SKU until another product needs it, and gets it back when it can."""
    sink = UniqueSink()
    options: dict[str, object] = {"prune": Prune.UNPUBLISH, "max_prune": 10}
    await put(sink, {"1": "A", "2": "B"}, **options)
    await put(sink, {"2": "B"}, **options)
    (old,) = (p for k, p in sink.products.items() if k.id == "1")
    assert (old.variants or ())[0].sku == "A"
    report = await put(sink, {"2": "B", "3": "A"}, **options)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert skus(sink) == {"2": "B", "3": "A"}
    report = await put(
        sink, {"1": "A", "2": "B"}, **options, on_manual_edit=OnManualEdit.KEEP
    )
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert skus(sink) == {"1": "A", "2": "B"}


@attrs.define
class Stubborn(UniqueSink):
    """Does not let products go of their SKUs, and answers something else instead."""

    answers: Callable[[Change], object] | None = None

    async def write(self, changes: Sequence[Change], /) -> Any:
        if self.answers and changes[0].key.id == "1":
            return [self.answers(change) for change in changes]
        return await UniqueSink.write(self, changes)


ANSWERS: list[tuple[Callable[[Change], object], str]] = [
    (lambda change: change.failed("it is sold"), "failed shop:3: taken by shop:1"),
    (lambda change: change.again(TransientError("busy")), "busy"),
    (lambda change: Outcome(change.key, OutcomeStatus.UNRESOLVED, "?"), "shop:3"),
    (lambda _: "done", "Stubborn.write: each answer must be"),
]


@pytest.mark.parametrize(("answers", "expected"), ANSWERS)
async def test_nobody_is_said_to_have_let_go_who_did_not(
    answers: Callable[[Change], object], expected: str
) -> None:
    sink = Stubborn()
    prune = fast(prune=Prune.UNPUBLISH, max_prune=10)
    async with StateSettings().open() as store:
        for desired in ({"1": "A"}, {"2": "B"}, {"2": "B", "3": "A"}):
            sink.answers = answers if "3" in desired else None
            products = [thing(*item) for item in desired.items()]
            source = LookupSource(products=products, name="shop")
            report = await sync(source, sink, options=prune, job="job", state=store)
        history = await store.history("job", ProductKey("shop", "1"))
    assert expected in str(report)
    assert "3" not in skus(sink)
    assert not any("gave up" in entry.outcome.reason for entry in history)


@pytest.mark.parametrize("job", ["other", ""])
async def test_what_another_job_unpublished_lets_go(job: str) -> None:
    """This applies to values that we wrote; a person's value stays and is reported."""
    for by_hand in (False, True):
        sink = UniqueSink()
        prune = fast(prune=Prune.UNPUBLISH, max_prune=10)
        for desired in ({"1": "A", "2": "B"}, {"2": "B"}):
            each = [thing(*item) for item in desired.items()]
            source = LookupSource(products=each, name="shop")
            await sync(source, sink, options=prune, job=job)
        if by_hand:
            edit(sink, "1", "C")
        report = await put(sink, {"3": "C" if by_hand else "A"})
        if by_hand:
            assert [str(f) for f in report.failures] == [TAKEN.format(3, 1)]
            assert "3" not in skus(sink)
        else:
            assert report.status is RunStatus.SUCCEEDED, str(report)
            assert skus(sink) == {"2": "B", "3": "A"}


TAKEN = (
    "failed shop:{}: taken by shop:{}; we did not write that value, so it stays:"
    " change it in the store"
)


def edit(sink: UniqueSink, id_: str, sku: str) -> None:
    """A person changes an SKU."""
    key = ProductKey("shop", id_)
    status = sink.products[key].status
    sink.products[key] = attrs.evolve(thing(id_, sku), status=status)


@given(
    st.randoms(use_true_random=False),
    st.integers(1, 6),
    st.sampled_from(OnManualEdit),
    st.booleans(),
)
async def test_what_the_source_no_longer_supplies_goes_where_it_is_needed(
    random: Random, size: int, edits: OnManualEdit, one_by_one: bool
) -> None:
    """And stays as it is otherwise, whatever else moves in the same run."""
    sink = UniqueSink(one_by_one=one_by_one)
    sink.limits = Limits(batch=size, writers=2, collides=True)
    before = beginning("123")
    options = fast(on_manual_edit=edits)
    source = LookupSource(products=products("123", before), name="shop")
    await sync(source, sink, options=options, job="job")
    after = moved(random, before, "12345")
    source = LookupSource(products=products("12345", after), name="shop")
    report = await sync(source, sink, options=options, job="job")
    check(report)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert values_of(sink.products.values()) == expected(before, after)
    assert not report.manual_edits
    again = await sync(source, sink, options=options, job="job")
    assert again.counts.unchanged == 5, str(again)
    last = beginning("12345")
    source = LookupSource(products=products("12345", last), name="shop")
    report = await sync(source, sink, options=options, job="job")
    assert not report.manual_edits
    assert values_of(sink.products.values()) == last


@pytest.mark.parametrize("owns", [{}, {Field.SKU: Owner.ON_CREATE}])
@pytest.mark.parametrize("supplied", [UNSET, "A", None])
@pytest.mark.parametrize("by_hand", [False, True])
async def test_whose_value_it_is(
    owns: dict[Field, Owner], supplied: Any, by_hand: bool
) -> None:
    """Taken is what we wrote and the source no longer speaks of, and nothing else."""
    sink = UniqueSink()
    await put(sink, {"1": "B" if by_hand else "A", "2": "C"}, owns=owns)
    if by_hand:
        edit(sink, "1", "A")
    message = Variant(id="1", sku=supplied)
    source = LookupSource(
        products=[attrs.evolve(thing("1", None), variants=[message]), thing("3", "A")],
        name="shop",
    )
    report = await sync(source, sink, options=fast(owns=owns), job="job")
    if not owns and (supplied is None or (supplied is UNSET and not by_hand)):
        assert report.status is RunStatus.SUCCEEDED, str(report)
        assert skus(sink) == {"1": None, "2": "C", "3": "A"}
        return
    assert skus(sink) == {"1": "A", "2": "C"}
    (failure,) = report.failures
    assert str(failure).startswith("failed shop:3: taken by shop:1")
    assert ("we did not write" in failure.reason) == by_hand


async def test_one_that_another_job_supplies_keeps_its_value() -> None:
    """That this job's source does not speak of it says nothing."""
    sink = UniqueSink()
    await put(sink, {"1": "A"})
    source = LookupSource(products=[thing("3", "A")], name="shop")
    report = await sync(source, sink, options=fast(), job="other")
    message = (
        "taken by shop:1; the job 'job' wrote it: correct the source, or let that job"
    )
    assert [f.reason for f in report.failures] == [f"{message} prune it"]


async def test_each_holder_lets_go_however_many_a_sink_names_at_once() -> None:
    """It names one at a time, of five variants' values."""
    sink = UniqueSink()
    before = beginning("12345")
    source = LookupSource(products=products("12345", before), name="shop")
    await sync(source, sink, options=fast(), job="job")
    taken = {("6", place[1], place[2]): value for place, value in before.items()}
    source = LookupSource(products=products("123456", taken), name="shop")
    report = await sync(source, sink, options=fast(), job="job")
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert values_of(sink.products.values()) == expected(before, taken)


async def test_one_that_still_holds_its_sku_is_named() -> None:
    """The source gives one SKU twice: the other products are written all the same."""
    sink = UniqueSink()
    await put(sink, {"1": "A", "2": "B"})
    report = await put(sink, {"1": "A", "2": "A", "3": "C"})
    assert report.counts.created == 1
    assert [str(f) for f in report.failures] == ["failed shop:2: taken by shop:1"]


async def test_the_history_says_who_gave_up_an_sku() -> None:
    sink = UniqueSink()
    async with StateSettings().open() as store:
        for desired in ({"1": "A"}, {"2": "B"}, {"2": "B", "3": "A"}):
            products = [thing(id_, sku) for id_, sku in desired.items()]
            await sync(
                LookupSource(products=products, name="shop"),
                sink,
                options=fast(prune=Prune.UNPUBLISH, max_prune=10),
                job="job",
                state=store,
            )
        entries = await store.history("job", ProductKey("shop", "1"))
    assert "gave up a unique value" in entries[0].outcome.reason
