"""The effects of faults: async functions around a request's handler."""

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

# SO_LINGER with 0 seconds: closing sends a reset instead of an orderly end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Effect(Protocol):
    """Handles a request, with or without its handler."""

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse: ...


@attrs.frozen
class Answer:
    """Answers without calling the handler."""

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
    """Waits, then calls the handler."""

    until: Until

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        await request.read()  # while the client is still connected
        await _wait(self.until)
        return await handler(request)


@attrs.frozen
class Stall:
    """Calls the handler, then waits."""

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
    """Sends a part of the body as if it were complete."""

    keep: float | None

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        whole = await _whole(request, handler)
        whole.body = _beginning(_body(whole), self.keep)
        return whole


async def reset(request: web.Request, /, handler: Handler) -> web.StreamResponse:
    """Reset the connection without calling the handler."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response()


async def lose(request: web.Request, /, handler: Handler) -> web.StreamResponse:
    """Call the handler and close the connection."""
    response = await _work(request, handler)
    if request.transport is not None:
        request.transport.abort()
    return response


async def _work(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        # aiohttp deprecates returning an exception as a response.
        return web.Response(status=error.status, headers=error.headers, body=error.body)


async def _whole(request: web.Request, handler: Handler) -> web.Response:
    response = await _work(request, handler)
    if not isinstance(response, web.Response) or response.prepared:
        message = "a streamed answer cannot be shortened"
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
