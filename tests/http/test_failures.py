"""What goes wrong on the way to a server and back, and what it is called."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Iterator
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web
from tests.http.http_ends import app_of, client_of, hello
from yarl import URL

from catalogsync.errors import (
    BrokenReplyError,
    CatalogSyncError,
    MisconfiguredError,
    TransientError,
)
from catalogsync.http._client import HttpClient, HttpOptions, Reply, open_http
from catalogsync.testing.faults import cut, lost, reset, stall, truncated
from catalogsync.testing.servers import serve

MEGABYTE = 1 << 20


async def failure(
    client: HttpClient, method: str = "GET", path: str = "/thing"
) -> CatalogSyncError:
    with pytest.raises(CatalogSyncError) as caught:
        await client.send(method, path, body=b"{}" if method == "POST" else None)
    return caught.value


async def failure_at(url: str, options: HttpOptions | None = None) -> CatalogSyncError:
    async with open_http(URL(url), options or HttpOptions()) as client:
        return await failure(client)


@pytest.fixture
def free_port() -> int:
    """A port without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port at which connections are never accepted: all places are taken."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for guest in (one, two):
            guest.setblocking(False)
            guest.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_refused(free_port: int) -> None:
    error = await failure_at(f"http://127.0.0.1:{free_port}")
    assert type(error) is TransientError
    assert str(error) == (
        f"GET http://127.0.0.1:{free_port}/thing: cannot connect (Connection refused)"
    )


async def test_unknown_host() -> None:
    error = await failure_at("https://no-such-host.invalid")
    assert type(error) is TransientError
    assert "the host name no-such-host.invalid cannot be found" in str(error)


async def test_no_connection(busy_port: int) -> None:
    options = HttpOptions(connect_timeout=0.05)
    error = await failure_at(f"http://127.0.0.1:{busy_port}", options)
    assert type(error) is TransientError
    assert str(error).endswith("/thing: no connection within 0.05 s")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_is_existing_back(method: str) -> None:
    fault = stall(asyncio.Event())
    async with client_of(hello, fault, options=HttpOptions(timeout=0.05)) as client:
        error = await failure(client, method)
        assert type(error) is TransientError
        assert str(error) == f"{method} {client.url}/thing: no answer within 0.05 s"


