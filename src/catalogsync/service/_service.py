"""Jobs that run by themselves, on their schedule and on demand, one run at a time.

What asks for a run is a trigger in the run store, so none is lost when the process
ends. A run fulfils all triggers that were there when it began; those that come
while it goes on are for the next one, however many they are.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Self

import attrs

from catalogsync.config import Job
from catalogsync.engine import Run
from catalogsync.errors import CatalogSyncError, MisconfiguredError
from catalogsync.events import Event, EventHook
from catalogsync.models import ProductKey
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.runstore import BusyError, RunStore, Trigger

from ._feed import Feed

__all__ = ["JobEvent", "JobState", "Service"]

logger = logging.getLogger("catalogsync.service")

Clock = Callable[[], dt.datetime]

_SCHEDULE = "schedule"
_CAUGHT_UP = "schedule, made up for"
_SETTLED = frozenset({RunStatus.SUCCEEDED, RunStatus.DEGRADED})


@attrs.frozen
class JobEvent:
    """An event and the job in whose run it happened.

    Attributes:
        job: Name of the job.
        event: What happened.
        counts: Where the run stood then.
    """

    job: str
    event: Event
    counts: Counts


@attrs.define(kw_only=True)
class JobState:
    """Where a job stands.

    Attributes:
        job: The job.
        next_at: When it is due next; None: never.
        run: The run that goes on.
        problem: Why the last run broke off; empty if it did not.
        failures: Runs since the last one that settled all.
        wake: Set when there is something to do.
    """

    job: Job
    next_at: dt.datetime | None = None
    run: Run | None = None
    problem: str = ""
    failures: int = 0
    wake: asyncio.Event = attrs.field(factory=asyncio.Event)
    _pending: str = attrs.field(default="", init=False)

    @property
    def run_id(self) -> str:
        """The run that goes on; empty: none does."""
        return self.run.run_id if self.run else ""

    def announce(self) -> str:
        """The id of the run that is to come."""
        if not self._pending:
            self._pending = uuid.uuid4().hex
        self.wake.set()
        return self._pending

    def begin(self) -> str:
        """The run that was to come begins; gives its id."""
        run_id, self._pending = self._pending or uuid.uuid4().hex, ""
        return run_id


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@attrs.define(kw_only=True)
class Service:
    """Runs jobs on their schedule and on demand for the length of a block.

    Attributes:
        jobs: The jobs by name.
        store: Where runs and triggers are kept; open, and the jobs' own.
        hooks: Called for each event of each run.
        clock: The time, with a zone; replaced in tests.
        retry_after: Seconds after which a run that did not settle all is done again;
            doubled each time, up to an hour.
        feed: Hands out all events.
    """

    jobs: Mapping[str, Job]
    store: RunStore
    hooks: Sequence[EventHook] = ()
    clock: Clock = _now
    retry_after: float = 30.0
    feed: Feed[JobEvent] = attrs.field(factory=Feed[JobEvent])
    _states: dict[str, JobState] = attrs.field(factory=dict[str, JobState], init=False)
    _group: asyncio.TaskGroup | None = attrs.field(default=None, init=False)
    _stopping: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)

    async def __aenter__(self) -> Self:
        now = self.clock()
        for name, job in self.jobs.items():
            self._states[name] = JobState(job=job)
        await self._catch_up(now)
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for state in self._states.values():
            work = self._work(state)
            self._group.create_task(work, name=f"catalogsync-job-{state.job.name}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.stop()
        try:
            if self._group is not None:
                await self._group.__aexit__(kind, *rest)  # type: ignore[arg-type]
        finally:
            self.feed.close()

    def states(self) -> Sequence[JobState]:
        """Where all jobs stand."""
        return list(self._states.values())

    def state(self, job: str) -> JobState:
        """Where a job stands.

        Raises:
            MisconfiguredError: There is no such job.
        """
        if job not in self._states:
            raise MisconfiguredError("job", f"there is no job {job!r}")
        return self._states[job]

    async def trigger(
        self, job: str, keys: Collection[ProductKey] = (), *, by: str = ""
    ) -> str:
        """Ask for a run; when this returns, the wish is kept and outlives the process.

        Args:
            job: Of which job.
            keys: Of these products only; empty: of all.
            by: Who or what asks, for people.

        Returns:
            The id of the run that fulfils it; wishes that come together share one.

        Raises:
            MisconfiguredError: There is no such job.
            StoreError: The wish cannot be kept.
        """
        state = self.state(job)
        await self.store.add_trigger(job, keys, by=by)
        return state.announce()

    def cancel(self, run_id: str, *, grace: float = 30.0) -> bool:
        """Ask a run for an orderly end; False: no such run goes on."""
        for state in self._states.values():
            if state.run is not None and state.run.run_id == run_id:
                state.run.stop(grace=grace, reason="cancelled on demand")
                return True
        return False

    def stop(self, *, grace: float = 30.0) -> None:
        """Begin no more runs, and end those that go on within *grace* seconds."""
        self._stopping.set()
        for state in self._states.values():
            state.wake.set()
            if state.run is not None:
                state.run.stop(grace=grace, reason="the service was stopped")

    async def _catch_up(self, now: dt.datetime) -> None:
        """Make up, once, for times that passed while nothing was running."""
        for name, state in self._states.items():
            schedule = state.job.schedule
            if schedule is None:
                continue
            state.next_at = schedule.next_after(now)
            last = await self.store.runs(job=name, limit=1)
            if not last or not schedule.catch_up:
                continue
            began = dt.datetime.fromtimestamp(last[0].started_at, dt.UTC)
            if schedule.is_due(began, now):
                await self.store.add_trigger(name, by=_CAUGHT_UP)

    async def _work(self, state: JobState) -> None:
        """Run a job whenever it is due or asked for."""
        while not self._stopping.is_set():
            state.wake.clear()
            triggers = await self.store.triggers(state.job.name)
            if triggers:
                settled = await self._run(state, triggers)
                if not settled:
                    await self._pause(state)
                continue
            if await self._is_due(state):
                await self.store.add_trigger(state.job.name, by=_SCHEDULE)

    async def _is_due(self, state: JobState) -> bool:
        """Wait until a job is due or woken; says whether it is due."""
        schedule = state.job.schedule
        if schedule is None or state.next_at is None:
            await state.wake.wait()
            return False
        wait = (state.next_at - self.clock()).total_seconds() + schedule.delay()
        if wait > 0 and await _woken(state.wake, wait):
            return False
        state.next_at = schedule.next_after(max(self.clock(), state.next_at))
        return True

    async def _pause(self, state: JobState) -> None:
        """Wait before a run that did not settle all is done again."""
        state.failures += 1
        wait = min(3600.0, self.retry_after * 2 ** (state.failures - 1))
        if not self._stopping.is_set():
            await _woken(state.wake, wait)

    async def _run(self, state: JobState, triggers: Iterable[Trigger]) -> bool:
        """Fulfil triggers by one run; says whether it did."""
        wishes = list(triggers)
        keys: set[ProductKey] | None = set()
        for wish in wishes:
            keys = keys | set(wish.keys) if keys is not None and wish.keys else None
        report: Report | None = None
        try:
            report = await self._carry_out(state, keys)
            state.problem = ""
        except BusyError as error:
            state.problem = str(error)
        except CatalogSyncError as error:
            state.problem = str(error)
            logger.error("job %s: %s", state.job.name, error)  # noqa: TRY400
        except Exception as error:
            state.problem = f"{type(error).__name__}: {error}"
            logger.exception("job %s broke off", state.job.name)
        if report is None or report.status not in _SETTLED:
            return False
        state.failures = 0
        await self.store.drop_triggers([wish.id for wish in wishes])
        return True

    async def _carry_out(
        self, state: JobState, keys: Collection[ProductKey] | None
    ) -> Report:
        job = state.job
        if keys is not None:
            options = attrs.evolve(job.options, keys=tuple(keys))
            job = attrs.evolve(job, options=options)
        job = attrs.evolve(job, store=self.store)

        def tell(event: Event, /) -> None:
            counts = state.run.counts if state.run else Counts()
            self.feed.publish(JobEvent(job.name, event, counts))

        hooks = [*self.hooks, tell]
        async with job.start(hooks=hooks, run_id=state.begin()) as run:
            state.run = run
            try:
                if self._stopping.is_set():
                    run.stop(grace=0, reason="the service was stopped")
                return await run.report()
            finally:
                state.run = None


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for so long; says whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
