"""The SQL sink."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import attrs

from catalogsync.catalog.changes import (
    Change,
    Existing,
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
)
from catalogsync.catalog.drafts import Fingerprint
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import (
    Dimensions,
    Field,
    Product,
    ProductKey,
    Variant,
)
from catalogsync.errors import BatchRefusedError, CatalogSyncError, RefusedError
from catalogsync.protocols import AdoptBy, CheckResult, Limits

from . import _references
from ._database import Database, open_database
from ._digests import RowId
from ._foreign import find_foreign
from ._reading import digests, find_products, owned_page
from ._unique import named
from ._writing import write_changes

if TYPE_CHECKING:
    from ._settings import SQLSettings

_MOST = 2**63 - 1


_NO_SIZE = Dimensions()
T = TypeVar("T", Product, Variant)


def _without_empty_size(of: T) -> T:
    return attrs.evolve(of, dimensions=None) if of.dimensions == _NO_SIZE else of


@asynccontextmanager
async def open_sink(settings: SQLSettings) -> AsyncGenerator[SQLSink, None]:
    """Open the sink; see `SQLSettings.open`."""
    async with open_database(settings) as database:
        writers = 1 if database.is_sqlite else 4
        limits = Limits(batch=settings.batch, writers=writers, find=500, collides=True)
        yield SQLSink(settings.name, limits, database)


@attrs.frozen(eq=False)
class SQLSink:
    """A catalog in a SQL database; `SQLSettings.open` makes it.

    It is a `Sink`, a `ReferencingSink`, a `NormalizingSink`, a `RemovingSink`, a
    `SellOutSink`, an `AdoptingSink`, a `FingerprintingSink`, `HasEndpoint` and `SelfChecking`. Each batch is one transaction. The
    sink creates the tables before the first write; until then it finds nothing.

    Attributes:
        name: Name of the sink, for reports and logs.
        limits: Largest batch, and number of writes in flight.
    """

    name: str
    limits: Limits
    _database: Database = attrs.field(repr=False)

    @property
    def sells_out(self) -> bool:
        """True."""
        return True

    @property
    def endpoint(self) -> str:
        """The database's address, without user and password.

        A SQLite file has its absolute path; each database in memory has an endpoint
        of its own.
        """
        return self._database.endpoint

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products by key, in one consistent read.

        `Existing.native` is the id of the row, with what was read of it.
        """
        async with self._database.reading() as connection:
            return (
                await find_products(connection, desired, fields) if connection else {}
            )

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint | None:
        """Digest of the rows that `find` read for a product."""
        row = existing.native
        return Fingerprint(row.digest, fields) if isinstance(row, RowId) else None

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        """Digests of the rows that `find` would read for these products."""
        async with self._database.reading() as connection:
            return await digests(connection, keys, fields) if connection else {}

    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        """All products with keys of this source, page by page.

        The status is `UNSET` if the column has an unknown value.
        """
        page = await self._owned_page(source, 0)
        while page:
            yield page
            page = await self._owned_page(source, page[-1].native)

    async def _owned_page(self, source: str, after: object) -> Sequence[Existing]:
        async with self._database.reading() as connection:
            return await owned_page(connection, source, after) if connection else []

    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products without a `source` that match these.

        The table has no handle, so `AdoptBy.HANDLE` finds nothing. The external id is
        the attribute `external_id`: the id, or `source:id`.
        """
        async with self._database.reading() as connection:
            if connection is None:
                return {}
            return await find_foreign(connection, desired, by, fields)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Write a batch in one transaction.

        Raises:
            BatchRefusedError: The database cannot store a value; nothing was written.
            ConflictError: A product was created, changed or removed since `find`.
            TransientError: The database is locked or cannot be reached.
            MisconfiguredError: The database is not writable: the disk is full, the file
                is read-only, or the user lacks a permission.
        """
        try:
            async with self._database.writing() as connection:
                await write_changes(connection, changes)
        except BatchRefusedError as error:
            if error.culprits:
                raise
            raise await self._named(error, changes) from error
        return [change.done() for change in changes]

    async def _named(
        self, error: BatchRefusedError, changes: Sequence[Change]
    ) -> BatchRefusedError:
        """The refusal with its culprits, if they can be determined."""
        async with self._database.reading() as connection:
            return await named(connection, error, changes) if connection else error

    def shape(self, product: Product, /) -> Product:
        """The product as `find` returns it after a write.

        Raises:
            RefusedError: A stock level has more than 63 bits.
        """
        for variant in product.variants or ():
            for level in variant.stock or ():
                if level.quantity > _MOST:
                    problem = f"more than {_MOST}, is {level.quantity}"
                    raise RefusedError(f"variants.{variant.id}.stock: {problem}")
        if any(each.dimensions == _NO_SIZE for each in product.variants or ()):
            variants = [*map(_without_empty_size, product.variants or ())]
            product = attrs.evolve(product, variants=variants)
        return _without_empty_size(product)

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        """Find categories and tags; types and collections are only names here."""
        async with self._database.reading() as connection:
            if connection is None:
                return _references.groups(references)
            has_last_applied = self._database.has_last_applied
            return await _references.find_references(
                connection, references, has_last_applied=has_last_applied
            )

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these in one transaction.

        One that someone else has created in the meantime is used, not created twice.
        """
        async with self._database.writing() as connection:
            return await _references.write_references(connection, changes)

    async def check(self) -> Sequence[CheckResult]:
        """Check whether the database can be reached and written; changes nothing."""
        try:
            text = await self._database.check()
        except CatalogSyncError as error:
            return [CheckResult(ok=False, what="url", text=str(error))]
        return [CheckResult(ok=True, what="url", text=text)]
