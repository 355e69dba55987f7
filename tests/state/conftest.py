"""State stores to test: in memory, in a SQLite file, and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.adapters.sql_databases import Hand
from tests.real import real_is_desired

from catalogsync.state import StateSettings
from catalogsync.state.protocols import StateStore

__all__ = ["REAL", "SHARED"]

REAL = ["postgresql"] if real_is_desired() else []
SHARED = ["sqlite", *REAL]
collect_ignore = [] if real_is_desired() else ["test_postgres.py"]
FIXTURES = {"memory": "memory", "sqlite": "file", "postgresql": "postgres"}


@pytest.fixture
def memory() -> str:
    """The URL of a store that is gone when it is closed."""
    return "memory:"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet, nor its folder."""
    return f"sqlite:///{tmp_path}/state/runs.db"


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a new store that several can open, of each kind."""
    found: str = request.getfixturevalue(FIXTURES[request.param])
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[StateStore]:
    """A new store, of each kind."""
    async with StateSettings(url=url).open() as opened:
        yield opened


@pytest.fixture
def hand(url: str) -> Hand:
    """Somebody who works by hand on the database."""
    return Hand(url)
