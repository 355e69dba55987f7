"""Progress of reading a file, reported from the thread that reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import attrs

from catalogsync.errors import TransientError
from catalogsync.events import report_reading

from ._records import Rows

__all__ = ["CLOSED", "ReadingProgress"]

CLOSED = "the source was closed while it was read"

_LOOK_EVERY = 100
_PAUSE = 0.5


@attrs.define(kw_only=True)
class ReadingProgress:
    """Tells the run how far a file was read, at once and then twice a second.

    Attributes:
        loop: The loop of the run.
        is_closed: Whether nobody needs the file any more.
        clock: Seconds.
    """

    loop: asyncio.AbstractEventLoop
    is_closed: Callable[[], bool]
    clock: Callable[[], float] = time.monotonic
    _next: float = attrs.field(default=0.0, init=False)

    def watched(self, rows: Rows) -> Rows:
        """The rows, as long as the source is open.

        Raises:
            TransientError: It was closed.
        """
        self._next = 0.0
        for number, row in enumerate(rows):
            if number % _LOOK_EVERY == 0:
                if self.is_closed():
                    raise TransientError(CLOSED)
                self._report(number, None, "rows")
            yield row

    def copied(self, count: int, total: int | None) -> None:
        """Note how many bytes were copied from another machine, and of how many."""
        self._report(count, total, "bytes")

    def _report(self, done: int, total: int | None, unit: str) -> None:
        now = self.clock()
        if now < self._next:
            return
        self._next = now + _PAUSE

        def report() -> None:
            report_reading(done, total=total, unit=unit)

        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(report)
