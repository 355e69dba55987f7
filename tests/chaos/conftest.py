"""Where the state stores are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.real import real_is_desired

collect_ignore = [] if real_is_desired() else ["test_pooled.py", "test_store_kills.py"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of a state store in a SQLite file."""
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture(params=["file", *(["postgres"] if real_is_desired() else [])])
def runs(request: pytest.FixtureRequest) -> str:
    """The URL of a new state store that several processes can open, of each kind."""
    url: str = request.getfixturevalue(request.param)
    return url
