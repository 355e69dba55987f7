"""A job: a named pair of source and sink with options."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import TypeVar

import attrs

from catalogsync.engine import OnChange, Openable, Options, Run, Sync
from catalogsync.engine.opening import opened, record_failed_start
from catalogsync.errors import MisconfiguredError
from catalogsync.events import EventHook
from catalogsync.integrations.inform import Informer, Receiver
from catalogsync.plans import Plan
from catalogsync.protocols import Sink, Source
from catalogsync.report import Report
from catalogsync.schedule import Schedule
from catalogsync.state.outbox import outbox_of
from catalogsync.state.protocols import RunRecord, StateStore

from ._lanes import Lane
from ._problems import joined

T = TypeVar("T")


NEVER = "never"
"""The schedule of a job that only runs on demand."""

_TO_DELIVER = 10.0


def _schedule(value: Schedule | str | None) -> Schedule | None:
    if not isinstance(value, str):
        return value
    if value == NEVER:
        return None
    try:
        return Schedule(cron=value)
    except MisconfiguredError as error:
        raise MisconfiguredError("schedule", error.problem) from None


def _check_name(_: object, __: object, value: str) -> None:
    if not value.isprintable() or not value.strip():
        raise MisconfiguredError("name", "must consist of printable characters")
    if value in {".", ".."}:  # browsers remove such a segment from a URL
        raise MisconfiguredError("name", f"must not be {value}")


@attrs.frozen(kw_only=True)
class Job:
    """A named pair of source and sink with options and a schedule.

    ```python
    job = Job(
        name="products",
        source=DummyJSONSettings(url="https://dummyjson.com"),
        sink=SQLSettings(url="sqlite:///catalog.db"),
    )
    report = await job.run()
    ```

    Attributes:
        name: Name for reports, logs and last-applied states.
        source: Settings that open a source, or an open source.
        sink: Settings that open a sink, or an open sink.
        options: What a run may do, and how.
        state: Settings that open a state store, or an open state store; None: nothing
            outlives a run.
        schedule: When `catalogsync serve` runs the job: a `Schedule` or a cron
            expression (in UTC). None or `never`: only on demand. Other schedulers
            ignore it.
        lanes: Schedules of their own for some fields.
        inform: Receivers of messages about written products, by name; they need a
            state store.
    """

    name: str = attrs.field(validator=_check_name)
    source: Source | Openable[Source]
    sink: Sink | Openable[Sink]
    options: Options = attrs.field(factory=Options)
    state: StateStore | Openable[StateStore] | None = None
    schedule: Schedule | None = attrs.field(factory=Schedule, converter=_schedule)
    lanes: tuple[Lane, ...] = attrs.field(default=(), converter=tuple[Lane, ...])
    inform: Mapping[str, Receiver] = attrs.field(factory=dict[str, Receiver])

    @property
    def source_name(self) -> str:
        """The name of the source; of its class if it has no name until it is open."""
        return _name(self.source)

    @property
    def sink_name(self) -> str:
        """The name of the sink; of its class if it has no name until it is open."""
        return _name(self.sink)

    async def run(self, *, hooks: Iterable[EventHook] = ()) -> Report:
        """Bring the sink in step with the source.

        Args:
            hooks: Called for each event.

        Raises:
            CatalogSyncError: The run broke off before anything was written.
        """
        run_id, partial = uuid.uuid4().hex, self.options.partial
        opening = self.open_for_run(run_id, partial=partial, hooks=hooks)
        async with opening as (source, sink, store):
            report = await self.sync(source, sink, store, hooks).run(run_id=run_id)
            await self.deliver(store)
            return report

    @asynccontextmanager
    async def start(
        self, *, hooks: Iterable[EventHook] = (), run_id: str | None = None
    ) -> AsyncGenerator[Run]:
        """Open both sides and start a run, which can be watched and stopped.

        Args:
            hooks: Called for each event, also if a side cannot be opened.
            run_id: Id of the run; None: a new one.
        """
        run_id, partial = run_id or uuid.uuid4().hex, self.options.partial
        opening = self.open_for_run(run_id, partial=partial, hooks=hooks)
        async with (
            opening as (source, sink, store),
            self.sync(source, sink, store, hooks).run(run_id=run_id) as run,
        ):
            yield run

    @asynccontextmanager
    async def open_for_run(
        self, run_id: str, *, partial: bool, hooks: Iterable[EventHook] = ()
    ) -> AsyncGenerator[tuple[Source, Sink, StateStore | None]]:
        """Open both sides and the state store for a run that is about to start.

        If a side cannot be opened, the state store records a failed run.

        Args:
            run_id: Id of the run.
            partial: Whether the run is limited to some products.
            hooks: Called with the events of a run whose sides cannot be opened.
        """
        opening = self._recorded(self.open(), run_id, partial=partial, hooks=hooks)
        async with opening as ((source, sink), store):
            yield source, sink, store

    @asynccontextmanager
    async def apply(
        self, plan: Plan, *, hooks: Iterable[EventHook] = (), run_id: str | None = None
    ) -> AsyncGenerator[Run]:
        """Open the sink and start a run that makes exactly the changes of a plan.

        Args:
            plan: The plan.
            hooks: Called for each event, also if the sink cannot be opened.
            run_id: Id of the run; None: a new one.
        """
        run_id = run_id or uuid.uuid4().hex
        opening = self._recorded(self.open_sink(), run_id, partial=True, hooks=hooks)
        async with opening as (sink, store):
            sync = self.sync(plan.head.source, sink, store, hooks)
            async with sync.apply(plan, run_id=run_id) as run:
                yield run

    @asynccontextmanager
    async def _recorded(
        self,
        sides: AbstractAsyncContextManager[T],
        run_id: str,
        *,
        partial: bool,
        hooks: Iterable[EventHook],
    ) -> AsyncGenerator[tuple[T, StateStore | None]]:
        """Open sides and the state store, and record a run if a side cannot be opened."""
        record = RunRecord(
            run_id=run_id,
            job=self.name,
            source=self.source_name,
            sink=self.sink_name,
            started_at=time.time(),
            partial=partial,
        )
        async with self.open_store() as store, AsyncExitStack() as stack:
            try:
                opened_sides = await stack.enter_async_context(sides)
            except (Exception, asyncio.CancelledError) as error:
                await record_failed_start(
                    record=record, error=error, hooks=hooks, store=store
                )
                raise
            yield opened_sides, store

    async def plan(
        self, *, on_change: OnChange, hooks: Iterable[EventHook] = ()
    ) -> Report:
        """Work out what a run would do, and write nothing.

        Args:
            on_change: Called with each change that a run would make.
            hooks: Called for each event.
        """
        async with self.open_store() as store, self.open() as (source, sink):
            return await self.sync(source, sink, store, hooks).plan(on_change)

    def sync(
        self,
        source: Source | str,
        sink: Sink,
        store: StateStore | None,
        hooks: Iterable[EventHook] = (),
    ) -> Sync:
        """The `Sync` of this job.

        Args:
            source: An open source, or only its name.
            sink: An open sink.
            store: An open state store; None: nothing outlives a run.
            hooks: Called for each event.
        """
        return Sync(
            source,
            sink,
            options=self.options,
            job=self.name,
            state=store,
            hooks=hooks,
            settings=repr(self.sink) if isinstance(self.sink, Openable) else "",
            inform=[*self.inform],
        )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[tuple[Source, Sink]]:
        """Open both sides for the length of a block."""
        async with self.open_source() as source, self.open_sink() as sink:
            yield source, sink

    async def deliver(
        self, store: StateStore | None, *, within: float = _TO_DELIVER
    ) -> None:
        """Deliver messages about written products that are due, after a run.

        What a receiver does not accept in time is delivered later, by the service or
        after the next run.

        Args:
            store: The open state store of the job.
            within: Seconds after which it stops.
        """
        outbox = outbox_of(store, self.inform)
        if outbox is not None:
            informer = Informer(job=self.name, receivers=self.inform, outbox=outbox)
            await informer.deliver(within=within)

    def open_source(self) -> AbstractAsyncContextManager[Source]:
        """Open the source alone.

        Raises:
            MisconfiguredError: A setting is wrong; the error has its path.
        """
        return _named(self.source, f"jobs.{self.name}.source")

    def open_sink(self) -> AbstractAsyncContextManager[Sink]:
        """Open the sink alone; raises the same errors as `open_source`."""
        return _named(self.sink, f"jobs.{self.name}.sink")

    def open_store(self) -> AbstractAsyncContextManager[StateStore | None]:
        """Open the state store alone; raises the same errors as `open_source`."""
        return _named(self.state, "state")


def _name(side: object) -> str:
    return str(getattr(side, "name", "")) or type(side).__name__


@asynccontextmanager
async def _named(side: T | Openable[T], path: str) -> AsyncGenerator[T]:
    """Open a side; an error about a setting names its path."""
    async with AsyncExitStack() as stack:
        try:
            open_side = await stack.enter_async_context(opened(side))
        except MisconfiguredError as error:
            setting = joined(path, error.setting)
            raise MisconfiguredError(setting, error.problem) from error
        yield open_side
