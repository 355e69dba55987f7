"""Runs by the clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from tests.service.shops import (
    MIDNIGHT,
    Shelf,
    Till,
    finished,
    memory_store,
    open_shop,
)

from catalogsync import Page, ProductKey, TransientError
from catalogsync.report import RunStatus
from catalogsync.schedule import Schedule
from catalogsync.service import _service
from catalogsync.state.protocols import RunRecord, StateError

HOUR = dt.timedelta(hours=1)
AT_ONE = Schedule(cron="0 1 * * *")


async def test_a_job_that_comes_due() -> None:
    """Not before, once, and then it waits for the next time."""
    async with open_shop(schedule=AT_ONE) as shop, finished(shop.service) as end:
        state = shop.service.job_state("shelf")
        assert state.next_at == MIDNIGHT + HOUR
        await shop.store.idle()
        shop.look(MIDNIGHT + HOUR / 2)
        await shop.store.until(lambda: len(shop.store.log) > 2)
        shop.look(MIDNIGHT + HOUR)
        await end()
        await shop.store.idle()
        assert len(shop.till.titles) == 5
        assert state.next_at == MIDNIGHT + 25 * HOUR
        triggers = [each for name, each in shop.store.log if name == "add_trigger"]
        assert [trigger.by for trigger in triggers] == ["schedule"]


async def test_a_machine_that_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is checked at intervals, however long the wait."""
    monkeypatch.setattr(_service, "_LONGEST_SLEEP", 0.001)
    async with open_shop(schedule=AT_ONE) as shop, finished(shop.service) as end:
        await shop.store.idle()
        shop.clock.now = MIDNIGHT + HOUR
        await end()
        assert len(shop.till.titles) == 5


