"""The source of every format: reads a file onto the disk once, then products by page."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import attrs

from catalogsync._lib.digests import digest_of
from catalogsync._lib.texts import counted
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import (
    CatalogSyncError,
    InvalidValueError,
    MisconfiguredError,
    TransientError,
)
from catalogsync.mapping import Record, Sample
from catalogsync.protocols import CatalogVersion, CheckResult, Cursor, Page

from ._location import FoundFile, find_file
from ._progress import CLOSED, ReadingProgress
from ._records import FileRecords
from ._settings import FileSettings
from ._staging import Staged, Staging
from ._upload import Upload

__all__ = ["FileSource", "OpenRecords", "open_source"]

OpenRecords: TypeAlias = Callable[[FoundFile, Path, ExitStack], FileRecords]
"""Opens the records of a file, given an empty folder for copies of it, and a stack that
closes what is opened once they are read."""


@attrs.frozen(kw_only=True)
class _Read:
    """A file that was read.

    Attributes:
        file: The file.
        facts: What was found out, for people.
        outside: Values that each record has too.
        staging: Its records.
        context: Digest of all else that its products depend on; None: not known.
        version: Version of a catalog of numbered updates; None: it has no number.
        as_of: When it was changed, or one of those joined to it; None: not known.
    """

    file: FoundFile
    facts: str
    outside: Mapping[str, object]
    staging: Staging
    context: bytes | None
    version: CatalogVersion | None
    as_of: datetime | None


@attrs.define(kw_only=True)
class FileSource:
    """Products from a file; the settings of a format open it.

    Attributes:
        settings: The settings.
        complete: Whether the file has the whole catalog.
    """

    settings: FileSettings
    complete: bool
    _open_records: OpenRecords = attrs.field(alias="open_records", repr=False)
    _folder: Path = attrs.field(alias="folder")
    _also: Sequence[str] = attrs.field(alias="also", default=(), repr=False)
    _upload: Upload = attrs.field(alias="upload", factory=Upload, repr=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _closing: Lock = attrs.field(factory=Lock, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _read: _Read | None = attrs.field(default=None, init=False)
    _tries: int = attrs.field(default=0, init=False)

    @property
    def name(self) -> str:
        """The namespace of its product keys."""
        return self.settings.name

    @property
    def says_deleted(self) -> bool:
        """Whether records say that their product was deleted."""
        return self.settings.map.delete_when is not None

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the first call reads the whole file onto the disk.

        Raises:
            MisconfiguredError: The file does not exist, is damaged or too large, or is
                not as the settings say.
            TransientError: It cannot be read now.
            UnauthorizedError: The credentials are not accepted.
        """
        read = await self._loaded()
        staging, pages = read.staging, len(read.staging.bounds)
        if not pages:
            return Page(products=(), total=0)
        number = 0 if cursor is None else _page_number(cursor, pages)
        found = await asyncio.to_thread(staging.page, number)
        found, deleted = self._without_deleted(read, found)
        products, rejected = self._drafts(read, found)
        later = () if cursor is not None else tuple(map(str, range(1, pages)))
        return Page(
            products=products,
            rejected=rejected,
            deleted=deleted,
            next=later,
            total=staging.products,
            version=read.version,
            as_of=read.as_of,
        )

    async def version(self) -> str | None:
        """A digest of what the file system says of the file, and of the settings.

        A file whose server says neither an ETag nor a time of change is read for it.

        Raises:
            MisconfiguredError, TransientError, UnauthorizedError: As for `read`.
        """
        return await asyncio.to_thread(self._version)

    def _version(self) -> str | None:
        settings, of_map = self.settings, self.settings.map.digest
        if of_map is None:
            return None
        texts = [repr(settings)]
        for location in (settings.location, *self._also):
            file = find_file(location)
            texts += [file.place, file.version or file.digest(most=settings.max_size)]
        parts = (text.encode(errors="replace") for text in texts)
        return digest_of(of_map, *parts).hex()

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        read = await self._loaded()
        ids = [key.id for key in keys if key.source == self.name]
        found, deleted = self._without_deleted(read, await _find(read, ids))
        products, rejected = self._products(read, found)
        return Page(
            products=products,
            rejected=rejected,
            deleted=deleted,
            version=read.version,
            as_of=read.as_of,
        )

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their records, or those with these ids."""
        read = await self._loaded()
        found = await _find(read, keys)
        if not keys:
            for number in range(len(read.staging.bounds)):
                if len(found) >= most:
                    break
                found += await asyncio.to_thread(read.staging.page, number)
        return [self._sample(read, staged) for staged in found[:most]]

    async def check(self) -> Sequence[CheckResult]:
        """Read the file and say what was found."""
        try:
            read = await self._loaded()
        except CatalogSyncError as error:
            what = (
                error.setting if isinstance(error, MisconfiguredError) else "location"
            )
            problem = getattr(error, "problem", str(error))
            return [CheckResult(ok=False, what=what, text=problem)]
        count = counted(read.staging.products, "product")
        text = f"{read.file.place}: {read.facts}{read.facts and ', '}{count}"
        return [CheckResult(ok=True, what="location", text=text)]

    def close(self) -> None:
        """Stop reading, also in a thread that nobody waits for, and free the disk."""
        with self._closing:
            self._closed = True
            if self._read is not None:
                self._read.staging.close()

    async def _loaded(self) -> _Read:
        async with self._turn:
            if self._read is None:
                self._tries += 1
                folder = self._folder / str(self._tries)
                progress = ReadingProgress(
                    loop=asyncio.get_running_loop(), is_closed=lambda: self._closed
                )
                return await asyncio.to_thread(self._load, folder, progress)
            return self._read

    def _load(self, folder: Path, progress: ReadingProgress) -> _Read:
        """Read the file onto the disk; blocks."""
        folder.mkdir()
        try:
            return self._kept(self._stage(folder, progress))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _kept(self, read: _Read) -> _Read:
        """Keep what was read, if the source is still open."""
        with self._closing:
            if self._closed:
                read.staging.close()
                raise TransientError(CLOSED)
            self._read = read
        return read

    def _stage(self, folder: Path, progress: ReadingProgress) -> _Read:
        settings = self.settings
        file = self._upload.find(settings.location)
        file = attrs.evolve(file, on_copied=progress.copied)
        with ExitStack() as stack:
            records = self._open_records(file, folder, stack)
            watched = attrs.evolve(records, rows=progress.watched(records.rows))
            staging = Staging.of(
                watched, settings.map, folder, page_size=settings.page_size
            )
        try:
            self._upload.check_same(file, settings.location)
        except BaseException:
            staging.close()
            raise
        mapping, parts = settings.map.digest, (*records.columns, records.outside)
        context = digest_of(mapping, f"{parts!r}".encode()) if mapping else None
        return _Read(
            file=file,
            facts=records.facts,
            outside=records.outside,
            staging=staging,
            context=context,
            version=records.version(),
            as_of=_newest([file, *map(find_file, self._also)]),
        )

    def _products(
        self, read: _Read, found: Iterable[Staged]
    ) -> tuple[list[Product], list[Rejected]]:
        products: list[Product] = []
        rejected: list[Rejected] = []
        for staged in found:
            each = self._product(staged, _records(read, staged))
            if isinstance(each, Rejected):
                rejected.append(each)
            else:
                products.append(each)
        return products, rejected

    def _without_deleted(
        self, read: _Read, found: list[Staged]
    ) -> tuple[list[Staged], list[ProductKey]]:
        """The products that were not deleted, and the keys of those that were."""
        if not self.says_deleted:
            return found, []
        left: list[Staged] = []
        deleted: list[ProductKey] = []
        for staged in found:
            try:
                gone = not staged.problem and not self.settings.map.without_deleted(
                    _records(read, staged)
                )
                key = ProductKey(self.name, staged.id) if gone else None
            except InvalidValueError:  # it will be rejected for this
                key = None
            if key is None:
                left.append(staged)
            else:
                deleted.append(key)
        return left, deleted

    def _drafts(
        self, read: _Read, found: Iterable[Staged]
    ) -> tuple[Sequence[Product | Draft], list[Rejected]]:
        """Drafts of the products; if a digest is not known, the products."""
        drafts: list[Product | Draft] = []
        others: list[Staged] = []
        for staged in found:
            if (draft := self._draft(read, staged)) is not None:
                drafts.append(draft)
            else:
                others.append(staged)
        products, rejected = self._products(read, others)
        return [*drafts, *products], rejected

    def _draft(self, read: _Read, staged: Staged) -> Draft | None:
        if staged.problem or read.context is None:
            return None
        try:
            key = ProductKey(self.name, staged.id)
        except InvalidValueError:
            return None
        content = staged.content
        return Draft(
            key=key,
            digest=digest_of(read.context, content),
            size=4 * len(content),
            build=lambda: self._product(staged, _records(read, staged)),
            dated=self.settings.map.as_of is not None,
        )

    def _product(self, staged: Staged, records: Sequence[Record]) -> Product | Rejected:
        if not staged.problem:
            return self.settings.map.product(self.name, records)
        key = self._key(records) if len(records) > 1 else None
        return Rejected(key=key, reason=staged.problem, where=staged.where)

    def _key(self, records: Sequence[Record]) -> ProductKey | None:
        """The key of a product that has an invalid row."""
        for record in records:
            try:
                if (group := self.settings.map.group_of(record)) is not None:
                    return ProductKey(self.name, group)
            except InvalidValueError:
                continue
        return None

    def _sample(self, read: _Read, staged: Staged) -> Sample:
        records = _records(read, staged)
        shown = {n: v for n, v in read.outside.items() if not isinstance(v, Mapping)}
        return Sample(
            records=_records(attrs.evolve(read, outside=shown), staged),
            result=self._product(staged, records),
            unmapped=[] if staged.problem else self._unmapped(records),
        )

    def _unmapped(self, records: Sequence[Record]) -> list[str]:
        """The supplier's categories of a product that the map does not have."""
        found: dict[str, None] = {}
        for record in records:
            try:
                found |= dict.fromkeys(self.settings.map.unmapped(record))
            except InvalidValueError:
                continue
        return list(found)


