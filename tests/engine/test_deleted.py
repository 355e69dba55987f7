"""Products that people deleted, and products that are adopted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import attrs
import pytest
import pytest_asyncio
from hypothesis import given, settings, strategies as st
from tests import strategies  # noqa: F401 - settings of Hypothesis

from catalogsync import (
    Change,
    OnDeleted,
    Options,
    Product,
    ProductKey,
    Report,
    RunStatus,
    StateSettings,
    TransientError,
    as_source,
    sync,
)
from catalogsync.protocols import AdoptBy
from catalogsync.state import StateStore

from .fakes import FAST, LookupSource, check, key, product
from .shop import Row, Shop, loses


@pytest_asyncio.fixture
async def store() -> AsyncGenerator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


async def run(
    shop: Shop, store: StateStore | None, *products: Product, **options: Any
) -> Report:
    report = await sync(
        as_source(products, name="shop"),
        shop,
        options=Options(retry=FAST, **options),
        state=store,
    )
    check(report)
    return report


async def test_a_deleted_product_is_created_again(store: StateStore) -> None:
    shop = Shop()
    await run(shop, store, product(1), product(2))
    shop.rows.remove(shop.one(key(1)))
    report = await run(shop, store, product(1), product(2))
    assert report.counts.created == 1


async def test_or_stays_deleted(store: StateStore) -> None:
    shop = Shop()
    leave = {"on_deleted": OnDeleted.LEAVE}
    await run(shop, store, product(1), product(2), **leave)
    shop.rows.remove(shop.one(key(1)))
    for _ in range(2):
        report = await run(shop, store, product(1), product(2), product(3), **leave)
        assert report.status is RunStatus.SUCCEEDED
        assert report.counts.skipped == 1
    assert sorted(shop.titles()) == ["2", "3"]
    report = await run(shop, store, product(1), product(2))
    assert report.counts.created == 1


async def test_one_that_we_removed_is_created_again(store: StateStore) -> None:
    shop = Shop()
    leave = {"on_deleted": OnDeleted.LEAVE, "prune": "delete", "max_prune": 9}
    await run(shop, store, product(1), product(2), **leave)
    report = await sync(
        LookupSource(products=[product(1)]),
        shop,
        options=Options(retry=FAST, **leave),  # type: ignore[arg-type]
        state=store,
    )
    assert report.counts.removed == 1
    report = await run(shop, store, product(1), product(2), **leave)
    assert (report.counts.created, report.counts.skipped) == (1, 0)


async def test_one_whose_creation_got_no_answer_is_not_taken_for_deleted(
    store: StateStore,
) -> None:
    shop = Shop()
    shop.before.extend([loses()] * 4)
    leave = {"on_deleted": OnDeleted.LEAVE}
    report = await run(shop, store, product(1), **leave)
    assert report.counts.unresolved == 1
    report = await run(shop, store, product(1), **leave)
    assert report.counts.created == 1


@pytest.mark.parametrize("prune", ["delete", "unpublish"])
async def test_a_removal_without_an_answer_is_ours_all_the_same(
    store: StateStore, prune: str
) -> None:
    """One that we deleted is created again; one that we unpublished still exists."""
    shop = Shop()
    leave = {"on_deleted": OnDeleted.LEAVE, "prune": prune, "max_prune": 9}
    options = Options(retry=FAST, **leave)  # type: ignore[arg-type]
    await run(shop, store, product(1), product(2), **leave)

    async def is_lost(_: Shop, __: Sequence[Change]) -> None:
        shop.find_faults.extend([TransientError("busy", retry_after=0)] * 9)
        raise TransientError("no answer", retry_after=0)

    shop.after.append(is_lost)
    report = await sync(
        LookupSource(products=[product(1)]), shop, options=options, state=store
    )
    assert report.status is RunStatus.INCOMPLETE
    shop.find_faults.clear()
    report = await run(shop, store, product(1), product(2), **leave)
    assert (report.counts.skipped, report.counts.fetched) == (0, 2)
    assert sorted(shop.titles()) == ["1", "2"]


async def test_a_draft_of_ours_that_a_person_deleted_stays_away(
    store: StateStore,
) -> None:
    shop = Shop()
    leave = {"on_deleted": OnDeleted.LEAVE, "prune": "unpublish", "max_prune": 9}
    await run(shop, store, product(1), product(2), **leave)
    await sync(
        LookupSource(products=[product(1)]),
        shop,
        options=Options(retry=FAST, **leave),  # type: ignore[arg-type]
        state=store,
    )
    shop.rows.remove(shop.one(key(2)))
    report = await run(shop, store, product(1), product(2), **leave)
    assert (report.counts.created, report.counts.skipped) == (0, 1)


async def test_one_that_a_person_deleted_while_an_update_was_open(
    store: StateStore,
) -> None:
    """An interrupted update does not make it one that we meant to create."""
    shop = Shop()
    leave = {"on_deleted": OnDeleted.LEAVE, "on_manual_edit": "keep"}
    await run(shop, store, product(1), **leave)
    shop.before.extend([loses()] * FAST.attempts)
    report = await run(shop, store, product(1, title="Other"), **leave)
    assert report.counts.unresolved == 1
    shop.rows.clear()
    report = await run(shop, store, product(1, title="Other"), **leave)
    assert (report.counts.created, report.counts.skipped) == (0, 1)


IDS = st.integers(0, 1)
ALWAYS = 9  # an empty source removes nothing
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["shown", "dropped", "deleted by hand"]), IDS),
        st.tuples(st.just("lost"), st.integers(1, 2)),
        st.tuples(st.just("run"), st.booleans()),
    ),
    max_size=25,
)


@attrs.define
class Story:
    """A shop, its source, and who deleted what.

    Attributes:
        store: The state store.
        certain: In the sink, and recorded by a run that resolved everything.
        away: Deleted by people, for good.
    """

    store: StateStore
    shop: Shop = attrs.field(factory=Shop)
    source: LookupSource = attrs.field(
        factory=lambda: LookupSource(products=[product(ALWAYS)])
    )
    certain: set[int] = attrs.field(factory=set)
    away: set[int] = attrs.field(factory=set)

    @property
    def numbers(self) -> set[int]:
        return {int(p.key.id) for p in self.source.products}

    def show(self, numbers: set[int]) -> None:
        self.source.products = [product(n) for n in sorted({*numbers, ALWAYS})]

    def lose(self, number: int) -> None:
        """The next answer, or all that one batch may have, after the work or before."""
        answers = [loses()] * (FAST.attempts if number > 1 else 1)
        (self.shop.before if number % 2 else self.shop.after).extend(answers)

    async def delete_by_hand(self, number: int) -> None:
        for row in self.shop.of(key(number)):
            self.shop.rows.remove(row)
            if number in self.certain & self.numbers:
                self.away.add(number)
            else:  # a run may not know yet that it was there
                await self.store.forget(self.shop.endpoint, [key(number)])

    async def run(self, *, prune: bool) -> None:
        options = Options(
            retry=FAST,
            on_deleted=OnDeleted.LEAVE,
            prune="delete" if prune else None,
            max_prune=99,
        )
        report = await sync(self.source, self.shop, options=options, state=self.store)
        check(report)
        self.certain = self.numbers if report.status.is_complete else set()

    async def rest(self) -> None:
        """Without faults, what people deleted stays away, and nothing else does."""
        self.shop.before.clear()
        self.shop.after.clear()
        await self.run(prune=True)
        assert self.certain == self.numbers
        present = {int(row.key.id) for row in self.shop.rows if row.key}
        assert present == self.numbers - self.away


@settings(max_examples=300)
@given(steps=STEPS)
async def test_whatever_people_and_runs_delete(steps: list[tuple[str, int]]) -> None:
    async with StateSettings().open() as store:
        story = Story(store=store)
        for step, number in [*steps, ("run", True)]:
            match step:
                case "shown":
                    story.show(story.numbers | {number})
                case "dropped":
                    story.show(story.numbers - {number})
                case "deleted by hand":
                    await story.delete_by_hand(number)
                case "lost":
                    story.lose(number)
                case _:
                    await story.run(prune=bool(number))
        await story.rest()


def foreign(title: str) -> Row:
    theirs = Product(key=ProductKey("x", "1"), title=title, tags=["theirs"])
    return Row(key=None, handle=title, product=theirs)


async def test_adopted_and_then_like_any_other() -> None:
    shop = Shop(rows=[foreign("Product 1"), foreign("Product 9")])
    adopt = {"adopt": [AdoptBy.SKU]}
    report = await run(shop, None, product(1), product(2), **adopt)
    assert (report.counts.updated, report.counts.created) == (1, 1)
    assert len(shop.rows) == 3
    assert shop.one(key(1)).product.tags == ("theirs",)
    assert shop.one(key(1)).handle == "Product 1"
    report = await run(shop, None, product(1), product(2), **adopt)
    assert report.counts.unchanged == 2


async def test_nobody_is_adopted_unless_it_is_asked_for() -> None:
    shop = Shop(rows=[foreign("Product 1")])
    report = await run(shop, None, product(1))
    assert report.counts.created == 1
    assert shop.rows[0].key is None
