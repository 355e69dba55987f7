"""The databases that the SQL sink is tested on, and somebody who works by hand."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from tests.real import real_is_desired

from catalogsync.adapters.sql import SQLSettings
from catalogsync.errors import MisconfiguredError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from catalogsync.adapters.sql import SQLSink

OpenSink: TypeAlias = "Callable[[], Awaitable[SQLSink]]"
"""Opens another program's sink on the same database."""

DATABASES = ["sqlite", "postgresql"] if real_is_desired() else ["sqlite"]
POSTGRES = [name for name in DATABASES if name == "postgresql"]


class Hand:
    """Somebody who works on the database by hand."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Execute one statement; returns its rows."""
        if self._url.startswith("sqlite:///"):
            file = self._url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(file, isolation_level=None)) as connection:
                return connection.execute(statement, values).fetchall()
        from sqlalchemy import text

        async with _engine(self._url).connect() as connection:
            result = await connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []


@cache
def _engine(url: str) -> AsyncEngine:
    """It keeps no connection, so that it serves any event loop."""
    from sqlalchemy import make_url
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )


async def refused_setting(url: str) -> MisconfiguredError:
    """Opening fails, and the URL is what is wrong."""
    with pytest.raises(MisconfiguredError) as caught:
        async with SQLSettings(url=url).open():
            pass
    assert caught.value.setting == "url"
    return caught.value


def assert_no_secret(error: BaseException, secret: str) -> None:
    """Neither the message nor the traceback shows it."""
    assert secret not in "".join(traceback.format_exception(error))
