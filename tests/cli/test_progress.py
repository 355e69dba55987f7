"""Progress: what it says, how often, and where."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from catalogsync import Options, ProductKey
from catalogsync.cli._output import Terminal, printable, shortened
from catalogsync.cli._progress import Progress, ProgressState
from catalogsync.events import (
    BatchWritten,
    Event,
    PageRead,
    PassRepeated,
    Retrying,
    RunFinished,
    RunStarted,
    SourceReading,
)
from catalogsync.report import Counts

from .conftest import Configure

STARTED = RunStarted(run_id="r", job="j", source="a", sink="b")
BATCH = BatchWritten(run_id="r", products=15, seconds=0.1)
FINISHED = RunFinished(run_id="r", status="succeeded", summary="")
AGAIN = Retrying(run_id="r", what="read page 30", attempt=2, reason="[red]no\x1b[0m")


def page(total: int | None = 100) -> PageRead:
    return PageRead(run_id="r", products=30, rejected=1, total=total)


@attrs.define
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@attrs.define
class Lines(Terminal):
    """Keeps all messages."""

    lines: list[str] = attrs.field(factory=list)

    def err(self, text: str) -> None:
        self.lines.append(text)


def plain(*events: Event, counts: Counts | None = None) -> tuple[Lines, Progress]:
    lines, clock = Lines(), Clock()
    progress = Progress(state=ProgressState(clock=clock), terminal=lines)
    if counts:
        progress.state.counts = lambda: counts
    for event in events:
        clock.now += 1.0
        progress(event)
    return lines, progress


def test_line() -> None:
    """Pages, products, batches, rate and the time left."""
    counts = Counts(
        fetched=60, created=30, failed=1, skipped=1, removed=9, unresolved=8
    )
    lines, progress = plain(STARTED, page(), page(), BATCH, counts=counts)
    line = "2 pages, 40 of 100 products, 1 batch, 13/s, 5 s left"
    assert progress.state.line() == line
    assert len(lines.lines) == 2


def test_line_while_a_file_is_read() -> None:
    """How far it is, until the first page or a retry; nothing before it begins."""

    def reading(done: int, total: int | None = None, unit: str = "rows") -> Event:
        return SourceReading(run_id="r", done=done, total=total, unit=unit)

    lines, progress = plain(STARTED, reading(0), reading(120_000))
    assert lines.lines == ["reading: 120,000 rows"]
    for event, text in (
        (reading(2_500_000, unit="bytes"), "reading: 2.5 MB"),
        (reading(2_500_000, 9_000_000, "bytes"), "reading: 2.5 of 9.0 MB"),
        (reading(5, 1000), "reading: 5 of 1,000 rows"),
        (AGAIN, "0 products, 0 batches, 0/s, retrying now"),
        (reading(7), "reading: 7 rows"),
        (page(), "1 page, 31 of 100 products"),
    ):
        progress(event)
        assert text in progress.state.line()


def test_line_of_a_plan() -> None:
    """Without counts, what was read is shown; without a total, no time left."""
    _, progress = plain(STARTED, page(None), BATCH, BATCH)
    assert progress.state.line() == "1 page, 31 products, 2 batches, 10/s"


def test_line_while_nothing_goes_on() -> None:
    """Why, and when it is tried again; gone after the next success."""
    soon = attrs.evolve(AGAIN, next_at=time.time() + 3000, reason="no answer")
    _, progress = plain(STARTED, soon)
    line = progress.state.line()
    assert re.search(r"retrying in \d+ min \d+ s \(attempt 2\): read page 30", line)
    progress(page())
    assert "again" not in progress.state.line()


def test_total() -> None:
    """A limit and keys bound what there is to do."""
    _, progress = plain(STARTED, page())
    state = progress.state
    assert state.total == 100
    state.options = Options(limit=50)
    assert state.total == 50
    state.options = Options(limit=50, keys=(ProductKey("a", "1"),))
    assert state.total == 1
    assert ProgressState().total is None


def test_plain_lines_are_few() -> None:
    """One line at most every two seconds, and always one at the end."""
    lines, _ = plain(STARTED, page(), page(), page(), page(), FINISHED)
    assert [line.split(",")[0] for line in lines.lines] == [
        "1 page",
        "3 pages",
        "4 pages",
    ]


def test_events_with_a_message() -> None:
    """Repeats have lines of their own; a quiet progress shows nothing."""
    repeated = PassRepeated(run_id="r", reason="it moved")
    lines, progress = plain(AGAIN, repeated)
    assert lines.lines[0].startswith("retrying now (attempt 2): read page 30: [red]")
    assert lines.lines[1] == "reading the source again: it moved"
    progress.quiet = True
    progress(AGAIN)
    progress(FINISHED)
    assert len(lines.lines) == 2


def test_live() -> None:
    """One line that changes, with messages above it."""
    console = Console(file=StringIO(), force_terminal=True, width=100)
    state = ProgressState(clock=Clock())
    progress = Progress(state=state, console=console, terminal=Terminal())
    with progress.shown():
        for event in (STARTED, page(), AGAIN, BATCH):
            progress(event)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert "0 pages" in output
    assert "1 page, 31 of 100 products, 1 batch" in output
    assert "retrying now (attempt 2): read page 30: [red]no\\x1b[0m" in output


def test_live_on_a_terminal(configure: Configure, plugins: Path) -> None:
    """On a terminal the errors stream shows the changing line, the other does not."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "catalogsync", "run", "products"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(plugins), "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    output, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[" in shown
    assert b"5 of 5 products" in shown
    assert b"\x1b" not in output


@pytest.mark.parametrize("command", [("plan", "products")])
def test_a_plan_on_a_terminal(
    configure: Configure, plugins: Path, command: tuple[str, ...]
) -> None:
    """Changes stand above the one line that changes; nothing else scrolls by."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "catalogsync", *command],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(plugins), "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert process.wait() == 0
    assert b"\x1b[" in shown
    lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).splitlines()
    assert b"+ create dummyjson:1  " in b"\n".join(lines)
    # A line of progress that stays would end with the line break of its own.
    assert not [line for line in lines if line.startswith(b"1 page")]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("arguments", [(), ("-v",), ("--no-progress",)])
def test_no_escape_codes(
    configure: Configure,
    start: Callable[..., subprocess.Popen[str]],
    records: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    """There are none elsewhere, whatever the titles and variables contain."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    records[0]["title"] = "Tea\x1b[31m\x9b31m\x07"
    for command in ("plan", "run"):
        output, errors = start(command, "products", *arguments).communicate()
        text = output + errors
        assert text
        assert all(c.isprintable() or c == "\n" for c in text)


def test_printable() -> None:
    """Control characters are written out; other texts stay as they are."""
    assert printable("Grün 茶\n\t") == "Grün 茶\n\t"
    assert printable("\x1b[31m\x9b\u202e") == "\\x1b[31m\\x9b\\u202e"
    assert shortened("a\nb" * 5, 8) == "a\\nba\\nb…"[:7] + "…"
