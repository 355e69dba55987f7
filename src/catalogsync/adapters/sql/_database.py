"""An open database: connections, transactions and tables."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakSet

import attrs
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from catalogsync._lib.postgres import UNPREPARED, parse_url
from catalogsync._lib.redact import Redactor, database_secrets
from catalogsync.errors import MisconfiguredError

from ._failures import sql_errors
from ._settings import SQLSettings, driver_of
from ._tables import Lacking, category, metadata, product

_TABLES_LOCK = 7_240_113_904  # arbitrary, but the same in all processes
_COUNT = sa.select(sa.func.count()).select_from(product)
_WRITE_NOTHING = sa.update(product).where(sa.false()).values(title=product.c.title)


@attrs.define(eq=False)
class Database:
    """A database; the first write creates the tables, and the file of SQLite."""

    _reading: AsyncEngine
    _writing: AsyncEngine
    _address: str
    _redactor: Redactor = attrs.field(repr=False)
    _file: Path | None = None
    _has_tables: bool = False
    _lacking: Lacking = frozenset()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite, which allows one writer at a time."""
        return self._writing.dialect.name == "sqlite"

    @property
    def endpoint(self) -> str:
        """The address without user and password; on a server, with the schema."""
        if self.is_sqlite:
            return self._address
        return f"{self._address}/{self._writing.dialect.default_schema_name}"

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection | None, None]:
        """A transaction that reads one snapshot; None if there are no tables yet."""
        with self._errors():
            if not await self.has_tables():
                yield None
                return
            engine = self._reading.execution_options(lacking=self._lacking)
            async with engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction that writes."""
        with self._errors():
            if not await self.has_tables() or self._lacking:
                async with self._writing.begin() as connection:
                    await self._create_all(connection)
                self._lacking = frozenset()
            async with self._writing.begin() as connection:
                yield connection

    async def check(self) -> str:
        """Try to write, and roll back; returns a description of the database."""
        with self._errors():
            if self._is_missing():
                return f"{self._file} would be created"
            has_tables = await self.has_tables()
            async with self._writing.connect() as connection:  # ends with a rollback
                if not has_tables:
                    await self._create_all(connection)
                    return "the database can be written; the tables would be created"
                await connection.execute(_WRITE_NOTHING)
                number = await connection.scalar(_COUNT)
        return f"the database can be written; it has {number} products"

    async def has_tables(self) -> bool:
        """Whether our tables exist.

        Raises:
            MisconfiguredError: Another program has created some of them.
        """
        if not self._has_tables and not self._is_missing():
            async with self._reading.begin() as connection:
                self._has_tables = await connection.run_sync(_look_for_tables)
                if self._has_tables:
                    self._lacking = await connection.run_sync(_missing_columns)
        return self._has_tables

    @property
    def has_last_applied(self) -> bool:
        """Whether the categories' last-applied column exists; a write would add it."""
        column = category.c.last_applied
        return (category.name, column.name) not in self._lacking

    def _is_missing(self) -> bool:
        """Whether the file does not exist; connecting would create it."""
        if self._file is None or self._file.exists():
            return False
        if not os.access(self._file.parent, os.W_OK):
            problem = f"{self._file} cannot be created; create its folder first"
            raise MisconfiguredError("url", problem)
        return True

    def _errors(self) -> AbstractContextManager[None]:
        return sql_errors(self._redactor)

    async def close(self) -> None:
        """Close all connections."""
        await self._writing.dispose()

    async def _create_all(self, connection: AsyncConnection) -> None:
        if not self.is_sqlite:
            await connection.execute(
                sa.select(sa.func.pg_advisory_xact_lock(_TABLES_LOCK))
            )
        await connection.run_sync(metadata.create_all)
        for table, name in sorted(await connection.run_sync(_missing_columns)):
            column = next(c for c in metadata.tables[table].c if c.name == name)
            kind = column.type.compile(self._writing.dialect)
            await connection.execute(
                sa.text(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
            )


def _missing_columns(connection: sa.Connection) -> Lacking:
    """The columns of our tables that an earlier version did not create."""
    found = sa.inspect(connection)
    missing: set[tuple[str, str]] = set()
    for table in metadata.sorted_tables:
        later = {column.name for column in table.c if column.info.get("later")}
        if later:
            names = {column["name"] for column in found.get_columns(table.name)}
            missing |= {(table.name, name) for name in later - names}
    return frozenset(missing)


def _look_for_tables(connection: sa.Connection) -> bool:
    there = metadata.tables.keys() & set(sa.inspect(connection).get_table_names())
    if there and there != metadata.tables.keys():
        problem = f"another program made these tables: {', '.join(sorted(there))}"
        raise MisconfiguredError("url", problem)
    return bool(there)


@asynccontextmanager
async def open_database(settings: SQLSettings) -> AsyncGenerator[Database, None]:
    """Open the database for the length of a block, without changing it."""
    url = parse_url(settings.url, driver_of(settings.url))
    redactor = Redactor()
    redactor.keep(database_secrets(settings.url))
    make = _sqlite if url.get_backend_name() == "sqlite" else _postgres
    database = make(url, settings.timeout, redactor)
    try:
        with sql_errors(redactor):
            await database.has_tables()
    except TypeError as error:  # from the driver's connect()
        problem = f"has an unknown parameter ({error})"
        raise MisconfiguredError("url", redactor.text(problem)) from None
    else:
        yield database
    finally:
        await database.close()


def postgres_engine(url: sa.URL, timeout: float) -> AsyncEngine:
    """Connections to PostgreSQL that wait this many seconds at most."""
    return create_async_engine(
        url,
        connect_args={"timeout": timeout, "command_timeout": timeout, **UNPREPARED},
        hide_parameters=True,
        pool_timeout=timeout,
    )


def _postgres(url: sa.URL, timeout: float, redactor: Redactor) -> Database:
    engine = postgres_engine(url, timeout)
    reading = engine.execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    return Database(reading, engine, _address(url), redactor)


def _address(url: sa.URL) -> str:
    options = url.normalized_query
    host = url.host or ",".join(options.get("host", ["localhost"]))
    port = url.port or ",".join(options.get("port", ["5432"]))
    return f"postgresql://{host.lower()}:{port}/{url.database or url.username}"


def sqlite_engine(url: sa.URL, timeout: float) -> AsyncEngine:
    """One connection to SQLite, which waits this many seconds at most."""
    engine = create_async_engine(
        url,
        connect_args={"timeout": timeout, "factory": _LeavingNothing},
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        # Several connections are no faster, and each would be a database of its own
        # in memory.
        pool_size=1,
        max_overflow=0,
        pool_timeout=timeout,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _sqlite(url: sa.URL, timeout: float, redactor: Redactor) -> Database:
    in_memory = url.database in {None, "", ":memory:"}
    engine = sqlite_engine(url, timeout)
    writing = engine.execution_options(begin="BEGIN IMMEDIATE")
    if in_memory:
        return Database(engine, writing, f"sqlite://{uuid4()}", redactor)
    file = Path(url.database or "")
    return Database(engine, writing, f"sqlite:///{file.resolve()}", redactor, file)


def _prepare_sqlite(connection: Any, _: object) -> None:
    # Otherwise, Python's driver begins transactions by itself, and too late.
    connection.isolation_level = None
    # Text that is not UTF-8 must not make the other products unreadable.
    to_text = partial(str, encoding="utf-8", errors="replace")
    driver = connection.driver_connection
    driver.text_factory = to_text
    driver.stop = _only_once(driver.stop)
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _only_once(stop: Callable[[], object]) -> Callable[[], object]:
    """The function that stops a connection's thread, limited to one call.

    After a cancelled close, a second one would wait forever for an answer of the
    thread, which has ended.
    """
    stopped = False

    def stop_once() -> object:
        nonlocal stopped
        if stopped:
            return None
        stopped = True
        return stop()

    return stop_once


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("begin", "BEGIN"))


class _LeavingNothing(sqlite3.Connection):
    """A connection whose close ends its statements and its transaction.

    Python does not really close a connection while one of its cursors is alive, and the
    exception of a cancelled task keeps cursors alive until the garbage collector runs.
    Until then, the file would stay locked.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._cursors = WeakSet[sqlite3.Cursor]()
        super().__init__(*args, **options)

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Create a cursor."""
        made = super().cursor(*args, **options)
        self._cursors.add(made)
        return made

    def close(self) -> None:
        """Close all cursors, roll back, and close."""
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            for cursor in list(self._cursors):
                cursor.close()
            self.rollback()
        super().close()

    def __del__(self) -> None:
        # A task that is cancelled while it connects never gets its connection.
        with suppress(sqlite3.Error):
            self.close()
