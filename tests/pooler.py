"""A stand-in for PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias

import attrs
from yarl import URL

__all__ = ["pooled"]

_ASKS_FOR_TLS = 80877103
_IDLE = b"I"
_ENDS_A_CYCLE = b"QS"  # a simple query, or a sync
_Session: TypeAlias = tuple[StreamReader, StreamWriter]


@asynccontextmanager
async def pooled(url: str, *, sessions: int = 2) -> AsyncGenerator[str]:
    """The URL of a pooler before that server; each transaction has another session."""
    parts = URL(url)
    assert parts.host
    pooler = _Pooler(parts.host, parts.port or 5432, missing=sessions)
    async with asyncio.TaskGroup() as group:

        def connected(*ends: *_Session) -> None:
            group.create_task(pooler.serve(*ends))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield str(parts.with_host("127.0.0.1").with_port(port))
            pooler.close()


@attrs.define
class _Pooler:
    host: str
    port: int
    missing: int
    _greeting: bytes = b""
    _idle: asyncio.Queue[_Session] = attrs.field(factory=asyncio.Queue[_Session])
    _open: list[StreamWriter] = attrs.field(factory=list[StreamWriter])

    def close(self) -> None:
        for writer in self._open:
            writer.close()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._open.append(writer)
        try:
            await self._welcome(reader, writer)
            while (message := await _message(reader))[:1] != b"X":
                await self._carry_out(message, reader, writer)
        except* (IncompleteReadError, ConnectionError):
            pass  # the client has left
        writer.close()

    async def _welcome(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Let the first clients log in to sessions, and all others in at once."""
        size = await reader.readexactly(4)
        start = size + await reader.readexactly(int.from_bytes(size) - 4)
        if int.from_bytes(start[4:8]) == _ASKS_FOR_TLS:
            writer.write(b"N")
            await self._welcome(reader, writer)
        elif self.missing:
            self.missing -= 1
            session = await asyncio.open_connection(self.host, self.port)
            self._open.append(session[1])
            session[1].write(start)
            await self._log_in(session, reader, writer)
            self._idle.put_nowait(session)
        else:
            writer.write(b"R\0\0\0\x08\0\0\0\0" + self._greeting)

    async def _log_in(
        self, session: _Session, reader: StreamReader, writer: StreamWriter
    ) -> None:
        greeting = b""
        while not greeting.endswith(b"Z\0\0\0\5I"):
            message = await _message(session[0])
            writer.write(message)
            method = int.from_bytes(message[5:9])
            if message[:1] != b"R":
                greeting += message
            elif method not in {0, 12}:  # it is not through with it
                session[1].write(await _message(reader))
        self._greeting = greeting

    async def _carry_out(
        self, message: bytes, reader: StreamReader, writer: StreamWriter
    ) -> None:
        """A transaction, in the session that waited for the longest time."""
        session = await self._idle.get()
        states = asyncio.Queue[bytes]()
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(session[0], writer, states))
            state = b""
            while state != _IDLE:
                session[1].write(message)
                if message[:1] in _ENDS_A_CYCLE:
                    state = await states.get()
                if state != _IDLE:
                    message = await _message(reader)
        self._idle.put_nowait(session)


async def _pass_on(
    reader: StreamReader, writer: StreamWriter, states: asyncio.Queue[bytes]
) -> None:
    """What the server says, until the transaction has ended."""
    state = b""
    while state != _IDLE:
        message = await _message(reader)
        writer.write(message)
        if message[:1] == b"Z":
            state = message[5:]
            states.put_nowait(state)


async def _message(reader: StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
