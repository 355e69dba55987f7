"""What the faults do to a request: each an async function around the handler."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Protocol, TypeAlias

import attrs
from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Until: TypeAlias = float | asyncio.Event

# Linger on, for no time at all: closing then sends a reset instead of an end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Effect(Protocol):
    """Stands between a request and its handler, which it may call or not."""

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse: ...


@attrs.frozen
class Answer:
    """Answers by itself; the handler never hears of the request."""

    code: int
    body: str
    headers: Mapping[str, str]

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        await request.release()
        text = self.body or json.dumps({"message": HTTPStatus(self.code).phrase})
        headers = {"Content-Type": "application/json", **self.headers}
        return web.Response(status=self.code, body=text.encode(), headers=headers)


@attrs.frozen
class Delay:
    """Waits, then does the work."""

    until: Until

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        await request.read()  # as long as the client is there
        await _wait(self.until)
        return await handler(request)


@attrs.frozen
class Stall:
    """Does the work, then waits."""

    until: Until

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        response = await _work(request, handler)
        await _wait(self.until)
        return response


@attrs.frozen
class Cut:
    """Sends a part of the body and closes the connection."""

    keep: float | None

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        whole = await _whole(request, handler)
        body = _body(whole)
        partial = web.StreamResponse(status=whole.status, headers=whole.headers)
        partial.content_length = len(body)
        await partial.prepare(request)
        await partial.write(_beginning(body, self.keep))
        if request.transport is not None:
            request.transport.close()
        return partial


@attrs.frozen
class Truncate:
    """Sends a part of the body as the whole of it."""

    keep: float | None

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        whole = await _whole(request, handler)
        whole.body = _beginning(_body(whole), self.keep)
        return whole


async def reset(request: web.Request, /, handler: Handler) -> web.StreamResponse:
    """Reset the connection; the handler never hears of the request."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response()


async def lose(request: web.Request, /, handler: Handler) -> web.StreamResponse:
    """Do the work and close the connection."""
    response = await _work(request, handler)
    if request.transport is not None:
        request.transport.abort()
    return response


async def _work(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        # As a value: aiohttp does not like an exception to be returned.
        return web.Response(status=error.status, headers=error.headers, body=error.body)


async def _whole(request: web.Request, handler: Handler) -> web.Response:
    response = await _work(request, handler)
    if not isinstance(response, web.Response) or response.prepared:
        message = "Only an answer that is not streamed can be shortened"
        raise TypeError(message)
    return response


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _beginning(body: bytes, keep: float | None) -> bytes:
    keep = 0.5 if keep is None else keep
    return body[: int(keep * len(body) if keep < 1 else keep)]


async def _wait(until: Until) -> None:
    if isinstance(until, asyncio.Event):
        await until.wait()
    else:
        await asyncio.sleep(until)
