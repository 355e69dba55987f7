"""Facts about PostgreSQL for the SQL sink and the state store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from catalogsync.errors import MisconfiguredError

__all__ = ["OTHER_TABLES", "REFUSALS", "UNPREPARED", "parse_url"]

_LOGIN = re.compile(r"[^:/]*(?::[^@]*)?@")

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


def parse_url(address: str, driver: str | None) -> sa.URL:
    """The URL of a database, for this driver of SQLAlchemy.

    Raises:
        MisconfiguredError: It is not valid. The error quotes no part of it: even with
            a valid URL, an `@` that is not encoded makes part of a password look like
            a host.
    """
    rest = address.partition("://")[2]
    login = _LOGIN.match(rest)
    try:
        if login is not None and "@" in rest[login.end() :]:
            raise ValueError  # noqa: TRY301 - reported like an unreadable URL
        url = sa.make_url(address).set(drivername=driver)
    except (ArgumentError, ValueError):
        problem = (
            "is not a valid URL; in a user or password, write @ as %40, : as %3A, "
            "/ as %2F and % as %25"
        )
        raise MisconfiguredError("url", problem) from None
    mode = url.query.get("sslmode")
    if mode is None:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
