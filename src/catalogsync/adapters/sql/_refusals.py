"""What a database says against reading it, as the errors of catalogsync."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, ProgrammingError, StatementError

from catalogsync._lib.databases import cause_of, code_of
from catalogsync._lib.redact import Redactor
from catalogsync.catalog.checks import shortened
from catalogsync.errors import CatalogSyncError, MisconfiguredError, TransientError

from ._failures import decide

if TYPE_CHECKING:
    from ._source_settings import SQLSourceSettings

__all__ = ["check_columns", "source_errors"]

_POOLER = ("42P05", "26")
_OF_SQLITE = ("SQLITE_ERROR", "SQLITE_READONLY", "SQLITE_SCHEMA")
_STATEMENT = ("42", "22", "23", "25006", "54", "0A", *_OF_SQLITE)
_PATH = re.compile(r"[.\[\]|&@`*{}()\"']")


def source_errors(
    settings: SQLSourceSettings, redactor: Redactor
) -> AbstractContextManager[None]:
    """Raise errors of the database as errors that the engine understands."""
    setting = "query" if settings.table is None else "table"

    def translate(error: Exception) -> Exception | None:
        return error if isinstance(error, CatalogSyncError) else _decided(error)

    def _decided(error: Exception) -> CatalogSyncError | None:
        cause = cause_of(error)
        code, words = code_of(cause), redactor.text(str(cause)).partition("\n")[0]
        if code == "42501":
            problem = f"is not open to this user: grant the right to read it ({words})"
            return MisconfiguredError(setting, problem)
        if code.startswith(_STATEMENT) and not code.startswith(_POOLER):
            problem = f"the database refuses the statement: {words}"
            return MisconfiguredError(setting, problem)
        if (found := decide(error, redactor=redactor)) is not None:
            return found
        if isinstance(error, ProgrammingError):
            problem = f"the database refuses the statement: {words}"
            return MisconfiguredError(setting, problem)
        if isinstance(error, DBAPIError | StatementError):
            return TransientError(f"the database failed: {words}", unexplained=True)
        return None

    return redactor.translated(translate)


def check_columns(columns: Sequence[str], settings: SQLSourceSettings) -> None:
    """Check that the columns that the mapping needs exist.

    Raises:
        MisconfiguredError: One is missing; the error suggests the nearest name.
    """
    mapping = settings.map
    for path, spec in mapping.expressions():
        names = spec.columns
        if not names or any(n in columns or _PATH.search(n) for n in names):
            continue
        if mapping.optional_columns and path not in {"key", "title"}:
            continue
        nearest = difflib.get_close_matches(names[0], columns, n=1, cutoff=0.5)
        known = ", ".join(f"`{name}`" for name in columns[:20])
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"there are {known}"
        problem = f"there is no column `{shortened(names[0])}`; {hint}"
        raise MisconfiguredError(f"map.{path}", problem)
