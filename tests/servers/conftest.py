"""Fixtures of the tests of our test servers."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import dummyjson_server

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def real_records() -> list[dict[str, Any]]:
    """DummyJSON's own 194 products where they are at hand, else made ones."""
    file = _ROOT / "../shared/dummyjson/products.json"
    if not file.exists():
        return generate_catalog()
    records: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return records


@pytest.fixture
async def api(
    real_records: list[dict[str, Any]],
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a DummyJSON server with the real records.

    With ``CATALOGSYNC_DUMMYJSON_URL`` set, of the server at that address, which must
    have its own products and no rate limit: so ours is held against the real one.
    """
    if url := os.environ.get("CATALOGSYNC_DUMMYJSON_URL"):
        async with aiohttp.ClientSession(url) as session:
            yield session
        return
    async with (
        dummyjson_server(real_records) as server,
        aiohttp.ClientSession(server.url) as session,
    ):
        yield session
