"""Facts about PostgreSQL for the SQL sink and the state store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["OTHER_TABLES", "REFUSALS", "UNPREPARED"]

UNPREPARED: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
"""Arguments of the driver's connect, so that no statement outlives its transaction.

A pooler in front of the server, such as PgBouncer, runs each transaction in whichever
session is free, and prepared statements belong to a session.
"""

_TYPE = "a column has another type"
_TAKEN = "a name that is needed belongs to something else"

OTHER_TABLES: Mapping[str, str] = {
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
"""Problems of the tables, by error code."""

_POOLER = "is behind a pooler that mixes up prepared statements: use its session mode"

REFUSALS: Mapping[str, str] = {
    "26": _POOLER,
    "42P05": _POOLER,
    "42601": "does not understand a statement: see whether it is PostgreSQL",
    "42": "refuses a statement: see its message",
}
"""Other problems, by error code, as the end of a sentence about the database.

A code stands for all codes that begin with it; the first match counts.
"""
