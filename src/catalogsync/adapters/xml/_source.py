"""The source: reads a file onto the disk once, and then products page by page."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path as File
from threading import Event, Lock
from typing import IO, TYPE_CHECKING

import attrs

from catalogsync._lib.texts import counted
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import BrokenReplyError, TransientError
from catalogsync.files import FoundFile, find_file
from catalogsync.mapping import Record, Sample
from catalogsync.protocols import CheckResult, Cursor, Page

from ._parser import Parsed, Parser, Path
from ._spool import Spool, Spooled
from ._values import Names

if TYPE_CHECKING:
    from ._settings import XMLSettings

__all__ = ["XMLSource", "open_xml"]

_LOOK_EVERY = 100


@attrs.frozen(kw_only=True)
class _Read:
    """A file that was read.

    Attributes:
        file: The file.
        outside: Texts outside of records, by name.
        spool: Its records.
    """

    file: FoundFile
    outside: dict[str, str]
    spool: Spool


@attrs.define(kw_only=True)
class XMLSource:
    """Products from an XML file; `XMLSettings.open` makes it.

    Attributes:
        settings: The settings.
    """

    settings: XMLSettings
    _folder: File = attrs.field(alias="folder")
    _closing: Event = attrs.field(factory=Event, init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _busy: Lock = attrs.field(factory=Lock, init=False)
    _read: _Read | None = attrs.field(default=None, init=False)
    _tries: int = attrs.field(default=0, init=False)

    @property
    def name(self) -> str:
        """Namespace of the product keys."""
        return self.settings.name

    @property
    def complete(self) -> bool:
        """Whether the file is a whole catalogue, and not an update."""
        return self.settings.complete and self.settings.after_version is None

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the first call reads the whole file onto the disk.

        Raises:
            MisconfiguredError: The file does not exist, is damaged, a template or too
                large, or has no such records.
            TransientError: It cannot be read now.
            UnauthorizedError: The credentials are not accepted.
        """
        first, size = 0 if cursor is None else _first(cursor), self.settings.page_size
        read, found = await self._spooled(lambda spool: spool.page(first, size))
        products, rejected = self._products(read, found)
        total = read.spool.products
        later = range(size, total, size) if cursor is None else ()
        return Page(
            products=products,
            rejected=rejected,
            next=tuple(map(str, later)),
            total=total,
        )

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        ids = [key.id for key in keys if key.source == self.name]
        read, found = await self._spooled(
            lambda spool: [each for id_ in ids for each in spool.find(id_)]
        )
        products, rejected = self._products(read, found)
        return Page(products=products, rejected=rejected)

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their records, or those with these ids."""

        def find(spool: Spool) -> list[Spooled]:
            if not keys:
                return spool.page(0, most)
            return [each for key in keys for each in spool.find(key)]

        read, found = await self._spooled(find)
        return [self._sample(read, each) for each in found[:most]]

    def _sample(self, read: _Read, found: Spooled) -> Sample:
        records, result = _records(read, found), self._product(read, found)
        made = records if isinstance(result, Product) else ()
        unmapped = [name for each in made for name in self.settings.map.unmapped(each)]
        return Sample(
            records=records, result=result, unmapped=tuple(dict.fromkeys(unmapped))
        )

    async def check(self) -> Sequence[CheckResult]:
        """Read the file and count its products."""
        async with self._turn:
            read = await self._loaded()
        text = f"{read.file.place}: {counted(read.spool.products, 'product')}"
        return [CheckResult(ok=True, what="source", text=text)]

    async def close(self) -> None:
        """Stop reading, also in a thread that nobody waits for, and close the file."""
        self._closing.set()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._busy:
            if self._read is not None:
                self._read.spool.close()

    async def _loaded(self) -> _Read:
        if self._read is None:
            self._tries += 1
            await asyncio.to_thread(self._load, self._folder / f"{self._tries}.db")
        if self._read is None:
            raise TransientError("the source was closed while it was read")
        return self._read

    async def _spooled(
        self, find: Callable[[Spool], list[Spooled]]
    ) -> tuple[_Read, list[Spooled]]:
        """The file and what a search in it finds."""

        def search(read: _Read) -> list[Spooled]:
            with self._busy:
                return find(read.spool)

        async with self._turn:
            read = await self._loaded()
            return read, await asyncio.to_thread(search, read)

    def _load(self, target: File) -> None:
        """Read the file onto the disk; blocks."""
        with self._busy:
            self._read = self._loaded_into(target)

    def _loaded_into(self, target: File) -> _Read:
        settings = self.settings
        file = find_file(settings.location)
        parser = Parser(
            place=file.place,
            records=[Path.parse(path) for path in settings.records],
            outside={name: Path.parse(p) for name, p in settings.outside.items()},
            names=Names({uri: name for name, uri in settings.namespaces.items()}),
            after_version=settings.after_version,
        )
        with file.open(most=settings.max_size, member=settings.member) as stream:
            records = self._watched(parser, stream)
            spool = Spool.of(records, settings.map, target)
        return _Read(file=file, outside=parser.found, spool=spool)

    def _watched(self, parser: Parser, stream: IO[bytes]) -> Iterator[Parsed]:
        """The records, as long as the source is open."""
        for number, record in enumerate(parser.parse(stream)):
            if number % _LOOK_EVERY == 0 and self._closing.is_set():
                raise TransientError("the source was closed while it was read")
            yield record

    def _products(
        self, read: _Read, found: Iterable[Spooled]
    ) -> tuple[list[Product], list[Rejected]]:
        products: list[Product] = []
        rejected: list[Rejected] = []
        for each in found:
            made = self._product(read, each)
            if isinstance(made, Product):
                products.append(made)
            else:
                rejected.append(made)
        return products, rejected

    def _product(self, read: _Read, found: Spooled) -> Product | Rejected:
        if found.problem:
            return Rejected(key=None, reason=found.problem, where=found.where)
        return self.settings.map.product(self.name, _records(read, found))


def _records(read: _Read, found: Spooled) -> Sequence[Record]:
    """The records of a product, with the texts outside of records."""
    if not read.outside:
        return found.records
    return [
        Record(where=each.where, values={**read.outside, **each.values})
        for each in found.records
    ]


def _first(cursor: Cursor) -> int:
    if not cursor.isdecimal():
        raise BrokenReplyError(f"{cursor!r} is not a page of this source")
    return int(cursor)


@asynccontextmanager
async def open_xml(settings: XMLSettings) -> AsyncGenerator[XMLSource]:
    """Open a source with a temporary folder of its own."""
    with tempfile.TemporaryDirectory(prefix="catalogsync-") as folder:
        source = XMLSource(settings=settings, folder=File(folder))
        try:
            yield source
        finally:
            await source.close()
