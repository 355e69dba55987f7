"""The state of each job while the service runs."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
import uuid
from collections.abc import Sequence

import attrs

from catalogsync._lib.concurrency import is_cancelled
from catalogsync.config import Job
from catalogsync.engine import Run
from catalogsync.errors import CatalogSyncError
from catalogsync.events import (
    BatchWritten,
    Compared,
    Event,
    PageRead,
    Retrying,
    RunStarted,
)
from catalogsync.plans import Plan
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import Trigger

from ._lanes import LaneTimes

__all__ = ["JobEvent", "JobState", "PlannedRun", "problem_of", "record_problem"]

logger = logging.getLogger("catalogsync.service")


@attrs.frozen(eq=False)
class JobEvent:
    """An event and the job in whose run it happened.

    Attributes:
        job: Name of the job.
        event: The event.
        counts: Counts of the run at that time.
    """

    job: str
    event: Event
    counts: Counts


@attrs.frozen(kw_only=True)
class PlannedRun:
    """A plan to apply.

    Attributes:
        plan: The plan.
        run_id: Id of the run that applies it.
    """

    plan: Plan
    run_id: str = attrs.field(factory=lambda: uuid.uuid4().hex)


@attrs.define(kw_only=True)
class JobState:
    """The state of a job.

    Attributes:
        job: The job.
        next_at: Next time of the schedule; None: the job has no schedule.
        lanes: Next times of the lanes.
        checked_at: Time at the last check of the clock; if the clock shows an earlier
            time, it was set back.
        run: The current run; None if there is none, or its sides are being opened or
            closed.
        started_at: Start of the current run, in seconds since the epoch.
        total: Number of products at the source, if the source reports it.
        retrying: Latest failure in the current run that is being retried; None after
            a success.
        cancelled: Whether a person cancelled the current run.
        problem: Why the last run broke off or was incomplete; empty if it completed.
        failures: Number of runs since the last complete one.
        run_id: Id of the current run; empty if there is none.
        plan: The plan that is being applied, or will be next.
        taken: Ids of the triggers that the current run fulfils.
        scope: Cancels the current run, also while its sides are being opened or closed.
        wake: Set when there is something to do.
        turn: Locked while triggers are added or taken.
    """

    job: Job
    next_at: dt.datetime | None = None
    lanes: LaneTimes = attrs.field(
        default=attrs.Factory(lambda self: LaneTimes(self.job.lanes), takes_self=True)
    )
    checked_at: dt.datetime | None = None
    run: Run | None = None
    started_at: float = 0.0
    total: int | None = None
    retrying: Retrying | None = None
    cancelled: bool = False
    problem: str = ""
    failures: int = 0
    run_id: str = ""
    plan: PlannedRun | None = None
    taken: frozenset[int] = frozenset()
    scope: asyncio.Timeout | None = None
    wake: asyncio.Event = attrs.field(factory=asyncio.Event)
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    _pending: str = attrs.field(default="", init=False)

    def announce(self) -> str:
        """The id of the next run; also wakes the worker."""
        if not self._pending:
            self._pending = uuid.uuid4().hex
        self.wake.set()
        return self._pending

    def begin(self, triggers: Sequence[Trigger]) -> str:
        """Start the next run, for these triggers; returns its id."""
        run_id, self._pending = self._pending or uuid.uuid4().hex, ""
        self.taken = frozenset(trigger.id for trigger in triggers)
        self.begin_as(run_id)
        return run_id

    def begin_as(self, run_id: str) -> None:
        """Start a run with this id."""
        self.run_id = run_id
        self.total, self.retrying, self.cancelled = None, None, False

    def postpone(self, run_id: str) -> None:
        """Keep the id for the next run, because this one did not start."""
        self._pending = self._pending or run_id

    def follow(self, event: Event) -> None:
        """Update the state after an event of the run."""
        if isinstance(event, RunStarted):
            self.started_at = time.time()
        elif isinstance(event, PageRead):
            self.total = event.total
        if isinstance(event, Retrying):
            self.retrying = event
        elif isinstance(event, PageRead | Compared | BatchWritten):
            self.retrying = None


def record_problem(state: JobState, error: BaseException) -> None:
    """Log what a job raised and keep it as its problem.

    Raises errors that end the process, and the cancellation of the job's own task.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    if isinstance(error, asyncio.CancelledError) and is_cancelled():
        raise error
    if isinstance(error, CatalogSyncError):
        state.problem = str(error)
        logger.error("job %s: %s", state.job.name, error)
        return
    state.problem = f"{type(error).__name__}: {error}"
    logger.error("job %s broke off", state.job.name, exc_info=error)


def problem_of(report: Report) -> str:
    """Why a run is not complete; empty if it is, or a person cancelled it."""
    match report.status:
        case RunStatus.CANCELLED:
            return ""
        case RunStatus.SKIPPED:
            return "; ".join(report.warnings)
        case _:
            return report.problem
