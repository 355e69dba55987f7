"""A run: one execution from start to report, as a handle that can be stopped."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from itertools import chain
from typing import Self

import attrs

from catalogsync._concurrency import ended
from catalogsync._texts import natural
from catalogsync.errors import MisconfiguredError
from catalogsync.events import (
    EventHook,
    RunFinished,
    RunStarted,
    emitter,
    observe_requests,
)
from catalogsync.models import ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.protocols import Located, Metered, Sink, Source
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.runstore import BusyError, RunStore, StoreError

from .defects import explained
from .ledger import Ledger
from .options import Options, WhenBusy
from .pipeline import Approval, Pipeline, Show
from .promises import check_sides
from .tally import Tally

__all__ = ["Run", "make_run"]


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
        await ended(task, on_cancel=task.cancel)
        if kind is None and not self._delivered:
            task.result()

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
        everything else stays unsettled. The status of the run is `cancelled`.
        """
        self._pipeline.cancel(reason, grace)

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
        status, summary = RunStatus.CANCELLED, "the run was cancelled"
        report: Report | None = None
        try:
            with observe_requests(tally.request):
                report = await self._carry_out()
        except Exception as error:
            status, summary = RunStatus.FAILED, self._explained(error)
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
        report: Report | None = None
        status, problem = RunStatus.CANCELLED, "the run was cancelled"
        try:
            await ledger.begin(self._started_at)
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._pipeline.keep_lease())
                await self._pipeline.run()
                beat.cancel()
            for text in ledger.damage:
                self._tally.warn(text)
            report = self._report()
        except Exception as error:
            status, problem = RunStatus.FAILED, self._explained(error)
            raise
        finally:
            try:
                if report is None:
                    report = self._broken_off(status, problem)
                report = await ledger.end(report)
            except StoreError as error:
                self._tally.warn(f"the end of the run could not be noted: {error}")
                report = self._sum_up()
        return report

    def _broken_off(self, status: RunStatus, problem: str) -> Report:
        """For the store: what there is to tell of a run that gives no report."""
        return attrs.evolve(self._sum_up(), status=status, problem=problem)

    def _report(self) -> Report:
        """Close the books.

        Raises:
            CatalogSyncError: The run broke off before anything was written.
        """
        tally, error = self._tally, self._pipeline.error
        if error is not None and not tally.touched and not self._pipeline.cancelled:
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
            writers=self._pipeline.width,
            retries=tally.retries,
            started_at=self._started_at,
            duration_s=time.perf_counter() - self._started,
            phases=tally.phases,
            latency=tally.latency,
            batch_sizes=tally.batch_sizes,
            bytes_sent=tally.bytes_sent,
            bytes_received=tally.bytes_received,
            failures=tuple(sorted(tally.failures, key=_in_order)),
            rejected=tuple(tally.rejected),
            warnings=tally.all_warnings,
            edits=(*chain(*tally.edits.values(), *tally.category_edits.values()),),
            discrepancies=tuple(tally.discrepancies),
            problem="; ".join(tally.problems),
            rehearsal=self._pipeline.show is not None,
            partial=self._pipeline.ledger.partial,
        )

    def _explained(self, error: Exception) -> str:
        return explained(error, self._pipeline.source, self._pipeline.sink)

    def _status(self) -> RunStatus:
        counts = self._tally.counts
        if self._pipeline.cancelled:
            return RunStatus.CANCELLED
        if self._pipeline.error is not None:
            return RunStatus.FAILED
        if self._tally.problems or counts.unsettled:
            return RunStatus.INCOMPLETE
        # Values that are counted or kept otherwise would degrade every night's run.
        degraded = counts.failed or self._tally.warnings or self._tally.discrepancies
        return RunStatus.DEGRADED if degraded else RunStatus.SUCCEEDED

    def _count_requests(self) -> int:
        sides = (self._pipeline.source, self._pipeline.sink)
        return sum(side.requests for side in sides if isinstance(side, Metered))


def _in_order(outcome: Outcome) -> tuple[object, ...]:
    return natural(str(outcome.key))


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
    check_sides(source, sink)
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