def _newest(files: Iterable[FoundFile]) -> datetime | None:
    """The last change of any of these files, as far as it is known."""
    times = [file.changed for file in files if file.changed is not None]
    return datetime.fromtimestamp(max(times), UTC) if times else None


async def _find(read: _Read, ids: Iterable[str]) -> list[Staged]:
    """The products with these ids."""
    found: list[Staged] = []
    for id_ in ids:
        found += await asyncio.to_thread(read.staging.find, id_)
    return found


def _records(read: _Read, staged: Staged) -> Sequence[Record]:
    """The records of a product, with the values outside of records."""
    if not read.outside:
        return staged.records
    return [
        Record(where=each.where, values={**read.outside, **each.values})
        for each in staged.records
    ]


def _page_number(cursor: Cursor, pages: int) -> int:
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) >= pages:
        raise InvalidValueError("cursor", f"there is no page {cursor!r}")
    return int(cursor)


@asynccontextmanager
async def open_source(
    settings: FileSettings,
    open_records: OpenRecords,
    *,
    complete: bool,
    upload: Upload | None = None,
    also: Sequence[str] = (),
) -> AsyncGenerator[FileSource]:
    """Open a source with a temporary folder of its own.

    Args:
        settings: Its settings.
        open_records: Opens the records of a file of this format.
        complete: Whether the file has the whole catalog.
        upload: How one knows that the file is complete; None: it is.
        also: Locations of other files that its products depend on.
    """
    with tempfile.TemporaryDirectory(
        prefix="catalogsync-", ignore_cleanup_errors=True
    ) as folder:
        source = FileSource(
            settings=settings,
            complete=complete,
            open_records=open_records,
            folder=Path(folder),
            upload=upload or Upload(),
            also=also,
        )
        try:
            yield source
        finally:
            source.close()
