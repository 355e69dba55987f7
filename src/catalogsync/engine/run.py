"""A run: one execution from start to report, as a handle that can be stopped.

Until the first write, an error is raised: nothing has happened, and the caller can fix
the cause. From the first write on there is always a report, since people need to know
what was done. In both cases the state store keeps the beginning and the end of the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import nullcontext
from itertools import chain
from typing import Any, Self

import attrs

from catalogsync._lib.concurrency import ended
from catalogsync._lib.texts import natural
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.errors import CatalogSyncError
from catalogsync.events import (
    RunFinished,
    RunStarted,
    observe_reading,
    observe_requests,
)
from catalogsync.protocols import CountsRequests
from catalogsync.report import Counts, Held, Report, RunStatus
from catalogsync.state.protocols import BusyError, StateError

from .context import RunContext
from .defects import explained
from .guarding import Guarding
from .journal import Journal
from .options import WhenBusy
from .skipping import Skipping

__all__ = ["Run"]


class Run:
    """One execution, from its start to its report.

    The methods of `Sync` make runs. `await run` executes one and returns its report.
    `async with run:` starts it, to be watched and stopped; leaving the block waits for
    the end, and an exception inside the block cancels the run.
    """

    def __init__(
        self,
        context: RunContext,
        work: Callable[[], Awaitable[None]],
        *,
        guarding: Guarding | None = None,
        released: bool = False,
        skipping: Skipping | None = None,
    ) -> None:
        self._context = context
        self._work = work
        self._guarding = guarding
        self._released = released
        self._skipping = skipping
        self._recorder = context.recorder
        self._tasks = context.tasks
        self._task: asyncio.Task[Report] | None = None
        self._delivered = False
        self._started_at = 0.0
        self._started = 0.0
        self._requests = 0

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a Run cannot be reused")
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

    def __await__(self) -> Generator[Any, None, Report]:
        return self._run_to_end().__await__()

    async def _run_to_end(self) -> Report:
        async with self:
            return await self.report()

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return self._recorder.run_id

    @property
    def counts(self) -> Counts:
        """Products by outcome so far; those without one are in `fetched` only."""
        return self._recorder.counts

    def stop(self, *, grace: float = 30.0, reason: str = "stopped by request") -> None:
        """Ask the run to shut down gracefully; returns at once.

        Nothing new begins, batches in flight may end within *grace* seconds, and all
        other products are unresolved. The status of the run is `cancelled`.

        Args:
            grace: Seconds until the batches in flight are cancelled.
            reason: Who or what stops the run, for the report.
        """
        self._tasks.cancel(reason, grace)

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
        recorder, context = self._recorder, self._context
        event = RunStarted(
            run_id=recorder.run_id,
            job=context.journal.job,
            source=context.source.name,
            sink=context.sink.name,
        )
        recorder.emit(event)
        status, summary = RunStatus.CANCELLED, "the run was cancelled"
        report: Report | None = None
        try:
            with (
                observe_requests(recorder.add_request),
                observe_reading(recorder.add_reading),
            ):
                report = await self._carry_out()
        except Exception as error:
            status, summary = RunStatus.FAILED, self._explained(error)
            raise
        else:
            status, summary = report.status, report.summary
            return report
        finally:
            finished = RunFinished(
                run_id=recorder.run_id, status=status, summary=summary, report=report
            )
            recorder.emit(finished)

    async def _carry_out(self) -> Report:
        """Run with the lease held, or not at all if another run holds it."""
        journal = self._context.journal
        try:
            async with journal.opened():
                return await self._run_in_journal(journal)
        except BusyError as error:
            if self._tasks.stopped:  # while it waited for the other run
                return self._sum_up()
            if self._context.options.when_busy is not WhenBusy.SKIP:
                raise
            self._recorder.warn(f"skipped: {error}")
            return attrs.evolve(self._sum_up(), status=RunStatus.SKIPPED)

    async def _run_in_journal(self, journal: Journal) -> Report:
        """Run, and save its beginning and its report, whatever happens."""
        report: Report | None = None
        status, problem = RunStatus.CANCELLED, "the run was cancelled"
        try:
            await journal.begin(self._started_at)
            if self._skipping and (reason := await self._skipping.reason()):
                report = self._skipped(reason)
                return report
            with self._guarding or nullcontext():
                async with asyncio.TaskGroup() as group:
                    beat = group.create_task(self._keep_lease())
                    await self._tasks.supervised(self._work)
                    self._tasks.end()
                    beat.cancel()
                for text in journal.warnings:
                    self._recorder.warn(text)
                report = await self._kept(self._report())
        except Exception as error:
            status, problem = RunStatus.FAILED, self._explained(error)
            raise
        finally:
            try:
                if report is None:
                    report = self._broken_off(status, problem)
                report = await journal.end(report)
            except StateError as error:
                self._recorder.warn(f"could not save the report of the run: {error}")
                report = self._sum_up()
        return report

    async def _keep_lease(self) -> None:
        """Renew the lease while the run lasts; losing it stops the run."""
        try:
            await self._context.journal.heartbeat()
        except CatalogSyncError as error:
            self._tasks.break_off(error)

    async def _kept(self, report: Report) -> Report:
        """The report, once the plan of a held run is kept."""
        if self._guarding is not None:
            await self._guarding.keep(report)
        return report

    def _skipped(self, reason: str) -> Report:
        """The report of a run whose source has not changed."""
        report = attrs.evolve(self._sum_up(), status=RunStatus.SKIPPED, problem=reason)
        before = self._skipping.before if self._skipping else None
        applied = before.catalog_version if before else ""
        return attrs.evolve(report, catalog_version=applied)

    def _broken_off(self, status: RunStatus, problem: str) -> Report:
        """The report that the store keeps of a run that raises."""
        return attrs.evolve(self._sum_up(), status=status, problem=problem)

    def _report(self) -> Report:
        """Close the recorder and make the report.

        Raises:
            CatalogSyncError: The run broke off before anything was written.
        """
        recorder, error = self._recorder, self._tasks.error
        if error is not None and not recorder.touched and not self._tasks.cancelled:
            raise error
        recorder.close(
            recorder.problems[0] if recorder.problems else "the run ended early"
        )
        unresolved = OutcomeStatus.UNRESOLVED
        first = next((o for o in recorder.failures if o.status is unresolved), None)
        if not recorder.problems and first is not None:
            recorder.add_problem(first.reason)
        return self._sum_up()

    def _sum_up(self) -> Report:
        recorder = self._recorder
        return Report(
            run_id=recorder.run_id,
            job=self._context.journal.job,
            status=self._status(),
            counts=recorder.counts,
            categories=recorder.category_counts,
            requests=self._count_requests() - self._requests,
            writes=recorder.writes,
            writers=self._context.width,
            retries=recorder.retries,
            started_at=self._started_at,
            duration_s=time.perf_counter() - self._started,
            phases=recorder.phases,
            latency=recorder.latency,
            batch_sizes=recorder.batch_sizes,
            bytes_sent=recorder.bytes_sent,
            bytes_received=recorder.bytes_received,
            failures=tuple(sorted(recorder.failures, key=_in_order)),
            rejected=tuple(recorder.rejected),
            warnings=recorder.all_warnings,
            manual_edits=(
                *chain(
                    *recorder.manual_edits.values(),
                    *recorder.category_manual_edits.values(),
                ),
            ),
            discrepancies=tuple(recorder.discrepancies),
            problem="; ".join([*self._why_held, *recorder.problems]),
            held=self._held,
            planned=not self._context.journal.writes,
            released=self._released,
            partial=self._context.journal.partial,
            only=tuple(sorted(self._context.options.only or ())),
            source_version=self._skipping.version if self._skipping else "",
            catalog_version=self._context.updates.after(written=self._is_whole),
        )

    @property
    def _is_whole(self) -> bool:
        """Whether everything that was read is written, apart from refused products."""
        if self._guarding is None or self._context.options.chosen:
            return False  # a plan, some of the products, or some of their fields
        if self._held is not None:
            return False  # even if the rest is written, some products wait
        return self._status() in {RunStatus.SUCCEEDED, RunStatus.DEGRADED}

    def _explained(self, error: Exception) -> str:
        return explained(error, self._context.source, self._context.sink)

    @property
    def _held(self) -> Held | None:
        return self._guarding.held if self._guarding else None

    @property
    def _why_held(self) -> tuple[str, ...]:
        held = self._held
        return () if held is None or held.rest_written else held.reasons

    def _status(self) -> RunStatus:
        counts = self._recorder.counts
        if self._tasks.cancelled:
            return RunStatus.CANCELLED
        if self._tasks.error is not None:
            return RunStatus.FAILED
        held = self._held
        if held is not None and not held.rest_written:
            return RunStatus.HELD
        if self._recorder.problems or counts.unresolved:
            return RunStatus.INCOMPLETE
        # Counted warnings do not degrade a run: values that the sink cannot keep would
        # do so every night.
        degraded = (
            held
            or counts.failed
            or self._recorder.warnings
            or self._recorder.discrepancies
        )
        return RunStatus.DEGRADED if degraded else RunStatus.SUCCEEDED

    def _count_requests(self) -> int:
        sides = (self._context.source, self._context.sink)
        return sum(side.requests for side in sides if isinstance(side, CountsRequests))


def _in_order(outcome: Outcome) -> tuple[object, ...]:
    return natural(str(outcome.key))
