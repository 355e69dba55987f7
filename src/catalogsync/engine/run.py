"""A run: one execution from start to report, as a handle that can be stopped."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Protocol, Self, TypeVar, cast, runtime_checkable

import attrs

from catalogsync.errors import MisconfiguredError
from catalogsync.events import (
    EventHook,
    RunFinished,
    RunStarted,
    emitter,
    observe_requests,
)
from catalogsync.models import ProductKey
from catalogsync.outcomes import OutcomeStatus
from catalogsync.protocols import Located, Metered, Sink, Source
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.runstore import BusyError, RunRecord, RunStore, StoreError

from .ledger import Ledger
from .options import Options, WhenBusy
from .pipeline import Approval, Pipeline, Show
from .tally import Tally

__all__ = ["Openable", "Run", "open_run", "opened", "rehearse", "run_blocking", "sync"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Run:
    """One execution of a job, while it goes on and afterwards.

    Made by `open_run`. It goes on while the `async with` block does; leaving the
    block waits for its end, an exception out of the block cancels it.
    """

    def __init__(self, *, job: str, pipeline: Pipeline, tally: Tally) -> None:
        self._job = job
        self._pipeline = pipeline
        self._tally = tally
        self._task: asyncio.Task[Report] | None = None
        self._delivered = False
        self._started_at = 0.0
        self._started = 0.0
        self._requests = 0

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a run happens once; make another one")
        self._started_at = time.time()
        self._started = time.perf_counter()
        self._requests = self._count_requests()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._execute(), name="catalogsync-run")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = self._running()
        if kind is not None:
            task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if kind is None and not self._delivered:
            await task

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return self._tally.run_id

    @property
    def counts(self) -> Counts:
        """Where the run stands; what has no end yet is in `fetched` only."""
        return self._tally.counts

    def stop(self, *, grace: float = 30.0, reason: str = "stopped by request") -> None:
        """Ask for an orderly end; returns at once.

        Nothing new begins, batches in flight may end within *grace* seconds, and
        everything else stays unsettled.
        """
        self._pipeline.stop(reason, grace)

    async def report(self) -> Report:
        """Wait for the end of the run.

        Raises:
            CatalogSyncError: The run broke off before anything was written. Once
                something was, there is always a report.
        """
        task = self._running()
        try:
            return await asyncio.shield(task)
        finally:
            self._delivered = task.done()

    def _running(self) -> asyncio.Task[Report]:
        if self._task is None:
            raise RuntimeError("a run starts with `async with`")
        return self._task

    async def _execute(self) -> Report:
        tally, pipeline = self._tally, self._pipeline
        event = RunStarted(
            run_id=tally.run_id,
            job=self._job,
            source=pipeline.source.name,
            sink=pipeline.sink.name,
        )
        tally.emit(event)
        status, summary = "cancelled", "the run was cancelled"
        report: Report | None = None
        try:
            with observe_requests(tally.request):
                report = await self._carry_out()
        except Exception as error:
            status, summary = RunStatus.FAILED, str(error) or type(error).__name__
            raise
        else:
            status, summary = report.status, report.summary
            return report
        finally:
            finished = RunFinished(
                run_id=tally.run_id, status=status, summary=summary, report=report
            )
            tally.emit(finished)

    async def _carry_out(self) -> Report:
        """Do the work, with the run noted in the store and the lease held."""
        ledger = self._pipeline.ledger
        try:
            async with ledger.opened():
                return await self._noted(ledger)
        except BusyError as error:
            if self._pipeline.stopped:  # while it waited for the other run
                return self._sum_up()
            if self._pipeline.options.when_busy is not WhenBusy.SKIP:
                raise
            self._tally.warn(f"skipped: {error}")
            return attrs.evolve(self._sum_up(), status=RunStatus.SKIPPED)

    async def _noted(self, ledger: Ledger) -> Report:
        await ledger.begin(self._started_at)
        report: Report | None = None
        status, problem = RunStatus.INCOMPLETE, "the run was cancelled"
        try:
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._pipeline.keep_lease())
                await self._pipeline.run()
                beat.cancel()
            report = self._report()
        except Exception as error:
            status, problem = RunStatus.FAILED, str(error) or type(error).__name__
            raise
        finally:
            try:
                if report is None:
                    report = self._broken_off(status, problem)
                await ledger.end(report)
            except StoreError as error:
                self._tally.warn(f"the end of the run could not be noted: {error}")
        return self._sum_up()

    def _broken_off(self, status: RunStatus, problem: str) -> Report:
        """For the store: what there is to tell of a run that gives no report."""
        return attrs.evolve(self._sum_up(), status=status, problem=problem)

    def _report(self) -> Report:
        """Close the books.

        Raises:
            CatalogSyncError: The run broke off before anything was written.
        """
        tally, error = self._tally, self._pipeline.error
        if error is not None and not tally.touched:
            raise error
        tally.close(tally.problems[0] if tally.problems else "the run ended early")
        unsettled = OutcomeStatus.UNSETTLED
        first = next((o for o in tally.failures if o.status is unsettled), None)
        if not tally.problems and first is not None:
            tally.problem(first.reason)
        return self._sum_up()

    def _sum_up(self) -> Report:
        tally = self._tally
        return Report(
            run_id=tally.run_id,
            job=self._job,
            status=self._status(),
            counts=tally.counts,
            categories=tally.category_counts,
            requests=self._count_requests() - self._requests,
            writes=tally.writes,
            retries=tally.retries,
            started_at=self._started_at,
            duration_s=time.perf_counter() - self._started,
            phases=tally.phases,
            latency=tally.latency,
            batch_sizes=tally.batch_sizes,
            bytes_sent=tally.bytes_sent,
            bytes_received=tally.bytes_received,
            failures=tuple(tally.failures),
            rejected=tuple(tally.rejected),
            warnings=tuple(tally.warnings),
            edits=tuple(edit for edits in tally.edits.values() for edit in edits),
            discrepancies=tuple(tally.discrepancies),
            problem="; ".join(tally.problems),
            rehearsal=self._pipeline.show is not None,
        )

    def _status(self) -> RunStatus:
        counts = self._tally.counts
        if self._pipeline.error is not None:
            return RunStatus.FAILED
        if self._tally.problems or counts.unsettled:
            return RunStatus.INCOMPLETE
        degraded = counts.failed or self._tally.warnings or self._tally.discrepancies
        return RunStatus.DEGRADED if degraded else RunStatus.SUCCEEDED

    def _count_requests(self) -> int:
        sides = (self._pipeline.source, self._pipeline.sink)
        return sum(side.requests for side in sides if isinstance(side, Metered))


async def note_no_start(
    *,
    record: RunRecord,
    error: Exception,
    hooks: Iterable[EventHook],
    store: RunStore | None,
) -> None:
    """Tell hooks and store of a run that could not begin, such as for a wrong login.

    Args:
        record: The run as it would have begun.
        error: Why it did not.
        hooks: Told that it began and failed.
        store: Keeps it with a report, if it can.
    """
    emit, summary = emitter(hooks), str(error) or type(error).__name__
    started = RunStarted(
        run_id=record.run_id, job=record.job, source=record.source, sink=record.sink
    )
    emit(started)
    report = Report(
        run_id=record.run_id,
        job=record.job,
        status=RunStatus.FAILED,
        counts=Counts(fetched=0),
        started_at=record.started_at,
        duration_s=time.time() - record.started_at,
        problem=summary,
    )
    if store is not None:
        with suppress(StoreError):
            await store.begin_run(record)
            await store.end_run(report)
    finished = RunFinished(
        run_id=record.run_id,
        status=RunStatus.FAILED,
        summary=summary,
        report=None,
    )
    emit(finished)


def open_run(
    source: Source,
    sink: Sink,
    *,
    options: Options | None = None,
    job: str = "",
    hooks: Iterable[EventHook] = (),
    store: RunStore | None = None,
    run_id: str | None = None,
) -> Run:
    """Make a run; `async with` starts it and hands out its handle.

    ```python
    async with open_run(source, sink) as run:
        report = await run.report()
    ```

    Args:
        source: Where products come from; already open, and left open.
        sink: Where products go; already open, and left open.
        options: How to go about it.
        job: A name for reports, logs and receipts.
        hooks: Called for each event.
        store: Remembers the run, keeps failed products, and keeps other runs from
            writing the same products meanwhile; already open, and left open.
        run_id: Identity of the run; None: a new one.

    Raises:
        MisconfiguredError: The source has a name that cannot stand in a key.
    """
    return make_run(
        source,
        sink,
        options=options,
        job=job,
        hooks=hooks,
        store=store,
        run_id=run_id,
    )


async def sync(
    source: Source,
    sink: Sink,
    *,
    options: Options | None = None,
    job: str = "",
    hooks: Iterable[EventHook] = (),
    store: RunStore | None = None,
) -> Report:
    """Bring the sink in step with the source; arguments as in `open_run`.

    Raises:
        BusyError: Another run writes the same products.
        CatalogSyncError: The run broke off before anything was written.
    """
    run = open_run(source, sink, options=options, job=job, hooks=hooks, store=store)
    async with run:
        return await run.report()


async def rehearse(
    source: Source,
    sink: Sink,
    *,
    show: Show,
    options: Options | None = None,
    job: str = "",
    hooks: Iterable[EventHook] = (),
    store: RunStore | None = None,
) -> Report:
    """Work out what a run would do, and write nothing.

    Args:
        source: As in `open_run`.
        sink: As in `open_run`.
        show: Called with each change that a run would make, of a product, or of a
            category or tag.
        options: As in `open_run`.
        job: As in `open_run`.
        hooks: As in `open_run`.
        store: As in `open_run`; it is read only.

    Returns:
        A report whose counts say what would have become of the products.
    """
    run = make_run(
        source, sink, options=options, job=job, hooks=hooks, store=store, show=show
    )
    async with run:
        return await run.report()


@runtime_checkable
class Openable(Protocol[T_co]):
    """Settings that open an adapter."""

    def open(self) -> AbstractAsyncContextManager[T_co]:
        """Open it for the length of a block."""
        ...


def run_blocking(
    source: Source | Openable[Source],
    sink: Sink | Openable[Sink],
    *,
    options: Options | None = None,
    job: str = "",
    hooks: Iterable[EventHook] = (),
    store: RunStore | Openable[RunStore] | None = None,
) -> Report:
    """`sync` for hosts without an event loop.

    Args:
        source: A source, or settings that open one.
        sink: A sink, or settings that open one.
        options: As in `open_run`.
        job: As in `open_run`.
        hooks: As in `open_run`.
        store: A run store, or settings that open one.

    Raises:
        BusyError: Another run writes the same products.
        CatalogSyncError: The run broke off before anything was written.
        RuntimeError: An event loop is running in this thread.
    """
    if _in_a_loop():
        raise RuntimeError("an event loop is running here: use `await sync(...)`")

    async def run() -> Report:
        async with (
            opened(source) as open_source,
            opened(sink) as open_sink,
            opened(store) as open_store,
        ):
            return await sync(
                open_source,
                open_sink,
                options=options,
                job=job,
                hooks=hooks,
                store=open_store,
            )

    return asyncio.run(run())


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def opened(side: T | Openable[T]) -> AbstractAsyncContextManager[T]:
    """Open settings for the length of a block; what is open already stays open."""
    if _is_adapter(side) or not isinstance(side, Openable):
        return nullcontext(cast("T", side))
    return cast("Openable[T]", side).open()


def _is_adapter(side: object) -> bool:
    return hasattr(side, "read") or hasattr(side, "find")


def make_run(  # noqa: PLR0913 - the one place where all of a run comes together
    source: Source,
    sink: Sink,
    *,
    options: Options | None,
    job: str,
    hooks: Iterable[EventHook],
    store: RunStore | None,
    show: Show | None = None,
    approve: Approval | None = None,
    run_id: str | None = None,
) -> Run:
    """Make a run of any kind.

    Args:
        source: As in `open_run`.
        sink: As in `open_run`.
        options: As in `open_run`.
        job: As in `open_run`.
        hooks: As in `open_run`.
        store: As in `open_run`.
        show: Takes each change instead of the sink.
        approve: Asked for each change.
        run_id: As in `open_run`.
    """
    try:
        ProductKey(source.name, "1")
    except ValueError as error:
        raise MisconfiguredError("name of the source", str(error)) from None
    tally = Tally(run_id=run_id or uuid.uuid4().hex, emit=emitter(hooks))
    options = options or Options()
    ledger = Ledger(
        store=store,
        run_id=tally.run_id,
        job=job,
        place=sink.place if isinstance(sink, Located) else sink.name,
        source=source.name,
        sink=sink.name,
        options=options,
        writes=show is None,
        partial=options.partial or approve is not None,
    )
    pipeline = Pipeline(
        source=source,
        sink=sink,
        options=options,
        tally=tally,
        ledger=ledger,
        show=show,
        approve=approve,
    )
    return Run(job=job, pipeline=pipeline, tally=tally)