async def test_a_body_that_stands_still() -> None:
    async def begin(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a":')
        await asyncio.Event().wait()
        return response

    async with client_of(begin, options=HttpOptions(timeout=0.05)) as client:
        error = await failure(client)
    assert type(error) is TransientError
    assert "no answer within 0.05 s" in str(error)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("fault", [reset, lost])
async def test_a_lost_change_is_not_sent_again(fault: type, method: str) -> None:
    """Whether the work is done is for the engine to find out."""
    done: list[str] = []

    async def work(request: web.Request) -> web.Response:
        done.append(request.method)
        return web.json_response({})

    async with client_of(work, fault(method, on=1)) as client:
        error = await failure(client, method)
        assert type(error) is TransientError
        assert str(error).startswith(f"{method} http://127.0.0.1:")
        assert done == ([] if fault is reset else [method])
        assert (await client.send(method, "/thing", body=b"{}")).status == 200
        assert client.requests == 2


@pytest.mark.parametrize("fault", [reset, lost])
async def test_a_get_that_is_always_lost(fault: type) -> None:
    async with client_of(hello, fault("GET")) as client:
        error = await failure(client)
    assert type(error) is TransientError
    assert str(error).startswith("GET http://127.0.0.1:")


async def test_a_connection_that_the_server_closed_meanwhile() -> None:
    """Servers do that after a while without requests; callers do not notice."""
    served: list[asyncio.BaseTransport] = []

    async def note(request: web.Request) -> web.Response:
        assert request.transport
        served.append(request.transport)
        return await hello(request)

    async with client_of(note) as client:
        await client.send("GET", "/first")
        served[0].close()
        assert (await client.send("GET", "/second")).json() == {"hello": "/second"}


@pytest.mark.parametrize("keep", [0, 1, 5])
async def test_a_body_that_breaks_off(keep: int) -> None:
    async with client_of(hello, cut(keep=keep)) as client:
        error = await failure(client)
    assert type(error) is BrokenReplyError
    assert str(error).endswith("/thing: the answer broke off")


async def test_chunks_that_break_off() -> None:
    async def begin(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a": 1}')
        assert request.transport
        request.transport.close()
        return response

    async with client_of(begin) as client:
        assert type(await failure(client)) is BrokenReplyError


async def test_json_that_breaks_off() -> None:
    async with client_of(hello, truncated(keep=5)) as client:
        reply = await client.send("GET", "/thing")
        with pytest.raises(BrokenReplyError, match="/thing: not JSON"):
            reply.json()


@pytest.mark.parametrize("body", [b"", b"<html>", b"NaN", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json(body: bytes) -> None:
    reply = Reply(200, {}, body, "GET http://shop/products")
    with pytest.raises(BrokenReplyError, match="not JSON"):
        reply.json()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_body_that_is_not_coded_as_it_says(coding: str) -> None:
    async def lie(_: web.Request) -> web.Response:
        return web.Response(body=b"{}", headers={"Content-Encoding": coding})

    async with client_of(lie) as client:
        assert isinstance(await failure(client), TransientError)


async def test_no_http_at_all() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure_at(f"http://127.0.0.1:{port}")
    assert type(error) is TransientError


async def test_as_large_as_is_allowed() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    async with client_of(answer, options=HttpOptions(max_body=1000)) as client:
        assert len((await client.send("GET", "/thing")).body) == 1000
    async with client_of(answer, options=HttpOptions(max_body=999)) as client:
        error = await failure(client)
    assert type(error) is BrokenReplyError
    assert str(error).endswith("/thing: the answer is larger than 999 bytes")


async def test_too_large_without_saying_so() -> None:
    ended = asyncio.Event()

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            ended.set()

    async with client_of(flood, options=HttpOptions(max_body=MEGABYTE)) as client:
        error = await failure(client)
        await ended.wait()
    assert type(error) is BrokenReplyError
    assert "larger than 1048576 bytes" in str(error)


async def test_a_small_body_that_unpacks_to_a_large_one() -> None:
    bomb = gzip.compress(bytes(64 * MEGABYTE))

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with client_of(answer, options=HttpOptions(max_body=MEGABYTE)) as client:
        tracemalloc.start()
        error = await failure(client)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert type(error) is BrokenReplyError
    assert peak < 8 * MEGABYTE


async def test_after_a_failure_the_client_goes_on() -> None:
    fault = cut(on=1)
    async with client_of(hello, fault, options=HttpOptions(max_body=20)) as client:
        await failure(client)
        await failure(client, path="/with-a-name-that-is-too-long")
        assert (await client.send("GET", "/a")).json() == {"hello": "/a"}
        assert client.requests == 3


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_redirects_are_not_followed(code: int, method: str) -> None:
    """The credentials would go along."""
    visits: list[web.Request] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visits.append(request)
        return web.json_response({})

    async with serve(app_of(elsewhere)) as other:

        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=code, headers={"Location": f"{other}/thing"})

        async with client_of(redirect) as client:
            with pytest.raises(MisconfiguredError) as caught:
                await client.send(
                    method, "/thing", body=b"{}", headers={"Authorization": "secret"}
                )
    assert visits == []
    assert str(caught.value) == (
        f"url: the server redirects to {other}; use that address"
    )


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("https://shop.example.com/thing", "https://shop.example.com;"),
        ("https://shop.example.com/en/thing", "https://shop.example.com/en;"),
        ("https://me:secret@shop.example.com/", "https://shop.example.com/;"),
        ("https://shop.example.com/?token=secret", "https://shop.example.com/;"),
        ("/login", "http://127.0.0.1:{port}/login;"),
        ("//shop.example.com/thing", "http://shop.example.com;"),
        ("", "to an address that is neither"),
        ("http://[", "to an address that is neither"),
        (None, "to an address that is neither"),
        ("file:///x", "to an address that is neither"),
        ("mailto:secret@shop.example.com", "to an address that is neither"),
        ("javascript:alert(1)", "to an address that is neither"),
        ("https://:443/x", "to an address that is neither"),
        ("https://shop.example.com:99999/", "to an address that is neither"),
        ("https://shop example/", "to an address that is neither"),
        ("https://%zz/", "to an address that is neither"),
        ("https://shop.example.com/a#secret", "https://shop.example.com/a;"),
        ("https://x.de/login/eyJhbGciOiJIUzI1NiJ9secret", "https://x.de/login/***;"),
        ("/thing", "redirects to the same address"),
    ],
)
async def test_where_a_redirect_leads(location: str | None, message: str) -> None:
    async def redirect(_: web.Request) -> web.Response:
        headers = {} if location is None else {"Location": location}
        return web.Response(status=302, headers=headers)

    async with client_of(redirect) as client:
        error = await failure(client)
        assert type(error) is MisconfiguredError
        assert error.setting == "url"
        assert message.format(port=client.url.port) in str(error)
        assert "secret" not in str(error)


@pytest.mark.parametrize("code", [200, 201, 204, 304, 400, 401, 404, 409, 422, 500])
async def test_what_is_for_the_adapter_to_judge(code: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code)

    async with client_of(answer) as client:
        reply = await client.send("GET", "/thing")
    assert reply.status == code
    reply.raise_if_passing()


@pytest.mark.parametrize("code", [408, 425, 429, 502, 503, 504])
async def test_what_may_pass(code: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code, headers={"Retry-After": "7"})

    async with client_of(answer) as client:
        reply = await client.send("GET", "/thing")
    with pytest.raises(TransientError, match=f"/thing: HTTP {code}$") as caught:
        reply.raise_if_passing()
    assert caught.value.retry_after == 7.0


def test_a_retry_after_with_a_date() -> None:
    import datetime as dt

    when = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    headers = {"Retry-After": format_datetime(when, usegmt=True)}
    with pytest.raises(TransientError) as caught:
        Reply(503, headers, b"", "GET http://shop/").raise_if_passing()
    assert caught.value.retry_after
    assert 0 < caught.value.retry_after <= 3600


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5"])
def test_a_retry_after_that_makes_no_sense(text: str) -> None:
    with pytest.raises(TransientError) as caught:
        Reply(429, {"Retry-After": text}, b"", "GET http://shop/").raise_if_passing()
    assert caught.value.retry_after is None


async def test_a_cancelled_request_is_not_an_error_of_its_own() -> None:
    waiting = asyncio.Event()

    async def hold(_: web.Request) -> web.Response:
        waiting.set()
        await asyncio.Event().wait()
        return web.Response()

    async with client_of(hold) as client, asyncio.TaskGroup() as group:
        task = group.create_task(client.send("GET", "/thing"))
        await waiting.wait()
        task.cancel()
    assert task.cancelled()


async def test_what_a_client_says_it_is(free_port: int) -> None:
    """Neither a proxy's password nor a header is in what is logged."""
    options = HttpOptions(proxy=f"http://me:secret@127.0.0.1:{free_port}")
    async with aiohttp.ClientSession() as session:
        client = HttpClient(session=session, url=URL("http://a"), options=options)
        error = await failure(client)
    assert "secret" not in repr(client)
    assert "secret" not in str(error)
    assert "cannot connect to the proxy (Connection refused)" in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


async def test_a_pooled_connection_that_the_server_closed_is_no_error() -> None:
    """Also for a POST, which must not be repeated: the next one opens a new one."""
    closed = asyncio.Event()
    connections = 0

    async def serve_one(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = URL(f"http://127.0.0.1:{port}")
    async with server, open_http(url, HttpOptions()) as client:
        for _ in range(3):
            closed.clear()
            assert (await client.send("POST", "/")).json() == {}
            await closed.wait()
            for _ in range(5):
                await asyncio.sleep(0)
    assert connections == 3
