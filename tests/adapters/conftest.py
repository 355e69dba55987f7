"""Databases for the tests of the SQL sink: a SQLite file, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.adapters.sql_databases import DATABASES, Hand, OpenSink
from tests.real import real_is_desired

from catalogsync.adapters.sql import SQLSettings

if TYPE_CHECKING:
    from catalogsync.adapters.sql import SQLSink


collect_ignore = [] if real_is_desired() else ["test_sql_postgres.py"]


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/catalog.db"


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind."""
    fixture = "sqlite" if request.param == "sqlite" else "postgres"
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
async def open_sink(database: str) -> AsyncIterator[OpenSink]:
    """Opens a sink on the database; each is another program's."""
    async with AsyncExitStack() as stack:

        async def opened() -> SQLSink:
            settings = SQLSettings(url=database, timeout=5)
            return await stack.enter_async_context(settings.open())

        yield opened


@pytest.fixture
async def sink(open_sink: OpenSink) -> SQLSink:
    """A sink on an empty database."""
    return await open_sink()


@pytest.fixture
def hand(database: str) -> Hand:
    """Somebody who works by hand on the sink's database."""
    return Hand(database)
