"""Ctrl-C, SIGTERM and SIGHUP: the first stops gracefully, the second immediately."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import attrs

from catalogsync.engine import Run

STOPPING = "finishing in-flight batches; press Ctrl-C again to stop immediately"

_MOMENT = 0.5
_STOPS = ("SIGINT", "SIGTERM", "SIGHUP")
_OUTPUTS = (1, 2)


@attrs.define(kw_only=True)
class InterruptHandler:
    """Stops a run at the first interrupt and cancels it at the next.

    Attributes:
        task: The task to cancel.
        say: Prints a message.
        run: The run to stop; None: an interrupt cancels the task.
        times: Number of interrupts so far.
    """

    task: asyncio.Task[object]
    say: Callable[[str], None]
    run: Run | None = None
    times: int = 0
    _stopped: bool = attrs.field(default=False, init=False)

    def __call__(self) -> None:
        """Handle an interrupt."""
        self.times += 1
        if self.run is None or self.times > 1:
            self.task.cancel()
            return
        self._stopped = True
        self.run.stop(reason="stopped by the user")

    def announce(self) -> None:
        """Print that the run is stopping, and what another interrupt would do."""
        if self._stopped and self.times == 1:
            self.say(STOPPING)


@contextmanager
def interrupts(
    handler: Callable[[], None], announce: Callable[[], None] | None = None
) -> Generator[None]:
    """Call a handler in the event loop when a signal asks this process to stop.

    Signals within half a second count as one request: `timeout` signals the process and
    then its whole group, a closing terminal signals both through the shell and itself,
    and wrappers pass on a Ctrl-C that the terminal has sent to all processes. Outside
    the main thread, signals cannot be handled and are left alone.

    Args:
        handler: Called once for each request.
        announce: Called half a second after the first one, when a second would count.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    signals = _Signals(loop=loop, handler=handler, announce=announce)
    signals.install()
    try:
        yield
    finally:
        signals.leave()


@attrs.define(kw_only=True)
class _Signals:
    """Installs signal handlers and restores the previous ones."""

    loop: asyncio.AbstractEventLoop
    handler: Callable[[], None]
    announce: Callable[[], None] | None = None
    clock: Callable[[], float] = time.monotonic
    _before: dict[int, Any] = attrs.field(factory=dict[int, Any], init=False)
    _terminals: list[int] = attrs.field(factory=list[int], init=False)
    _requests: int = attrs.field(default=0, init=False)
    _last: float = attrs.field(default=0.0, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    def install(self) -> None:
        """Install the handlers; a SIGHUP that `nohup` ignores stays ignored."""
        self._terminals = [number for number in _OUTPUTS if os.isatty(number)]
        for name in _STOPS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            ignored = number and signal.getsignal(number) is signal.SIG_IGN
            if number and not (name == "SIGHUP" and ignored):
                self._before[number] = signal.signal(number, self._arrived)

    def leave(self) -> None:
        """Restore the previous handlers.

        After a graceful stop the process still prints its report, so wait for echoes of
        the signal here: otherwise one would end the process by default.
        """
        if self._requests == 1:
            time.sleep(max(0.0, self._last + _MOMENT - self.clock()))
        if self._timer is not None:
            self._timer.cancel()
            self._announce()
        for number, before in self._before.items():
            signal.signal(number, before)

    def _arrived(self, number: int, _: object) -> None:
        if number == getattr(signal, "SIGHUP", None):
            _discard_output(self._terminals)
        now = self.clock()
        if self._requests and now - self._last < _MOMENT:
            return
        self._requests, self._last = self._requests + 1, now
        self.loop.call_soon_threadsafe(self._accept)

    def _accept(self) -> None:
        self.handler()
        if self.announce and self._timer is None and self._requests == 1:
            self._timer = self.loop.call_later(_MOMENT, self._announce)

    def _announce(self) -> None:
        announce, self.announce = self.announce, None
        if announce is not None:
            announce()


def _discard_output(terminals: list[int]) -> None:
    """Redirect output to the null device if its terminal has closed."""
    for number in terminals:
        if not os.isatty(number):
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, number)
            os.close(void)
