"""Running and rehearsing a job for a person who may interrupt it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import attrs

from catalogsync.changes import Change, ReferenceChange
from catalogsync.config import Job
from catalogsync.engine import Options, Run, open_run, rehearse
from catalogsync.errors import CatalogSyncError, InvalidValueError, MisconfiguredError
from catalogsync.models import ProductKey
from catalogsync.report import Report, RunStatus

from ._changes import change_text, plan_summary
from ._interrupts import Stopper, interrupts
from ._progress import Progress, progress_of
from ._session import INCOMPLETE, INTERRUPTED, Session

__all__ = ["Wish", "carry_out", "rehearse_job", "run_job"]

_STATUS = {RunStatus.SUCCEEDED: 0, RunStatus.DEGRADED: 1}


@attrs.frozen(kw_only=True)
class Wish:
    """Which products a person wants.

    Attributes:
        keys: As they were typed: `source:id`, or the id alone.
        limit: How many at most.
    """

    keys: Sequence[str] = ()
    limit: int | None = None

    def options(self, given: Options, source: str) -> Options:
        """A job's options with what is wished.

        Raises:
            MisconfiguredError: A key is none.
        """
        options = given
        if self.limit is not None:
            options = attrs.evolve(options, limit=self.limit)
        if self.keys:
            keys = tuple(_key(text, source) for text in self.keys)
            options = attrs.evolve(options, keys=keys)
        return options


def _key(text: str, source: str) -> ProductKey:
    try:
        return ProductKey(source, text.removeprefix(f"{source}:"))
    except InvalidValueError as error:
        raise MisconfiguredError("--key", f"{text!r} is no key: {error}") from None


def run_job(session: Session, job: Job, wish: Wish) -> int:
    """Run a job, tell of it and give the exit status."""
    session.check_report()
    with progress_of(session) as progress:
        ended = asyncio.run(carry_out(session, job, wish, progress))
    return ended.tell(session)


@attrs.frozen
class Ended:
    """A run that is over.

    Attributes:
        report: Its report.
        interrupted: Whether the user stopped it.
        problem: What went wrong afterwards, when both sides were closed.
    """

    report: Report
    interrupted: bool
    problem: Exception | None = None

    def tell(self, session: Session) -> int:
        """Write the report, and give the exit status."""
        try:
            if session.report:
                write_report(session.report, self.report)
        finally:
            session.teller.result(str(self.report))
        if self.problem is not None:
            session.teller.error(self.problem)
            return INCOMPLETE
        status = _STATUS.get(self.report.status, INCOMPLETE)
        return INTERRUPTED if self.interrupted and status == INCOMPLETE else status


async def carry_out(
    session: Session, job: Job, wish: Wish, progress: Progress
) -> Ended:
    """Run a job; the first interrupt stops it in order, the second at once.

    Raises:
        CatalogSyncError: It broke off before anything was written.
        asyncio.CancelledError: It was stopped at once.
    """
    stopper = _stopper(progress)
    ended: Ended | None = None
    try:
        with interrupts(stopper):
            async with job.open() as (source, sink):
                options = wish.options(job.options, source.name)
                progress.standing.options = options
                run = open_run(
                    source, sink, options=options, job=job.name, hooks=[progress]
                )
                report = await _watch(run, stopper, progress)
                ended = Ended(report, stopper.times > 0)
    except CatalogSyncError as error:
        if ended is None:
            raise
        return attrs.evolve(ended, problem=error)
    return ended


async def _watch(run: Run, stopper: Stopper, progress: Progress) -> Report:
    progress.standing.counts = lambda: run.counts
    try:
        async with run:
            stopper.run = run
            return await run.report()
    except asyncio.CancelledError:
        counts = attrs.asdict(run.counts)
        parts = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        progress.say(
            f"stopped at once after {parts or 'nothing'}; what became of the batches"
            " in flight is not known, and the next run looks"
        )
        raise


def _stopper(progress: Progress) -> Stopper:
    task = cast("asyncio.Task[object]", asyncio.current_task())
    return Stopper(task=task, say=progress.say)


def rehearse_job(session: Session, job: Job, wish: Wish, *, live: bool) -> int:
    """Show what a run would do and give the exit status."""
    session.check_report()

    def show(change: Change | ReferenceChange) -> None:
        session.teller.result(change_text(change, whole=session.verbose))

    async def run(progress: Progress) -> Report:
        with interrupts(_stopper(progress)):
            async with job.open() as (source, sink):
                options = wish.options(job.options, source.name)
                progress.standing.options = options
                return await rehearse(
                    source, sink, show=show, options=options, hooks=[progress]
                )

    with progress_of(session, live=live) as progress:
        report = attrs.evolve(asyncio.run(run(progress)), job=job.name)
    session.teller.result(plan_summary(report))
    if session.report:
        write_report(session.report, report)
    return _STATUS.get(report.status, INCOMPLETE)


def write_report(path: Path, report: Report) -> None:
    """Write a report as JSON: the whole of it, or nothing.

    Raises:
        MisconfiguredError: It cannot be written there.
    """
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise MisconfiguredError(str(path), problem) from error
