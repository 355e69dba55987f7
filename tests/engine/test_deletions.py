"""Products that a source says were deleted, in a catalog and in a delta."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import InvalidValueError, MemorySink, Options, Page, Prune, sync
from catalogsync.protocols import Cursor

from .fakes import FAST, is_on_sale, key, stocked


@attrs.define(kw_only=True)
class Told:
    """A source that names deleted products, a page for each record."""

    records: Mapping[int, str]
    complete: bool = False
    says_deleted: bool = True
    name: str = "shop"

    async def read(self, cursor: Cursor | None, /) -> Page:
        numbers = [*self.records]
        if not numbers:
            return Page(products=(), total=0)
        at = int(cursor or 0)
        number, what = numbers[at], self.records[numbers[at]]
        given_ = [stocked(number)] if "give" in what else []
        return Page(
            products=given_,
            deleted=[key(number)] if "delete" in what else [],
            total=len(numbers)
            + sum(v == "give and delete" for v in self.records.values()),
            next=[str(at + 1)] if at + 1 < len(numbers) else [],
        )


def options(prune: Prune | None, most: float = 100) -> Options:
    return Options(retry=FAST, prune=prune, max_prune=most)


async def filled(numbers: Sequence[int]) -> MemorySink:
    sink = MemorySink()
    await sync(
        Told(records=dict.fromkeys(numbers, "give")), sink, options=options(None)
    )
    return sink


WHAT = st.sampled_from(["give", "delete", "give and delete"])


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.dictionaries(st.integers(0, 8), WHAT, max_size=8),
    st.booleans(),
    st.sampled_from([None, *Prune]),
)
def test_only_what_is_named_or_missing_goes(
    before: set[int], records: dict[int, str], complete: bool, prune: Prune | None
) -> None:
    """A product that is given, too, stays; unknown keys are ignored."""
    asyncio.run(_check(sorted(before), records, complete, prune))


async def _check(
    before: Sequence[int], records: dict[int, str], complete: bool, prune: Prune | None
) -> None:
    sink = await filled(before)
    # Without a lookup, only what the source names is certain in a single run.
    report = await sync(
        Told(records=records, complete=complete), sink, options=options(prune)
    )
    gone = {n for n, what in records.items() if what == "delete" and n in before}
    removed = gone if prune and not complete else set[int]()
    assert report.counts.removed == len(removed)
    given_ = {n for n, what in records.items() if "give" in what}
    there = {int(each.id) for each in sink.products}
    kept = {*before, *given_} - (removed if prune is Prune.DELETE else set())
    assert there == kept
    for number in removed if prune is Prune.UNPUBLISH else ():
        assert sink.products[key(number)].status == "draft"
    on_sale = {int(k.id) for k, each in sink.products.items() if is_on_sale(each)}
    assert on_sale == {*before, *given_} - removed


async def test_the_budget_holds_for_deltas() -> None:
    sink = await filled(range(10))
    source = Told(records=dict.fromkeys(range(5), "delete"))
    report = await sync(source, sink, options=options(Prune.DELETE, 0.4))
    assert (report.counts.removed, len(sink.products)) == (0, 10)
    assert "5 of 10 products left the source" in report.warnings[0]
    report = await sync(source, sink, options=options(Prune.DELETE, 0.5))
    assert (report.counts.removed, len(sink.products)) == (5, 5)


async def test_chosen_products_remove_nothing() -> None:
    sink = await filled(range(3))
    chosen = attrs.evolve(options(Prune.DELETE), keys=(key(0), key(1)))
    source = Told(records={0: "delete", 1: "give"})
    assert (await sync(source, sink, options=chosen)).counts.removed == 0


async def test_without_prune_they_stay_and_are_counted() -> None:
    sink = await filled(range(3))
    source = Told(records={0: "delete", 1: "delete"})
    report = await sync(source, sink, options=options(None))
    assert (report.status, len(sink.products)) == ("succeeded", 3)
    (warning,) = report.warnings
    assert "`prune` is not set: 2 products" in warning


async def test_a_delta_that_names_nothing_may_not_prune() -> None:
    source = Told(records={}, says_deleted=False)
    with pytest.raises(InvalidValueError, match="must be true with `prune`"):
        await sync(source, MemorySink(), options=options(Prune.DELETE))
