"""`Options.writes`: only new products, or only existing ones."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from catalogsync import (
    UNSET,
    Change,
    Existing,
    MemorySink,
    Options,
    Price,
    Product,
    Prune,
    Report,
    RetryPolicy,
    RunStatus,
    StateSettings,
    TransientError,
    Writes,
    sync,
)
from catalogsync.diff.compare import plan
from catalogsync.protocols import AdoptBy

from .fakes import FAST, LookupSource, check, key, priced, product
from .shop import Shop


async def run(products: list[Product], sink: Any, writes: str, **more: Any) -> Report:
    options = Options(retry=FAST, writes=Writes(writes), grace=0, **more)
    report = await sync(LookupSource(products=products), sink, options=options)
    check(report)
    return report


@given(
    before=st.dictionaries(st.integers(0, 6), st.sampled_from("ab")),
    after=st.dictionaries(st.integers(0, 6), st.sampled_from("ab")),
    writes=st.sampled_from(Writes),
)
async def test_what_is_withheld_is_skipped(
    before: dict[int, str], after: dict[int, str], writes: Writes
) -> None:
    sink = MemorySink()
    await run([product(n, title=t) for n, t in before.items()], sink, "all")
    report = await run([product(n, title=t) for n, t in after.items()], sink, writes)
    new = after.keys() - before.keys()
    same = {n for n in after if before.get(n) == after[n]}
    other = after.keys() - new - same
    creates, updates = writes != "update_only", writes != "create_only"
    counts = report.counts
    assert report.status is RunStatus.SUCCEEDED
    assert counts.created == (len(new) if creates else 0)
    assert counts.updated == (len(other) if updates else 0)
    assert counts.unchanged == len(same)
    assert counts.skipped == len(after) - counts.created - counts.updated - len(same)
    expected = {
        **before,
        **{n: after[n] for n in new if creates},
        **{n: after[n] for n in other if updates},
    }
    assert {int(k.id): p.title for k, p in sink.products.items()} == expected


@pytest.mark.parametrize(
    ("writes", "reason"),
    [
        ("create_only", "the sink has it already, and `writes` is `create_only`"),
        ("update_only", "the sink does not have it, and `writes` is `update_only`"),
    ],
)
def test_the_outcome_says_why(writes: str, reason: str) -> None:
    there = Existing(product=product(1))
    created = plan(product(1), None)
    updated = plan(product(1, title="Other"), there)
    assert created
    assert updated
    change = updated if writes == "create_only" else created
    options = Options(writes=Writes(writes))
    assert options.withheld(change) == reason
    assert not options.withheld(created if change is updated else updated)
    assert not Options().withheld(change)


async def test_nothing_is_said_of_manual_edits_that_stay() -> None:
    sink = MemorySink()
    await run([product(1)], sink, "all")
    sink.products[key(1)] = product(1, title="By hand")
    report = await run([product(1)], sink, "create_only")
    assert (report.counts.skipped, report.manual_edits) == (1, ())
    assert sink.products[key(1)].title == "By hand"


async def test_an_adoption_is_an_update() -> None:
    for writes in ("create_only", "update_only"):
        sink = MemorySink(foreign=[priced(9)])
        mine = attrs.evolve(priced(9), key=key(1))
        report = await run([mine], sink, writes, adopt=[AdoptBy.SKU])
        adopted = writes == "update_only"
        assert report.counts.updated == adopted
        assert report.counts.skipped == (not adopted)
        assert len(sink.foreign) == (not adopted)


@pytest.mark.parametrize("writes", Writes)
async def test_an_incomplete_product_is_completed(writes: Writes) -> None:
    shop = Shop()
    await run([product(1)], shop, "all")
    shop.one(key(1)).missing_parts = ("no variant",)
    report = await run([product(1)], shop, writes)
    assert report.counts.updated == 1
    assert shop.one(key(1)).missing_parts == ()


@pytest.mark.parametrize("dies", [False, True])
async def test_a_creation_that_was_cut_off_is_finished(dies: bool) -> None:
    """In the same run, or by the next one, which knows of it from the state store."""
    shop, lost = Shop(), TransientError("no answer", retry_after=0)

    async def half(shop: Shop, _: Sequence[Change]) -> None:
        row = shop.one(key(1))
        row.product = attrs.evolve(row.product, description=UNSET)
        raise lost

    shop.after.append(half)
    retry = RetryPolicy(attempts=1) if dies else FAST
    options = Options(retry=retry, writes=Writes.CREATE_ONLY, grace=0)
    source = LookupSource(products=[product(1, description="Whole")])
    async with StateSettings().open() as state:
        for _ in range(2):
            await sync(source, shop, options=options, state=state, job="j")
        assert shop.one(key(1)).product.description == "Whole"
        source = LookupSource(products=[product(1, description="Other")])
        report = await sync(source, shop, options=options, state=state, job="j")
    assert report.counts.skipped == 1
    assert shop.one(key(1)).product.description == "Whole"


@pytest.mark.parametrize("writes", Writes)
async def test_what_left_is_removed_all_the_same(writes: Writes) -> None:
    sink = MemorySink()
    await run([product(1), product(2)], sink, "all")
    pruning: Any = {"prune": Prune.DELETE, "max_prune": 1}
    report = await run([product(1)], sink, writes, **pruning)
    assert report.counts.removed == 1


async def test_a_price_that_differs_is_withheld_in_a_variant_too() -> None:
    sink = MemorySink()
    await run([priced(1, "1.00")], sink, "all")
    report = await run([priced(1, "2.00")], sink, "create_only")
    assert report.counts.skipped == 1
    variants = sink.products[key(1)].variants
    assert variants
    assert variants[0].prices == (Price(amount=Decimal("1.00"), currency="USD"),)


def test_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="some"):
        Options(writes="some")
