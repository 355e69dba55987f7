"""The source: stages a file once, and reads products page by page."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import attrs

from catalogsync._lib.texts import counted
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import (
    CatalogSyncError,
    InvalidValueError,
    MisconfiguredError,
    TransientError,
)
from catalogsync.files import FoundFile, find_file
from catalogsync.mapping import Sample
from catalogsync.protocols import CheckResult, Cursor, Page

from ._formats import opened_table
from ._rows import Rows
from ._staging import Staged, Staging

if TYPE_CHECKING:
    from ._settings import TableSettings

__all__ = ["TableSource", "open_table"]

_LOOK_EVERY = 1000


@attrs.frozen(kw_only=True)
class _Read:
    """A file that has been staged."""

    file: FoundFile
    facts: str
    staging: Staging


@attrs.define(kw_only=True)
class TableSource:
    """Products from a table in a file.

    Attributes:
        settings: The settings.
    """

    settings: TableSettings
    _folder: Path = attrs.field(alias="folder")
    _closing: Event = attrs.field(factory=Event, init=False)
    _lock: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _read: _Read | None = attrs.field(default=None, init=False)
    _tries: int = attrs.field(default=0, init=False)

    @property
    def name(self) -> str:
        """The namespace of its product keys."""
        return self.settings.name

    @property
    def complete(self) -> bool:
        """Whether the file has the whole catalog."""
        return self.settings.complete

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the first call reads the whole file onto the disk.

        Raises:
            MisconfiguredError: The file does not exist or is not such a table.
            TransientError: It cannot be read now.
            UnauthorizedError: The credentials are not accepted.
        """
        staging = (await self._staged()).staging
        pages = len(staging.bounds)
        if not pages:
            return Page(products=(), total=0)
        number = 0 if cursor is None else _page_number(cursor, pages)
        found = await asyncio.to_thread(staging.page, number)
        products, rejected = self._products(found)
        later = () if cursor is not None else tuple(map(str, range(1, pages)))
        return Page(
            products=products,
            rejected=rejected,
            next=later,
            total=staging.products,
        )

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        staging = (await self._staged()).staging
        found: list[Staged] = []
        for key in keys:
            if key.source == self.name:
                found += await asyncio.to_thread(staging.find, key.id)
        products, rejected = self._products(found)
        return Page(products=products, rejected=rejected)

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their rows, or those with these ids."""
        staging = (await self._staged()).staging
        found: list[Staged] = []
        if keys:
            for key in keys:
                found += await asyncio.to_thread(staging.find, key)
        else:
            for number in range(len(staging.bounds)):
                if len(found) >= most:
                    break
                found += await asyncio.to_thread(staging.page, number)
        return [
            Sample(
                records=staged.records,
                result=self._product(staged),
                unmapped=self._unmapped(staged),
            )
            for staged in found[:most]
        ]

    def _unmapped(self, staged: Staged) -> list[str]:
        """The supplier's categories of a product that the map does not have."""
        if staged.problem:
            return []
        found: dict[str, None] = {}
        for record in staged.records:
            try:
                found |= dict.fromkeys(self.settings.map.unmapped(record))
            except InvalidValueError:
                continue
        return list(found)

    async def check(self) -> Sequence[CheckResult]:
        """Read the file and say what was found."""
        try:
            read = await self._staged()
        except CatalogSyncError as error:
            what = (
                error.setting if isinstance(error, MisconfiguredError) else "location"
            )
            problem = getattr(error, "problem", str(error))
            return [CheckResult(ok=False, what=what, text=problem)]
        count = counted(read.staging.products, "product")
        text = f"{read.file.place}: {read.facts}, {count}"
        return [CheckResult(ok=True, what="location", text=text)]

    def close(self) -> None:
        """Stop reading, and close the temporary database."""
        self._closing.set()
        if self._read is not None:
            self._read.staging.close()

    async def _staged(self) -> _Read:
        async with self._lock:
            if self._read is None:
                self._tries += 1
                folder = self._folder / str(self._tries)
                folder.mkdir()
                self._read = await asyncio.to_thread(self._stage, folder)
            return self._read

    def _stage(self, folder: Path) -> _Read:
        """Read the file onto the disk; blocks."""
        settings = self.settings
        file = find_file(settings.location)
        with ExitStack() as stack:
            table = opened_table(file, settings, folder, stack)
            staging = Staging.of(
                self._watched(table.rows),
                table.columns,
                settings.map,
                folder,
                plain=table.plain,
                page_size=settings.page_size,
            )
        return _Read(file=file, facts=table.facts, staging=staging)

    def _watched(self, rows: Rows) -> Rows:
        """The rows, as long as the source is open."""
        for number, row in enumerate(rows):
            if number % _LOOK_EVERY == 0 and self._closing.is_set():
                raise TransientError("the source was closed while it was read")
            yield row

    def _products(
        self, found: Iterable[Staged]
    ) -> tuple[list[Product], list[Rejected]]:
        products: list[Product] = []
        rejected: list[Rejected] = []
        for staged in found:
            each = self._product(staged)
            if isinstance(each, Rejected):
                rejected.append(each)
            else:
                products.append(each)
        return products, rejected

    def _product(self, staged: Staged) -> Product | Rejected:
        if not staged.problem:
            return self.settings.map.product(self.name, staged.records)
        key = self._key(staged) if len(staged.records) > 1 else None
        return Rejected(key=key, reason=staged.problem, where=staged.where)

    def _key(self, staged: Staged) -> ProductKey | None:
        """The key of a product that has an invalid row."""
        for record in staged.records:
            try:
                if (group := self.settings.map.group_of(record)) is not None:
                    return ProductKey(self.name, group)
            except InvalidValueError:
                continue
        return None


def _page_number(cursor: Cursor, pages: int) -> int:
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) >= pages:
        raise InvalidValueError("cursor", f"there is no page {cursor!r}")
    return int(cursor)


@asynccontextmanager
async def open_table(settings: TableSettings) -> AsyncGenerator[TableSource]:
    """Open a source with a temporary folder of its own."""
    with tempfile.TemporaryDirectory(
        prefix="catalogsync-", ignore_cleanup_errors=True
    ) as folder:
        source = TableSource(settings=settings, folder=Path(folder))
        try:
            yield source
        finally:
            source.close()
