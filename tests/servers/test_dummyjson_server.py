"""Our own DummyJSON server: what a test can make of it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import (
    DummyJSONServer,
    Records,
    dummyjson_app,
    dummyjson_server,
)
from catalogsync.testing.faults import FaultPlan, status
from catalogsync.testing.servers import serve_in_thread

Record = dict[str, Any]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[DummyJSONServer]:
    """Our server, with three records."""
    async with dummyjson_server(three()) as made:
        yield made


@pytest.fixture
async def ours(server: DummyJSONServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as made:
        yield made


def three() -> list[Record]:
    return [
        {"id": 1, "title": "Red Hat", "description": "", "category": "hats"},
        {"id": 2, "title": "Blue Hat", "description": "", "category": "hats"},
        {"id": 3, "title": "Shoe", "description": "red", "category": "shoes"},
    ]


async def answer(api: aiohttp.ClientSession, path: str, code: int = 200) -> Any:
    """The JSON at a path, whose status must be as expected."""
    async with api.get(path) as response:
        assert response.status == code
        return await response.json(content_type=None)


async def ids(api: aiohttp.ClientSession, path: str) -> list[int]:
    return [record["id"] for record in (await answer(api, path))["products"]]


async def test_sort_as_the_real_one(
    ours: aiohttp.ClientSession, server: DummyJSONServer
) -> None:
    """What a missing value does to the order, as seen there."""
    for number, brand in ((1, "b"), (2, None), (3, "a")):
        if brand is not None:
            server.records.by_id(number)["brand"] = brand
    assert await ids(ours, "/products?sortBy=brand") == [3, 2, 1]
    assert await ids(ours, "/products?sortBy=brand&order=desc") == [3, 2, 1]


async def test_modified(ours: aiohttp.ClientSession, server: DummyJSONServer) -> None:
    """A change changes the ETag."""
    async with ours.get("/products") as response:
        headers = {"If-None-Match": response.headers["ETag"]}
    server.records.by_id(1)["title"] = "Green Hat"
    async with ours.get("/products", headers=headers) as response:
        assert response.status == 200


async def test_compress(
    real_records: list[Record], session: aiohttp.ClientSession
) -> None:
    """On demand the answers are compressed."""
    gzip = {"Accept-Encoding": "gzip"}
    async with (
        dummyjson_server(real_records, compress=True) as server,
        session.get(f"{server.url}/products", headers=gzip) as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        assert (await response.json())["products"] == real_records[:30]


async def test_rate_limit(session: aiohttp.ClientSession) -> None:
    """A hundred requests in ten seconds, then 429 until the window ends."""
    now = 1000.5
    async with dummyjson_server(three(), rate_limit=True, clock=lambda: now) as server:
        for left in range(99, -1, -1):
            assert await limits(session, server.url, 200) == ("100", str(left), "1011")
        assert await limits(session, server.url, 429) == ("100", "0", "1011")
        now = 1010.4
        assert await limits(session, server.url, 429) == ("100", "0", "1011")
        now = 1010.5
        assert await limits(session, server.url, 200) == ("100", "99", "1021")
        now = 1055.0
        assert await limits(session, server.url, 200) == ("100", "99", "1061")


async def limits(session: aiohttp.ClientSession, url: str, code: int) -> Any:
    async with session.get(f"{url}/products") as response:
        assert response.status == code
        names = ("Limit", "Remaining", "Reset")
        return tuple(response.headers[f"X-RateLimit-{name}"] for name in names)


async def test_rate_limit_answer(session: aiohttp.ClientSession) -> None:
    """The refusal says how long to wait, even where the route is unknown."""
    async with dummyjson_server([], rate_limit=True) as server:
        for _ in range(100):
            await session.get(f"{server.url}/nope")
        async with session.get(f"{server.url}/nope") as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "10")
            message = "request limit exceeded, please wait a few seconds"
            assert await response.json() == {"message": message}


# What a test can do


async def test_records_change_while_it_runs(
    ours: aiohttp.ClientSession, server: DummyJSONServer
) -> None:
    """Products come, go and change between two requests."""
    records = server.records
    records.append({**three()[0], "id": 4})
    records.insert(0, {**three()[0], "id": 5})
    assert await ids(ours, "/products") == [5, 1, 2, 3, 4]
    del records[1]
    records.remove(records.by_id(3))
    assert await ids(ours, "/products") == [5, 2, 4]
    records.by_id(2)["title"] = "Cap"
    assert (await answer(ours, "/products/2"))["title"] == "Cap"
    records[1] = {**three()[1], "title": "Bonnet"}
    assert (await answer(ours, "/products/2"))["title"] == "Bonnet"
    records[:] = three()
    assert await answer(ours, "/products/1") == three()[0]
    records.clear()
    assert await ids(ours, "/products") == []
    await answer(ours, "/products/1", 404)


async def test_an_id_can_change_in_place(
    ours: aiohttp.ClientSession, server: DummyJSONServer
) -> None:
    """The product is found under its new id, and only there."""
    await answer(ours, "/products/1")
    server.records[0]["id"] = 9
    assert (await answer(ours, "/products/9"))["title"] == "Red Hat"
    await answer(ours, "/products/1", 404)


def test_records_are_copies() -> None:
    """Neither the caller's records nor the server's change with the other."""
    given = three()
    records = Records(given)
    records[0]["title"] = "changed"
    given[1]["title"] = "changed"
    assert given[0] == three()[0]
    assert records[1:] == three()[1:]
    with pytest.raises(KeyError):
        records.by_id(99)


def test_the_bytes_are_the_same_without_orjson(
    real_records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optional package only makes it faster."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    spec = importlib.util.find_spec("catalogsync.testing.dummyjson._records")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entries = Records(real_records).entries
    plain = module.Records(real_records).entries
    assert [entry.raw for entry in plain] == [entry.raw for entry in entries]
    assert plain[0].record == real_records[0]


async def test_request_log(session: aiohttp.ClientSession) -> None:
    """Every request is there, even one that a fault answered."""
    plan = FaultPlan(status(503, on=[2]))
    async with dummyjson_server(three(), faults=plan) as server:
        await session.get(f"{server.url}/products?limit=1")
        await session.get(f"{server.url}/products/2")
        assert [(r.method, r.path, dict(r.query)) for r in server.requests] == [
            ("GET", "/products", {"limit": "1"}),
            ("GET", "/products/2", {}),
        ]
        assert server.requests[0].headers["host"] in server.url


def test_in_a_thread() -> None:
    """An application can be served to blocking code and changed from there."""
    records = Records(three())
    with serve_in_thread(lambda: dummyjson_app(records)) as url:
        assert read(f"{url}/products/1")["title"] == "Red Hat"
        records.by_id(1)["title"] = "Cap"
        assert read(f"{url}/products/1")["title"] == "Cap"


@pytest.mark.parametrize("content", ['[{"id": 1}]', '{"products": [{"id": 1}]}'])
def test_run_as_a_module(tmp_path: Path, content: str) -> None:
    """The command prints its address, serves a file, and ends when interrupted."""
    file = tmp_path / "products.json"
    file.write_text(content)
    with running(f"--file={file}", "--rate-limit") as url:
        assert read(f"{url}/products")["products"] == [{"id": 1}]


def test_run_as_a_module_with_made_products() -> None:
    """The products are those of the generator."""
    with running("--products=40", "--seed=3", "--variants") as url:
        products = read(f"{url}/products?limit=0")["products"]
    assert products == generate_catalog(40, seed=3, variants=True)


@contextlib.contextmanager
def running(*options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "catalogsync.testing.dummyjson", "--port=0"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def read(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


@pytest.mark.parametrize(
    ("content", "expected"), [(None, "No such file"), ("{", "has no products")]
)
def test_a_file_that_cannot_be_served(
    tmp_path: Path, content: str | None, expected: str
) -> None:
    """One line says so."""
    file = tmp_path / "products.json"
    if content is not None:
        file.write_text(content)
    command = [sys.executable, "-m", "catalogsync.testing.dummyjson", f"--file={file}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert expected in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
