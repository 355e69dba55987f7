"""The command `run`, and what commands with a run share."""

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

from catalogsync.catalog.products import Field, ProductKey
from catalogsync.config import Job
from catalogsync.engine import Options, Run
from catalogsync.errors import CatalogSyncError, InvalidValueError, MisconfiguredError
from catalogsync.report import Report, RunStatus

from ._progress import Progress, progress_of
from ._session import INCOMPLETE, INTERRUPTED, Session
from ._signals import InterruptHandler, interrupts

STATUS = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.SKIPPED: 0,
    RunStatus.DEGRADED: 1,
    RunStatus.CANCELLED: INTERRUPTED,
}


@attrs.frozen(kw_only=True)
class Selection:
    """The options `--key`, `--limit`, `--only`, `--max-prune` and `--full`.

    Attributes:
        keys: Keys as typed: `source:id`, or the id alone.
        limit: Largest number of products.
        only: Names of fields, separated by commas; empty: all.
        max_prune: Largest number or share of products to remove; None: as in the job.
        full: Whether to run even if the source has not changed.
    """

    keys: Sequence[str] = ()
    limit: int | None = None
    only: str = ""
    max_prune: float | None = None
    full: bool = False

    @property
    def partial(self) -> bool:
        """Whether only some products or fields are selected."""
        return bool(self.keys or self.only) or self.limit is not None

    def options(self, given: Options, source: str) -> Options:
        """A job's options with this selection."""
        options = given
        if self.limit is not None:
            options = attrs.evolve(options, limit=self.limit)
        if self.max_prune is not None:
            options = attrs.evolve(options, max_prune=self.max_prune)
        if self.only:
            options = with_only(options, self.only)
        if self.keys:
            options = attrs.evolve(options, keys=keys_of(self.keys, source))
        return options


def keys_of(texts: Iterable[str], source: str) -> tuple[ProductKey, ...]:
    """Keys from their texts, `source:id` or the id alone."""
    return tuple(_key(text, source) for text in texts)


def with_only(options: Options, text: str) -> Options:
    """The options of a lane with these fields, separated by commas."""
    names = [name.strip().replace("-", "_") for name in text.split(",")]
    known = tuple(field.value for field in Field)
    for name in names:
        if name not in known:
            problem = f"unknown field {name!r}; the fields are {', '.join(known)}"
            raise MisconfiguredError("--only", problem)
    try:
        return attrs.evolve(options, only=[*map(Field, names)])
    except InvalidValueError as error:
        raise MisconfiguredError("--only", error.problem) from None


def _key(text: str, source: str) -> ProductKey:
    try:
        return ProductKey(source, text.removeprefix(f"{source}:"))
    except InvalidValueError as error:
        raise MisconfiguredError("--key", f"invalid key {text!r}: {error}") from None


Opening = AbstractAsyncContextManager[Run]
"""Opens both sides for the length of a block, and creates the run."""


def run_job(session: Session, job: Job, selection: Selection) -> int:
    """Run a job and print the report; returns the exit status."""
    return execute(session, lambda progress: opened(job, selection, progress))


def execute(
    session: Session,
    opening: Callable[[Progress], Opening],
    describe: Callable[[Report], str] = str,
) -> int:
    """Execute a run and print the report; returns the exit status."""
    session.check_report()
    with progress_of(session) as progress:
        result = asyncio.run(run_interruptible(opening(progress), progress))
    return result.show(session, describe)


@asynccontextmanager
async def opened(
    job: Job, selection: Selection, progress: Progress
) -> AsyncGenerator[Run]:
    """Open a job and create a run; the state store records a failure to do so."""
    run_id, partial = uuid.uuid4().hex, selection.partial or job.options.partial
    opening = job.open_for_run(run_id, partial=partial)
    async with opening as (source, sink, store):
        options = selection.options(job.options, source.name)
        progress.state.options = options
        sync = attrs.evolve(job.sync(source, sink, store, [progress]), options=options)
        yield sync.run(run_id=run_id, full=selection.full)
        await job.deliver(store)


@attrs.frozen
class RunResult:
    """The result of a run.

    Attributes:
        problem: An error while both sides were being closed; None if there was none.
    """

    report: Report
    problem: Exception | None = None

    def show(self, session: Session, describe: Callable[[Report], str] = str) -> int:
        """Write and print the report; returns the exit status."""
        try:
            if session.report:
                write_report(session, session.report, self.report)
        finally:
            session.terminal.out(describe(self.report))
        if self.problem is not None:
            session.terminal.error(self.problem)
            return INCOMPLETE
        return STATUS.get(self.report.status, INCOMPLETE)


async def run_interruptible(opening: Opening, progress: Progress) -> RunResult:
    """Execute a run; the first interrupt stops it gracefully, the second immediately.

    Raises:
        CatalogSyncError: The run broke off before it wrote anything.
        asyncio.CancelledError: The run was stopped immediately.
    """
    handler = interrupt_handler(progress)
    result: RunResult | None = None
    try:
        with interrupts(handler, handler.announce):
            async with opening as run:
                report = await _watch(run, handler, progress)
                result = RunResult(report)
    except CatalogSyncError as error:
        if result is None:
            raise
        return attrs.evolve(result, problem=error)
    return result


async def _watch(run: Run, handler: InterruptHandler, progress: Progress) -> Report:
    progress.state.counts = lambda: run.counts
    try:
        async with run:
            handler.run = run
            return await run.report()
    except asyncio.CancelledError:
        counts = attrs.asdict(run.counts)
        parts = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        progress.say(
            f"stopped immediately after {parts or 'nothing'}; in-flight batches have an"
            " unknown outcome; the next run will check them"
        )
        raise


def interrupt_handler(progress: Progress) -> InterruptHandler:
    """The signal handler of the current task."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    return InterruptHandler(task=task, say=progress.say)


def write_report(session: Session, path: Path, report: Report) -> None:
    """Write a report atomically as JSON, without secrets."""
    tree = session.terminal.redacted(report.to_dict())
    text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    # UTF-8 has no lone surrogates, so they become JSON escapes.
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
