"""Of two runs that would write the same products, only one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import attrs
import pytest
import pytest_asyncio

from catalogsync import (
    BusyError,
    Change,
    Options,
    RunStatus,
    StateSettings,
    Sync,
    WhenBusy,
    as_source,
    sync,
)
from catalogsync.state import StateStore

from .fakes import FAST, catalog, check, product
from .shop import Shop


@pytest_asyncio.fixture
async def store() -> AsyncGenerator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


@attrs.define
class Gate:
    """Holds the first write until it is opened."""

    reached: asyncio.Event = attrs.field(factory=asyncio.Event)
    open: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, _: Shop, __: Sequence[Change]) -> None:
        self.reached.set()
        await self.open.wait()


def options(when_busy: WhenBusy = WhenBusy.FAIL, lease: float = 60) -> Options:
    return Options(retry=FAST, when_busy=when_busy, lease=lease, batch_size=1)


def source(name: str = "shop"):  # type: ignore[no-untyped-def]
    return as_source(catalog(3) if name == "shop" else [], name=name)


async def test_the_second_fails_and_says_who_is_at_work(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    async with Sync(
        source(), shop, options=options(), job="first", state=store
    ).run() as run:
        await gate.reached.wait()
        with pytest.raises(BusyError, match="job first") as caught:
            await sync(source(), shop, options=options(), job="second", state=store)
        assert run.run_id in caught.value.holder
        gate.open.set()
        report = await run.report()
    assert report.status is RunStatus.SUCCEEDED
    assert len(shop.writes) == 3
    assert await sync(source(), shop, options=options(), state=store)


async def test_the_second_skips(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    async with Sync(source(), shop, options=options(), state=store).run():
        await gate.reached.wait()
        report = await sync(
            source(), shop, options=options(WhenBusy.SKIP), job="b", state=store
        )
        assert report.status is RunStatus.SKIPPED
        assert report.counts.fetched == 0
        assert report.raise_for_status() is report
        gate.open.set()


async def test_the_second_waits(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    wait = options(WhenBusy.WAIT, lease=0.4)
    async with Sync(source(), shop, options=options(), state=store).run():
        await gate.reached.wait()
        async with Sync(source(), shop, options=wait, state=store).run() as second:
            gate.open.set()
            report = await second.report()
    check(report)
    assert report.counts.unchanged == 3


async def test_other_sources_and_other_sinks_do_not_wait(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    async with Sync(source(), shop, options=options(), state=store).run():
        await gate.reached.wait()
        await sync(source("other"), shop, options=options(), state=store)
        elsewhere = Shop(endpoint="elsewhere")
        await sync(source(), elsewhere, options=options(), state=store)
        assert len(elsewhere.rows) == 3
        gate.open.set()


async def test_one_sink_under_two_names_is_one(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    async with Sync(source(), shop, options=options(), state=store).run():
        await gate.reached.wait()
        with pytest.raises(BusyError):
            await sync(source(), Shop(name="b"), options=options(), state=store)
        gate.open.set()


async def test_a_run_that_lost_its_lease_writes_no_more(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    async with Sync(source(), shop, options=options(), state=store).run() as run:
        await gate.reached.wait()
        name = "shop in memory <- shop"
        taken = await store.take_lease(name, "a thief", ttl=60)
        assert isinstance(taken, BusyError)
        await _steal(store, name)
        gate.open.set()
        report = await run.report()
    assert report.status is RunStatus.FAILED
    assert "taken by another run" in report.problem
    assert len(shop.writes) == 1
    check(report)


async def _steal(store: StateStore, name: str) -> None:
    """Let the lease run out, and take it: renewing to nothing is the way."""
    from catalogsync.state import Lease

    for token in range(1, 10):
        lease = Lease(name=name, owner="thief", token=token)
        if await store.renew_lease(lease, ttl=-1):
            assert isinstance(await store.take_lease(name, "thief", ttl=60), Lease)
            return
    raise AssertionError("there is no lease")


async def test_the_lease_of_a_dead_run_runs_out(store: StateStore) -> None:
    from catalogsync.state import Lease

    shop = Shop()
    lease = await store.take_lease("shop in memory <- shop", "dead", ttl=-1)
    assert isinstance(lease, Lease)
    report = await sync(source(), shop, options=options(), state=store)
    assert report.status is RunStatus.SUCCEEDED


async def test_a_run_that_broke_off_gives_the_lease_back(store: StateStore) -> None:
    async def breaks(_: Shop, __: Sequence[Change]) -> None:
        raise ZeroDivisionError

    shop = Shop()
    shop.before.append(breaks)
    report = await sync(source(), shop, options=options(), state=store)
    assert report.status is RunStatus.FAILED
    report = await sync(source(), shop, options=options(), state=store)
    assert report.counts.created == 3


async def test_a_cancelled_run_gives_it_back_and_is_noted(store: StateStore) -> None:
    gate, shop = Gate(), Shop()
    shop.before.append(gate)

    async def work() -> None:
        await sync(source(), shop, options=options(), job="j", state=store)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await gate.reached.wait()
        task.cancel()
    (record,) = await store.runs(job="j")
    assert record.status is RunStatus.CANCELLED
    report = await sync(source(), shop, options=options(), state=store)
    assert report.status is RunStatus.SUCCEEDED


async def test_the_lease_is_kept_while_nothing_is_written(store: StateStore) -> None:
    """Reading takes longer than the lease lasts."""
    slow = asyncio.Event()
    beats: list[int] = []

    @attrs.define
    class Counting:
        inner: StateStore

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        async def renew_lease(self, lease: object, /, *, ttl: float) -> bool:
            beats.append(1)
            if len(beats) == 3:
                slow.set()
            return await self.inner.renew_lease(lease, ttl=ttl)  # type: ignore[arg-type]

    async def products():  # type: ignore[no-untyped-def]
        await slow.wait()
        yield product(1)

    report = await sync(
        as_source(products(), name="shop"),
        Shop(),
        options=options(lease=0.02),
        state=Counting(store),  # type: ignore[arg-type]
    )
    assert report.status is RunStatus.SUCCEEDED


async def test_a_stop_ends_the_wait(store: StateStore) -> None:
    """It no longer waits, and nothing was started."""
    gate, shop = Gate(), Shop()
    shop.before.append(gate)
    wait = options(WhenBusy.WAIT)
    async with Sync(source(), shop, options=options(), state=store).run():
        await gate.reached.wait()
        async with Sync(source(), shop, options=wait, state=store).run() as second:
            for _ in range(20):
                await asyncio.sleep(0)
            second.stop(reason="enough")
            report = await second.report()
        gate.open.set()
    assert report.status is RunStatus.CANCELLED
    assert (report.problem, report.counts.fetched) == ("enough", 0)
