"""How a run stops: nothing new begins, and what is in flight gets some time to end.

At once, the tasks *upstream* are cancelled. The tasks *in flight*, which are writing,
are cancelled when their time is over. Errors of a station, a lost lease and a sink that
is given up all stop the run in this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from catalogsync._lib.concurrency import is_cancelled
from catalogsync.errors import CatalogSyncError, TransientError
from catalogsync.events import RunStopping, logger

from .defects import explained
from .recorder import Recorder

__all__ = ["RunTasks", "Stage"]

_LEAK = "the cancellation of another task escaped"
_GRACE = 30.0

Stage = Callable[[], Awaitable[None]]


def _nothing() -> None:
    """Nothing is running yet."""


@attrs.define(kw_only=True)
class RunTasks:
    """The tasks of a run, and how they stop.

    Attributes:
        recorder: Receives the reason of a stop.
        adapters: Source and sink; the place of an error in them is named.
        stopping: Set when the run stops, by anybody or by an error.
        on_stop: Called once when the run stops.
        upstream: Tasks that a stop cancels at once.
        in_flight: Tasks that a stop gives time to end.
        last_stage: Owns the task that follows when all is written, and those that it
            starts.
        error: The first error that broke the run off; None: none did.
        cancelled: Whether somebody stopped the run before it ended.
    """

    recorder: Recorder
    adapters: tuple[object, ...]
    stopping: asyncio.Event
    on_stop: Callable[[], None] = attrs.field(default=_nothing, init=False)
    upstream: list[asyncio.Task[None]] = attrs.field(factory=list[asyncio.Task[None]])
    in_flight: list[asyncio.Task[Any]] = attrs.field(factory=list[asyncio.Task[Any]])
    last_stage: asyncio.TaskGroup = attrs.field(factory=asyncio.TaskGroup)
    error: Exception | None = None
    cancelled: bool = False
    _ended: bool = False
    _timers: list[asyncio.TimerHandle] = attrs.field(factory=list[asyncio.TimerHandle])

    def begin(self, on_stop: Callable[[], None]) -> None:
        """Begin the tasks of a pipeline, once those of the one before have ended."""
        self.on_stop = on_stop
        self.upstream.clear()
        self.in_flight.clear()
        self.last_stage = asyncio.TaskGroup()

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped, by anybody or by an error."""
        return self.stopping.is_set()

    def end(self) -> None:
        """Note that all tasks have ended; a later stop does nothing."""
        self._ended = True
        for timer in self._timers:
            timer.cancel()

    def cancel(self, reason: str, grace: float) -> None:
        """Stop because somebody asked for it; see `stop`."""
        if not self._ended and not self.stopped:
            self.cancelled = True
        self.stop(reason, grace)

    def stop(self, reason: str, grace: float = _GRACE) -> None:
        """Begin nothing new; cancel what is in flight after *grace* seconds.

        A later stop can shorten the grace of an earlier one.
        """
        if self._ended:
            return
        if not self.stopped:
            self.stopping.set()
            self.recorder.add_problem(reason)
            self.recorder.emit(RunStopping(run_id=self.recorder.run_id, reason=reason))
            for task in self.upstream:
                task.cancel()
            self.on_stop()
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(grace, self._cancel_in_flight))

    def _cancel_in_flight(self) -> None:
        for task in self.in_flight:
            task.cancel()

    async def to_the_end(self, work: Stage) -> None:
        """Do work of the last stage that a stop gives time to end.

        The last stage itself is cancelled at once, so the work has a task of its own,
        which the shield protects.
        """
        task = self.last_stage.create_task(_caught(work), name="catalogsync-last")
        self.in_flight.append(task)
        if (error := await asyncio.shield(task)) is not None:
            raise error

    async def supervised(self, work: Stage) -> None:
        """Turn an error of a station into an orderly stop of the run."""
        try:
            await work()
        except asyncio.CancelledError:
            if self.stopped or is_cancelled():
                raise
            self.break_off(RuntimeError(_LEAK))
        except Exception as error:  # noqa: BLE001 - the boundary of a task
            self.break_off(error)

    def break_off(self, error: Exception) -> None:
        """Stop the run because of an error."""
        text = explained(error, *self.adapters)
        if not isinstance(error, CatalogSyncError):
            logger.error("a run broke off: %s", text, exc_info=error)
        if self.error is None:
            self.error = error
        reason = text if isinstance(error, TransientError) else f"broke off: {text}"
        if self.cancelled:  # `stop` ignores its reason now, but people should know it
            self.recorder.add_problem(reason)
        self.stop(reason)


async def _caught(work: Stage) -> Exception | None:
    """The error, so that it is raised where the work is awaited."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - raised again by who waits
        return error
    return None
