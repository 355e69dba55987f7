"""An older snapshot of the stock never overwrites a newer one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    BatchRefusedError,
    Change,
    Field,
    MemorySink,
    Page,
    Product,
    Prune,
    Report,
    RunStatus,
    StateSettings,
    StockLevel,
    Sync,
    Variant,
    sync,
)
from catalogsync.catalog.outcomes import Outcome
from catalogsync.state import StateStore

from .fakes import check, fast, key, product
from .test_recognizing import Drafts, Printed

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LANE = frozenset({Field.STOCK})


@pytest.fixture
async def store() -> AsyncIterator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


def lamp(
    quantity: int, as_of: datetime | None = None, number: int = 1, title: str = "Lamp"
) -> Product:
    stock = [StockLevel(quantity=quantity)]
    variants = [Variant(id="v", stock=stock)]
    return product(number, title=title, variants=variants, as_of=as_of)


@attrs.define
class Shelf:
    """A source whose pages may say when they were counted."""

    products: Sequence[Product]
    as_of: datetime | None = None
    name: str = "shop"

    async def read(self, _: str | None, /) -> Page:
        return Page(products=self.products, as_of=self.as_of)


@attrs.define
class Night:
    """Runs of jobs over one sink and one state store."""

    store: StateStore | None
    sink: MemorySink = attrs.field(factory=MemorySink)

    async def run(
        self,
        *products: Product,
        as_of: datetime | None = None,
        job: str = "full",
        **options: Any,
    ) -> Report:
        source = Shelf(products, as_of)
        options = {"complete": False, **options}
        report = await sync(
            source, self.sink, options=fast(**options), job=job, state=self.store
        )
        check(report)
        return report

    def quantity(self, number: int = 1) -> int | None:
        (variant,) = self.sink.products[key(number)].variants or ()
        (level,) = variant.stock or (None,)
        return level.quantity if level else None


async def test_an_older_snapshot_leaves_the_stock(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5), as_of=NOON)
    report = await night.run(lamp(9, title="Lamp 2"), as_of=NOON - HOUR)
    assert night.quantity() == 5
    assert night.sink.products[key(1)].title == "Lamp 2"
    assert report.status is RunStatus.SUCCEEDED
    (warning,) = report.warnings
    assert warning == (
        "stock not written, because the sink has had a newer count: 1 product, for"
        " example shop:1 (2026-03-01 11:00:00+00:00 is older than 2026-03-01"
        " 12:00:00+00:00)"
    )
    assert not (await night.run(lamp(8), as_of=NOON)).warnings
    assert night.quantity() == 8
    await night.run(lamp(7), as_of=NOON + HOUR)
    assert night.quantity() == 7


async def test_jobs_and_lanes_share_it(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5), as_of=NOON)
    await night.run(lamp(3), as_of=NOON + 2 * HOUR, only=LANE)
    await night.run(lamp(9), as_of=NOON + HOUR, job="other")
    await night.run(lamp(9), as_of=NOON, only=LANE, job="other")
    assert night.quantity() == 3


async def test_what_is_unchanged_counts_too(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5), as_of=NOON)
    assert (await night.run(lamp(5), as_of=NOON + 2 * HOUR)).counts.unchanged == 1
    await night.run(lamp(9), as_of=NOON + HOUR)
    assert night.quantity() == 5


async def test_a_source_without_times_counts_as_of_the_run(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5))
    await night.run(lamp(9), as_of=NOON)
    assert night.quantity() == 5
    await night.run(lamp(4))
    assert night.quantity() == 4


async def test_a_product_says_it_for_itself(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5, NOON), lamp(5, NOON + HOUR, number=2), as_of=NOON - HOUR)
    await night.run(lamp(6), lamp(6, number=2), as_of=NOON + HOUR / 2)
    assert (night.quantity(1), night.quantity(2)) == (6, 5)


async def test_no_snapshot_is_in_the_future(store: StateStore) -> None:
    """A clock that is wrong must not stop every update until then."""
    night = Night(store)
    await night.run(lamp(5), as_of=datetime.now(UTC) + 100 * HOUR)
    await night.run(lamp(6), as_of=datetime.now(UTC) + HOUR)
    await night.run(lamp(7))
    assert night.quantity() == 7


async def test_a_new_product_has_no_old_stock(store: StateStore) -> None:
    """It was sold out, or somebody deleted it."""
    night = Night(store)
    await night.run(lamp(5), as_of=NOON)
    night.sink.products.clear()
    await night.run(lamp(9), as_of=NOON - HOUR)
    assert night.quantity() is None
    await night.run(lamp(4), as_of=NOON + HOUR)
    assert night.quantity() == 4


async def test_what_left_a_newer_snapshot_does_not_return(store: StateStore) -> None:
    night = Night(store)
    both = lamp(5), lamp(5, number=2)
    whole: dict[str, Any] = {
        "complete": True,
        "prune": Prune.SOLD_OUT,
        "max_prune": 1.0,
    }
    await night.run(*both, as_of=NOON, **whole)
    for _ in range(2):  # one run may be a mistake of the source
        await night.run(both[0], as_of=NOON + 2 * HOUR, **whole)
    assert night.quantity(2) == 0
    await night.run(*both, as_of=NOON + HOUR, **whole)
    assert night.quantity(2) == 0
    await night.run(*both, as_of=NOON + 2 * HOUR, **whole)
    assert night.quantity(2) == 5


class Refusing(MemorySink):
    """It refuses all updates."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        raise BatchRefusedError("no", culprits={c.key: "no" for c in changes})


