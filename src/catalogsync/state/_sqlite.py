"""A state store in a SQLite file or in memory; uses the standard library only."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import (
    AsyncGenerator,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from catalogsync._lib.concurrency import ended

from ._schema import migrate
from ._sql import Dialect, Row, Transaction, Value, Work, explain
from ._store import DatabaseStore
from .protocols import StateError

T = TypeVar("T")

_MEMORY = "memory:"
_PATIENCE = 30.0
_OURS = 0x63617473  # the letters "cats"
_DIALECT = Dialect(
    now="((julianday('now') - 2440587.5) * 86400.0)",
    rows="json_each(:rows)",
    cell="json_extract(value, '$[%d]')",
    text="TEXT",
    digest="%s",
)
_BUSY = {"SQLITE_BUSY": f"was locked for {_PATIENCE:g} s: see which process holds it"}


@asynccontextmanager
async def open_sqlite(file: str) -> AsyncGenerator[DatabaseStore]:
    """Open a file or `memory:`; see `StateSettings.open`."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="catalogsync-store")
    stack = ExitStack()  # used by the thread only
    loop = asyncio.get_running_loop()
    try:
        connection = await loop.run_in_executor(thread, _connect, file, stack)
        database = SQLiteDatabase(file, connection, thread)
        while await database.write(partial(_migrate, file=file)):
            pass
        await loop.run_in_executor(thread, _share, connection)
        yield DatabaseStore(database)
    finally:
        closed = loop.run_in_executor(thread, stack.close)
        thread.shutdown(wait=False)
        await ended(closed)


def _connect(file: str, stack: ExitStack) -> sqlite3.Connection:
    if file != _MEMORY:
        _make_folder(file)
    name = ":memory:" if file == _MEMORY else file
    with _errors(file):
        connection = sqlite3.connect(name, timeout=_PATIENCE, isolation_level=None)
    return stack.enter_context(closing(connection))


def _make_folder(file: str) -> None:
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder of the state store {file} cannot be created"
        raise StateError(f"{problem}: name another file ({error.strerror})") from error


def _share(connection: sqlite3.Connection) -> None:
    """Allow reading during a write, if possible."""
    # SQLite does not wait if two processes switch the mode at the same time.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


async def _migrate(sql: Transaction, *, file: str) -> bool:
    ((owner,),) = await sql("PRAGMA application_id")
    ((version,),) = await sql("PRAGMA user_version")
    ((tables,),) = await sql("SELECT count(*) FROM sqlite_master")
    if owner == 0 and version == 0 and tables == 0:
        await sql(f"PRAGMA application_id = {_OURS}")
    elif owner != _OURS:
        raise StateError(
            f"the state store {file} belongs to another program: name another file"
        )
    if migrated := await migrate(sql, int(version), file):
        await sql(f"PRAGMA user_version = {version + 1}")
    return migrated


@attrs.frozen(eq=False)
class SQLiteDatabase:
    """A connection with a thread of its own."""

    _file: str
    _connection: sqlite3.Connection = attrs.field(repr=False)
    _thread: Executor = attrs.field(repr=False)

    async def read(self, work: Work[T], /) -> T:
        """See `Database`."""
        return await self._do("BEGIN", work)

    async def write(self, work: Work[T], /) -> T:
        """See `Database`."""
        return await self._do("BEGIN IMMEDIATE", work)

    async def _do(self, begin: str, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, begin, work)

    def _transact(self, begin: str, work: Work[T]) -> T:
        with _errors(self._file):
            self._connection.execute(begin)
            try:
                result = _completed(work(Transaction(_DIALECT, self._execute)))
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it
                    self._connection.execute("ROLLBACK")
                raise
            return result

    async def _execute(self, sql: str, values: Mapping[str, Value]) -> Sequence[Row]:
        return self._connection.execute(sql, values).fetchall()


def _completed(work: Coroutine[Any, Any, T]) -> T:
    """The result of work whose statements never wait, outside of an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("work waits for something other than its statements")


@contextmanager
def _errors(file: str) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(file, error, str(error), _BUSY) from error
