"""Showing how a run goes on: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

import attrs
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress as Bar, TextColumn
from rich.text import Text

from catalogsync._lib.texts import about, counted
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
)
from catalogsync.report import Counts

from ._output import Teller, shortened
from ._session import Session

__all__ = ["LiveProgress", "PlainProgress", "Progress", "Standing", "progress_of"]

_PAUSE = 2.0
_WIDEST = 200


@attrs.define(kw_only=True)
class Standing:
    """Where a run stands, from its events and counts.

    Attributes:
        options: Of the run; bound how many products there can be.
        clock: Seconds, for the rate.
        counts: The run's counts; None where nothing settles, as in a plan.
        retrying: What failed and will be tried again; None after the next success.
    """

    options: Options = attrs.field(factory=Options)
    clock: Callable[[], float] = time.monotonic
    counts: Callable[[], Counts] | None = None
    pages: int = 0
    batches: int = 0
    retrying: Retrying | None = None
    _read: int = 0
    _total: int | None = None
    _started: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self.clock()

    def note(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, RunStarted):
            self._started = self.clock()
        elif isinstance(event, PageRead):
            self.pages += 1
            self._read += event.products + event.rejected
            self._total = event.total
        elif isinstance(event, BatchWritten):
            self.batches += 1
        elif isinstance(event, Retrying):
            self.retrying = event
        if isinstance(event, PageRead | Compared | BatchWritten):
            self.retrying = None

    @property
    def settled(self) -> int:
        """Products that have their outcome."""
        if self.counts is None:
            return self._read if self.total is None else min(self._read, self.total)
        counts = self.counts()
        done = counts.created + counts.updated + counts.unchanged + counts.skipped
        return done + counts.failed + counts.unresolved

    @property
    def total(self) -> int | None:
        """Products that there are to settle, if that is known."""
        bounds = [self._total, self.options.limit]
        if self.options.keys is not None:
            bounds.append(len(self.options.keys))
        return min((each for each in bounds if each is not None), default=None)

    @property
    def rate(self) -> float:
        """Products settled in a second."""
        return self.settled / max(self.clock() - self._started, 0.001)

    def line(self) -> str:
        """Pages, products, batches, rate and time left."""
        settled, total, rate = self.settled, self.total, self.rate
        products = f"{settled}" if total is None else f"{settled} of {total}"
        parts = [
            counted(self.pages, "page"),
            f"{products} product{'' if (total or settled) == 1 else 's'}",
            counted(self.batches, "batch", "batches"),
            f"{rate:.0f}/s",
        ]
        if self.retrying is not None:
            parts.append(str(self.retrying))
        elif total is not None and settled:
            parts.append(f"{about(max(0, total - settled) / rate)} left")
        return ", ".join(parts)


class Progress(Protocol):
    """Shows a run; an event hook that can also take a line for the user."""

    @property
    def standing(self) -> Standing:
        """What is shown."""
        ...

    def __call__(self, event: Event, /) -> None:
        """Take in an event."""
        ...

    def say(self, text: str) -> None:
        """Show a line."""
        ...

    def result(self, text: str) -> None:
        """Write what the user asked for, while the run goes on."""
        ...


@attrs.define(kw_only=True)
class PlainProgress:
    """A line at most every few seconds, and one at the end.

    Attributes:
        standing: What is shown.
        teller: Where lines go.
        quiet: Show no progress, only what is said.
    """

    standing: Standing
    teller: Teller
    quiet: bool = False
    _last: float | None = None

    def __call__(self, event: Event, /) -> None:
        """Take in an event."""
        self.standing.note(event)
        if self.quiet:
            return
        told = _told(event)
        if told:
            self.say(told)
        now = self.standing.clock()
        due = self._last is None or now - self._last >= _PAUSE
        if isinstance(event, RunFinished) or (isinstance(event, _SHOWN) and due):
            self._last = now
            self.say(self.standing.line())

    def say(self, text: str) -> None:
        """Show a line."""
        self.teller.remark(text)

    def result(self, text: str) -> None:
        """Write what the user asked for."""
        self.teller.result(text)


@attrs.define(kw_only=True)
class LiveProgress:
    """One line that changes, on a terminal.

    Attributes:
        standing: What is shown.
        console: Where.
        teller: Keeps secrets out of all lines.
    """

    standing: Standing
    console: Console
    teller: Teller

    def __call__(self, event: Event, /) -> None:
        """Take in an event."""
        self.standing.note(event)
        told = _told(event)
        if told:
            self.say(told)

    def say(self, text: str) -> None:
        """Show a line above the one that changes."""
        self.console.print(Text(self.teller.clean(text)), soft_wrap=True)

    def result(self, text: str) -> None:
        """Write what the user asked for; on a terminal, above the line that changes."""
        if sys.stdout.isatty():
            self.say(text)
        else:
            self.teller.result(text)

    @contextmanager
    def shown(self) -> Generator[None]:
        """Keep the line up to date for the length of a block, then remove it."""
        bar = Bar(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            auto_refresh=False,
            console=self.console,
        )
        task = bar.add_task("", total=None)

        def render() -> Bar:
            standing = self.standing
            bar.update(
                task,
                description=shortened(self.teller.clean(standing.line()), _WIDEST),
                total=standing.total,
                completed=standing.settled,
            )
            return bar

        with Live(
            get_renderable=render,
            console=self.console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield


_SHOWN = (PageRead, BatchWritten)


def _told(event: Event) -> str:
    """A line about an event that the user wants to see by itself, if it is one."""
    if isinstance(event, Retrying):
        return str(event)
    if isinstance(event, PassRepeated):
        return f"reading the source once more: {event.reason}"
    return ""


@contextmanager
def progress_of(session: Session) -> Generator[Progress]:
    """The progress that fits the terminal, for the length of a block."""
    standing = Standing()
    if session.progress and not session.verbose and sys.stderr.isatty():
        progress = LiveProgress(
            standing=standing, console=Console(stderr=True), teller=session.teller
        )
        with progress.shown():
            yield progress
    else:
        yield PlainProgress(
            standing=standing, teller=session.teller, quiet=not session.progress
        )
