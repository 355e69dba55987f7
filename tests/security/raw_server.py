"""A server of plain bytes, which says what no framework would let it say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Answers a request, which is given as it came, with its body."""


def reply(body: bytes = b"{}", status: str = "200 OK", *headers: bytes) -> bytes:
    """A whole answer."""
    length = b"Content-Length: %d" % len(body)
    lines = [f"HTTP/1.1 {status}".encode(), *headers, length, b"", body]
    return b"\r\n".join(lines)


@asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[str]:
    """Serve, and give the address; leaving ends every connection."""
    handlers: set[asyncio.Task[object]] = set()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        handlers.add(task)
        with suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            while True:
                await answer(await _request(reader), writer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.wait(handlers) if handlers else None


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)
