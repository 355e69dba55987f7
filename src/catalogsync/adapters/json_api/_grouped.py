"""Products whose records stand in several pages, as in a list of variants.

All pages are read first, one after the other, into a file; then the records are grouped
on the disk, as those of any file, so that memory stays bounded.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import BrokenReplyError
from catalogsync.files import (
    FileRecords,
    FileSource,
    FoundFile,
    Row,
    check_installed,
    open_source,
)
from catalogsync.mapping import RecordMapping, Sample
from catalogsync.protocols import CheckResult, Cursor, Page

from ._source import JSONAPISource
from ._walks import Walk

__all__ = ["GroupedJSONAPISource", "open_grouped"]

_NUMBER = "\x1e"


@attrs.frozen(kw_only=True)
class _Settings:
    """What the source of a file needs."""

    location: str = attrs.field(repr=False)
    name: str
    map: RecordMapping
    page_size: int = 500
    max_size: int = 1 << 62


@attrs.define
class _Download:
    """Pages that were read so far; what fails is continued where it failed.

    Attributes:
        walk: The way through the pages.
        file: The records, one in a line with its position.
        left: The pages that have not been read.
        last: The last record of the page before; None: there is none.
        total: Number of all records that the first page announced.
    """

    walk: Walk
    file: Path
    left: list[Cursor | None] = attrs.field(factory=lambda: [None])
    last: object = None
    total: int | None = None


@attrs.define(kw_only=True)
class GroupedJSONAPISource:
    """Reads all pages of an API and then groups their records.

    Attributes:
        pages: Reads the pages.
    """

    pages: JSONAPISource
    _folder: Path = attrs.field(alias="folder")
    _stack: AsyncExitStack = attrs.field(alias="stack")
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _download: _Download | None = attrs.field(default=None, init=False)
    _records: FileSource | None = attrs.field(default=None, init=False)
    _tries: int = attrs.field(default=0, init=False)

    @property
    def name(self) -> str:
        """Namespace of the product keys."""
        return self.pages.name

    @property
    def requests(self) -> int:
        """Requests for products sent so far."""
        return self.pages.requests

    @property
    def complete(self) -> bool:
        """Whether it asks for all products."""
        return self.pages.complete

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read a page of products; without a cursor, first all pages of the API.

        Raises what `JSONAPISource.read` raises, and `BrokenReplyError` if the list moved
        while it was read. The next call then begins again; after any other error it
        continues with the page that failed.
        """
        return await (await self._loaded(again=cursor is None)).read(cursor)

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        return await (await self._loaded()).get(keys)

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their records, or those with these ids."""
        return await (await self._loaded()).samples(most, keys=keys)

    async def check(self) -> Sequence[CheckResult]:
        """Connect to the API and read the first page."""
        return await self.pages.check()

    async def _loaded(self, *, again: bool = False) -> FileSource:
        async with self._turn:
            if self._records is None or again:
                if self._records is not None:
                    self._records.close()
                    self._records = None
                file = await self._downloaded()
                settings = _Settings(
                    location=str(file), name=self.name, map=self.pages.settings.map
                )
                opening = open_source(settings, _opened, complete=self.complete)
                self._records = await self._stack.enter_async_context(opening)
            return self._records

    async def _downloaded(self) -> Path:
        """Read all pages, or those that are left."""
        if (state := self._download) is None:
            self._tries += 1
            file = self._folder / f"{self._tries}.jsonl"
            file.touch()
            state = self._download = _Download(self.pages.new_walk(), file)
        try:
            while state.left:
                await self._next_page(state)
        except BrokenReplyError:  # the list has moved, or may have
            self._download = None
            raise
        self._download = None
        return state.file

    async def _next_page(self, state: _Download) -> None:
        cursor = state.left[0]
        found = await self.pages.raw_page(state.walk, cursor)
        if cursor is None:
            state.total = found.total
        moved = found.before is not None and not self.pages.is_same(
            found.before, state.last
        )
        if moved or found.total != state.total:
            raise BrokenReplyError("the list moved while it was read")
        with state.file.open("a", encoding="utf-8") as target:
            target.writelines(_line(where, each) for where, each in found.records)
        state.last = found.last if found.last is not None else state.last
        state.left[:1] = found.following


def _line(where: str, record: object) -> str:
    return json.dumps([where, record], default=_tagged) + "\n"


def _tagged(value: object) -> object:
    if isinstance(value, Decimal):
        return {_NUMBER: str(value)}
    raise TypeError


def _untagged(found: dict[str, object]) -> object:
    return Decimal(str(found[_NUMBER])) if _NUMBER in found else found


def _opened(file: FoundFile, _: Path, stack: ExitStack) -> FileRecords:
    raw = stack.enter_context(file.open(most=1 << 62))
    lines = TextIOWrapper(raw, encoding="utf-8")
    return FileRecords(columns=(), rows=_rows(lines), plain=False)


def _rows(lines: Iterator[str]) -> Iterator[Row]:
    for line in lines:
        where, record = json.loads(line, object_hook=_untagged)
        if isinstance(record, Mapping):
            yield Row(where, cast("Mapping[str, object]", record))
        else:
            problem = f"must be an object, not {type(record).__name__}"
            yield Row(where, {}, problem)


@asynccontextmanager
async def open_grouped(source: JSONAPISource) -> AsyncGenerator[GroupedJSONAPISource]:
    """Open a source with a temporary folder of its own.

    Raises:
        MissingExtraError: The extra `files` is not installed.
    """
    check_installed("records of one product in several pages", ("duckdb", "fsspec"))
    with TemporaryDirectory(
        prefix="catalogsync-", ignore_cleanup_errors=True
    ) as folder:
        async with AsyncExitStack() as stack:
            yield GroupedJSONAPISource(pages=source, folder=Path(folder), stack=stack)
