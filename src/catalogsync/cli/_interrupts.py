"""Ctrl-C and SIGTERM: once in order, twice at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import attrs

from catalogsync.engine import Run

__all__ = ["Stopper", "interrupts"]


@attrs.define(kw_only=True)
class Stopper:
    """Stops a run at the first interrupt and cancels it at the next.

    Attributes:
        task: What is cancelled.
        say: Takes a line for the user.
        run: What is stopped; None as long as there is nothing to end in order.
        times: How many interrupts there were.
    """

    task: asyncio.Task[object]
    say: Callable[[str], None]
    run: Run | None = None
    times: int = 0

    def __call__(self) -> None:
        """An interrupt arrived."""
        self.times += 1
        if self.run is None or self.times > 1:
            self.task.cancel()
            return
        self.run.stop(reason="stopped by the user")
        self.say("stopping after the batches in flight; once more to stop at once")


@contextmanager
def interrupts(handler: Callable[[], None]) -> Generator[None]:
    """Call a handler in the event loop for SIGINT and SIGTERM within a block.

    Outside the main thread signals cannot be handled and are left alone.
    """
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(_install(loop, number, handler))
        yield


def _install(
    loop: asyncio.AbstractEventLoop,
    number: signal.Signals,
    handler: Callable[[], None],
) -> Callable[[], object]:
    """Install a handler; gives what removes it."""
    try:
        loop.add_signal_handler(number, handler)
    except NotImplementedError:  # the event loop of Windows

        def told(_: int, __: object) -> None:
            loop.call_soon_threadsafe(handler)

        before = signal.signal(number, told)
        return lambda: signal.signal(number, before)
    return lambda: loop.remove_signal_handler(number)
