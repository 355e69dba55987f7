"""Running and planning a job for a person who may interrupt it."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import cast

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.config import Job
from catalogsync.engine import Options, Run
from catalogsync.errors import CatalogSyncError, InvalidValueError, MisconfiguredError
from catalogsync.report import Report, RunStatus

from ._progress import Progress, progress_of
from ._session import INCOMPLETE, INTERRUPTED, Session
from ._signals import Stopper, interrupts

__all__ = [
    "STATUS",
    "Ended",
    "Selection",
    "carry_out",
    "keys_of",
    "opened",
    "run_job",
    "stopper_of",
    "tell_run",
    "write_report",
]

STATUS = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.SKIPPED: 0,
    RunStatus.DEGRADED: 1,
    RunStatus.CANCELLED: INTERRUPTED,
}


@attrs.frozen(kw_only=True)
class Selection:
    """Which products a person wants, and how far a run may go.

    Attributes:
        keys: As they were typed: `source:id`, or the id alone.
        limit: How many at most.
        max_prune: How many may be removed; None: what the job says.
    """

    keys: Sequence[str] = ()
    limit: int | None = None
    max_prune: float | None = None

    @property
    def partial(self) -> bool:
        """Whether products are chosen."""
        return bool(self.keys) or self.limit is not None

    def options(self, given: Options, source: str) -> Options:
        """A job's options with what is wished.

        Raises:
            MisconfiguredError: A key is none.
        """
        options = given
        if self.limit is not None:
            options = attrs.evolve(options, limit=self.limit)
        if self.max_prune is not None:
            options = attrs.evolve(options, max_prune=self.max_prune)
        if self.keys:
            options = attrs.evolve(options, keys=keys_of(self.keys, source))
        return options


def keys_of(texts: Iterable[str], source: str) -> tuple[ProductKey, ...]:
    """The keys that a person typed, as `source:id` or as the id alone.

    Raises:
        MisconfiguredError: One is none.
    """
    return tuple(_key(text, source) for text in texts)


def _key(text: str, source: str) -> ProductKey:
    try:
        return ProductKey(source, text.removeprefix(f"{source}:"))
    except InvalidValueError as error:
        raise MisconfiguredError("--key", f"{text!r} is no key: {error}") from None


Opening = AbstractAsyncContextManager[Run]
"""Both sides are open for the length of a block, and a run is made of them."""


def run_job(session: Session, job: Job, selection: Selection) -> int:
    """Run a job, tell of it and give the exit status."""
    return tell_run(session, lambda progress: opened(job, selection, progress))


def tell_run(
    session: Session,
    opening: Callable[[Progress], Opening],
    describe: Callable[[Report], str] = str,
) -> int:
    """Carry a run out, tell of it and give the exit status.

    Args:
        session: The call of the command line.
        opening: Opens both sides and makes the run.
        describe: Puts its report into words.
    """
    session.check_report()
    with progress_of(session) as progress:
        ended = asyncio.run(carry_out(opening(progress), progress))
    return ended.tell(session, describe)


@asynccontextmanager
async def opened(
    job: Job, selection: Selection, progress: Progress
) -> AsyncGenerator[Run]:
    """Open a job and make a run of it; the state store hears if that fails."""
    run_id, partial = uuid.uuid4().hex, selection.partial or job.options.partial
    opening = job.open_for_run(run_id, partial=partial)
    async with opening as (source, sink, store):
        options = selection.options(job.options, source.name)
        progress.standing.options = options
        sync = attrs.evolve(job.sync(source, sink, store, [progress]), options=options)
        yield sync.run(run_id=run_id)


@attrs.frozen
class Ended:
    """A run that is over.

    Attributes:
        report: Its report.
        problem: What went wrong afterwards, when both sides were closed.
    """

    report: Report
    problem: Exception | None = None

    def tell(self, session: Session, describe: Callable[[Report], str] = str) -> int:
        """Write the report, and give the exit status."""
        try:
            if session.report:
                write_report(session, session.report, self.report)
        finally:
            session.teller.result(describe(self.report))
        if self.problem is not None:
            session.teller.error(self.problem)
            return INCOMPLETE
        return STATUS.get(self.report.status, INCOMPLETE)


async def carry_out(opening: Opening, progress: Progress) -> Ended:
    """Run; the first interrupt stops it in order, the second at once.

    Raises:
        CatalogSyncError: It broke off before anything was written.
        asyncio.CancelledError: It was stopped at once.
    """
    stopper = stopper_of(progress)
    ended: Ended | None = None
    try:
        with interrupts(stopper, stopper.announce):
            async with opening as run:
                report = await _watch(run, stopper, progress)
                ended = Ended(report)
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


def stopper_of(progress: Progress) -> Stopper:
    """What stops the current task."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    return Stopper(task=task, say=progress.say)


def write_report(session: Session, path: Path, report: Report) -> None:
    """Write a report as JSON, without secrets: the whole of it, or nothing.

    Raises:
        MisconfiguredError: It cannot be written there.
    """
    tree = session.teller.censored(report.to_dict())
    text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    # Half of a surrogate pair, which no UTF-8 can hold, is written as JSON escapes it.
    data = text.encode(errors="backslashreplace")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            new.write_bytes(data)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise MisconfiguredError(str(path), problem) from error