def refusing(sink: MemorySink) -> Refusing:
    """The same sink, which now refuses all updates."""
    same = Refusing(products=sink.products, last_applied=sink.last_applied)
    same.endpoint = sink.endpoint
    return same


async def test_what_failed_does_not_count(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5), as_of=NOON)
    working, night.sink = night.sink, refusing(night.sink)
    report = await night.run(lamp(3), as_of=NOON + 2 * HOUR)
    assert report.counts.failed == 1
    night.sink = working
    await night.run(lamp(4), as_of=NOON + HOUR)
    assert night.quantity() == 4


async def test_a_failed_product_keeps_its_time(store: StateStore) -> None:
    """What the store kept of it is as old as it was."""
    sink = MemorySink()
    broken = refusing(sink)
    run = Sync(Shelf([lamp(9)], NOON), broken, options=fast(), job="j", state=store)
    assert (await run.run()).counts.failed == 1
    await sync(
        Shelf([lamp(3)], NOON + HOUR), sink, options=fast(), job="other", state=store
    )
    again = Sync(Shelf([]), sink, options=fast(), job="j", state=store)
    report = await again.retry(await again.failed())
    check(report)
    assert Night(store, sink).quantity() == 3


async def test_what_is_recognized_counts_too(store: StateStore) -> None:
    sink, drafts = Printed(), Drafts([lamp(5)])
    for _ in range(3):
        report = await sync(drafts, sink, options=fast(), job="j", state=store)
        check(report)
    assert report.counts.unchanged == 1
    counted = await store.snapshots(sink.endpoint, [key(1)])
    assert counted[key(1)] == pytest.approx(report.started_at, abs=5)
    await Night(store, sink).run(lamp(9), as_of=NOON)
    assert Night(store, sink).quantity() == 5


async def test_a_plan_notes_nothing(store: StateStore) -> None:
    night = Night(store)
    await night.run(lamp(5), as_of=NOON)
    this = Sync(Shelf([lamp(9)], NOON + HOUR), night.sink, options=fast(), state=store)
    check(await this.plan(lambda _: None))
    found = await store.snapshots(night.sink.endpoint, [key(1)])
    assert found == {key(1): NOON.timestamp()}


async def test_without_a_state_store_the_last_run_counts() -> None:
    night = Night(None)
    await night.run(lamp(5), as_of=NOON)
    await night.run(lamp(9), as_of=NOON - HOUR)
    assert night.quantity() == 9


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),  # hours
            st.integers(0, 9),  # pieces
            st.sampled_from(["full", "lane", "other", "fails"]),
        ),
        min_size=2,
        max_size=6,
    )
)
@settings(max_examples=25)
async def test_the_newest_snapshot_stays(runs: list[tuple[int, int, str]]) -> None:
    """Whatever the order in which jobs and lanes bring them."""
    async with StateSettings().open() as store:
        night = Night(store)
        await night.run(lamp(1), as_of=NOON - HOUR)
        newest, expected = -1, 1
        for hours, pieces, kind in runs:
            working = night.sink
            if kind == "fails":
                night.sink = refusing(working)
            only = LANE if kind == "lane" else None
            job = "other" if kind == "other" else "full"
            report = await night.run(
                lamp(pieces), as_of=NOON + hours * HOUR, job=job, only=only
            )
            night.sink = working
            if hours >= newest and not report.counts.failed:
                newest, expected = hours, pieces
            assert night.quantity() == expected
