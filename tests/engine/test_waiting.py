"""SKUs that trade places, move along a chain, or are freed by a product that leaves.

The sink refuses what would give one SKU to two variants, at each moment, and takes
only a few products at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.engine.fakes import LookupSource, check, fast

from catalogsync import (
    BatchRefusedError,
    Change,
    Limits,
    MemorySink,
    OnManualEdit,
    Outcome,
    OutcomeStatus,
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
    """A sink in which an SKU is on one variant only, as in most stores."""

    limits: Limits = attrs.field(
        factory=partial(Limits, batch=2, writers=2, collides=True)
    )

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
        if holders:
            reasons = {key: f"taken by {other}" for key, other in holders.items()}
            raise BatchRefusedError("taken", culprits=reasons, holders=holders)
        return await MemorySink.write(self, changes)


def _skus(product: Product) -> list[str]:
    return [v.sku for v in product.variants or () if isinstance(v.sku, str)]


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
async def test_what_another_job_unpublished_keeps_its_sku(job: str) -> None:
    sink = UniqueSink()
    source = LookupSource(products=[thing("1", "A"), thing("2", "B")], name="shop")
    prune = fast(prune=Prune.UNPUBLISH, max_prune=10)
    await sync(source, sink, options=prune, job=job)
    source = LookupSource(products=[thing("2", "B")], name="shop")
    await sync(source, sink, options=prune, job=job)
    report = await put(sink, {"3": "A"})
    assert [f.key.id for f in report.failures] == ["3"]
    assert report.failures[0].reason == "taken by shop:1"


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
