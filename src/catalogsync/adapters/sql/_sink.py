"""The SQL sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from sqlalchemy import false, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from catalogsync.errors import BatchRefusedError, CatalogSyncError
from catalogsync.models import Field, Product, ProductKey
from catalogsync.outcomes import Outcome
from catalogsync.protocols import (
    Change,
    Finding,
    Held,
    HeldReference,
    Limits,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
)

from . import _limits, _references
from ._failures import sql_errors
from ._reading import find_products
from ._tables import product
from ._writing import write_changes

__all__ = ["SQLSink"]

_COUNT = select(func.count()).select_from(product)
_WRITE_NOTHING = update(product).where(false()).values(title=product.c.title)


@attrs.frozen(eq=False)
class SQLSink:
    """A catalog in a SQL database; `SQLSettings.open` makes one.

    It is a `Sink`, a `ReferencingSink`, a `ShapingSink` and `Checkable`. A batch is
    one transaction: written whole, or not at all.

    Attributes:
        name: Names the sink in reports and logs.
        limits: What it can take.
    """

    name: str
    limits: Limits
    _reading: AsyncEngine = attrs.field(repr=False)
    _writing: AsyncEngine = attrs.field(repr=False)

    async def find(
        self, wanted: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Held]:
        """Say what the database holds under the keys of these products.

        All of it is read at one moment. `Ours.native` is the number of the row.
        """
        keys = [each.key for each in wanted]
        with sql_errors():
            async with self._reading.begin() as connection:
                return await find_products(connection, keys, fields)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Write a batch in one transaction.

        Raises:
            BatchRefusedError: A value cannot be kept; nothing was written.
            ConflictError: A product was created, changed or removed meanwhile.
            TransientError: The database is locked or cannot be reached.
            MisconfiguredError: It cannot be written as things are: the disk is
                full, the file is read-only, the user has no right to.
        """
        problems = {
            change.key: problem
            for change in changes
            if (problem := _limits.problem_of(change.product))
        }
        if problems:
            reason = "the database cannot keep a value"
            raise BatchRefusedError(reason, culprits=problems)
        with sql_errors():
            async with self._writing.begin() as connection:
                await write_changes(connection, changes)
        return [change.done() for change in changes]

    def shape(self, product: Product, /) -> Product:
        """The product as `find` gives it back.

        Raises:
            RefusedError: A value cannot be kept exactly: an id of more than 1000
                bytes, a number with more than 1000 digits behind the point.
        """
        return _limits.shape(product)

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, HeldReference]:
        """Say which of these categories and tags the database has."""
        with sql_errors():
            async with self._reading.begin() as connection:
                return await _references.find_references(connection, references)

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these in one transaction.

        One that somebody else created meanwhile is found, not doubled.
        """
        with sql_errors():
            async with self._writing.begin() as connection:
                return await _references.write_references(connection, changes)

    async def check(self) -> Sequence[Finding]:
        """See whether the database can be reached and written; change nothing."""
        try:
            with sql_errors():
                async with self._writing.begin() as connection:
                    await connection.execute(_WRITE_NOTHING)
                    number = await connection.scalar(_COUNT)
        except CatalogSyncError as error:
            return [Finding(ok=False, what="url", text=str(error))]
        text = f"the database can be written; it holds {number} products"
        return [Finding(ok=True, what="url", text=text)]
