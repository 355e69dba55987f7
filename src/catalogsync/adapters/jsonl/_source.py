"""The source."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeAlias

import attrs

from catalogsync._lib.texts import counted
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import CatalogSyncError, InvalidValueError, MisconfiguredError
from catalogsync.protocols import CheckResult, Cursor, Page

from ._file import Numbered, file_errors, key_in, lines_of, parsed
from ._lines import digest_of_line

__all__ = ["JSONLSource"]

_Version: TypeAlias = tuple[int, ...]


@attrs.frozen(kw_only=True)
class _Counted:
    """What is known of the file since the first page was read.

    Attributes:
        version: Identity and modification time of the file.
        cursors: Cursors of all pages but the first.
        own: Number of lines of this source, damaged ones included.
        others: Number of lines of other sources, or without a key.
    """

    version: _Version
    cursors: tuple[Cursor, ...]
    own: int
    others: int


@attrs.define(kw_only=True, eq=False)
class JSONLSource:
    """Products from a file; `JSONLSourceSettings.open` makes it.

    It is a `Source`, a `LookupSource` and `SelfChecking`.

    Attributes:
        path: The file.
        name: Name of the source.
        page_size: Lines in a page.
    """

    path: Path
    name: str
    page_size: int = 500
    _counted: _Counted | None = attrs.field(default=None, init=False, repr=False)

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; a damaged line is rejected with its number.

        The cursor has the numbers of bytes and lines before the page.

        Raises:
            MisconfiguredError: The file cannot be read, or has changed since the first
                page.
        """
        return await asyncio.to_thread(self._read, cursor)

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; all lines are looked at.

        Raises:
            MisconfiguredError: The file cannot be read.
        """
        return await asyncio.to_thread(self._get, frozenset(keys))

    async def check(self) -> Sequence[CheckResult]:
        """Count the lines."""
        try:
            found = await asyncio.to_thread(self._count)
        except CatalogSyncError as error:
            problem = getattr(error, "problem", str(error))
            return [CheckResult(ok=False, what="path", text=problem)]
        text = f"{self.path} has {counted(found.own, 'product')} of `{self.name}`"
        if found.others:
            text += f", and {counted(found.others, 'line')} of others"
        ok = bool(found.own) or not found.others
        return [CheckResult(ok=ok, what="path" if ok else "name", text=text)]

    def _read(self, cursor: Cursor | None) -> Page:
        if cursor is None or self._counted is None:
            self._counted = self._count()
        found = self._counted
        with self._opened(found.version) as file:
            start = _place(cursor) if cursor is not None else (0, 1)
            lines = islice(lines_of(file, *start), self.page_size)
            page = self._page(lines, _version(file))
        later = found.cursors if cursor is None else ()
        return attrs.evolve(page, next=later, total=found.own)

    def _get(self, keys: frozenset[ProductKey]) -> Page:
        found: dict[ProductKey, Numbered] = {}
        with self._opened() as file:
            for line in lines_of(file):
                if len(found) == len(keys):
                    break
                key = _key(line)
                if key is not None and key in keys:
                    found.setdefault(key, line)
            return self._page(found.values(), _version(file))

    def _count(self) -> _Counted:
        cursors: list[Cursor] = []
        own = others = 0
        with self._opened() as file:
            for number, line in enumerate(lines_of(file)):
                if number and number % self.page_size == 0:
                    cursors.append(f"{line.at}:{line.number}")
                is_own = self._is_own(line)
                own, others = own + is_own, others + (not is_own)
            version = _version(file)
        return _Counted(version=version, cursors=(*cursors,), own=own, others=others)

    def _is_own(self, line: Numbered) -> bool:
        """Whether a line is of this source, or cannot be read."""
        try:
            key = key_in(line)
        except InvalidValueError:
            return True
        return key is not None and key.source == self.name

    def _page(self, lines: Iterable[Numbered], version: _Version) -> Page:
        drafts: list[Draft] = []
        rejected: list[Rejected] = []
        for line in lines:
            try:
                key = key_in(line)
            except InvalidValueError as error:
                rejected.append(_rejected(line, None, error))
                continue
            if key is not None and key.source == self.name:
                drafts.append(_draft(line, key))
        changed = datetime.fromtimestamp(version[-1] / 1e9, UTC)
        return Page(products=drafts, rejected=rejected, as_of=changed)

    @contextmanager
    def _opened(self, version: _Version | None = None) -> Generator[BinaryIO]:
        """The file, if it still is this version."""
        with file_errors(self.path), self.path.open("rb") as file:
            if version is not None and _version(file) != version:
                problem = f"{self.path} was changed while it was read; run again"
                raise MisconfiguredError("path", problem)
            yield file


def _draft(line: Numbered, key: ProductKey) -> Draft:
    """A line that becomes a product when it is built."""
    return Draft(
        key=key,
        digest=digest_of_line(line.data),
        size=len(line.data),
        build=partial(_built, line, key),
        dated=b'"as_of"' in line.data,
    )


def _built(line: Numbered, key: ProductKey) -> Product | Rejected:
    try:
        read = parsed(line)
        if read.key == key:
            return read.product
    except InvalidValueError as error:
        return _rejected(line, key, error)
    return _rejected(line, key, InvalidValueError("key", "stands there twice"))


def _rejected(
    line: Numbered, key: ProductKey | None, error: InvalidValueError
) -> Rejected:
    where = f"line {line.number}"
    return Rejected(key=key, reason=str(error), where=where, path=error.path)


def _version(file: BinaryIO) -> _Version:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _key(line: Numbered) -> ProductKey | None:
    """The key of a line; None: it has none, or it cannot be read."""
    try:
        return key_in(line)
    except InvalidValueError:
        return None


def _place(cursor: Cursor) -> tuple[int, int]:
    """Bytes before a page, and the number of its first line."""
    at, colon, number = cursor.partition(":")
    if not (colon and at.isdecimal() and number.isdecimal()):
        raise InvalidValueError("cursor", f"there is no page {cursor!r}")
    return int(at), int(number)
