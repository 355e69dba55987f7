"""Runs jobs on their schedules and on demand, one run of each job at a time.

A trigger in the state store requests a run, so that no request is lost when the process
ends. A run fulfils all triggers that were queued when it started. Triggers that arrive
during the run are for the next one, which fulfils them together.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Protocol, Self

import attrs

from catalogsync.catalog.products import Field, ProductKey
from catalogsync.config import Job
from catalogsync.engine import Run
from catalogsync.errors import MisconfiguredError
from catalogsync.events import (
    Event,
    EventHook,
    ProductsWritten,
    RequestSent,
)
from catalogsync.plans import Plan
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import BusyError, StateError, StateStore, Trigger

from ._feed import Feed
from ._informers import Informers
from ._lanes import of_lane
from ._states import JobEvent, JobState, PlannedRun, problem_of, record_problem

logger = logging.getLogger("catalogsync.service")

Clock = Callable[[], dt.datetime]


class Start(Protocol):
    """Starts a run for the length of a block, as `Job.start` does."""

    def __call__(
        self, *, hooks: Iterable[EventHook], run_id: str
    ) -> AbstractAsyncContextManager[Run]:
        """Start it."""
        ...


_SCHEDULE = "schedule"
_CANCELLED = "cancelled on demand"
_MISSED = "missed schedule"
_LONGEST_PAUSE = 3600.0
_LONGEST_SLEEP = 30.0
_TO_FINISH = 5.0
_SET_BACK = dt.timedelta(minutes=1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@attrs.define(kw_only=True)
class Service:
    """Runs jobs on their schedules and on demand for the length of a block.

    Attributes:
        jobs: The jobs by name.
        state: The open state store of all jobs.
        hooks: Called for each event of each run.
        clock: Gives the time, with a zone; tests replace it.
        retry_after: Seconds until an incomplete run is repeated; doubles each time, up
            to an hour. New triggers wait for this first interval only.
        keep_days: Days after which runs are deleted, as in `StateSettings`.
        keep_runs: Number of runs to keep of each job.
        feed: Publishes all events except for single requests and lists of products.
    """

    jobs: Mapping[str, Job]
    state: StateStore
    hooks: Sequence[EventHook] = ()
    clock: Clock = _now
    retry_after: float = 30.0
    keep_days: float = 90
    keep_runs: int = 200
    feed: Feed[JobEvent] = attrs.field(factory=Feed[JobEvent])
    _states: dict[str, JobState] = attrs.field(factory=dict[str, JobState], init=False)
    _group: asyncio.TaskGroup | None = attrs.field(default=None, init=False)
    _stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _workers: list[asyncio.Task[None]] = attrs.field(
        factory=list[asyncio.Task[None]], init=False
    )
    _informers: Informers = attrs.field(init=False)
    _timers: list[asyncio.TimerHandle] = attrs.field(
        factory=list[asyncio.TimerHandle], init=False
    )

    def __attrs_post_init__(self) -> None:
        for name, job in self.jobs.items():
            self._states[name] = JobState(job=attrs.evolve(job, state=self.state))
        self._informers = Informers.of(self.jobs.values(), self.state)

    async def __aenter__(self) -> Self:
        await self._queue_missed(self.clock())
        self._informers.start()
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for state in self._states.values():
            work, name = self._work(state), f"catalogsync-job-{state.job.name}"
            self._workers.append(self._group.create_task(work, name=name))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.stopping:
            self.stop()
        if kind is not None:
            for worker in self._workers:
                worker.cancel()
        try:
            if self._group is not None:
                await self._group.__aexit__(None, None, None)
        finally:
            await self._informers.stop()
            for timer in self._timers:
                timer.cancel()
            self.feed.close()

    @property
    def stopping(self) -> bool:
        """Whether the service is stopping."""
        return self._stopping.is_set()

    def states(self) -> Sequence[JobState]:
        """The states of all jobs."""
        return list(self._states.values())

    def job_state(self, job: str) -> JobState:
        """The state of a job.

        Raises:
            MisconfiguredError: There is no such job.
        """
        if job not in self._states:
            raise MisconfiguredError("job", f"unknown job {job!r}")
        return self._states[job]

    async def trigger(
        self, job: str, keys: Collection[ProductKey] = (), *, by: str = ""
    ) -> str:
        """Request a run. The trigger is saved when this returns, and outlives the process.

        Args:
            job: Name of the job.
            keys: Products to process; empty: all.
            by: Origin of the request, in words for people.

        Returns:
            The id of the run that will fulfil the trigger; several triggers may share
            it. If that run cannot start, because the service ends or another process
            runs the job, a later run with an id of its own fulfils the trigger.

        Raises:
            MisconfiguredError: There is no such job.
            StateError: The trigger cannot be saved.
        """
        state = self.job_state(job)
        async with state.turn:
            await self.state.add_trigger(job, keys, by=by)
            return state.announce()

    def apply(self, plan: Plan) -> str:
        """Make exactly the changes of a plan, as soon as no other run of its job is active.

        Products that have changed since are left alone. Unlike a trigger, the request
        does not outlive the process.

        Returns:
            The id of the run.

        Raises:
            MisconfiguredError: There is no such job, or another plan of it waits.
        """
        self.check_free(plan.head.job)
        state = self.job_state(plan.head.job)
        state.plan = PlannedRun(plan=plan)
        state.wake.set()
        return state.plan.run_id

    def check_free(self, job: str) -> None:
        """Check that no plan of a job waits or is being applied.

        Raises:
            MisconfiguredError: There is no such job, or one does.
        """
        if self.job_state(job).plan is not None:
            problem = "another plan of this job waits or is being applied"
            raise MisconfiguredError("plan", problem)

    async def waiting(self, job: str) -> Sequence[Trigger]:
        """The queued triggers; the next run starts for them as soon as possible.

        Raises:
            MisconfiguredError: There is no such job.
            StateError: The store cannot be used.
        """
        taken = self.job_state(job).taken
        return [
            trigger
            for trigger in await self.state.triggers(job)
            if trigger.id not in taken
        ]

    async def clear(self, job: str) -> int:
        """Remove queued triggers and a waiting plan; returns their number.

        The current run continues.

        Raises:
            MisconfiguredError: There is no such job.
            StateError: The store cannot be used.
        """
        state = self.job_state(job)
        async with state.turn:
            waiting = await self.waiting(job)
            await self.state.drop_triggers([trigger.id for trigger in waiting])
            plan, dropped = state.plan, len(waiting)
            if plan is not None and plan.run_id != state.run_id:
                state.plan = None
                dropped += 1
            return dropped

    def cancel(self, run_id: str, *, grace: float = 30.0) -> bool:
        """Stop a run after the batches in flight; False: there is no such run.

        Its triggers count as fulfilled; the next run does the rest of the work.
        """
        for state in self._states.values():
            if state.run_id != run_id or state.scope is None:
                continue
            state.cancelled = True
            if state.run is not None:
                state.run.stop(grace=grace, reason=_CANCELLED)
            else:  # it is being opened, or closed
                state.scope.reschedule(asyncio.get_running_loop().time())
            return True
        return False

    def stop(self, *, grace: float = 30.0) -> None:
        """Start no more runs, and stop the current ones within *grace* seconds.

        A run that has not ended soon after that is cancelled, for example because a
        side hangs while it is opened or closed.
        """
        self._stopping.set()
        later = asyncio.get_running_loop().call_later
        self._timers += [
            later(grace + _TO_FINISH, worker.cancel) for worker in self._workers
        ]
        for state in self._states.values():
            state.wake.set()
            if state.run is not None:
                state.run.stop(grace=grace, reason="the service was stopped")

    async def _queue_missed(self, now: dt.datetime) -> None:
        """Queue one run of each job whose time passed while no service was running."""
        await self._warn_of_unknown_jobs()
        for name, state in self._states.items():
            schedule = state.job.schedule
            state.lanes.reset(now)
            if schedule is None:
                continue
            state.next_at = schedule.next_after(now)
            last = await self._last_whole(name) if schedule.catch_up else None
            # A start in the future comes from a wrong clock.
            if last is not None and (last > now or schedule.is_due(last, now)):
                await self.state.add_trigger(name, by=_MISSED)

    async def _warn_of_unknown_jobs(self) -> None:
        """Warn of triggers for unknown jobs, for example after a job was renamed."""
        with suppress(StateError):  # reported when the store is needed
            unknown = {trigger.job for trigger in await self.state.triggers()}
            for job in sorted(unknown - self._states.keys()):
                logger.warning("triggers are queued for unknown job %s", job)

    async def _last_whole(self, job: str) -> dt.datetime | None:
        """Start of the last complete run over all products; None: there is none."""
        last = await self.state.last_whole(job)
        return dt.datetime.fromtimestamp(last.started_at, dt.UTC) if last else None

    async def _work(self, state: JobState) -> None:
        """Run a job whenever it is due or triggered."""
        while not self.stopping:
            state.wake.clear()
            complete = False
            try:
                complete = await self._next(state)
            except BaseException as error:  # noqa: BLE001 - one job harms no other
                record_problem(state, error)
            if not complete:
                await self._pause(state)

    async def _next(self, state: JobState) -> bool:
        """Fulfil the queued triggers, or wait until there may be some.

        Returns:
            Whether the work is complete and needs no repetition.
        """
        if state.plan is not None:
            await self._apply(state, state.plan)
            return True
        async with state.turn:
            self._check_clock(state)
            triggers = [*await self.state.triggers(state.job.name)]
            if triggers and state.next_at is not None and state.next_at <= self.clock():
                # Triggers that keep coming, or fail, must not delay the schedule.
                triggers.append(await self._queue_due(state))
            only = self._due_lanes(state, triggers)
            run_id = state.begin(triggers) if triggers and not only else ""
        if only:
            await self._run_lane(state, only)
            return True
        if triggers:
            try:
                return await self._run(state, triggers, run_id)
            finally:
                state.taken = frozenset()
        if await self._is_due(state):
            await self._queue_due(state)
        return True

    def _due_lanes(
        self, state: JobState, triggers: Sequence[Trigger]
    ) -> frozenset[Field]:
        """The fields of lanes to write now; empty: there are none, or they wait.

        A full run writes them, too, so it goes first, unless it keeps failing.
        """
        now = self.clock()
        is_due = state.next_at is not None and state.next_at <= now
        waits = (triggers or is_due) and not state.failures
        return frozenset() if waits else state.lanes.take_due(now)

    async def _run_lane(self, state: JobState, only: frozenset[Field]) -> None:
        """Write some fields once; if that fails, the next time makes up for it."""
        state.begin_as(uuid.uuid4().hex)
        await self._attempt(state, of_lane(state.job, only).start)
        await self.state.trim(days=self.keep_days, runs=self.keep_runs)

    async def _queue_due(self, state: JobState) -> Trigger:
        trigger = await self.state.add_trigger(state.job.name, by=_SCHEDULE)
        if state.job.schedule is not None and state.next_at is not None:
            now = max(self.clock(), state.next_at)
            state.next_at = state.job.schedule.next_after(now)
        return trigger

    async def _is_due(self, state: JobState) -> bool:
        """Wait until a job or a lane is due, or woken; returns whether the job is due."""
        schedule, due = state.job.schedule, None
        if schedule is not None and state.next_at is not None:
            due = state.next_at + dt.timedelta(seconds=schedule.delay())
        times = [time for time in (due, state.lanes.next_at) if time is not None]
        if not times:
            await state.wake.wait()
            return False
        while (wait := (min(times) - self.clock()).total_seconds()) > 0:
            # Short waits notice when the machine slept or its clock was set.
            woken = await _woken(state.wake, min(wait, _LONGEST_SLEEP))
            if self._check_clock(state) or woken:
                return False
        return due is not None and due <= self.clock()

    def _check_clock(self, state: JobState) -> bool:
        """Recompute the next time if the clock was set back; returns whether it was."""
        now, before, schedule = self.clock(), state.checked_at, state.job.schedule
        state.checked_at = now
        if before is None or before - now < _SET_BACK:
            return False
        if schedule is not None:
            state.next_at = schedule.next_after(now)
        state.lanes.reset(now)
        return True

    async def _pause(self, state: JobState) -> None:
        """Wait before an incomplete run is repeated."""
        doubled = self.retry_after * 2 ** min(state.failures, 20)
        state.failures += 1
        wait = min(_LONGEST_PAUSE, doubled)
        first = min(wait, self.retry_after)
        if await _woken(self._stopping, first):
            return
        rest = wait - first
        for time in (state.next_at, state.lanes.next_at):
            if time is not None:
                rest = max(0.0, min(rest, (time - self.clock()).total_seconds()))
        await _woken(state.wake, rest)

    async def _run(
        self, state: JobState, triggers: Sequence[Trigger], run_id: str
    ) -> bool:
        """Fulfil triggers with one run; returns whether it needs no repetition."""
        keys: set[ProductKey] | None = set()
        for trigger in triggers:
            keys = (
                keys | set(trigger.keys) if keys is not None and trigger.keys else None
            )
        report = await self._attempt(state, self._chosen(state.job, keys).start)
        done = report is not None and (
            report.status.is_complete or report.is_up_to_date
        )
        held = report is not None and report.status is RunStatus.HELD
        if done or held or state.cancelled:
            state.failures = 0
            if keys is None and done:
                state.lanes.reset(self.clock())
            await self.state.drop_triggers([trigger.id for trigger in triggers])
            await self.state.trim(days=self.keep_days, runs=self.keep_runs)
            return True
        if not await self._is_known(run_id):
            state.postpone(run_id)
        return False

    async def _apply(self, state: JobState, planned: PlannedRun) -> None:
        """Apply a plan once, whatever its outcome."""
        state.begin_as(planned.run_id)
        try:
            await self._attempt(state, partial(state.job.apply, planned.plan))
        finally:
            state.plan = None

    async def _is_known(self, run_id: str) -> bool:
        """Whether the store has this run; False if it cannot be read."""
        try:
            return await self.state.run(run_id) is not None
        except StateError:
            return False

    async def _attempt(self, state: JobState, start: Start) -> Report | None:
        """Execute a run; None: it broke off before anything was written."""
        try:
            async with asyncio.timeout(None) as state.scope:
                report = await self._execute(state, start)
        except BusyError as error:
            state.problem = str(error)
            logger.warning("job %s: %s", state.job.name, error)
        except BaseException as error:  # noqa: BLE001 - one job harms no other
            if state.cancelled and isinstance(error, TimeoutError):
                state.problem = ""
            else:
                record_problem(state, error)
        else:
            state.problem = problem_of(report)
            return report
        finally:
            state.scope, state.run_id = None, ""
        return None

    def _chosen(self, job: Job, keys: Collection[ProductKey] | None) -> Job:
        """The job for these products only; None: for all."""
        if keys is None:
            return job
        options = attrs.evolve(job.options, keys=tuple(keys), limit=None)
        return attrs.evolve(job, options=options)

    async def _execute(self, state: JobState, start: Start) -> Report:
        def publish(event: Event, /) -> None:
            state.follow(event)
            self._informers.follow(state.job.name, event)
            if isinstance(event, RequestSent | ProductsWritten):
                return
            counts = state.run.counts if state.run else Counts()
            self.feed.publish(JobEvent(state.job.name, event, counts))

        hooks = [*self.hooks, publish]
        async with start(hooks=hooks, run_id=state.run_id) as run:
            state.run = run
            try:
                if self.stopping:
                    run.stop(grace=0, reason="the service was stopped")
                return await run.report()
            finally:
                state.run = None


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; returns whether it was set within these seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
