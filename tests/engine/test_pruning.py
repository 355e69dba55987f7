"""Removing what left the source: only what is ours, and only when it is certain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from catalogsync import (
    Change,
    InvalidValueError,
    Options,
    OutcomeStatus,
    Page,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    Rejected,
    Report,
    RunStatus,
    StateSettings,
    Sync,
    TransientError,
    as_source,
    sync,
)
from catalogsync.errors import BrokenPromiseError

from .fakes import (
    FAST,
    LookupSource,
    PagedSource,
    check,
    is_on_sale,
    key,
    product,
    server_error,
    stocked,
)
from .shop import Row, Shop, loses

BUSY = TransientError("busy", retry_after=0)


def catalog(*numbers: int) -> list[Product]:
    return [stocked(number) for number in numbers]


def pruning(prune: Prune = Prune.DELETE, **options: Any) -> Options:
    return Options(**{"retry": FAST, "prune": prune, "max_prune": 50, **options})


async def filled(*numbers: int, job: str = "") -> Shop:
    shop = Shop()
    await sync(LookupSource(products=catalog(*numbers)), shop, job=job)
    shop.writes.clear()
    return shop


async def run(
    products: Sequence[Product], shop: Shop, options: Options, **more: Any
) -> Report:
    report = await sync(LookupSource(products=products), shop, options=options, **more)
    check(report)
    return report


async def test_nothing_is_removed_unless_it_is_asked_for() -> None:
    shop = await filled(1, 2, 3)
    await run(catalog(1), shop, Options())
    assert sorted(shop.titles()) == ["1", "2", "3"]


async def test_delete() -> None:
    shop = await filled(1, 2, 3)
    report = await run(catalog(1), shop, pruning())
    assert report.status is RunStatus.SUCCEEDED
    assert (report.counts.removed, report.counts.unchanged) == (2, 1)
    assert sorted(shop.titles()) == ["1"]
    assert shop.writes == [["delete 2", "delete 3"]]


async def test_draft_once_and_published_again() -> None:
    shop = await filled(1, 2)
    draft = pruning(Prune.UNPUBLISH)
    assert (await run(catalog(1), shop, draft)).counts.removed == 1
    assert shop.one(key(2)).product.status is ProductStatus.DRAFT
    assert (await run(catalog(1), shop, draft)).counts.removed == 0
    report = await run(catalog(1, 2), shop, draft)
    assert report.counts.updated == 1
    assert shop.one(key(2)).product.status is ProductStatus.PUBLISHED
    assert (await run(catalog(1, 2), shop, draft)).counts.unchanged == 2


async def test_a_removed_product_that_a_person_published_stays_so() -> None:
    shop = await filled(1, 2)
    await run(catalog(1), shop, pruning(Prune.UNPUBLISH))
    row = shop.one(key(2))
    row.product = attrs.evolve(row.product, status=ProductStatus.PUBLISHED)
    shop.writes.clear()
    await run(catalog(1), shop, pruning(Prune.UNPUBLISH))
    assert shop.writes == []


async def test_nor_is_it_deleted_then() -> None:
    shop = await filled(1, 2)
    await run(catalog(1), shop, pruning(Prune.UNPUBLISH))
    row = shop.one(key(2))
    row.product = attrs.evolve(row.product, status=ProductStatus.PUBLISHED)
    await run(catalog(1), shop, pruning(Prune.DELETE))
    assert sorted(shop.titles()) == ["1", "2"]


async def test_what_a_person_hid_is_not_published_when_it_comes_back() -> None:
    shop = await filled(1, 2)
    row = shop.one(key(2))
    row.product = attrs.evolve(row.product, status=ProductStatus.DRAFT)
    for products in (catalog(1), catalog(1, 2)):
        report = await run(products, shop, pruning(Prune.UNPUBLISH))
        assert report.status is RunStatus.SUCCEEDED
    assert shop.one(key(2)).product.status is ProductStatus.DRAFT
    assert shop.writes == []


async def test_a_deleted_product_comes_back() -> None:
    shop = await filled(1, 2)
    await run(catalog(1), shop, pruning())
    assert (await run(catalog(1, 2), shop, pruning())).counts.created == 1
    assert sorted(shop.titles()) == ["1", "2"]


async def test_others_are_never_removed() -> None:
    shop = await filled(1, 2)
    other = Product(key=ProductKey("other", "2"), title="Product 2")
    shop.rows += [
        Row(key=other.key, handle="o", product=other),
        Row(key=None, handle="p", product=other),
    ]
    await run(catalog(1), shop, pruning())
    assert {row.handle for row in shop.rows} == {"o", "p", "product 1-1"}


async def test_products_of_another_job_of_the_same_source() -> None:
    shop = await filled(1, 2, job="mine")
    await sync(LookupSource(products=catalog(7)), shop, job="theirs")
    report = await run(catalog(1), shop, pruning(), job="mine")
    assert report.counts.removed == 1
    assert sorted(shop.titles()) == ["1", "7"]


@pytest.mark.parametrize(
    ("left", "most", "removed"),
    [(9, 0.1, 1), (8, 0.1, 0), (8, 2, 2), (7, 2, 0), (5, 0.5, 5), (4, 0.5, 0)],
)
async def test_never_beyond_a_limit(left: int, most: float, removed: int) -> None:
    shop = await filled(*range(10))
    report = await run(catalog(*range(left)), shop, pruning(max_prune=most))
    assert report.counts.removed == removed
    assert len(shop.rows) == 10 - removed
    if not removed:
        assert report.status is RunStatus.DEGRADED
        (warning,) = report.warnings
        assert "max_prune" in warning
        assert "of 10 products left the source" in warning


async def test_an_empty_source_never_empties_a_store() -> None:
    shop = await filled(1, 2, 3)
    report = await run([], shop, pruning(max_prune=0.99))
    assert report.status is RunStatus.DEGRADED
    assert len(shop.rows) == 3
    report = await run([], shop, pruning(max_prune=1000))
    assert report.status is RunStatus.DEGRADED
    assert "empty" in report.warnings[0]
    assert len(shop.rows) == 3


async def test_what_the_source_still_has_stays() -> None:
    """A page that leaves products out, though they can be asked for."""

    @attrs.define(kw_only=True)
    class Forgetful(LookupSource):
        def page(self, number: int) -> Any:
            page = super().page(number)
            return attrs.evolve(page, products=page.products[1:], total=2)

    shop = await filled(1, 2, 3)
    source = Forgetful(products=catalog(1, 2, 3))
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 0)
    assert source.lookups == [[key(1)]]
    assert len(shop.rows) == 3


async def test_rejected_records_and_vetoed_products_count_as_seen() -> None:
    shop = await filled(1, 2, 3)
    bad = Rejected(key=key(2), reason="no title", where="record 2")
    source = PagedSource(products=catalog(1, 3), rejected={0: [bad]})

    def veto(item: Product) -> Product | None:
        return None if item.key == key(3) else item

    async with StateSettings().open() as store:
        for _ in range(3):
            options = pruning(transform=veto)
            report = await sync(source, shop, options=options, state=store)
            assert report.counts.removed == 0
    assert len(shop.rows) == 3


async def test_a_record_without_a_key_forbids_it() -> None:
    shop = await filled(1, 2)
    bad = Rejected(key=None, reason="no id", where="record 2")
    source = LookupSource(products=catalog(1), rejected={0: [bad]})
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 0)
    assert "without a readable key" in report.warnings[0]


@pytest.mark.parametrize("options", [{"limit": 1}, {"keys": (key(1),)}])
async def test_only_after_a_whole_pass(options: dict[str, Any]) -> None:
    shop = await filled(1, 2, 3)
    report = await run(catalog(1, 2), shop, pruning(**options))
    assert report.counts.removed == 0
    assert not report.warnings


async def test_not_after_an_incomplete_run() -> None:
    shop = await filled(1, 2, 3)
    source = PagedSource(products=catalog(1, 2), total=lambda reads: 5 + reads)
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.INCOMPLETE, 0)
    assert len(shop.rows) == 3


async def test_not_when_something_is_unresolved() -> None:
    shop = await filled(1, 2, 3)
    shop.before.extend([loses()] * 4)
    changed = [product(1, title="New")]
    report = await run(changed, shop, pruning())
    assert (report.counts.unresolved, report.counts.removed) == (1, 0)


async def test_a_source_that_cannot_be_asked_has_to_miss_it_twice() -> None:
    shop = await filled(1, 2, 3)

    async with StateSettings().open() as store:

        async def again(*numbers: int) -> Report:
            source = PagedSource(products=catalog(*numbers))
            report = await sync(source, shop, options=pruning(), job="j", state=store)
            check(report)
            return report

        assert (await again(1, 2)).counts.removed == 0
        assert (await again(1)).counts.removed == 1
        assert sorted(shop.titles()) == ["1", "2"]
        assert (await again(1, 2)).counts.removed == 0
        assert (await again(1)).counts.removed == 0
        assert (await again(1)).counts.removed == 1
    assert sorted(shop.titles()) == ["1"]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param({"prune": None}, id="a run that removes nothing"),
        pytest.param({"keys": [key(3)]}, id="a run of this product only"),
    ],
)
async def test_one_that_was_seen_meanwhile_must_be_missed_twice_again(
    between: dict[str, Any],
) -> None:
    async with StateSettings().open() as store:
        shop = await filled(1, 2, 3)

        async def go(*numbers: int, **options: Any) -> Report:
            source = as_source(catalog(*numbers), name="shop")
            return await sync(source, shop, options=pruning(**options), state=store)

        await go(1, 2)
        await go(1, 2, 3, **between)
        assert (await go(1, 2)).counts.removed == 0
        assert (await go(1, 2)).counts.removed == 1


async def test_an_empty_answer_is_no_sign_of_absence() -> None:
    async with StateSettings().open() as store:
        shop = await filled(1, 2, 3)
        degraded, succeeded = RunStatus.DEGRADED, RunStatus.SUCCEEDED
        for numbers, status in (((), degraded), ((1, 2), succeeded)):
            source = as_source(catalog(*numbers), name="shop")
            report = await sync(source, shop, options=pruning(), state=store)
            assert (report.counts.removed, report.status) == (0, status)
        assert sorted(shop.titles()) == ["1", "2", "3"]


async def test_an_answer_without_a_key_confirms_nothing() -> None:
    @attrs.define(kw_only=True)
    class Garbled(LookupSource):
        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            found = await super().get(keys)
            rejected = [Rejected(key=None, reason="no id", where="answer")]
            return attrs.evolve(found, rejected=rejected)

    shop = await filled(1, 2)
    report = await sync(Garbled(products=catalog(1)), shop, options=pruning())
    assert report.status is RunStatus.DEGRADED
    assert "could be any product that it was asked for" in report.warnings[0]
    assert sorted(shop.titles()) == ["1", "2"]


@pytest.mark.parametrize(
    ("owned", "most"), [(100, 0.29), (100, 0.57), (50, 0.58), (3, 1 / 3)]
)
async def test_the_limit_is_counted_as_people_count(owned: int, most: float) -> None:
    left = range(round(owned * most), owned)
    shop = await filled(*range(owned))
    report = await run(catalog(*left), shop, pruning(max_prune=most))
    assert report.counts.removed == round(owned * most)


@pytest.mark.parametrize("most", [0, -1, float("inf"), float("nan")])
def test_an_invalid_limit(most: float) -> None:
    with pytest.raises(InvalidValueError, match=r"max_prune: must be (more|finite)"):
        Options(max_prune=most)


async def test_without_a_store_nobody_knows() -> None:
    shop = await filled(1, 2)
    source = PagedSource(products=catalog(1))
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 0)
    assert "state store" in report.warnings[0]


async def test_faults_are_repeated() -> None:
    shop = await filled(1, 2, 3)
    shop.owned_faults.append(BUSY)
    shop.after.append(loses())
    source = LookupSource(products=catalog(1), lookup_faults=[BUSY])
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 2)
    assert sorted(shop.titles()) == ["1"]


async def test_a_source_that_cannot_be_asked_now_removes_nothing() -> None:
    shop = await filled(1, 2)
    source = LookupSource(products=catalog(1), lookup_faults=[BUSY] * 4)
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.INCOMPLETE, 0)
    assert len(shop.rows) == 2


async def test_one_that_the_sink_refuses_to_remove_is_reported() -> None:
    from catalogsync import BatchRefusedError

    shop = await filled(1, 2, 3, 4)

    async def refuse(_: Shop, changes: Sequence[Any]) -> None:
        shop.before.append(refuse)
        if any(change.key == key(3) for change in changes):
            raise BatchRefusedError("it is in an order", said="no")

    shop.before.append(refuse)
    report = await run(catalog(1), shop, pruning())
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 2)
    assert report.warnings == ("shop:3 left the source and stays: it is in an order",)
    assert sorted(shop.titles()) == ["1", "3"]


async def test_a_plan_lists_it() -> None:
    shop = await filled(1, 2)
    shown: list[Any] = []
    source = LookupSource(products=catalog(1))
    report = await Sync(source, shop, options=pruning()).plan(shown.append)
    assert [(c.action, c.key) for c in shown] == [("delete", key(2))]
    assert report.counts.removed == 1
    assert len(shop.rows) == 2


async def test_what_was_removed_is_remembered() -> None:
    shop = await filled(1, 2)
    async with StateSettings().open() as store:
        await run(catalog(1), shop, pruning(), job="j", state=store)
        (entry,) = await store.history("j", key(2))
    assert entry.outcome.status is OutcomeStatus.REMOVED


@given(
    before=st.sets(st.integers(0, 12)),
    after=st.sets(st.integers(0, 12)),
    most=st.one_of(st.floats(0.01, 0.99), st.integers(1, 13)),
    prune=st.sampled_from(Prune),
)
async def test_whatever_leaves_the_source(
    before: set[int], after: set[int], most: float, prune: Prune
) -> None:
    """Exactly what left is removed, or nothing at all."""
    shop = await filled(*before)
    options = pruning(prune, max_prune=most)
    report = await run(catalog(*after), shop, options)
    gone = before - after
    owned = len(before | after)
    allowed = int(owned * most + 1e-9) if most < 1 else int(most)
    removed = gone if after and len(gone) <= allowed else set[int]()
    assert report.counts.removed == len(removed)
    assert (report.status is RunStatus.SUCCEEDED) == (removed == gone)
    visible = {
        int(row.key.id) for row in shop.rows if row.key and is_on_sale(row.product)
    }
    assert visible == (before | after) - removed


async def test_a_stop_lets_a_removal_end() -> None:
    """Its answer is not lost; the batches after it are left to the next run."""
    shop = await filled(1, 2, 3, 4)
    reached, gate = asyncio.Event(), asyncio.Event()

    async def wait(_: Shop, __: Sequence[Change]) -> None:
        reached.set()
        await gate.wait()

    shop.after.append(wait)
    source = LookupSource(products=catalog(1))
    async with StateSettings().open() as store:
        options = pruning(batch_size=2)
        async with Sync(
            source, shop, options=options, job="j", state=store
        ).run() as handle:
            await reached.wait()
            handle.stop(grace=60)
            for _ in range(20):
                await asyncio.sleep(0)
            gate.set()
            report = await handle.report()
        history = await store.history("j", key(2))
    assert report.status is RunStatus.CANCELLED
    assert report.counts.removed == 2
    assert shop.writes == [["delete 2", "delete 3"]]
    assert history[0].outcome.status is OutcomeStatus.REMOVED


async def test_one_product_that_cannot_be_removed() -> None:
    """A 500 without a reason; its neighbours are removed, and it is reported."""
    shop = await filled(*range(1, 9))

    async def refuses(_: Shop, changes: Sequence[Change]) -> None:
        shop.before.append(refuses)
        if key(5) in {change.key for change in changes}:
            raise server_error()

    shop.before.append(refuses)
    report = await run(catalog(1), shop, pruning())
    assert report.status is RunStatus.DEGRADED
    assert report.counts.removed == 6
    assert report.warnings == ("shop:5 left the source and stays: 500",)


async def test_a_sink_that_removes_nothing_is_left_alone() -> None:
    """It explains nothing and takes nothing: that is no fault of a product."""
    shop = await filled(*range(1, 40))

    async def refuses(_: Shop, __: Sequence[Change]) -> None:
        shop.before.append(refuses)
        raise server_error()

    shop.before.append(refuses)
    report = await run(catalog(1), shop, pruning())
    assert report.status is RunStatus.INCOMPLETE
    assert "could not remove what left the source: 500" in report.problem
    assert len(shop.writes) < 60


async def test_a_source_that_is_called_otherwise_than_its_keys() -> None:
    """Nothing is removed under its name, as what is there may be under another."""
    shop = Shop()
    other = Product(key=ProductKey("other", "1"), title="Other")
    await sync(as_source([other], name="other"), shop)
    source = LookupSource(name="other", products=catalog(1, 2))
    with pytest.raises(BrokenPromiseError, match="returned shop:1"):
        await sync(source, shop, options=pruning())
    assert len(shop.rows) == 1
