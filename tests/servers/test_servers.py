"""Servers: on a free local port, gone when the block ends."""

from __future__ import annotations

import asyncio
import socket
import urllib.request

import aiohttp
import pytest
from aiohttp import web

from catalogsync import testing
from catalogsync.testing.servers import serve, serve_in_thread


def make_app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return app


async def test_serve() -> None:
    """Two servers run side by side; afterwards, their ports are closed."""
    async with serve(make_app()) as one, serve(make_app()) as two:
        assert one != two
        async with aiohttp.request("GET", one) as response:
            assert await response.text() == "hello"
    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.request("GET", one):
            pass


async def test_serve_on_a_port() -> None:
    """The port can be chosen."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with serve(make_app(), port=port) as url:
        assert url == f"http://127.0.0.1:{port}"


async def test_a_hanging_handler_does_not_hold_up_the_end() -> None:
    """A handler that never ends is cancelled, an idle connection is closed."""
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    app = make_app()
    app.router.add_get("/hang", hang)
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
        async with serve(app) as url:
            async with client.get(url):
                pass
            task = group.create_task(expect_disconnect(client, f"{url}/hang"))
            await started.wait()
        await cancelled.wait()
        await task


async def expect_disconnect(client: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get(url)


def test_serve_in_thread() -> None:
    """Blocking code can use a server in its own process."""
    with serve_in_thread(make_app) as url:
        assert urllib.request.urlopen(url).read() == b"hello"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_serve_in_thread_reports_what_went_wrong() -> None:
    """An application that cannot be made fails in the caller's thread."""

    def broken() -> web.Application:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"), serve_in_thread(broken):
        pass


def test_serve_in_thread_ends_when_the_block_fails() -> None:
    """The thread is gone even when the block raises."""
    with pytest.raises(KeyError), serve_in_thread(make_app) as url:
        raise KeyError
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_public_names() -> None:
    """Everything that the package promises can be had from it, and nothing else."""
    assert {name for name in testing.__all__ if hasattr(testing, name)} == {
        *testing.__all__
    }
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = testing.nothing
