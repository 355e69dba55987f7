"""The SQL source."""

from __future__ import annotations

import time
from collections.abc import (
    AsyncGenerator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from catalogsync._lib.postgres import parse_url
from catalogsync._lib.redact import Redactor, database_secrets
from catalogsync._lib.texts import counted
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import CatalogSyncError, InvalidValueError, MisconfiguredError
from catalogsync.mapping import Expression, Record, Sample
from catalogsync.protocols import CheckResult, Cursor, Page

from ._cells import Key, as_key, cell, dumped, loaded
from ._database import postgres_engine, sqlite_engine
from ._refusals import check_columns, source_errors
from ._selecting import Selecting
from ._settings import driver_of

if TYPE_CHECKING:
    from ._source_settings import SQLSourceSettings

__all__ = ["LookupSQLSource", "SQLSource", "open_source"]

_Row: TypeAlias = Mapping[str, Any]
_MOST_ROWS = 100_000
_LOOKUP = 200


@attrs.define(kw_only=True, eq=False)
class SQLSource:
    """Reads a table or a query page by page; `SQLSourceSettings.open` makes it.

    It is a `DeltaSource` and `SelfChecking`. Memory holds the rows of one page.

    Attributes:
        settings: The settings.
        clock: Seconds since the epoch; replaced in tests.
    """

    settings: SQLSourceSettings
    clock: Callable[[], float] = time.time
    _engine: AsyncEngine = attrs.field(alias="engine", repr=False)
    _redactor: Redactor = attrs.field(alias="redactor", repr=False)
    _since: float = attrs.field(default=0.0, init=False)
    _like: object = attrs.field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """The namespace of its product keys."""
        return self.settings.name

    @property
    def complete(self) -> bool:
        """Whether it has the whole catalog."""
        return self.settings.complete and self.settings.changed_since is None

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the cursor is the key of the last row before it.

        Raises:
            MisconfiguredError: The database refuses the statement, or a key column has
                NULL.
            TransientError: The database cannot be reached now.
        """
        after = None if cursor is None else loaded(cursor)
        if after is not None and len(after) != len(self.settings.key):
            raise InvalidValueError("cursor", f"there is no page {cursor!r}")
        if cursor is None:
            self._since = self.clock()
        groups, more = await self._groups(after)
        products, rejected = self._made(groups)
        following = (dumped(self._key(groups[-1][-1])),) if more else ()
        return Page(products=products, rejected=rejected, next=following)

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their rows, or those with these ids."""
        found: list[Sample] = []
        after, more = None, True
        while more and len(found) < most:
            groups, more = await self._groups(after)
            after = self._key(groups[-1][-1]) if groups else None
            samples = [self._sample(self._records(rows)) for rows in groups]
            found += [each for each in samples if not keys or _id(each) in keys]
        return found[:most]

    async def check(self) -> Sequence[CheckResult]:
        """Connect to the database and read the first row."""
        what = "query" if self.settings.table is None else "table"
        try:
            self._since = self.clock()
            async with self._reading() as connection:
                statement = self._selecting()
                rows = await self._rows(connection, statement.page(None, 1))
                count = await connection.scalar(statement.count())
        except CatalogSyncError as error:
            setting = getattr(error, "setting", "url")
            problem = getattr(error, "problem", str(error))
            return [CheckResult(ok=False, what=setting, text=problem)]
        columns = f", {counted(len(rows[0]), 'column')}" if rows else ""
        text = f"{counted(count or 0, 'row')}{columns}"
        return [CheckResult(ok=True, what=what, text=text)]

    # --- rows ---

    async def _groups(self, after: Key | None) -> tuple[list[list[_Row]], bool]:
        """The rows of the next products, and whether there are more."""
        most = self.settings.page_size
        async with self._reading() as connection:
            statement = self._selecting()
            if after is None:
                await self._check_key(connection, statement)
            while True:
                rows = await self._rows(connection, statement.page(after, most + 1))
                groups = self._grouped(rows)
                if len(rows) <= most:
                    return groups, False
                if len(groups) > 1:  # the last one may have more rows
                    return groups[:-1], True
                most *= 2
                self._check_size(rows)

    def _grouped(self, rows: Iterable[_Row]) -> list[list[_Row]]:
        first = self.settings.key[0]
        return [list(group) for _, group in groupby(rows, lambda row: row[first])]

    def _check_size(self, rows: Sequence[_Row]) -> None:
        if len(rows) > _MOST_ROWS:
            first = self.settings.key[0]
            problem = (
                f"more than {_MOST_ROWS} rows have the same `{first}`; the first "
                "column must be the one that tells products apart"
            )
            raise MisconfiguredError("key", problem)

    async def _check_key(
        self, connection: AsyncConnection, statement: Selecting
    ) -> None:
        """Check that no row would be left out because it has no key."""
        found = (await connection.execute(statement.without_key())).first()
        if found is not None:
            pairs = zip(self.settings.key, found, strict=True)
            names = [f"`{name}`" for name, value in pairs if value is None]
            problem = (
                f"{' and '.join(names)} has NULL in a row; name columns that never "
                "have it, or leave such rows out with `query`"
            )
            raise MisconfiguredError("key", problem)

    async def _rows(
        self, connection: AsyncConnection, statement: sa.Select[Any]
    ) -> list[_Row]:
        result = await connection.execute(statement)
        columns = list(result.keys())
        check_columns(columns, self.settings)
        return [dict(zip(columns, row, strict=True)) for row in result]

    def _selecting(self) -> Selecting:
        dialect = self._engine.dialect.name
        return Selecting.of(self.settings, dialect=dialect, now=self._since)

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that can only read."""
        with source_errors(self.settings, self._redactor):
            async with self._engine.begin() as connection:
                is_delta = self.settings.changed_since is not None
                if is_delta and self._engine.dialect.name == "postgresql":
                    await connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
                yield connection

    # --- products ---

    def _key(self, row: _Row) -> Key:
        return tuple(row[name] for name in self.settings.key)

    def _records(self, rows: Iterable[_Row]) -> list[Record]:
        return [
            Record(where=self._where(row), values={n: cell(v) for n, v in row.items()})
            for row in rows
        ]

    def _where(self, row: _Row) -> str:
        parts = (f"{name}={cell(row[name])}" for name in self.settings.key)
        return f"row {', '.join(parts)}"

    def _made(
        self, groups: Iterable[Sequence[_Row]]
    ) -> tuple[list[Product], list[Rejected]]:
        products: list[Product] = []
        rejected: list[Rejected] = []
        for rows in groups:
            self._like = rows[0][self.settings.key[0]]
            each = self.settings.map.product(self.name, self._records(rows))
            if isinstance(each, Rejected):
                rejected.append(each)
            else:
                products.append(each)
        return products, rejected

    def _sample(self, records: Sequence[Record]) -> Sample:
        result = self.settings.map.product(self.name, records)
        unmapped = dict.fromkeys(
            name for record in records for name in self.settings.map.unmapped(record)
        )
        return Sample(records=records, result=result, unmapped=[*unmapped])


@attrs.define(kw_only=True, eq=False)
class LookupSQLSource(SQLSource):
    """A source whose products have the first key column as their key.

    It is also a `LookupSource`.
    """

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        if self._like is None:
            await self.read(None)
        ids = {key.id for key in keys if key.source == self.name}
        values = [v for id_ in ids if (v := as_key(id_, self._like)) is not None]
        groups: list[list[_Row]] = []
        async with self._reading() as connection:
            for part in _parts(values, _LOOKUP):
                statement = self._selecting().of_products(part)
                groups += self._grouped(await self._rows(connection, statement))
        products, rejected = self._made(groups)
        products = [product for product in products if product.key.id in ids]
        return Page(products=products, rejected=rejected)


def _parts(values: Sequence[object], most: int) -> Iterator[Sequence[object]]:
    for begin in range(0, len(values), most):
        yield values[begin : begin + most]


def _id(sample: Sample) -> str:
    key = sample.result.key
    return key.id if key else ""


# --- opening ---


@asynccontextmanager
async def open_source(settings: SQLSourceSettings) -> AsyncGenerator[SQLSource]:
    """Open the source; see `SQLSourceSettings.open`."""
    redactor = Redactor()
    redactor.keep(database_secrets(settings.url))
    is_column = settings.map.key == Expression(from_=settings.key[0])
    make = LookupSQLSource if is_column else SQLSource
    with source_errors(settings, redactor):
        engine = _engine(settings)
    try:
        yield make(settings=settings, engine=engine, redactor=redactor)
    finally:
        await engine.dispose()


def _engine(settings: SQLSourceSettings) -> AsyncEngine:
    driver = driver_of(settings.url) or settings.url.partition("://")[0]
    url = parse_url(settings.url, driver)
    if driver == "sqlite+aiosqlite":
        return _sqlite(url, settings.timeout)
    if driver == "postgresql+asyncpg":
        engine = postgres_engine(url, settings.timeout)
        return engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    try:
        return create_async_engine(
            url, hide_parameters=True, pool_timeout=settings.timeout
        )
    except (ArgumentError, InvalidRequestError, NoSuchModuleError, ImportError):
        problem = (
            f"`{driver}` is not an asynchronous driver of SQLAlchemy that is installed"
        )
        raise MisconfiguredError("url", problem) from None


def _sqlite(url: sa.URL, timeout: float) -> AsyncEngine:
    if url.database and url.database != ":memory:" and not Path(url.database).exists():
        raise MisconfiguredError("url", f"{url.database} does not exist")
    engine = sqlite_engine(url, timeout)

    def only_reads(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    event.listen(engine.sync_engine, "connect", only_reads)
    return engine
