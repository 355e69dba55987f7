"""A server that wants to take all time and memory: a clear error, and soon."""

from __future__ import annotations

import asyncio
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, strategies as st
from tests.security.raw_server import raw_server
from yarl import URL

from catalogsync.errors import BrokenReplyError, CatalogSyncError, TransientError
from catalogsync.http._client import HttpOptions, Reply, open_http
from catalogsync.retry import RetryPolicy, retry_after

MEGABYTE = 1 << 20
DAY = 86_400.0
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]


def endless(beginning: bytes, piece: bytes) -> Write:
    """What begins so and goes on like that."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while True:
            writer.write(piece * (65_536 // len(piece)))
            await writer.drain()

    return write


@contextmanager
def peak_below(most: int) -> Iterator[None]:
    """What is done within takes no more memory than this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


async def failure(write: Write, options: HttpOptions) -> CatalogSyncError:
    """How a request to a server that writes this fails."""

    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        await write(writer)

    async with raw_server(answer) as url, open_http(URL(url), options) as client:
        with pytest.raises(CatalogSyncError) as caught:
            await client.send("GET", "/products")
    assert len(str(caught.value)) < 10_000
    return caught.value


@pytest.mark.parametrize(
    "write",
    [
        endless(OK, b"X-More: and more\r\n"),
        endless(OK + b"X-Long: ", b"a"),
        endless(b"HTTP/1.1 200 ", b"a"),
        endless(b"", b"a"),
        endless(CHUNKED + b"0\r\n", b"X-More: and more\r\n"),
    ],
    ids=["headers", "header", "reason", "status", "trailers"],
)
async def test_no_end_of_what_stands_around_a_body(write: Write) -> None:
    with peak_below(8 * MEGABYTE):
        error = await failure(write, HttpOptions())
    assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    "write",
    [
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        endless(CHUNKED + b"5;", b"extension"),
    ],
    ids=["100", "103", "extension"],
)
async def test_what_only_the_timeout_ends(write: Write) -> None:
    with peak_below(16 * MEGABYTE):
        error = await failure(write, HttpOptions(timeout=0.3))
    assert str(error).endswith("no answer within 0.3 s")


async def test_a_body_in_pieces_of_one_byte() -> None:
    with peak_below(8 * MEGABYTE):
        options = HttpOptions(max_body=20_000)
        error = await failure(endless(CHUNKED, b"1\r\na\r\n"), options)
    assert type(error) is BrokenReplyError
    assert str(error).endswith("larger than 20000 bytes")


@pytest.mark.parametrize(("coding", "window"), [("gzip", 31), ("deflate", 15)])
async def test_a_body_that_unpacks_to_a_thousand_times_its_size(
    coding: str, window: int
) -> None:
    packer = zlib.compressobj(level=1, wbits=window)
    nothing = bytes(MEGABYTE)
    packed = b"".join(packer.compress(nothing) for _ in range(256)) + packer.flush()

    async def write(writer: asyncio.StreamWriter) -> None:
        head = f"Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n"
        writer.write(OK + head.encode() + packed)

    with peak_below(16 * MEGABYTE):
        error = await failure(write, HttpOptions(max_body=2 * MEGABYTE))
    assert type(error) is BrokenReplyError


@pytest.mark.parametrize("length", [10**9, 10**30])
async def test_a_length_beyond_all_measure(length: int) -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % length)

    assert isinstance(await failure(write, HttpOptions()), TransientError)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"products": NaN}',
        b'{"total": Infinity}',
        b'{"total": -Infinity}',
        b'"\xff"',
        b"[" + b"1," * 1_000_000,
    ],
)
def test_invalid_json(body: bytes) -> None:
    with pytest.raises(BrokenReplyError) as caught:
        Reply(200, {}, body, "GET /").json()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("86400", DAY),
        ("86401", DAY),
        ("1000000000000000000", DAY),
        ("9" * 8000, DAY),
        ("1e18", None),
        ("-1", None),
        ("-" + "9" * 400, None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("Fri, 31 Dec 9999 23:59:59 -9959", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Thu, 01 Jan 0001 00:00:00 GMT", 0.0),
    ],
)
def test_how_long_a_server_can_make_us_wait(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}) == seconds


@given(st.text() | st.from_regex(r"\A\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [+-]?\w+\Z"))
def test_any_retry_after(text: str) -> None:
    seconds = retry_after({"Retry-After": text})
    assert seconds is None or 0 <= seconds <= DAY


async def test_a_wait_beyond_the_time_left_is_not_begun() -> None:
    """By the default policy, a server that asks for a day is given up."""
    tries = 0

    async def insist() -> None:
        nonlocal tries
        async for attempt in RetryPolicy().tries():
            with attempt:
                tries += 1
                raise TransientError("busy", retry_after=DAY)

    with pytest.raises(TransientError):
        await insist()
    assert tries == 1
