"""Progress of a run: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

import attrs
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress as Bar, TextColumn
from rich.text import Text

from catalogsync._lib.texts import about, counted
from catalogsync.catalog.changes import Change, ReferenceChange
from catalogsync.engine import Options
from catalogsync.events import (
    BatchWritten,
    Compared,
    Event,
    PageRead,
    PassRepeated,
    Retrying,
    RunFinished,
    RunStarted,
    SourceReading,
)
from catalogsync.report import Counts

from ._changes import change_text
from ._output import Terminal, shortened
from ._session import Session

_PAUSE = 2.0
_WIDEST = 200


@attrs.define(kw_only=True)
class ProgressState:
    """Progress of a run, from its events and counts.

    Attributes:
        options: Options of the run; they limit the number of products.
        clock: Seconds, for the rate.
        counts: Counts of the run; None for a plan, which writes nothing.
        pages: Number of pages read.
        batches: Number of batches written.
        reading: How far the source has read before its first page; None: it is past that.
        retrying: Latest failure that is being retried; None after the next success.
    """

    options: Options = attrs.field(factory=Options)
    clock: Callable[[], float] = time.monotonic
    counts: Callable[[], Counts] | None = None
    pages: int = 0
    batches: int = 0
    reading: SourceReading | None = None
    retrying: Retrying | None = None
    _read: int = 0
    _total: int | None = None
    _started: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self.clock()

    def update(self, event: Event) -> None:
        """Update the progress after an event."""
        if isinstance(event, RunStarted):
            self._started = self.clock()
        elif isinstance(event, SourceReading):
            self.reading = event
        elif isinstance(event, PageRead):
            self.pages, self.reading = self.pages + 1, None
            self._read += event.products + event.rejected
            self._total = event.total
        elif isinstance(event, BatchWritten):
            self.batches += 1
        elif isinstance(event, Retrying):
            self.retrying, self.reading = event, None
        if isinstance(event, PageRead | Compared | BatchWritten):
            self.retrying = None

    @property
    def done(self) -> int:
        """Number of products with an outcome; for a plan, of products read."""
        if self.counts is None:
            return self._read if self.total is None else min(self._read, self.total)
        counts = self.counts()
        good = counts.created + counts.updated + counts.unchanged + counts.skipped
        return good + counts.failed + counts.unresolved

    @property
    def total(self) -> int | None:
        """Number of products to process; None: unknown."""
        bounds = [self._total, self.options.limit]
        if self.options.keys is not None:
            bounds.append(len(self.options.keys))
        return min((each for each in bounds if each is not None), default=None)

    @property
    def rate(self) -> float:
        """Products done per second."""
        return self.done / max(self.clock() - self._started, 0.001)

    def line(self) -> str:
        """Pages, products, batches, rate and time left."""
        if self.reading is not None:
            return _reading_text(self.reading)
        done, total, rate = self.done, self.total, self.rate
        products = f"{done}" if total is None else f"{done} of {total}"
        parts = [
            counted(self.pages, "page"),
            f"{products} product{'' if (total or done) == 1 else 's'}",
            counted(self.batches, "batch", "batches"),
            f"{rate:.0f}/s",
        ]
        if self.retrying is not None:
            parts.append(str(self.retrying))
        elif total is not None and done:
            parts.append(f"{about(max(0, total - done) / rate)} left")
        return ", ".join(parts)


@attrs.define(kw_only=True)
class Progress:
    """An event hook that shows the progress of a run, and prints its messages.

    Attributes:
        terminal: Prints the lines.
        state: The progress to show.
        console: A terminal with a line that is kept up to date; None: print a line
            every few seconds, and one at the end.
        quiet: Print messages only, no progress.
    """

    terminal: Terminal
    state: ProgressState = attrs.field(factory=ProgressState)
    console: Console | None = None
    quiet: bool = False
    _last: float | None = None

    def __call__(self, event: Event, /) -> None:
        """Show an event."""
        self.state.update(event)
        if self.quiet:
            return
        if message := _message(event):
            self.say(message)
        if self.console is None:
            self._print_line(event)

    def _print_line(self, event: Event) -> None:
        now = self.state.clock()
        due = self._last is None or now - self._last >= _PAUSE
        begun = not isinstance(event, SourceReading) or event.done
        shown = isinstance(event, _SHOWN) and due and begun
        if isinstance(event, RunFinished) or shown:
            self._last = now
            self.say(self.state.line())

    def say(self, text: str) -> None:
        """Print a message, above the live line if there is one."""
        if self.console is None:
            self.terminal.err(text)
        else:
            self.console.print(Text(self.terminal.clean(text)), soft_wrap=True)

    def result(self, text: str) -> None:
        """Print a result of the command during the run."""
        if self.console is not None and sys.stdout.isatty():
            self.say(text)
        else:
            self.terminal.out(text)

    def show(self, change: Change | ReferenceChange) -> None:
        """Print a change as a result of the command."""
        self.result(change_text(change, whole=self.terminal.verbose))

    @contextmanager
    def shown(self) -> Generator[Self]:
        """Show the live line, if there is one, for the length of a block."""
        if self.console is None:
            yield self
            return
        bar = Bar(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            auto_refresh=False,
            console=self.console,
        )
        task = bar.add_task("", total=None)

        def render() -> Bar:
            line = shortened(self.terminal.clean(self.state.line()), _WIDEST)
            total, done = self.state.total, self.state.done
            bar.update(task, description=line, total=total, completed=done)
            return bar

        with Live(
            get_renderable=render,
            console=self.console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield self


_SHOWN = (SourceReading, PageRead, BatchWritten)


def _reading_text(reading: SourceReading) -> str:
    """How far a source has read, such as `reading: 120,000 rows`."""
    if reading.unit != "bytes":
        of = "" if reading.total is None else f" of {reading.total:,}"
        return f"reading: {reading.done:,}{of} {reading.unit}"
    of = "" if reading.total is None else f" of {reading.total / 1e6:,.1f}"
    return f"reading: {reading.done / 1e6:,.1f}{of} MB"


def _message(event: Event) -> str:
    """A message about an event; empty: none."""
    if isinstance(event, Retrying):
        return str(event)
    if isinstance(event, PassRepeated):
        return f"reading the source again: {event.reason}"
    return ""


def progress_of(session: Session) -> AbstractContextManager[Progress]:
    """Show progress in the way that fits the terminal, for the length of a block."""
    live = session.progress and not session.verbose and sys.stderr.isatty()
    return Progress(
        terminal=session.terminal,
        console=Console(stderr=True) if live else None,
        quiet=not session.progress,
    ).shown()
