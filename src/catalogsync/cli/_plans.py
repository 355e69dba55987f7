"""The commands `plan` and `apply`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import attrs

from catalogsync.config import Job
from catalogsync.engine import Run
from catalogsync.plans import Estimate, Plan, PlanWriter, estimate, plan_head
from catalogsync.report import Report

from ._changes import plan_summary
from ._progress import Progress, progress_of
from ._runs import STATUS, Selection, execute, interrupt_handler, write_report
from ._session import INCOMPLETE, Session
from ._signals import interrupts

CHANGES = 3
_EARLIER = 20


@attrs.frozen(kw_only=True)
class PlanOutput:
    """How to output a plan.

    Attributes:
        exit_code: Whether the exit status says if there are changes.
    """

    path: Path | None = None
    exit_code: bool = False


def plan_job(
    session: Session, job: Job, selection: Selection, output: PlanOutput
) -> int:
    """Show what a run would do; returns the exit status."""
    session.check_report()
    with progress_of(session) as progress:
        report, expected = asyncio.run(_plan(session, job, selection, output, progress))
    session.terminal.out(plan_summary(report, expected))
    if output.path is not None:
        session.terminal.out(f"Plan written to {output.path}.")
    if session.report:
        write_report(session, session.report, report)
    if output.exit_code and report.status.is_complete and _any(report):
        return CHANGES
    return STATUS.get(report.status, INCOMPLETE)


def _any(report: Report) -> bool:
    """Whether a plan has changes."""
    counts, categories = report.counts, report.categories
    products = counts.created + counts.updated + counts.removed
    return bool(products + categories.created + categories.updated)


async def _plan(
    session: Session,
    job: Job,
    selection: Selection,
    output: PlanOutput,
    progress: Progress,
) -> tuple[Report, Estimate]:
    with interrupts(interrupt_handler(progress)):
        async with job.open() as (source, sink), job.open_store() as store:
            options = selection.options(job.options, source.name)
            progress.state.options = options
            head = plan_head(job.name, source, sink, options.only)
            path = output.path
            with PlanWriter(path, head) if path else nullcontext() as writer:
                sync = job.sync(source, sink, store, [progress])
                report = await attrs.evolve(sync, options=options).plan(
                    writer.add if writer else progress.show
                )
                earlier = (
                    await store.runs(job=job.name, limit=_EARLIER) if store else ()
                )
                expected = estimate(report, earlier)
                if writer is not None:
                    writer.finish(report, expected)
            return report, expected


def apply_plan(session: Session, path: Path) -> int:
    """Apply a plan and print the report; returns the exit status."""
    plan = Plan.read(path)
    job = session.job(plan.head.job)

    @asynccontextmanager
    async def opened(progress: Progress) -> AsyncGenerator[Run]:
        async with job.open_sink() as sink, job.open_store() as store:
            sync = job.sync(plan.head.source, sink, store, [progress])
            yield sync.apply(plan)
            await job.deliver(store)

    return execute(session, opened)
