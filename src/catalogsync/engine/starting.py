"""The ways to start a run, and what is told of one that cannot begin."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Protocol, TypeVar, cast, runtime_checkable

from catalogsync.events import EventHook, RunFinished, RunStarted, emitter
from catalogsync.protocols import Sink, Source
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import RunRecord, StateError, StateStore

from .options import Options
from .pipeline import Show
from .run import Run, make_run

__all__ = [
    "Openable",
    "note_no_start",
    "open_run",
    "opened",
    "rehearse",
    "run_blocking",
    "sync",
]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


def open_run(
    source: Source,
    sink: Sink,
    *,
    options: Options | None = None,
    job: str = "",
    hooks: Iterable[EventHook] = (),
    store: StateStore | None = None,
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
        job: A name for reports, logs and last-applied states.
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
    store: StateStore | None = None,
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
    store: StateStore | None = None,
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
    store: StateStore | Openable[StateStore] | None = None,
) -> Report:
    """`sync` for hosts without an event loop.

    Args:
        source: A source, or settings that open one.
        sink: A sink, or settings that open one.
        options: As in `open_run`.
        job: As in `open_run`.
        hooks: As in `open_run`.
        store: A state store, or settings that open one.

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


async def note_no_start(
    *,
    record: RunRecord,
    error: Exception | asyncio.CancelledError,
    hooks: Iterable[EventHook],
    store: StateStore | None,
) -> None:
    """Tell hooks and store of a run that could not begin, such as for a wrong login.

    Args:
        record: The run as it would have begun.
        error: Why it did not; of a run that was cancelled while its sides were opened,
            the cancellation.
        hooks: Told that it began and how it ended.
        store: Keeps it with a report, if it can.
    """
    emit, status = emitter(hooks), RunStatus.FAILED
    summary = str(error) or type(error).__name__
    if isinstance(error, asyncio.CancelledError):
        status, summary = RunStatus.CANCELLED, "the run was cancelled before it began"
    started = RunStarted(
        run_id=record.run_id, job=record.job, source=record.source, sink=record.sink
    )
    emit(started)
    report = Report(
        run_id=record.run_id,
        job=record.job,
        status=status,
        counts=Counts(fetched=0),
        started_at=record.started_at,
        duration_s=time.time() - record.started_at,
        problem=summary,
        partial=record.partial,
    )
    if store is not None:
        with suppress(StateError):
            await store.begin_run(record)
            await store.end_run(report)
    finished = RunFinished(
        run_id=record.run_id,
        status=status,
        summary=summary,
        report=None,
    )
    emit(finished)
