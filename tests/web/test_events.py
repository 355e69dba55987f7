"""Live progress: runs never wait for a reader, and every stream ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.engine.fakes import FAST
from tests.service.shops import open_shop
from tests.web.sites import READ, Events, open_site, serving_narrowly
from tests.web.test_api import PickyTill

from catalogsync import TransientError
from catalogsync.events import RunFinished
from catalogsync.service import Feed, JobEvent, Reader
from catalogsync.web import _streams

ROOM = 50
READERS, STUCK = 190, 10
PATH = "/api/events"


async def test_events_of_a_run() -> None:
    """With their fields, the job and where the run stood."""
    async with open_site(till=PickyTill()) as site, site.events() as events:
        site.shop.shelf.faults = [TransientError("not yet")]
        run_id = (await site.post("/api/jobs/shelf/runs"))["run_id"]
        seen = [await events.next()]
        while seen[-1][0] != "RunFinished":
            seen.append(await events.next())
        names = [name for name, _ in seen]
        assert names[:3] == ["RunStarted", "Retrying", "PageRead"]
        assert {"Compared", "BatchWritten", "ProductFailed"} < set(names)
        assert {data["job"] for _, data in seen} == {"shelf"}
        assert {data["run_id"] for _, data in seen} == {run_id}
        received = dict(seen)
        assert received["Retrying"]["reason"] == "not yet"
        assert received["ProductFailed"]["outcome"] == {
            "key": "shelf:4",
            "status": "failed",
            "reason": "is even",
            "said": "E42",
        }
        assert received["PageRead"]["counts"]["fetched"] == 0
        assert received["RunFinished"]["status"] == "degraded"
        assert received["RunFinished"]["counts"]["created"] == 2


async def test_lines_in_an_event() -> None:
    """An event stays one event, whatever it contains."""
    async with open_site() as site, site.events() as events:
        words = "one\n\nevent: Evil\r\ndata: {}\u2028"
        site.shop.shelf.faults = [TransientError(words)] * FAST.attempts
        await site.post("/api/jobs/shelf/runs")
        assert (await events.until("Retrying"))["reason"] == words
        assert (await events.until("RunFinished"))["summary"] == words


async def test_a_silent_stream_shows_that_it_is_there() -> None:
    async with open_site(alive_every=0.001) as site, site.events() as events:
        for _ in range(3):
            assert await events.line() == ": still here"
        await site.post("/api/jobs/shelf/runs")
        await events.until("RunFinished")


async def test_a_reader_that_leaves() -> None:
    """It is noticed by the next sign of life."""
    async with open_site(alive_every=0.001) as site:
        feed = site.shop.service.feed
        async with site.events():
            assert feed.readers == 1
        while feed.readers:
            await site.get("/health")


async def test_only_so_many_readers() -> None:
    async with open_site() as site, site.events():
        site.shop.service.feed.most = 1
        error = await site.ask("GET", PATH, 503)
        assert error == {"error": "too many event subscribers"}


async def test_the_end_of_the_service_ends_the_streams() -> None:
    """After the last event of the last run."""
    async with AsyncExitStack() as stack:
        shop = await stack.enter_async_context(open_shop())
        async with serving_narrowly(shop) as site, site.events() as events:
            shop.till.gate.clear()
            await shop.ask()
            await shop.till.writing.wait()
            shop.service.stop()
            shop.till.gate.set()
            await stack.aclose()
            assert (await events.until("RunFinished"))["job"] == "shelf"
            assert await events.next() == ("", {})


async def test_the_end_of_the_host_ends_the_streams() -> None:
    """Even if it would wait an hour for them while the service continues."""
    async with open_shop() as shop, serving_narrowly(shop) as site:
        async with site.events() as events:
            await site.runner.cleanup()
            assert await events.next() == ("", {})
        assert shop.service.feed.readers == 0
        assert not shop.service.stopping


@asynccontextmanager
async def stuck_reader(url: str) -> AsyncIterator[socket.socket]:
    """Asks for the events, reads the first bytes and no more."""
    host, port = url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        raw.setblocking(False)
        await loop.sock_connect(raw, (host, int(port)))
        lines = (
            *(f"GET {PATH} HTTP/1.1", "Host: localhost", "Connection: close"),
            *(f"Authorization: Bearer {READ}", "", ""),
        )
        await loop.sock_sendall(raw, "\r\n".join(lines).encode())
        begun = b""
        while b"events follow" not in begun:
            begun += await loop.sock_recv(raw, 100)
        yield raw


async def read_to_the_end(raw: socket.socket) -> bytes:
    """All that still comes."""
    loop, parts = asyncio.get_running_loop(), list[bytes]()
    while part := await loop.sock_recv(raw, 1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("they_wake_up", [True, False])
async def test_many_readers_of_which_some_are_stuck(
    they_wake_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run continues as if there were none; the other readers miss nothing."""
    monkeypatch.setattr(_streams, "_TO_FINISH", 0)
    monkeypatch.setattr(_streams, "_PATIENCE", 3600)
    till = PickyTill(reason="x" * 5000)
    async with AsyncExitStack() as stack:
        shop = await stack.enter_async_context(open_shop(120, till=till))
        shop.service.feed = Feed(room=ROOM)
        site = await stack.enter_async_context(serving_narrowly(shop))
        stuck = [
            await stack.enter_async_context(stuck_reader(site.url))
            for _ in range(STUCK)
        ]
        with shop.service.feed.reading() as own:
            streams = [
                await stack.enter_async_context(site.events()) for _ in range(READERS)
            ]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(read(each)) for each in streams]
                await shop.ask()
                received = [type(item.event).__name__ async for item in until_end(own)]
        assert [task.result() for task in tasks] == [received] * READERS
        assert received.count("ProductFailed") == 60
        assert len(till.titles) == 60
        assert shop.service.feed.readers == READERS
        for raw in stuck if they_wake_up else ():
            assert b"event: dropped" in await read_to_the_end(raw)
        await site.runner.cleanup()


async def test_a_reader_that_takes_nothing_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is cut off, though nothing else ends."""
    till = PickyTill(reason="x" * 50_000)
    async with (
        open_shop(40, till=till) as shop,
        serving_narrowly(shop) as site,
        stuck_reader(site.url) as raw,
    ):
        monkeypatch.setattr(_streams, "_PATIENCE", 0.001)
        await shop.run()
        while shop.service.feed.readers:
            await site.get("/health")
        rest = await read_to_the_end(raw)
        assert not rest.endswith(b"0\r\n\r\n"), rest[-100:]


async def read(events: Events) -> list[str]:
    """The names of the events until the end of the run."""
    names: list[str] = []
    while names[-1:] != ["RunFinished"]:
        names.append((await events.next())[0])
        assert names[-1], names
    return names


async def until_end(reader: Reader[JobEvent]) -> AsyncIterator[JobEvent]:
    async for item in reader:
        yield item
        if isinstance(item.event, RunFinished):
            return
