"""A source of a file in any format."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest
from tests.table.tables import settings

from catalogsync import TransientError
from catalogsync.files import FileSource, FoundFile, Records, Row, open_source


async def test_closing_does_not_wait_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not come is not waited for, and nothing stays on the disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / "a.txt"
    place.write_text("a")
    begun, go_on = Event(), Event()

    def slow() -> Iterator[Row]:
        begun.set()
        go_on.wait(30)
        for number in range(1000):
            yield Row(f"line {number}", {"id": str(number), "title": "T"})

    def open_slow(_: FoundFile, __: Path, ___: ExitStack) -> Records:
        return Records(columns=(), rows=slow(), plain=True)

    async def fails(source: FileSource) -> None:
        with pytest.raises(TransientError, match="was closed"):
            await source.read(None)

    async with asyncio.TaskGroup() as group:
        async with open_source(settings(place), open_slow, complete=True) as source:
            group.create_task(fails(source))
            await asyncio.to_thread(begun.wait, 30)
        go_on.set()
    assert present(tmp_path) == ["a.txt"]


def present(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())
