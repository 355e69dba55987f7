"""Damaged files of every format: each record is in a product or in a rejection."""

from __future__ import annotations

import asyncio
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import attrs
from hypothesis import strategies as st
from tests.adapters.feed_jobs import FEEDS, OWN, SHARED
from tests.table.tables import SHIRTS
from tests.table.test_formats import FORMATS

from catalogsync.config import load_config
from catalogsync.files import FileRecords, Row

from .verdicts import Verdict, note

_LONGEST = 20.0
"""Most seconds of computing for a file; more counts as a hang."""
_MARKS = (b"<", b">", b"&", b"]]>", b'"', b"\n", b",", b";", b"{", b"]", b"\0", b"\xff")
_WHOLE = 200_000


@attrs.frozen
class Original:
    """A file that can be read.

    Attributes:
        name: Its name.
        content: Its bytes.
        source: The settings of a source that reads it, as TOML.
    """

    name: str
    content: bytes = attrs.field(repr=False)
    source: str = attrs.field(repr=False)


@attrs.frozen
class FilesCase:
    """A file, and what is done to it."""

    name: str
    seed: int


def files_cases() -> st.SearchStrategy[FilesCase]:
    """Damaged files."""
    names = sorted(originals())
    formats = sorted({Path(name).suffix for name in names})
    of = {each: [n for n in names if Path(n).suffix == each] for each in formats}
    often = [
        *formats,
        *[".json", ".xlsx"] * 2,
        *[".xml"] * 8,
    ]  # those that are read fast
    chosen = st.sampled_from(often).flatmap(lambda each: st.sampled_from(of[each]))
    return st.builds(FilesCase, name=chosen, seed=st.integers(0, 2**48))


@cache
def originals() -> dict[str, Original]:
    """A file of each format, and the sample files."""
    found: dict[str, Original] = {}
    table = f'type = "table"\n[jobs.feed.source.map]\n{SHIRTS}'
    with tempfile.TemporaryDirectory() as folder:
        for name, write in FORMATS.items() - {("lines", FORMATS["lines"])}:
            place = Path(folder, name)
            write(place)
            found[name] = Original(name, place.read_bytes(), table)
    for name, feed in FEEDS.items():
        for folder_of, prefix in ((OWN, ""), (SHARED, "shared-")):
            if (place := folder_of / name).is_file():
                content = place.read_bytes()[:_WHOLE]
                found[prefix + name] = Original(name, content, feed.source)
    return found


def play_file(case: FilesCase) -> Verdict:
    """Read a damaged file; nothing may crash, hang or be lost."""
    original, verdict = originals()[case.name], Verdict()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, original.name)
        place.write_bytes(damaged(original.content, Random(case.seed)))
        settings = attrs.evolve(_settings(case.name), location=str(place))
        begun = time.process_time()
        try:
            asyncio.run(_read(settings, verdict))
        except Exception as error:  # noqa: BLE001 - any of them is looked at
            note(verdict, error)
        if (spent := time.process_time() - begun) > _LONGEST:
            verdict.hangs.append(f"{spent:.0f} seconds for one file")
    return verdict


def damaged(content: bytes, random: Random) -> bytes:
    """The file with damage; half of the time, within a file of the archive that it is."""
    if not content.startswith(b"PK") or random.random() < 0.5:
        return mutated(content, random)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        before.write_bytes(content)
        with zipfile.ZipFile(before) as had, zipfile.ZipFile(after, "w") as has:
            chosen = random.choice(had.namelist())
            for name in had.namelist():
                piece = had.read(name)
                has.writestr(name, mutated(piece, random) if name == chosen else piece)
        return after.read_bytes()


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes with a few pieces removed, doubled, moved or replaced."""
    content = bytearray(data)
    for _ in range(random.randint(1, 4)):
        begin = random.randrange(len(content) + 1)
        end = min(len(content), begin + random.choice((1, 1, 5, 40, 400)))
        piece = bytes(content[begin:end])
        match random.randrange(6):
            case 0:
                del content[begin:end]
            case 1:
                content[begin:begin] = piece * random.randint(1, 50)
            case 2:
                content[begin:end] = random.randbytes(len(piece))
            case 3:
                content[begin:end] = random.choice(_MARKS)
            case 4:
                del content[begin:]
            case _:
                del content[begin:end]
                at = random.randrange(len(content) + 1)
                content[at:at] = piece
    return bytes(content)


@cache
def _settings(name: str) -> Any:
    """The settings of the source of an original, as a configuration has them."""
    sink = '[jobs.feed.sink]\ntype = "sql"\nurl = "sqlite://"\n'
    head = '[jobs.feed.source]\nname = "feed"\nlocation = "feed"\n'
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "catalogsync.toml")
        file.write_text(f"{head}{originals()[name].source}\n{sink}", encoding="utf-8")
        return load_config(file).job("feed").source


async def _read(settings: Any, verdict: Verdict) -> None:
    async with settings.open() as source:
        rows: list[int] = [0]
        source._open_records = _counting(source._open_records, rows)
        page = await source.read(None)
        pages = [page, *[await source.read(cursor) for cursor in page.next]]
        made = sum(len(each.products) + len(each.rejected) for each in pages)
        samples = await source.samples(10**9)
        kept = sum(len(sample.records) for sample in samples)
    reasons = [each.reason for page in pages for each in page.rejected[:3]]
    verdict.ended("read", *reasons[:3])
    if made != (pages[0].total or 0) or made != len(samples):
        verdict.lost.append(f"{made} of {pages[0].total} products and rejections")
    if kept != rows[0]:
        verdict.lost.append(f"{kept} of {rows[0]} records")


def _counting(open_records: Callable[..., FileRecords], rows: list[int]) -> Any:
    """Opens the same records and counts those that are taken."""

    def counted(taken: Iterator[Row]) -> Iterator[Row]:
        for row in taken:
            rows[0] += 1
            yield row

    def opened(*given: Any) -> FileRecords:
        records = open_records(*given)
        return attrs.evolve(records, rows=counted(records.rows))

    return opened
