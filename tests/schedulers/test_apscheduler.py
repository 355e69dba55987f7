"""APScheduler starts the job when it is due, on a thread or on an event loop."""

from __future__ import annotations

import sys

import pytest
from tests.schedulers.hosts import Program, Shop, counts

from catalogsync.testing import Fault, FaultPlan
from catalogsync.testing.faults import delay, status

BLOCKING = Program([sys.executable, "apscheduler_blocking.py"])
ASYNC = Program([sys.executable, "apscheduler_asyncio.py"])


@pytest.mark.parametrize("program", [BLOCKING, ASYNC])
async def test_it_comes_due_again_and_again(shop: Shop, program: Program) -> None:
    """The second run finds the products of the first; SIGTERM ends the program."""
    fired = await shop.fire(program, runs=2)

    first, second = fired.runs[:-3:-1]

    assert counts(first) == {"fetched": 5, "created": 5}
    assert counts(second) == {"fetched": 5, "unchanged": 5}
    assert fired.statuses == [0]
    assert "5 created" in fired.log


@pytest.mark.parametrize("program", [BLOCKING, ASYNC])
async def test_a_run_that_fails_ends_no_schedule(
    shop: Shop, faults: FaultPlan, program: Program
) -> None:
    """It is logged, and the next one goes on."""
    faults.add(status(403, times=1))

    fired = await shop.fire(program, runs=2)

    assert [run.status for run in fired.runs[:-3:-1]] == ["failed", "succeeded"]
    assert "raised an exception" in fired.log


@pytest.mark.parametrize(
    ("program", "fault", "end"),
    [(BLOCKING, delay(1, times=1), "succeeded"), (ASYNC, delay(60), "cancelled")],
)
async def test_sigterm_during_a_run(
    shop: Shop, faults: FaultPlan, program: Program, fault: Fault, end: str
) -> None:
    """A thread is waited for; a task is cancelled, and the store knows of it."""
    faults.add(fault)

    fired = await shop.fire(program, ended=False)

    assert fired.runs[-1].status == end
    assert fired.statuses == [0]
