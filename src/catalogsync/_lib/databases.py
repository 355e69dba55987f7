"""What errors of SQLite and PostgreSQL mean, for the SQL sink and the state store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["PROBLEMS", "cause_of", "code_of", "first_match"]

_TABLES = "has unexpected tables"
_RESTORE = "restore them from a backup, or use another schema"
_FULL = "cannot grow: make room on its disk"
_RIGHTS = "cannot be opened: check the path and the rights to it"
_POOLER = "is behind a pooler that mixes up prepared statements: use its session mode"
_TYPE = "a column has another type"
_TAKEN = "a name that is needed belongs to something else"
_OTHER_TABLES = {
    "42701": _TAKEN,
    "42703": "a column is missing",
    "42710": _TAKEN,
    "42804": _TYPE,
    "42809": _TAKEN,
    "42846": _TYPE,
    "42883": _TYPE,
    "42P01": "a table is missing",
    "42P07": _TAKEN,
    "42P10": "a unique index is missing",
}

PROBLEMS: Mapping[str, str] = {
    "SQLITE_NOTADB": "is not a SQLite database: name another file",
    "SQLITE_CORRUPT": "is damaged: restore it from a copy, or move it away",
    "SQLITE_READONLY": "is read-only: allow writing to the file and its folder",
    "SQLITE_CANTOPEN": _RIGHTS,
    "SQLITE_PERM": _RIGHTS,
    "SQLITE_AUTH": _RIGHTS,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": "cannot be read or written: see whether its disk is full or fails",
    "SQLITE_ERROR": f"{_TABLES}: move it away",
    "25006": "is read-only: name the primary server",
    "28": "does not accept the user or the password: check the URL",
    "3D000": "does not exist on the server: create the database, or check the URL",
    "3F000": "has no schema for its tables: create one, or set the search_path",
    "42501": "is not open to this user: grant the right to create and change tables",
    "53100": _FULL,
    **{code: f"{_TABLES} ({what}): {_RESTORE}" for code, what in _OTHER_TABLES.items()},
    "26": _POOLER,
    "42P05": _POOLER,
    "42601": "does not understand a statement: see whether it is PostgreSQL",
    "42": "refuses a statement: see its message",
}
"""What is wrong with a database and what to do, by error code, as the end of a sentence.

A code is the name of a SQLite error or the SQLSTATE of a PostgreSQL error. It stands
for all codes that begin with it; the first match counts.
"""


def first_match(code: str, known: Iterable[Mapping[str, str]]) -> str:
    """The first problem with the beginning of this code; empty: there is none."""
    items = (item for each in known for item in each.items())
    return next((problem for start, problem in items if code.startswith(start)), "")


def cause_of(error: Exception) -> BaseException:
    """The driver's own error, which SQLAlchemy may have wrapped."""
    wrapped: BaseException | None = getattr(error, "orig", None)
    return (wrapped.__cause__ or wrapped) if wrapped else error


def code_of(cause: BaseException) -> str:
    """The code of a driver's error; empty: it has none."""
    return (
        getattr(cause, "sqlite_errorname", "") or getattr(cause, "sqlstate", "") or ""
    )
