"""Database errors as the errors of catalogsync."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from catalogsync._lib.postgres import OTHER_TABLES, REFUSALS
from catalogsync._lib.redact import Redactor
from catalogsync.errors import (
    BatchRefusedError,
    CatalogSyncError,
    ConflictError,
    MisconfiguredError,
    TransientError,
)

__all__ = ["sql_errors"]

_OTHER_TABLES = "its tables differ from those that this sink creates"
# By name of a SQLite error or code of a PostgreSQL error. A key stands for all codes
# that begin with it; the first match counts.
_SETTING = {
    "SQLITE_FULL": "the disk of the database is full",
    "53100": "the disk of the database is full",
    "SQLITE_IOERR": "the disk of the database fails or is full",
    "SQLITE_READONLY": "the database can be read but not written",
    "25006": "the database can be read but not written",
    "SQLITE_CANTOPEN": "the database file cannot be opened",
    "SQLITE_PERM": "access to the database file is not allowed",
    "SQLITE_AUTH": "access to the database file is not allowed",
    "SQLITE_NOTADB": "the file is not a SQLite database",
    "SQLITE_CORRUPT": "the database file is damaged",
    "28": "the user or the password is not accepted",
    "3D000": "the database does not exist on the server",
    "3F000": "no schema exists in which the user may create tables",
    "42501": "the user lacks a permission",
    "SQLITE_ERROR": _OTHER_TABLES,
    **{code: f"{_OTHER_TABLES}: {what}" for code, what in OTHER_TABLES.items()},
    **{code: f"the database {problem}" for code, problem in REFUSALS.items()},
}
_CHANGED = ("SQLITE_CONSTRAINT_FOREIGNKEY", "SQLITE_CONSTRAINT_PRIMARYKEY", "23503")
_TWICE = ("SQLITE_CONSTRAINT_UNIQUE", "23505")
_OUR_KEYS = ("source_id", "location", "_pkey")
_VALUE = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "22", "23", "54")
_NOT_READY = ("SQLITE_BUSY", "SQLITE_LOCKED", "08", "40", "53", "55", "57")


def sql_errors(redactor: Redactor) -> AbstractContextManager[None]:
    """Raise errors of the database as errors that the engine understands.

    Args:
        redactor: Removes secrets that the server may quote.
    """
    return redactor.translated(partial(_decide, redactor=redactor))


def _decide(error: Exception, *, redactor: Redactor) -> CatalogSyncError | None:
    """The error for the engine; None: it is a defect of this sink."""
    wrapped = getattr(error, "orig", None)
    cause = (wrapped.__cause__ or wrapped) if wrapped else error
    words = redactor.text(str(cause))
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    if code:
        return _decide_code(code, words)
    if isinstance(cause, OSError):
        words = words or "no answer in time"
        return TransientError(f"the database cannot be reached: {words}")
    if isinstance(cause, PoolTimeoutError):
        return TransientError("no connection to the database was free in time")
    if not type(cause).__module__.startswith("asyncpg"):
        return None
    if isinstance(cause, ValueError):
        return MisconfiguredError("url", f"has a wrong parameter: {words}")
    return TransientError("the connection to the database was lost")


def _decide_code(code: str, words: str) -> CatalogSyncError:
    for beginning, problem in _SETTING.items():
        if code.startswith(beginning):
            return MisconfiguredError("url", f"{problem} ({words})")
    # People may have made other columns unique, such as SKUs.
    is_our_key = code.startswith(_TWICE) and any(key in words for key in _OUR_KEYS)
    if is_our_key or code.startswith(_CHANGED):
        return ConflictError(
            "a product, category or tag was added or removed by someone else"
        )
    if code.startswith(_VALUE):
        reason = "the database does not accept a value of these products"
        return BatchRefusedError(reason, said=words)
    if code.startswith(_NOT_READY):
        return TransientError(f"the database is not ready: {words}")
    return TransientError(f"the database failed: {words}", unexplained=True)
