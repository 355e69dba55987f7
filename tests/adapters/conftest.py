"""Databases for the tests of the SQL sink: a SQLite file, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.adapters.sql_databases import DATABASES, Hand, OpenSink
from tests.real import STORE, real_is_wanted

from catalogsync.adapters.sql import SQLSettings

if TYPE_CHECKING:
    from catalogsync.adapters.sql import SQLSink


collect_ignore = [] if real_is_wanted() else ["test_sql_postgres.py"]


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own; gives the URL of its one database."""
    folder = tmp_path_factory.mktemp("postgres")
    command = [
        "node",
        f"{STORE}/store.mjs",
        "postgres",
        "--data",
        f"{folder}",
        "--json",
    ]
    log = folder / "store.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"PostgreSQL did not start: {log.read_text()}"
        url = json.loads(line)["database_url"]
        asyncio.run(_hurry(url))
        yield url
        process.stdin.close()


async def _hurry(url: str) -> None:
    """What is written need not survive a power cut, nor the password an attack."""
    from sqlalchemy import make_url

    hand = Hand(url)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        await hand(f"ALTER SYSTEM SET {setting} = off")
    await hand("ALTER SYSTEM SET scram_iterations = 1")
    await hand("SELECT pg_reload_conf()")
    await hand(f"ALTER ROLE CURRENT_USER PASSWORD '{make_url(url).password}'")


@pytest.fixture
async def postgres(postgres_server: str) -> str:
    """The URL of an empty database on PostgreSQL."""
    await Hand(postgres_server)(
        "DO 'BEGIN DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;"
        " GRANT USAGE ON SCHEMA public TO PUBLIC; END'"
    )
    return postgres_server


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
