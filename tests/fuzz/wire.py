"""Servers without sockets: what takes the place of an aiohttp session."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self

import aiohttp
import attrs
from aiohttp import web
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .clock import HangError

_MOST_REQUESTS = 3000


@attrs.frozen
class Asked:
    """A request."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes


@attrs.frozen
class Answer:
    """An answer, or how the connection ended instead.

    Attributes:
        status: HTTP status.
        headers: Of the answer.
        body: The body, or what came of it.
        error: Raised instead of an answer, or where the body breaks off.
        has_begun: Whether the error comes only in the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    error: Exception | None = None
    has_begun: bool = False


Serve = Callable[[Asked], Awaitable[Answer]]


@attrs.define
class Wire:
    """An aiohttp session, as far as a client needs one, with one server behind it.

    Attributes:
        serve: The server.
        requests: How many came.
    """

    serve: Serve
    requests: int = 0

    def request(
        self,
        method: str,
        url: URL,
        *,
        data: bytes | io.BytesIO | None,
        headers: Mapping[str, str],
        **_: object,
    ) -> _Exchange:
        body = data.read() if isinstance(data, io.BytesIO) else data or b""
        return _Exchange(self, Asked(method, url, headers, body))

    async def answer(self, asked: Asked) -> Answer:
        self.requests += 1
        if self.requests > _MOST_REQUESTS:
            raise HangError(f"more than {_MOST_REQUESTS} requests")
        await asyncio.sleep(0)
        return await self.serve(asked)


@attrs.define
class _Exchange:
    """What `session.request` gives: a context manager, and the response in it."""

    wire: Wire
    asked: Asked
    _answer: Answer | None = attrs.field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._answer = await self.wire.answer(self.asked)
        if self._answer.error is not None and not self._answer.has_begun:
            raise self._answer.error
        return self

    async def __aexit__(self, *_: object) -> None:
        """The connection goes back to nowhere."""

    @property
    def _got(self) -> Answer:
        assert self._answer is not None
        return self._answer

    @property
    def status(self) -> int:
        return self._got.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return CIMultiDictProxy(CIMultiDict(self._got.headers))

    @property
    def url(self) -> URL:
        return self.asked.url

    @property
    def content_length(self) -> int | None:
        return None

    @property
    def content(self) -> Self:
        return self

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        body = self._got.body
        for begin in range(0, len(body), size):
            yield body[begin : begin + size]
        if self._got.error is not None:
            raise self._got.error


def session(wire: Wire) -> aiohttp.ClientSession:
    """The wire, for those who want a session of aiohttp."""
    stand_in: Any = wire
    return stand_in  # type: ignore[no-any-return]


class _Connection:
    """What a request asks about its connection."""

    transport = ssl_context = peername = sockname = None


def serve_app(app: web.Application) -> Serve:
    """An aiohttp application, called without a server around it."""
    app.freeze()
    nothing: Any = None
    connection: Any = _Connection()

    async def serve(asked: Asked) -> Answer:
        headers = CIMultiDict({"Host": asked.url.host or "", **asked.headers})
        message = RawRequestMessage(
            method=asked.method,
            path=asked.url.raw_path_qs,
            version=HttpVersion11,
            headers=CIMultiDictProxy(headers),
            raw_headers=tuple((k.encode(), v.encode()) for k, v in headers.items()),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=asked.url.relative(),
        )
        request = web.Request(
            message,
            nothing,
            connection,
            nothing,
            nothing,
            asyncio.get_running_loop(),
        )
        request._read_bytes = asked.body
        try:
            response = await app._handle(request)
        except Exception:  # noqa: BLE001 - as a server does
            return Answer(500, {}, b"Internal Server Error")
        assert isinstance(response, web.Response)
        body = response.body
        assert isinstance(body, bytes)
        return Answer(response.status, response.headers, body)

    return serve
