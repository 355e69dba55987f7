"""A state store on PostgreSQL, for several hosts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

import attrs
import sqlalchemy as sa
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from catalogsync._lib.databases import cause_of
from catalogsync._lib.postgres import UNPREPARED, parse_url
from catalogsync._lib.redact import Redactor, database_secrets
from catalogsync.errors import MisconfiguredError

from ._schema import migrate
from ._sql import Dialect, Row, Transaction, Value, Work, explain
from ._store import DatabaseStore
from .protocols import StateError

T = TypeVar("T")

_PATIENCE = 30.0
_LOCK = 7_240_113_905  # arbitrary, but the same in all processes
# A process that loses its connection during a write must not hold the lock for long.
_ALONE = sa.text(
    f"SELECT set_config('lock_timeout', '{_PATIENCE:g}s', true),"
    f" set_config('idle_in_transaction_session_timeout', '{_PATIENCE:g}s', true),"
    f" pg_advisory_xact_lock({_LOCK})"
)
_DIALECT = Dialect(
    now="CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)",
    rows="json_array_elements(CAST(:rows AS JSON))",
    cell="(value ->> %d)",
    text='TEXT COLLATE "C"',
    # An index entry is limited to about 2,700 bytes, so it holds a digest. Backslashes
    # are doubled because the cast treats them as escapes.
    digest="sha256(CAST(replace(%s, chr(92), chr(92) || chr(92)) AS BYTEA))",
)
_BUSY = {"55P03": f"was locked for {_PATIENCE:g} s: see which session holds it"}


@asynccontextmanager
async def open_postgres(url: str) -> AsyncGenerator[DatabaseStore]:
    """Open a state store on a server; see `StateSettings.open`."""
    parsed = parse_url(url, "postgresql+asyncpg")
    redactor = Redactor()
    redactor.keep(database_secrets(url))
    engine = create_async_engine(
        parsed,
        connect_args={
            "timeout": _PATIENCE,
            "command_timeout": 2 * _PATIENCE,
            **UNPREPARED,
        },
        hide_parameters=True,
        isolation_level="READ COMMITTED",  # each statement sees all committed writes
        pool_pre_ping=True,
        pool_timeout=_PATIENCE,
    )
    where = f"{parsed.host or 'localhost'}:{parsed.port or 5432}/{parsed.database}"
    database = PostgresDatabase(where, engine, redactor)
    try:
        while await database.write(partial(_migrate, where=where)):
            pass
    except TypeError as error:  # from the driver's connect()
        problem = f"has an unknown parameter ({error})"
        raise MisconfiguredError("url", redactor.text(problem)) from None
    else:
        yield DatabaseStore(database)
    finally:
        await engine.dispose()


async def _migrate(sql: Transaction, *, where: str) -> bool:
    ((known,),) = await sql("SELECT to_regclass('catalogsync_version') IS NOT NULL")
    if not known:
        await sql("CREATE TABLE catalogsync_version (version BIGINT NOT NULL)")
        await sql("INSERT INTO catalogsync_version VALUES (0)")
    ((version,),) = await sql("SELECT version FROM catalogsync_version")
    if migrated := await migrate(sql, int(version), where):
        await sql("UPDATE catalogsync_version SET version = :new", new=version + 1)
    return migrated


@attrs.frozen(eq=False)
class PostgresDatabase:
    """A pool of connections."""

    _where: str
    _engine: AsyncEngine = attrs.field(repr=False)
    _redactor: Redactor = attrs.field(repr=False)

    def _errors(self) -> AbstractContextManager[None]:
        return self._redactor.translated(
            partial(_explained, where=self._where, redactor=self._redactor)
        )

    async def read(self, work: Work[T], /) -> T:
        """See `Database`."""
        with self._errors():
            async with self._engine.connect() as connection:
                return await work(_transaction(connection))

    async def write(self, work: Work[T], /) -> T:
        """See `Database`."""
        with self._errors():
            async with self._engine.begin() as connection:
                await connection.execute(_ALONE)
                return await work(_transaction(connection))


def _transaction(connection: AsyncConnection) -> Transaction:
    async def execute(sql: str, values: Mapping[str, Value]) -> Sequence[Row]:
        result = await connection.execute(sa.text(sql), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    return Transaction(_DIALECT, execute)


def _explained(
    error: Exception, *, where: str, redactor: Redactor
) -> StateError | None:
    """The error for a failure of the database; None: it is a defect of this store."""
    if isinstance(error, OSError | PoolTimeoutError):
        words = redactor.text(str(error)) or "no answer in time"
        problem = f"the state store {where} cannot be reached ({words})"
        return StateError(f"{problem}: see whether the server runs")
    cause = cause_of(error)
    if not type(cause).__module__.startswith("asyncpg"):
        return None
    return explain(where, cause, redactor.text(str(cause)), _BUSY)
