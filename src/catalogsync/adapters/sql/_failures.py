"""What a failure of the database means: one decision for each."""

from __future__ import annotations

import socket
import sqlite3
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sqlalchemy.exc import (
    DBAPIError,
    SQLAlchemyError,
    TimeoutError as PoolTimeoutError,
)

from catalogsync.errors import (
    BatchRefusedError,
    CatalogSyncError,
    ConflictError,
    MisconfiguredError,
    TransientError,
)

__all__ = ["sql_errors"]

_asyncpg: Any = import_module("asyncpg")  # it has no types

# SQLAlchemy 2.0 lets some errors of the driver pass as they are.
_CONNECTION: tuple[type[Exception], ...] = (
    _asyncpg.InterfaceError,
    _asyncpg.InternalClientError,
)
_BAD_PARAMETER: type[Exception] = _asyncpg.exceptions.ClientConfigurationError
_FAILURES: tuple[type[Exception], ...] = (
    SQLAlchemyError,
    sqlite3.Error,
    _asyncpg.PostgresError,
    *_CONNECTION,
    OSError,
)

_FULL = "the disk of the database is full"
_READONLY = "the database can be read but not written"
_FOREIGN_TABLES = "its tables are not as this sink makes them"
_CHANGED = "a product, category or tag was added or removed meanwhile"
_REFUSED = "the database does not take a value of these products"

_SQLITE_SETTING = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: "the disk of the database fails or is full",
    sqlite3.SQLITE_READONLY: _READONLY,
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_PERM: "access to the database file is not allowed",
    sqlite3.SQLITE_AUTH: "access to the database file is not allowed",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_ERROR: _FOREIGN_TABLES,
}
_SQLITE_CHANGED = {
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}
_SQLITE_BAD_VALUE = {
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
}
_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_POSTGRES_SETTING = {
    "53100": _FULL,
    "25006": _READONLY,
    "28000": "the user or the password is not accepted",
    "28P01": "the user or the password is not accepted",
    "3D000": "there is no such database on the server",
    "42501": "the user is not allowed to do this",
}
_FOREIGN_KEY = "23503"
_UNIQUE = {"23505", sqlite3.SQLITE_CONSTRAINT_UNIQUE}
_OUR_KEYS = ("source_id", "location", "_pkey")


@contextmanager
def sql_errors() -> Generator[None, None, None]:
    """Raise what the database raises as the error that the engine acts upon."""
    try:
        yield
    except _FAILURES as error:
        decision = _decide(error)
        if decision is None:
            raise
        raise decision from error


def _decide(error: BaseException) -> CatalogSyncError | None:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _decide_sqlite(cause)
    state = getattr(cause, "sqlstate", None)
    if state:
        return _decide_postgres(state, str(cause.__cause__ or cause))
    if isinstance(cause, OSError):
        return _decide_network(cause)
    return _decide_driver(error, cause)


def _decide_driver(
    error: BaseException, cause: BaseException
) -> CatalogSyncError | None:
    if isinstance(cause.__cause__ or cause, _BAD_PARAMETER):
        return MisconfiguredError("url", f"has a wrong parameter: {cause}")
    if isinstance(error, PoolTimeoutError):
        return TransientError("no connection to the database was free in time")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, _CONNECTION):
        return TransientError("the connection to the database was lost")
    return None


def _decide_sqlite(error: sqlite3.Error) -> CatalogSyncError | None:
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    if extended is None:  # the driver's own complaint: a defect of ours
        return None
    code = extended & 0xFF
    if code in _SQLITE_SETTING:
        return MisconfiguredError("url", f"{_SQLITE_SETTING[code]} ({error})")
    if extended in _SQLITE_CHANGED or _is_our_key(extended, str(error)):
        return ConflictError(_CHANGED)
    if code in _SQLITE_BAD_VALUE:
        return BatchRefusedError(_REFUSED, said=str(error))
    if code in _SQLITE_BUSY:
        return TransientError("the database is locked by somebody else")
    return TransientError(f"the database failed: {error}", unexplained=True)


def _decide_postgres(state: str, words: str) -> CatalogSyncError:
    if state in _POSTGRES_SETTING:
        return MisconfiguredError("url", f"{_POSTGRES_SETTING[state]} ({words})")
    if state == _FOREIGN_KEY or _is_our_key(state, words):
        return ConflictError(_CHANGED)
    match state[:2]:
        case "22" | "23" | "54":  # data, constraints, sizes
            return BatchRefusedError(_REFUSED, said=words)
        case "42":  # names and types
            return MisconfiguredError("url", f"{_FOREIGN_TABLES} ({words})")
        case "08" | "40" | "53" | "55" | "57":  # connection, locks, resources
            return TransientError(f"the database is not ready: {words}")
        case _:
            return TransientError(f"the database failed: {words}", unexplained=True)


def _is_our_key(code: str | int, words: str) -> bool:
    """Whether a key of ours is there twice, and not one that others added (a SKU)."""
    return code in _UNIQUE and any(key in words for key in _OUR_KEYS)


def _decide_network(error: OSError) -> CatalogSyncError:
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"the server's certificate is not accepted ({error.verify_message})"
        return MisconfiguredError("url", problem)
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        return MisconfiguredError("url", "there is no such host")
    if isinstance(error, TimeoutError):
        return TransientError("the database did not answer in time")
    return TransientError(f"the database cannot be reached: {error}")
