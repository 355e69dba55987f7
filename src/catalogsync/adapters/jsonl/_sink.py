"""The sink."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import attrs

from catalogsync.catalog import lenient
from catalogsync.catalog.changes import (
    Action,
    Change,
    Conflict,
    Delete,
    Existing,
    Found,
    Release,
    SellOut,
    Unpublish,
)
from catalogsync.catalog.drafts import Fingerprint
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import (
    Field,
    Product,
    ProductKey,
    ProductStatus,
    unchecked,
)
from catalogsync.errors import CatalogSyncError, ConflictError, InvalidValueError
from catalogsync.protocols import CheckResult, Limits

from ._file import LONGEST
from ._lines import Line, Place, digest_of_line, parse
from ._store import Store, Stored

__all__ = ["JSONLSink"]

_PAGE = 500
_Lines: TypeAlias = dict[Place, "bytes | None"]


@asynccontextmanager
async def open_sink(path: Path, name: str, batch: int) -> AsyncGenerator[JSONLSink]:
    """Open the sink; see `JSONLSinkSettings.open`."""
    store = Store(await asyncio.to_thread(path.resolve))
    limits = Limits(batch=batch, find=_PAGE, collides=True)
    try:
        yield JSONLSink(name, limits, store)
    finally:
        await asyncio.to_thread(store.close)


@attrs.frozen(eq=False)
class JSONLSink:
    """A file of products; `JSONLSinkSettings.open` makes it.

    It is a `Sink`, a `RemovingSink`, a `SellOutSink`, a `FingerprintingSink`,
    `HasEndpoint` and `SelfChecking`. It holds everything that a product can have.

    Attributes:
        name: Name of the sink, for reports and logs.
        limits: Largest batch; one write at a time.
    """

    name: str
    limits: Limits
    _store: Store = attrs.field(repr=False)

    @property
    def sells_out(self) -> bool:
        """True."""
        return True

    @property
    def endpoint(self) -> str:
        """The address of the file, with its absolute path."""
        return self._store.path.as_uri()

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products by key; all fields are returned.

        A product whose line was edited so that it is no longer valid is a conflict.

        Raises:
            MisconfiguredError: A line of the file is damaged, or the file cannot be read.
            TransientError: Another run is writing the file.
        """
        keys = [product.key for product in desired]
        stored = await asyncio.to_thread(self._store.find, keys)
        return {ProductKey(*each.place): _found(each) for each in stored}

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint | None:
        """Digest of the line that `find` read."""
        digest = existing.native
        return Fingerprint(digest, fields) if isinstance(digest, str) else None

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        """Digests of the lines of these keys."""
        stored = await asyncio.to_thread(self._store.find, keys)
        return {ProductKey(*each.place): _digest(each) for each in stored}

    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        """All products of a source, page by page, in the order of their ids."""
        after = ""
        while page := await asyncio.to_thread(self._store.page, source, after, _PAGE):
            yield [_owned(each) for each in page]
            after = page[-1].place[1]

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Write a batch, all or nothing; the file itself is written at the end.

        Raises:
            ConflictError: A product was created or removed since `find`.
            TransientError: Another run is writing the file.
            MisconfiguredError: The file or its folder is not writable, or full.
        """
        return await asyncio.to_thread(self._write, changes)

    def _write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        lines: _Lines = {}
        new: set[Place] = set()
        for change in changes:
            place = (change.key.source, change.key.id)
            of_change = self._lines(change, place)
            if any(len(data or b"") > LONGEST for data in of_change.values()):
                reason = f"its line would be longer than {LONGEST} bytes"
                outcomes.append(change.failed(reason))
                continue
            lines |= of_change
            new |= of_change.keys() - {place}
            if change.action is Action.CREATE:
                new.add(place)
            outcomes.append(change.done())
        self._store.write(lines, new=frozenset(new))
        return outcomes

    def _lines(self, change: Change, place: Place) -> _Lines:
        match change:
            case Delete():
                return {place: None}
            case SellOut():
                line = Line.of(change.after, change.last_applied)
            case Unpublish():
                line = self._line(change.key)
                tree = {**line.tree, "status": ProductStatus.DRAFT.value}
                line = attrs.evolve(line, tree=tree, last_applied=change.last_applied)
            case Release():
                return {place: None, **self._released(change.key)}
            case _:
                line = Line.of(change.product, change.last_applied)
        return {place: line.dumped()}

    def _line(self, key: ProductKey) -> Line:
        for stored in self._store.find([key]):
            return parse(stored.data)
        raise ConflictError(f"{key} no longer exists")

    def _released(self, key: ProductKey) -> _Lines:
        """The line of a product without its key, under a name that is free."""
        line, name, number = self._line(key), str(key), 1
        while self._store.has(("", name)):
            number += 1
            name = f"{key} ({number})"
        line = attrs.evolve(line, key=None, last_applied=None, released=name)
        return {("", name): line.dumped()}

    async def check(self) -> Sequence[CheckResult]:
        """Read the file and say how many products it has; changes nothing."""
        path = self._store.path
        try:
            number = await asyncio.to_thread(self._store.count)
        except CatalogSyncError as error:
            problem = getattr(error, "problem", str(error))
            return [CheckResult(ok=False, what="path", text=problem)]
        text = f"{path} has {number} products"
        if not path.exists():
            text = f"{path} would be created"
        if not path.parent.is_dir():
            text = f"the folder of {path} does not exist; create it first"
            return [CheckResult(ok=False, what="path", text=text)]
        return [CheckResult(ok=True, what="path", text=text)]


def _found(stored: Stored) -> Found:
    try:
        line = parse(stored.data)
        return Existing(
            product=line.product,
            last_applied=line.last_applied,
            native=_digest(stored),
        )
    except InvalidValueError as error:
        return Conflict(reason=f"line {stored.number} is not a valid product: {error}")


def _digest(stored: Stored) -> str:
    return digest_of_line(stored.data).hex()


def _owned(stored: Stored) -> Existing:
    """A product whose title and status can be trusted, and perhaps nothing else."""
    line, key = parse(stored.data), ProductKey(*stored.place)
    try:
        product = line.product
    except InvalidValueError:
        title = lenient.text(line.tree.get("title")) or key.id
        product = unchecked(Product, key=key, title=title)
    return Existing(product=product, last_applied=line.last_applied)
