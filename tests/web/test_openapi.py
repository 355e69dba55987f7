"""The description of the API is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.web.served import configure, serving
from tests.web.sites import OPERATE, open_site

from catalogsync.testing import dummyjson_app, serve_in_thread
from catalogsync.testing.catalog import generate_catalog
from catalogsync.web._handlers import ENDPOINTS

LIMITS = "requests_per_minute = 1000000\nrefusals_per_minute = 1000000"


@pytest.mark.parametrize("prefix", ["", "/a/b"])
async def test_all_is_described_and_nothing_else(prefix: str) -> None:
    """Also which paths need no token, and where it is mounted."""
    async with open_site(prefix=prefix) as site:
        tree = await site.get("/api/openapi.json")
    assert tree["openapi"] == "3.1.0"
    assert tree["servers"] == [{"url": prefix or "/"}]
    described = {
        (method.upper(), path): operation.get("security") != []
        for path, operations in tree["paths"].items()
        for method, operation in operations.items()
    }
    assert described == {
        (each.method, each.path): each.role is not None for each in ENDPOINTS
    }


def test_a_running_instance_keeps_to_it(tmp_path: Path) -> None:
    """Whatever is asked, right or wrong, is answered as the description says."""
    records = generate_catalog(4, 2, awkward=False)
    with serve_in_thread(lambda: dummyjson_app(records)) as source:
        configure(tmp_path, source, LIMITS)
        with serving(tmp_path) as served:
            # A stream of events never ends, so it is left out.
            ended = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run"),
                    f"{served.url}/api/openapi.json",
                    *("--header", f"Authorization: Bearer {OPERATE}"),
                    *("--exclude-path", "/api/events"),
                    *("--max-examples", "20", "--seed", "1", "--no-color"),
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
    assert ended.returncode == 0, ended.stdout
