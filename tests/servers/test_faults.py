"""Faults: what a client sees, what the server did, and which requests are hit."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator

import aiohttp
import attrs
import pytest
from aiohttp import web

from catalogsync.testing.faults import (
    FaultPlan,
    Injection,
    bad_gateway,
    bad_json,
    cut,
    delay,
    lost,
    reset,
    stall,
    status,
    truncated,
)
from catalogsync.testing.servers import serve


@attrs.define
class Bench:
    """A server whose work can be counted, a plan for it, and a client."""

    url: str
    plan: FaultPlan
    client: aiohttp.ClientSession
    work: list[str]
    worked: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def get(self, path: str = "/") -> int:
        async with self.client.get(self.url + path) as response:
            await response.json()
            return response.status

    async def post(self, body: bytes | None) -> None:
        async with self.client.post(self.url, data=body):
            """Whatever the answer is."""

    async def struck(self) -> None:
        while not self.plan.injected:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def outcomes(self, count: int, path: str = "/") -> list[int]:
        return [await self.get(path) for _ in range(count)]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    plan = FaultPlan(seed=7)
    work: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        work.append(request.path)
        made.worked.set()
        if request.path == "/missing":
            raise web.HTTPNotFound(text="{}", content_type="application/json")
        return web.json_response({"numbers": list(range(1000))})

    app = web.Application(middlewares=[plan.middleware()])
    app.router.add_route("*", "/{path:.*}", handle)
    async with serve(app) as url, aiohttp.ClientSession() as client:
        made = Bench(url, plan, client, work)
        yield made


async def test_no_fault(bench: Bench) -> None:
    """An empty plan changes nothing."""
    assert await bench.get() == 200
    assert bench.plan.injected == []


async def test_status(bench: Bench) -> None:
    """The status, body and headers arrive, and the handler is never called."""
    headers = {"Retry-After": "3"}
    bench.plan.add(status(429, times=1, body='{"a": 1}', headers=headers))
    async with bench.client.post(bench.url, data=b"x" * 100_000) as response:
        assert (response.status, await response.json()) == (429, {"a": 1})
        assert response.headers["Retry-After"] == "3"
    assert bench.work == []
    assert await bench.get() == 200


async def test_status_has_a_message(bench: Bench) -> None:
    """Without a body the answer is JSON that names the status."""
    bench.plan.add(status(503))
    async with bench.client.get(bench.url) as response:
        assert await response.json() == {"message": "Service Unavailable"}


async def test_bad_gateway(bench: Bench) -> None:
    """A proxy answers with HTML."""
    bench.plan.add(bad_gateway())
    async with bench.client.get(bench.url) as response:
        assert (response.status, response.content_type) == (502, "text/html")


async def test_bad_json(bench: Bench) -> None:
    """The answer claims to be JSON and is not."""
    bench.plan.add(bad_json())
    with pytest.raises(ValueError, match="property name"):
        await bench.get()
    assert bench.work == []


async def test_reset(bench: Bench) -> None:
    """The connection is reset and nothing was done."""
    bench.plan.add(reset())
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await bench.client.post(bench.url)
    assert caught.value.errno == errno.ECONNRESET
    assert bench.work == []


@pytest.mark.parametrize("path", ["/", "/missing"])
async def test_lost(bench: Bench, path: str) -> None:
    """The work is done, whatever its answer, and the answer never comes."""
    bench.plan.add(lost())
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await bench.client.post(bench.url + path)
    assert bench.work == [path]


async def test_aiohttp_asks_a_second_time(bench: Bench) -> None:
    """Worth knowing: its client repeats a GET by itself, even on a new connection."""
    bench.plan.add(lost(on=[1]))
    assert await bench.get() == 200
    assert bench.work == ["/", "/"]


@pytest.mark.parametrize("keep", [None, 0, 1, 100, 0.7])
async def test_cut(bench: Bench, keep: float | None) -> None:
    """Status 200 arrives, the promised body does not."""
    bench.plan.add(cut(keep=keep))
    async with bench.client.get(bench.url) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert bench.work == ["/"]


async def test_truncated(bench: Bench) -> None:
    """The answer is whole by its length, but its JSON ends early."""
    bench.plan.add(truncated(keep=14))
    async with bench.client.get(bench.url) as response:
        assert await response.read() == b'{"numbers": [0'
        assert response.content_length == 14


async def test_streams_cannot_be_shortened() -> None:
    """A plan that asks for the impossible fails loudly: 500."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.StreamResponse()

    app = web.Application(middlewares=[FaultPlan(cut()).middleware()])
    app.router.add_get("/", handle)
    app.logger.disabled = True
    async with serve(app) as url, aiohttp.request("GET", url) as response:
        assert response.status == 500