async def test_a_clock_that_was_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is set back, the next run is rescheduled."""
    monkeypatch.setattr(_service, "_LONGEST_SLEEP", 0.001)
    ahead = MIDNIGHT + dt.timedelta(days=400)
    async with (
        open_shop(schedule=AT_ONE, now=ahead) as shop,
        finished(shop.service) as end,
    ):
        state = shop.service.job_state("shelf")
        assert state.next_at == ahead + HOUR
        await shop.store.idle()
        shop.clock.now = MIDNIGHT
        await shop.store.until(lambda: state.next_at == MIDNIGHT + HOUR)
        shop.clock.now = MIDNIGHT + HOUR
        await end()
        assert len(shop.till.titles) == 5


async def test_triggers_for_a_job_that_is_not_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with memory_store() as store:
        await store.add_trigger("renamed")
        async with open_shop(store=store):
            pass
        assert "triggers are queued for unknown job renamed" in caplog.text
        assert len(await store.triggers()) == 1


async def test_a_time_is_not_lost_when_it_cannot_be_noted() -> None:
    """The store fails at the very moment, and later the job is done."""
    async with open_shop(schedule=AT_ONE, retry_after=0) as shop:
        await shop.store.idle()
        shop.store.faults["add_trigger"] = StateError("no room")
        async with finished(shop.service) as end:
            shop.look(MIDNIGHT + HOUR)
            await end()
        assert len(shop.till.titles) == 5


async def test_times_that_pass_during_a_run_are_made_up_once() -> None:
    """However long it took."""
    hourly = Schedule(cron="@hourly")
    async with open_shop(schedule=hourly) as shop, finished(shop.service) as end:
        await shop.store.idle()
        shop.till.gate.clear()
        shop.look(MIDNIGHT + HOUR)
        await shop.till.writing.wait()
        shop.clock.now = MIDNIGHT + 5 * HOUR
        shop.till.gate.set()
        await end()
        await end()
        await shop.store.idle()
        assert shop.shelf.passes == 2
        assert shop.service.job_state("shelf").next_at == MIDNIGHT + 6 * HOUR


@pytest.mark.parametrize(
    ("hours_ago", "catch_up", "runs"),
    [
        (1, True, 1),
        (30, True, 1),
        (300, True, 1),
        (-9000, True, 1),  # by a clock that was wrong
        (30, False, 0),
        (None, True, 0),
    ],
)
async def test_catching_up_after_a_restart(
    hours_ago: int | None, catch_up: bool, runs: int
) -> None:
    """Times that passed while nothing was running are made up for, once."""
    daily = Schedule(cron="0 0 * * *", catch_up=catch_up)
    async with memory_store() as store:
        now = MIDNIGHT + HOUR / 2
        if hours_ago is not None:
            record = RunRecord(
                run_id="r",
                job="shelf",
                source="shelf",
                sink="till",
                started_at=(now - hours_ago * HOUR).timestamp(),
                status=RunStatus.SUCCEEDED,
            )
            await store.begin_run(record)
        async with open_shop(store=store, schedule=daily, now=now) as shop:
            await store.idle()
            assert shop.shelf.passes == runs


@pytest.mark.parametrize(
    ("status", "partial"),
    [(RunStatus.SUCCEEDED, True), (RunStatus.FAILED, False), (None, False)],
    ids=["of some products", "failed", "broke off"],
)
async def test_what_does_not_make_up_for_a_missed_time(
    status: RunStatus | None, partial: bool
) -> None:
    """A run of some products, or one that failed, is not the one that was missed."""
    async with memory_store() as store:
        for run_id, hours, how, some in (
            ("r1", -22, RunStatus.SUCCEEDED, False),
            ("r2", 2, status, partial),
        ):
            record = RunRecord(
                run_id=run_id,
                job="shelf",
                source="shelf",
                sink="till",
                started_at=(MIDNIGHT + hours * HOUR).timestamp(),
                status=how,
                partial=some,
            )
            await store.begin_run(record)
        now = MIDNIGHT + 3 * HOUR
        async with open_shop(store=store, schedule=AT_ONE, now=now) as shop:
            await store.idle()
            assert shop.shelf.passes == 1


async def test_triggers_that_never_end_put_off_no_schedule() -> None:
    """One that fails again and again is taken along by the run that is due."""

    class Picky(Shelf):
        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            raise TransientError("not this one")

    shelf = Picky(titles={n: f"Thing {n}" for n in range(5)})
    async with open_shop(shelf=shelf, schedule=AT_ONE, retry_after=0) as shop:
        await shop.store.idle()
        state = shop.service.job_state("shelf")
        await shop.ask(3)
        await shop.store.until(lambda: state.failures > 3)
        assert shelf.passes == 0
        shop.look(MIDNIGHT + HOUR)
        await shop.store.until(lambda: len(shop.till.titles) == 5)
        await shop.store.idle()
        assert (shelf.passes, await shop.store.triggers()) == (1, [])
        assert state.next_at == MIDNIGHT + 25 * HOUR


async def test_no_catching_up_without_a_reason() -> None:
    """A job that ran on time has nothing to make up."""
    async with memory_store() as store:
        till = Till()
        async with open_shop(store=store, till=till, schedule=AT_ONE) as shop:
            await shop.run()
            (record,) = await shop.store.runs()
        began = dt.datetime.fromtimestamp(record.started_at, dt.UTC)
        now = AT_ONE.next_after(began) - dt.timedelta(seconds=1)
        async with open_shop(store=store, till=till, schedule=AT_ONE, now=now) as shop:
            await store.idle()
            assert shop.shelf.passes == 0


async def test_jitter() -> None:
    """A run begins by chance up to so much later, and no more."""
    late = Schedule(cron="0 1 * * *", jitter=1e9)
    async with open_shop(schedule=late) as shop, finished(shop.service) as end:
        await shop.store.idle()
        shop.look(MIDNIGHT + HOUR)
        await shop.store.until(lambda: len(shop.store.log) > 1)
        assert not [name for name, _ in shop.store.log if name == "add_trigger"]
        shop.look(MIDNIGHT + HOUR + dt.timedelta(seconds=1e9))
        await end()
        await shop.store.idle()
        assert shop.shelf.passes == 1


async def test_a_job_without_a_schedule() -> None:
    """It is never due."""
    async with open_shop(schedule="never") as shop:
        assert shop.service.job_state("shelf").next_at is None
        await shop.store.idle()
        shop.look(MIDNIGHT + 10_000 * HOUR)
        await shop.store.until(lambda: len(shop.store.log) > 1)
        await shop.run()
        assert shop.shelf.passes == 1
