"""Database errors as the errors of catalogsync."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from catalogsync._lib.databases import PROBLEMS, cause_of, code_of, first_match
from catalogsync._lib.redact import Redactor
from catalogsync.errors import (
    BatchRefusedError,
    CatalogSyncError,
    ConflictError,
    MisconfiguredError,
    TransientError,
)

_CHANGED = ("SQLITE_CONSTRAINT_FOREIGNKEY", "SQLITE_CONSTRAINT_PRIMARYKEY", "23503")
_TWICE = ("SQLITE_CONSTRAINT_UNIQUE", "23505")
_OUR_KEYS = ("source_id", "location", "_pkey")
_VALUE = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "22", "23", "54")
_NOT_READY = ("SQLITE_BUSY", "SQLITE_LOCKED", "08", "40", "53", "55", "57")


def sql_errors(redactor: Redactor) -> AbstractContextManager[None]:
    """Raise errors of the database as errors that the engine understands."""
    return redactor.translated(partial(decide, redactor=redactor))


def decide(error: Exception, *, redactor: Redactor) -> CatalogSyncError | None:
    """The error for the engine; None: it is a defect of this adapter."""
    cause = cause_of(error)
    words = redactor.text(str(cause))
    if code := code_of(cause):
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
    if problem := first_match(code, [PROBLEMS]):
        return MisconfiguredError("url", f"the database {problem} ({words})")
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
