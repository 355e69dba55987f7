"""Every example runs as a script, and says what the documentation promises."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api as mypy

from catalogsync.config import load_config
from catalogsync.testing import dummyjson_server, generate_catalog
from catalogsync.testing.medusa import fake_medusa

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str | Path) -> str:
    """Run an example where every warning is an error; gives what it prints."""
    command = [sys.executable, "-W", "error", EXAMPLES / name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.returncode == 0

    return done.stdout


async def run_beside_servers(name: str, *arguments: str, **environment: str) -> str:
    """Run an example while this event loop serves; gives what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLES / name), *arguments),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert err.decode() == ""
    assert process.returncode == 0

    return out.decode()


def test_custom_source_reads_its_sample() -> None:
    """Good rows become products, a bad one is rejected alone."""
    printed = run("custom_source.py")

    assert "degraded: 3 fetched = 2 created + 1 failed" in printed
    assert "rejected row 3: cannot be read: {'id': 'A-3'" in printed
    assert printed.endswith("pricelist:A-1 Teapot\npricelist:A-2 Tea strainer\n")


def test_custom_source_reads_a_file_in_pages(tmp_path: Path) -> None:
    """Rows beyond the first page are not lost."""
    rows = "".join(f"A-{n},Cup {n},1.50,{n}\n" for n in range(250))
    file = tmp_path / "prices.csv"
    file.write_text(f"id,title,price,stock\n{rows}", encoding="utf-8")

    printed = run("custom_source.py", file)

    assert "succeeded: 250 fetched = 250 created" in printed


def test_custom_sink_writes_only_what_differs(tmp_path: Path) -> None:
    """The second run of its sample has one price to update."""
    file = tmp_path / "prices.json"

    printed = run("custom_sink.py", file)

    assert "succeeded: 2 fetched = 2 created" in printed
    assert "succeeded: 2 fetched = 1 updated + 1 unchanged" in printed

    rows = json.loads(file.read_text(encoding="utf-8"))

    assert rows["shop:2"][1:] == ["Cup", "5.50", "EUR"]


def test_custom_sink_has_no_perpetual_difference(tmp_path: Path) -> None:
    """Run once more on its own file, it updates what the sample changes again."""
    file = tmp_path / "prices.json"
    run("custom_sink.py", file)

    printed = run("custom_sink.py", file)

    assert printed.count("2 fetched = 1 updated + 1 unchanged") == 2


def test_blocking_runs_without_an_event_loop() -> None:
    """It serves, syncs and reports by itself."""
    printed = run("blocking.py")

    assert "succeeded: 194 fetched = 194 created" in printed
    assert "categories: 24 created" in printed


def test_embedding_runs_by_itself() -> None:
    """The first run is whole; the second one is stopped by its host, in order."""
    printed = run("embedding.py")

    assert "nightly: succeeded: 194 fetched = 194 created" in printed
    assert "7 pages, 13 batches" in printed
    assert "cancelled: the host is closing" in printed


async def test_embedding_works_against_a_running_server() -> None:
    """It takes the address of any DummyJSON server."""
    async with dummyjson_server(generate_catalog(100)) as server:
        printed = await run_beside_servers("embedding.py", server.url)

        assert server.requests

    assert "nightly: succeeded: 100 fetched = 100 created" in printed


@pytest.mark.parametrize("login", ["email", "api_key"])
async def test_medusa_plans_and_writes(login: str) -> None:
    """It writes only on request, and the second time nothing is left."""
    async with dummyjson_server(generate_catalog(60)) as source, fake_medusa() as store:
        environment = {"DUMMYJSON_URL": source.url, "MEDUSA_URL": store.url}
        if login == "email":
            environment["MEDUSA_EMAIL"] = store.email
            environment["MEDUSA_PASSWORD"] = store.password
        else:
            environment["MEDUSA_API_KEY"] = store.api_key

        planned = await run_beside_servers("medusa.py", **environment)
        written = await run_beside_servers("medusa.py", "--write", **environment)
        again = await run_beside_servers("medusa.py", "--write", **environment)

    assert "create dummyjson:1 " in planned
    assert re.search(r"60 to create", planned)
    assert "succeeded: 60 fetched = 60 created" in written
    assert "succeeded: 60 fetched = 60 unchanged" in again


def test_the_configuration_is_accepted() -> None:
    """All jobs of `catalogsync.toml` load."""
    secrets = {"MEDUSA_PASSWORD": "supersecret", "MEDUSA_API_KEY": "sk_secret"}
    config = load_config(EXAMPLES / "catalogsync.toml", environ=secrets)

    assert [*config.jobs] == ["local", "products", "with_a_key"]


@pytest.mark.parametrize(
    "name", ["custom_source.py", "custom_sink.py", "search_index.py"]
)
def test_strict_types(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mypy --strict` accepts the examples that people begin with."""
    monkeypatch.chdir(EXAMPLES.parent)

    output, errors, status = mypy.run(["--strict", str(EXAMPLES / name)])

    assert (errors, status) == ("", 0), output
