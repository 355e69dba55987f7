"""`catalogsync serve`: what it promises outlives it."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from aiohttp import web
from tests.web.served import configure, read_events, serving, skip_to, untimed
from tests.web.sites import JSON, OPERATE, SECRET

from catalogsync.testing import FaultPlan, dummyjson_app, serve_in_thread
from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import Records
from catalogsync.testing.faults import delay, status
from catalogsync.web import sign

BOSS = {"Authorization": f"Bearer {OPERATE}"}
STOPPING = "finishing in-flight batches; press Ctrl-C again to stop immediately\n"


@pytest.fixture
def faults() -> FaultPlan:
    return FaultPlan()


@pytest.fixture
def source(faults: FaultPlan) -> Iterator[str]:
    """A server with ten products."""
    records = generate_catalog(10, 2, awkward=False)
    with serve_in_thread(lambda: dummyjson_app(records, faults=faults)) as url:
        yield url


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    request = urllib.request.Request(url, data=body, headers={**JSON, **headers})
    with urllib.request.urlopen(request) as response:
        return response.status, json.load(response)


def ids(folder: Path) -> set[str]:
    """The products in the sink."""
    with closing(sqlite3.connect(folder / "catalog.db")) as database:
        found = database.execute("SELECT source_id FROM product").fetchall()
    return {row[0] for row in found}


def test_serving(tmp_path: Path, source: str) -> None:
    """It says where it listens and what runs came to, and ends in order."""
    configure(tmp_path, source)
    with serving(tmp_path) as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert ask(f"{served.url}/ready") == (200, {"status": "ready"})
        answer, _ = ask(f"{served.url}/api/jobs/products/runs", b"{}", **BOSS)
        assert answer == 202
        assert served.line().startswith("products: succeeded: 10 fetched = 10 created")
        request = urllib.request.Request(f"{served.url}/metrics", headers=BOSS)
        with urllib.request.urlopen(request) as response:
            assert b"catalogsync_runs_total{" in response.read()
        served.process.send_signal(signal.SIGTERM)
        assert served.end() == (0, "", STOPPING)
    assert len(ids(tmp_path)) == 10


def test_the_log_as_json(tmp_path: Path, source: str) -> None:
    """Every line is an object without secrets."""
    configure(tmp_path, source, 'log = "json"')
    with serving(tmp_path) as served:
        ask(f"{served.url}/api/jobs/products/runs", b"{}", **BOSS)
        assert served.process.stderr
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1].get("event") != "RunFinished":
            lines.append(json.loads(served.process.stderr.readline()))
        served.process.send_signal(signal.SIGTERM)
        _, output, errors = served.end()
    finished = lines[-1]
    assert finished["report"]["counts"]["created"] == 10
    assert (finished["status"], finished["level"]) == ("succeeded", "info")
    assert "RunStarted" in {line.get("event") for line in lines}
    assert all(line["time"] and line["message"] for line in lines)
    assert json.loads(errors)["message"] == STOPPING.rstrip()
    assert OPERATE not in str(lines) + output + errors


def test_notifications_are_sent(tmp_path: Path, faults: FaultPlan, source: str) -> None:
    """Of a run that did not go well, by what the configuration says."""
    with telling() as (url, bodies):
        configure(
            tmp_path,
            source,
            f'''
            [serve.notify]
            on = ["incomplete", "failed"]
            [[serve.notify.webhooks]]
            url = "{url}/T0K3N-IN-PATH?x=1"
            template = \'{{"job": "$job", "status": "$status"}}\'
            [serve.tokens.other]
            token = "another-token-0123456789"
            ''',
        )
        faults.add(status(503, path="/products*"))
        with serving(tmp_path) as served:
            ask(f"{served.url}/api/jobs/products/runs", b"{}", **BOSS)
            assert bodies.get(timeout=60) == b'{"job": "products", "status": "failed"}'
            served.process.send_signal(signal.SIGTERM)
            _, output, errors = served.end()
    assert "T0K3N" not in output + errors
    for line in errors.splitlines():
        assert "T" in line.split()[0] or line == STOPPING.rstrip()


@contextmanager
def telling() -> Iterator[tuple[str, Queue[bytes]]]:
    """A server that takes notices, and what it was sent."""
    bodies: Queue[bytes] = Queue()

    async def take(request: web.Request) -> web.Response:
        bodies.put(await request.read())
        return web.Response()

    def app() -> web.Application:
        app = web.Application()
        app.router.add_post("/{path:.*}", take)
        return app

    with serve_in_thread(app) as url:
        yield url, bodies


def test_a_call_outlives_the_process(
    tmp_path: Path, source: str, faults: FaultPlan
) -> None:
    """Killed as soon as it has answered 202, it does what it promised afterwards."""
    configure(tmp_path, source)
    faults.add(delay(asyncio.Event(), path="/products/*"))
    body = b'{"keys":["3","7"]}'
    with serving(tmp_path) as served:
        headers = sign(SECRET, body)
        answer, _ = ask(f"{served.url}/webhooks/products", body, **headers)
        served.process.kill()
        assert answer == 202
        assert served.end()[0] == -signal.SIGKILL
    faults.clear()
    with serving(tmp_path) as served:
        assert served.line().startswith("products: succeeded: 2 fetched = 2 created")
        assert ids(tmp_path) == {"3", "7"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_the_midst_of_a_run(
    tmp_path: Path, source: str, faults: FaultPlan, number: signal.Signals
) -> None:
    """What was read is written or unresolved, and the next process does the rest."""
    configure(tmp_path, source)
    faults.add(delay(asyncio.Event(), path="*skip=6*"))
    with serving(tmp_path) as served:
        with closing(read_events(served.url)) as events:
            ask(f"{served.url}/api/jobs/products/runs", b"{}", **BOSS)
            skip_to(events, b"BatchWritten")
            served.process.send_signal(number)
            assert b"event: RunFinished\n" in events.readlines()
        code, output, errors = served.end()
        assert (code, errors) == (0, STOPPING)
        assert untimed(output).startswith("products: cancelled: ")
    faults.clear()
    first = ids(tmp_path)
    assert 2 <= len(first) < 10
    with serving(tmp_path) as served:
        line = served.line()
        assert line.startswith("products: succeeded: 10 fetched = ")
        assert f"{10 - len(first)} created" in line
    assert len(ids(tmp_path)) == 10


def test_stopped_twice(tmp_path: Path) -> None:
    """The second signal ends it at once, also while a write is waited for."""
    records = Records(generate_catalog(4, 2, awkward=False))
    with (
        serve_in_thread(lambda: dummyjson_app(records)) as source,
        closing(sqlite3.connect(tmp_path / "catalog.db")) as other,
    ):
        # Without a guard, the write follows the comparison at once.
        configure(tmp_path, source, job='options.guard = "off"')
        config = tmp_path / "catalogsync.toml"
        config.write_text(config.read_text().replace("batch = 2", "timeout = 2"))
        with serving(tmp_path) as served, closing(read_events(served.url)) as events:
            ask(f"{served.url}/api/jobs/products/runs", b"{}", **BOSS)
            skip_to(events, b"event: RunFinished")
            other.execute("BEGIN IMMEDIATE")
            records.by_id(1)["price"] = 3.33
            ask(f"{served.url}/api/jobs/products/runs", b"{}", **BOSS)
            skip_to(events, b"event: Compared")
            served.process.send_signal(signal.SIGTERM)
            assert served.process.stderr
            assert served.process.stderr.readline() == STOPPING
            served.process.send_signal(signal.SIGTERM)
            assert served.process.stderr.readline() == "interrupted\n"
            other.rollback()
            assert served.end()[0] == 130
