"""Live progress as server-sent events; a run never waits for a subscriber."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

import attrs
from aiohttp import web

from catalogsync.service import Feed, JobEvent, Reader

from ._errors import RefusalError
from ._sessions import Session, Sessions

_PATIENCE = 30.0
_TO_FINISH = 1.0
_ENCODED = 256
_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_HELLO = b": events follow\n\n"
_ALIVE = b": still here\n\n"
_DROPPED = b"event: dropped\ndata: {}\n\n"


@attrs.define(eq=False)
class _Stream:
    """An event stream of one subscriber."""

    reader: Reader[JobEvent]
    response: web.StreamResponse
    request: web.Request
    session: Session | None
    writing: asyncio.Timeout | None = None

    async def write(self, data: bytes) -> None:
        """Send data.

        Raises:
            TimeoutError: The subscriber does not read.
        """
        try:
            async with asyncio.timeout(_PATIENCE) as self.writing:
                await self.response.write(data)
        finally:
            self.writing = None

    def end(self) -> None:
        """End the stream, soon even if the subscriber does not read."""
        if not self.reader.put(None):
            self.reader.drop()
        if self.writing is not None:
            soon = asyncio.get_running_loop().time() + _TO_FINISH
            self.writing.reschedule(soon)


@attrs.define
class Streams:
    """The open event streams.

    Attributes:
        alive_every: Seconds of silence after which a stream sends a comment.
    """

    feed: Feed[JobEvent]
    sessions: Sessions
    data: Callable[[JobEvent], str]
    alive_every: float
    _open: set[_Stream] = attrs.field(factory=set[_Stream], init=False)
    _encode: Callable[[JobEvent], bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        def encode(item: JobEvent) -> bytes:
            name = type(item.event).__name__
            return f"event: {name}\ndata: {self.data(item)}\n\n".encode()

        # All subscribers receive the same events.
        self._encode = functools.lru_cache(_ENCODED)(encode)

    async def serve(self, request: web.Request, job: str) -> web.StreamResponse:
        """Send events of one job or of all, until either side ends the stream."""
        response = web.StreamResponse(headers=_HEADERS)
        if self.feed.readers >= self.feed.most:
            raise RefusalError(503, "too many event subscribers")
        with self.feed.reading() as reader:
            session = self.sessions.find(request)
            stream = _Stream(reader, response, request, session)
            self._open.add(stream)
            try:
                await response.prepare(request)
                await self._send(stream, job)
            except ConnectionError:
                pass  # the reader has left
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
            finally:
                self._open.discard(stream)
        return response

    def close(self) -> None:
        """End all streams."""
        for stream in self._open:
            stream.end()

    async def _send(self, stream: _Stream, job: str) -> None:
        await stream.write(_HELLO)
        while (item := await self._next(stream.reader)) is not None:
            if stream.session and not self.sessions.is_open(stream.session):
                return  # logged out
            if item is _ALIVE:
                await stream.write(_ALIVE)
            elif isinstance(item, JobEvent) and job in {"", item.job}:
                await stream.write(self._encode(item))
        if stream.reader.dropped:
            await stream.write(_DROPPED)

    async def _next(self, reader: Reader[JobEvent]) -> JobEvent | bytes | None:
        """The next event; a keep-alive comment after silence; None at the end."""
        try:
            async with asyncio.timeout(self.alive_every):
                return await anext(reader)
        except TimeoutError:
            return _ALIVE
        except StopAsyncIteration:
            return None
