"""Opening a database: its engine, its transactions and its tables."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from catalogsync.errors import MisconfiguredError
from catalogsync.protocols import Limits

from ._failures import sql_errors
from ._settings import driver_of
from ._sink import SQLSink
from ._statements import AT_ONCE
from ._tables import metadata

if TYPE_CHECKING:
    from ._settings import SQLSettings

__all__ = ["open_sink"]

_WRITERS = 4
_TABLES_LOCK = 7_240_113_904  # any number; all who make these tables take the same


@asynccontextmanager
async def open_sink(settings: SQLSettings) -> AsyncGenerator[SQLSink, None]:
    """Connect, make the tables that are missing, and disconnect at the end."""
    url = _parse(settings.url)
    if url.get_backend_name() == "sqlite":
        writers, engine = 1, _sqlite(url, settings.timeout)
        reading, writing = engine, engine.execution_options(begin="BEGIN IMMEDIATE")
    else:
        writers, writing = _WRITERS, _postgres(url, settings.timeout)
        reading = writing.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    limits = Limits(batch=settings.batch, writers=writers, find=AT_ONCE)
    try:
        await _make_tables(writing)
        yield SQLSink(settings.name, limits, reading, writing)
    finally:
        await writing.dispose()


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


def _sqlite(url: URL, timeout: float) -> AsyncEngine:
    # A database in memory lives as long as its one connection.
    in_memory = url.database in {None, "", ":memory:"}
    engine = create_async_engine(
        url,
        connect_args={"timeout": timeout},
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if in_memory else 5,
        max_overflow=0,
        pool_timeout=timeout,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    # Without this, Python's driver begins transactions by itself, and too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error:
        connection.close()
        raise
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("begin", "BEGIN"))


def _postgres(url: URL, timeout: float) -> AsyncEngine:
    return create_async_engine(
        url,
        connect_args={"timeout": timeout, "command_timeout": timeout},
        hide_parameters=True,
        pool_timeout=timeout,
    )


async def _make_tables(engine: AsyncEngine) -> None:
    try:
        with sql_errors():
            async with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    one_at_a_time = func.pg_advisory_xact_lock(_TABLES_LOCK)
                    await connection.execute(select(one_at_a_time))
                await connection.run_sync(metadata.create_all)
    except TypeError as error:  # of the driver's connect()
        problem = f"holds a parameter that the driver does not know ({error})"
        raise MisconfiguredError("url", problem) from error
