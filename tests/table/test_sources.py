"""A source of a file in any format."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Flag

import pytest
from hypothesis import given, strategies as st
from tests.table.tables import settings
from tests.table.test_skipping import served

from catalogsync import MemorySink, ProductKey, TransientError, sync
from catalogsync.events import Event, PageRead, SourceReading, observe_reading
from catalogsync.files import FileRecords, FileSource, FoundFile, Row, open_source
from catalogsync.files._progress import ReadingProgress


async def test_closing_does_not_wait_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not come is not waited for, and nothing stays on the disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / "a.txt"
    place.write_text("a")
    begun, go_on = Flag(), Flag()

    def slow() -> Iterator[Row]:
        begun.set()
        go_on.wait(30)
        for number in range(1000):
            yield Row(f"line {number}", {"id": str(number), "title": "T"})

    def open_slow(_: FoundFile, __: Path, ___: ExitStack) -> FileRecords:
        return FileRecords(columns=(), rows=slow(), plain=True)

    async def fails(source: FileSource) -> None:
        with pytest.raises(TransientError, match="was closed"):
            await source.read(None)

    async with asyncio.TaskGroup() as group:
        async with open_source(settings(place), open_slow, complete=True) as source:
            group.create_task(fails(source))
            await asyncio.to_thread(begun.wait, 30)
        go_on.set()
    assert present(tmp_path) == ["a.txt"]


async def test_progress_before_the_first_page(tmp_path: Path) -> None:
    """At once: the rows of a file, and the bytes of one on another machine."""
    text = "Handle,Title,SKU,Size,Price,Stock\na,Cup,A,S,1,2\n"
    (tmp_path / "shop.csv").write_text(text)
    with served(lambda: (text, {})) as place:
        for location, units in (
            (tmp_path / "shop.csv", {"rows"}),
            (place, {"bytes", "rows"}),
        ):
            events: list[Event] = []
            async with settings(location).open() as source:
                await sync(source, MemorySink(), hooks=[events.append])
            kinds = [type(event) for event in events]
            before = events[: kinds.index(PageRead)]
            found = [e for e in before if isinstance(e, SourceReading)]
            assert {e.unit for e in found if e.done == 0} == units
            sizes = {e.total for e in found if e.unit == "bytes"}
            assert sizes <= {len(text)}


@given(st.lists(st.floats(0, 2), min_size=1, max_size=30))
def test_progress_is_seldom(pauses: list[float]) -> None:
    """The first report is immediate, and then there are two a second at most."""
    now, reports = 0.0, list[float]()
    loop = asyncio.new_event_loop()
    progress = ReadingProgress(
        loop=loop, is_closed=lambda: False, clock=lambda: 10 + now
    )
    with observe_reading(lambda done, _, __: reports.append(done)):
        for pause in pauses:
            progress.copied(round(now * 1000), None)
            now += pause
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
    assert reports[0] == 0
    gaps = [b - a for a, b in itertools.pairwise(reports)]
    assert all(gap >= 499 for gap in gaps)
    progress.copied(10**6, None)  # nobody hears of it, and nothing breaks


def present(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_a_file_says_when_it_was_counted(tmp_path: Path) -> None:
    """And a server of it, with `Last-Modified`; of joined files, the newest."""
    text = "Handle,Title,SKU,Size,Price,Stock\na,Cup,A,S,1,2\n"
    place = tmp_path / "shop.csv"
    place.write_text(text)
    os.utime(place, (1000, 2000))
    modified = {"Last-Modified": "Thu, 01 Jan 1970 00:50:00 GMT"}
    with served(lambda: (text, modified)) as address:
        for location, seconds in ((place, 2000), (address, 3000)):
            async with settings(location).open() as source:
                moment = datetime.fromtimestamp(seconds, UTC)
                assert (await source.read(None)).as_of == moment
                key = ProductKey(source.name, "a")
                assert (await source.get([key])).as_of == moment
