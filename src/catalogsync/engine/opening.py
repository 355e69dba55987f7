"""Opens the adapters of a run, and reports a run that could not open them.

The engine is given open adapters and closes none. Whoever starts a run from settings
opens them here: `run_blocking`, and jobs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Protocol, TypeVar, cast, runtime_checkable

from catalogsync.events import EventHook, RunFinished, RunStarted, emitter
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import RunRecord, StateError, StateStore

__all__ = ["Openable", "opened", "record_failed_start"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@runtime_checkable
class Openable(Protocol[T_co]):
    """Settings that open an adapter."""

    def open(self) -> AbstractAsyncContextManager[T_co]:
        """Open it for the length of a block."""
        ...


def opened(side: T | Openable[T]) -> AbstractAsyncContextManager[T]:
    """Open settings for the length of a block; an open adapter is returned as it is."""
    if _is_adapter(side) or not isinstance(side, Openable):
        return nullcontext(cast("T", side))
    return cast("Openable[T]", side).open()


def _is_adapter(side: object) -> bool:
    return hasattr(side, "read") or hasattr(side, "find")


async def record_failed_start(
    *,
    record: RunRecord,
    error: Exception | asyncio.CancelledError,
    hooks: Iterable[EventHook],
    store: StateStore | None,
) -> None:
    """Report a run that could not begin, such as for a wrong password.

    Args:
        record: The run as it would have begun.
        error: Why it did not begin; `CancelledError` if it was cancelled while its
            adapters were opened.
        hooks: Receive `RunStarted` and `RunFinished`.
        store: Keeps the run and its report, if it can; None: it is not kept.
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
