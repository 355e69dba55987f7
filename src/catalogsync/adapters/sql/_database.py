"""An open database: its connections, its transactions and its tables."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
from sqlalchemy import (
    URL,
    Connection,
    event,
    false,
    func,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from catalogsync.errors import MisconfiguredError

from ._failures import sql_errors
from ._settings import driver_of
from ._tables import metadata, product

__all__ = ["Database", "open_database"]

_TABLES_LOCK = 7_240_113_904  # any number; all who make these tables take the same
_COUNT = select(func.count()).select_from(product)
_WRITE_NOTHING = update(product).where(false()).values(title=product.c.title)


@attrs.define(eq=False)
class Database:
    """A database whose tables are made before the first write, and not earlier."""

    _reading: AsyncEngine
    _writing: AsyncEngine
    _file: Path | None = None
    _has_tables: bool = False

    @property
    def is_sqlite(self) -> bool:
        """Whether one writer at a time is all that it takes."""
        return self._writing.dialect.name == "sqlite"

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection | None, None]:
        """A transaction that sees one moment; None as long as there are no tables."""
        with sql_errors():
            if not await self.has_tables():
                yield None
                return
            async with self._reading.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction that writes."""
        with sql_errors():
            if not await self.has_tables():
                await self._make_tables()
            async with self._writing.begin() as connection:
                yield connection

    async def check(self) -> str:
        """Try what a write needs, and take it back; says what was found."""
        with sql_errors():
            if self._is_missing():
                return self._check_folder()
            async with self._writing.connect() as connection:  # is rolled back
                if not await self.has_tables():
                    await self._create_all(connection)
                    return "the database can be written; the tables would be created"
                await connection.execute(_WRITE_NOTHING)
                number = await connection.scalar(_COUNT)
        return f"the database can be written; it holds {number} products"

    async def has_tables(self) -> bool:
        """Whether our tables are there.

        Raises:
            MisconfiguredError: Another program's tables are in the way, or the
                folder of the file is missing.
        """
        if not self._has_tables and not self._is_missing():
            async with self._reading.begin() as connection:
                self._has_tables = await connection.run_sync(_look_for_tables)
        return self._has_tables

    def _is_missing(self) -> bool:
        """Whether there is no file yet; looking into it would create it."""
        if self._file is None or self._file.exists():
            return False
        if not self._file.parent.is_dir():
            problem = f"the folder of {self._file} is not there"
            raise MisconfiguredError("url", problem)
        return True

    def _check_folder(self) -> str:
        assert self._file  # noqa: S101 - only a file can be missing
        if not os.access(self._file.parent, os.W_OK):
            problem = f"{self._file} cannot be created in its folder"
            raise MisconfiguredError("url", problem)
        return f"{self._file} would be created"

    async def _make_tables(self) -> None:
        if self.is_sqlite:
            # Reading and writing do not wait for each other then; SQLite keeps it in
            # the file, and does it outside of transactions only.
            async with self._writing.connect() as connection:
                raw: Any = await connection.get_raw_connection()
                await raw.driver_connection.execute("PRAGMA journal_mode=WAL")
        async with self._writing.begin() as connection:
            await self._create_all(connection)
        self._has_tables = True

    async def _create_all(self, connection: AsyncConnection) -> None:
        if not self.is_sqlite:  # which lets only one write anyway
            await connection.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))
        await connection.run_sync(metadata.create_all)


def _look_for_tables(connection: Connection) -> bool:
    ours = set(metadata.tables)
    there = ours.intersection(inspect(connection).get_table_names())
    if there and there != ours:
        names = ", ".join(sorted(there))
        problem = f"the database holds tables of another program ({names})"
        raise MisconfiguredError("url", problem)
    return bool(there)


@asynccontextmanager
async def open_database(url: str, timeout: float) -> AsyncGenerator[Database, None]:
    """Connect, and disconnect at the end; changes nothing.

    Raises:
        MisconfiguredError: The database cannot be used as the URL has it.
        TransientError: It cannot be reached now.
    """
    parsed = _parse(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    database = _sqlite(parsed, timeout) if is_sqlite else _postgres(parsed, timeout)
    try:
        await _knock(database)
        yield database
    finally:
        await database._writing.dispose()


async def _knock(database: Database) -> None:
    try:
        with sql_errors():
            await database.has_tables()
    except TypeError as error:  # of the driver's connect()
        problem = f"holds a parameter that the driver does not know ({error})"
        raise MisconfiguredError("url", problem) from error


def _parse(given: str) -> URL:
    try:
        url = make_url(given).set(drivername=driver_of(given))
    except (ArgumentError, ValueError):
        # The error shows parts of the URL, and one of them may be the password.
        problem = (
            "cannot be read; in a user or password, write @ as %40, : as %3A, "
            "/ as %2F and % as %25"
        )
        raise MisconfiguredError("url", problem) from None
    mode = url.query.get("sslmode")
    if mode is None:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def _sqlite(url: URL, timeout: float) -> Database:
    name = url.database or ":memory:"
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    in_memory = name == ":memory:" or url.query.get("mode") == "memory"
    engine = create_async_engine(
        url,
        connect_args={"timeout": timeout},
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        # A database in memory lives as long as its one connection.
        pool_size=1 if in_memory else 5,
        max_overflow=0,
        pool_timeout=timeout,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    writing = engine.execution_options(begin="BEGIN IMMEDIATE")
    return Database(engine, writing, None if in_memory else Path(name))


def _prepare_sqlite(connection: Any, _: object) -> None:
    # Without this, Python's driver begins transactions by itself, and too late.
    connection.isolation_level = None
    # Text that is not UTF-8 must not hurt the products beside it.
    driver = connection.driver_connection
    driver.text_factory = partial(str, encoding="utf-8", errors="replace")
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()
        raise
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("begin", "BEGIN"))


def _postgres(url: URL, timeout: float) -> Database:
    writing = create_async_engine(
        url,
        connect_args={"timeout": timeout, "command_timeout": timeout},
        hide_parameters=True,
        pool_timeout=timeout,
    )
    reading = writing.execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    return Database(reading, writing)
