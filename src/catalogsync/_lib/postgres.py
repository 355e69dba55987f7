"""Connections to PostgreSQL, for the SQL sink and the state store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from catalogsync.errors import MisconfiguredError

__all__ = ["UNPREPARED", "parse_url"]

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
