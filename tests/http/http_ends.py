"""A server that does what a test says, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import attrs
from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from catalogsync.http._client import HttpClient, HttpOptions, open_http
from catalogsync.http.ratelimit import RateLimiter
from catalogsync.testing.faults import Fault, FaultPlan
from catalogsync.testing.servers import serve

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define
class Clock:
    """A clock that moves only during a sleep."""

    now: float = 1000.0
    slept: list[float] = attrs.field(factory=list[float])

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def hello(request: web.Request) -> web.Response:
    """The answer of a server in good health."""
    return web.json_response({"hello": request.path})


def app_of(answer: Answer, *faults: Fault) -> web.Application:
    """An application that gives every request the same answer."""

    @web.middleware
    async def always(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await answer(request)

    return web.Application(middlewares=[FaultPlan(*faults).middleware(), always])


@asynccontextmanager
async def client_of(
    answer: Answer = hello,
    *faults: Fault,
    options: HttpOptions | None = None,
    session: aiohttp.ClientSession | None = None,
    limiter: RateLimiter | None = None,
) -> AsyncIterator[HttpClient]:
    """A client of a server with this answer."""
    async with (
        serve(app_of(answer, *faults)) as url,
        open_http(
            URL(url), options or HttpOptions(), session=session, limiter=limiter
        ) as client,
    ):
        yield client