async def test_delay_until_an_event(bench: Bench) -> None:
    """The work waits for the event."""
    event = asyncio.Event()
    bench.plan.add(delay(event))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.get())
        await bench.struck()
        assert (bench.work, task.done()) == ([], False)
        event.set()
    assert task.result() == 200


@pytest.mark.parametrize("body", [None, b"[1]"])
async def test_delay_outlives_the_client(bench: Bench, body: bytes | None) -> None:
    """A client that gives up does not stop the work: it is done later."""
    event = asyncio.Event()
    bench.plan.add(delay(event))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.post(body))
        await bench.struck()
        task.cancel()
    assert bench.work == []
    event.set()
    await bench.worked.wait()
    assert bench.work == ["/"]


async def test_stall(bench: Bench) -> None:
    """The work is done at once, the answer is held back."""
    event = asyncio.Event()
    bench.plan.add(stall(event))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.get())
        await bench.worked.wait()
        assert not task.done()
        event.set()


async def test_waits_combine_with_another_fault(bench: Bench) -> None:
    """A delay lets the next fault strike; after a decision nothing else does."""
    bench.plan.add(delay(0), status(500), lost())
    assert await bench.get() == 500
    assert [i.kind for i in bench.plan.injected] == ["delay", "status"]


async def test_on(bench: Bench) -> None:
    """The requests are numbered from one, and the strikes are recorded."""
    bench.plan.add(status(500, on={2, 4}))
    assert await bench.outcomes(5, "/a?b=1") == [200, 500, 200, 500, 200]
    assert bench.plan.injected == [
        Injection("status", "GET", "/a?b=1", 2),
        Injection("status", "GET", "/a?b=1", 4),
    ]
    assert (bench.plan.count("status"), bench.plan.count("lost")) == (2, 0)


async def test_on_a_single_request(bench: Bench) -> None:
    """One number needs no brackets."""
    bench.plan.add(status(500, on=2))
    assert await bench.outcomes(3) == [200, 500, 200]


async def test_times(bench: Bench) -> None:
    """The first few requests are hit."""
    bench.plan.add(status(500, times=2))
    assert await bench.outcomes(4) == [500, 500, 200, 200]


async def test_every(bench: Bench) -> None:
    """Every third request is hit, as often as ``times`` allows."""
    bench.plan.add(status(500, every=3, times=1))
    assert await bench.outcomes(6) == [200, 200, 500, 200, 200, 200]


async def test_clear(bench: Bench) -> None:
    """A server can recover."""
    bench.plan.add(status(500))
    assert await bench.get() == 500
    bench.plan.clear()
    assert await bench.get() == 200


async def test_every_fault_counts_every_request(bench: Bench) -> None:
    """A fault that was not needed still counted the request."""
    bench.plan.add(status(500, on=[1]), status(503, on=[1, 2]))
    assert await bench.outcomes(3) == [500, 503, 200]


@pytest.mark.parametrize(
    ("method", "path", "hit"),
    [
        ("*", "*", True),
        ("GET", "/products*", True),
        ("GET", "/products", False),
        ("GET", "*skip=30*", True),
        ("GET", "*skip=31*", False),
        ("POST", "*", False),
        ("GET", "/p*/7", True),
    ],
)
async def test_match(bench: Bench, method: str, path: str, hit: bool) -> None:
    """Method and glob select the requests; a glob may look at the query."""
    bench.plan.add(status(500, method, path))
    assert await bench.get("/products/7?skip=30") == (500 if hit else 200)


async def test_rate() -> None:
    """The same seed strikes at the same requests, another one at others."""

    async def strikes(seed: int) -> list[int]:
        plan = FaultPlan(status(500, rate=0.3), seed=seed)
        app = web.Application(middlewares=[plan.middleware()])
        async with serve(app) as url, aiohttp.ClientSession() as client:
            for _ in range(50):
                await client.get(url)
        return [injection.nth for injection in plan.injected]

    first = await strikes(1)
    assert 5 < len(first) < 25
    assert await strikes(1) == first
    assert await strikes(2) != first
