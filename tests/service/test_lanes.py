"""Lanes by the clock, between the full runs of their job."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.service.shops import (
    MIDNIGHT,
    Shop,
    Till,
    finished,
    memory_store,
    open_shop,
    shelf_of,
)

from catalogsync import Field, TransientError
from catalogsync.config import Lane
from catalogsync.events import RunFinished
from catalogsync.report import RunStatus
from catalogsync.schedule import Schedule
from catalogsync.service import JobEvent

MINUTE = dt.timedelta(minutes=1)
FIVE = 5 * MINUTE
TITLES = Lane(only=[Field.TITLE], schedule="*/5 * * * *")


@asynccontextmanager
async def open_full(
    lanes: Sequence[Lane] = (TITLES,), **more: Any
) -> AsyncGenerator[Shop]:
    """A service whose job has run once, so that its products are in the sink."""
    async with open_shop(lanes=lanes, **more) as shop:
        await shop.run()
        yield shop


def _status(item: JobEvent) -> str:
    assert isinstance(item.event, RunFinished)
    return item.event.status


async def only(shop: Shop) -> list[tuple[str, ...]]:
    """The fields of the runs so far, the latest last; empty: all fields."""
    found = await shop.service.state.runs(job="shelf", limit=100)
    reports = [record.report for record in found if record.report]
    return [report.only for report in reversed(reports)]


async def test_a_lane_that_comes_due() -> None:
    """It writes its fields of the products that are there, and waits again."""
    async with open_full() as shop, finished(shop.service) as end:
        shop.shelf.titles |= {0: "New", 99: "Another"}
        state = shop.service.job_state("shelf")
        assert state.lanes.next_at == MIDNIGHT + FIVE
        shop.look(MIDNIGHT + FIVE)
        event = (await end()).event
        assert isinstance(event, RunFinished)
        assert (report := event.report)
        assert (report.counts.updated, report.counts.skipped) == (1, 1)
        assert shop.till.titles["0"] == "New"
        assert "99" not in shop.till.titles
        assert state.lanes.next_at == MIDNIGHT + 2 * FIVE
        assert await shop.service.waiting("shelf") == []
        shop.shelf.titles[0] = "Newer"
        shop.look(MIDNIGHT + 4 * FIVE)  # times that passed are made up for once
        await end()
        assert state.lanes.next_at == MIDNIGHT + 5 * FIVE
        assert await only(shop) == [(), ("title",), ("title",)]


async def test_lanes_that_are_due_together_are_one_run() -> None:
    lanes = [TITLES, Lane(only=[Field.STOCK, Field.PRICES], schedule="*/10 * * * *")]
    async with open_full(lanes) as shop, finished(shop.service) as end:
        for times in (1, 2):
            shop.look(MIDNIGHT + times * FIVE)
            await end()
        assert await only(shop) == [(), ("title",), ("prices", "stock", "title")]


async def test_a_full_run_goes_first_and_does_the_work_of_lanes() -> None:
    async with (
        open_full(schedule=Schedule(cron="5 0 * * *")) as shop,
        finished(shop.service) as end,
    ):
        shop.shelf.titles[0] = "New"
        shop.look(MIDNIGHT + FIVE)
        await end()
        state = shop.service.job_state("shelf")
        await shop.store.until(lambda: state.lanes.next_at == MIDNIGHT + 2 * FIVE)
        assert await only(shop) == [(), ()]
        shop.look(MIDNIGHT + 2 * FIVE)
        await end()
        assert await only(shop) == [(), (), ("title",)]


async def test_a_run_of_some_products_does_not_do_the_work_of_a_lane() -> None:
    async with open_full() as shop, finished(shop.service) as end:
        shop.clock.now = MIDNIGHT + FIVE
        await shop.ask(1)
        await end()
        await end()
        assert await only(shop) == [(), (), ("title",)]


async def test_lanes_go_on_while_full_runs_fail() -> None:
    """A lane that is due goes before the next try of a full run."""
    async with open_full() as shop, finished(shop.service) as end:
        shop.service.job_state("shelf").failures = 30
        shop.clock.now = MIDNIGHT + FIVE
        await shop.ask()
        await end()
        await end()
        assert await only(shop) == [(), ("title",), ()]


async def test_a_lane_that_fails_waits_for_its_next_time() -> None:
    async with open_full() as shop, finished(shop.service) as end:
        shop.shelf.faults = [TransientError("down")] * 4
        shop.look(MIDNIGHT + FIVE)
        assert _status(await end()) == RunStatus.FAILED
        state = shop.service.job_state("shelf")
        await shop.store.until(lambda: "down" in state.problem)
        assert state.failures == 0
        shop.look(MIDNIGHT + 2 * FIVE)
        assert _status(await end()) == RunStatus.SUCCEEDED
        await shop.store.until(lambda: not state.problem)


async def test_a_job_that_has_lanes_only() -> None:
    """A lane that was missed while nothing ran is not made up for."""
    till = Till()
    async with memory_store() as store:
        async with open_shop(store=store, till=till, shelf=shelf_of(2)) as shop:
            await shop.run()
        later = MIDNIGHT + 7 * MINUTE
        async with (
            open_shop(
                store=store, till=till, shelf=shelf_of(2), lanes=[TITLES], now=later
            ) as shop,
            finished(shop.service) as end,
        ):
            state = shop.service.job_state("shelf")
            assert (state.next_at, state.lanes.next_at) == (None, MIDNIGHT + 2 * FIVE)
            shop.look(MIDNIGHT + 2 * FIVE)
            await end()
            assert await only(shop) == [(), ("title",)]


async def test_a_clock_that_is_set_back() -> None:
    async with open_full(now=MIDNIGHT + 60 * MINUTE) as shop:
        state = shop.service.job_state("shelf")
        assert state.lanes.next_at == MIDNIGHT + 65 * MINUTE
        shop.look(MIDNIGHT)
        await shop.store.until(lambda: state.lanes.next_at == MIDNIGHT + FIVE)
