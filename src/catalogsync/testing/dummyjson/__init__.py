"""A DummyJSON server: the product API of dummyjson.com, as its real code behaves.

Covers the reading side of products and categories with all the corners that a
client may meet, ``/http/<code>``, the rate limit and conditional requests. The
writing routes, which the real one only pretends to have, are left out.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

from catalogsync.testing.faults import FaultPlan
from catalogsync.testing.servers import serve

from . import _middleware as middleware
from ._records import Records
from ._routes import Routes

__all__ = [
    "DummyJSONServer",
    "LoggedRequest",
    "Records",
    "dummyjson_app",
    "dummyjson_server",
]

_LOGGED = 10_000


@attrs.frozen
class LoggedRequest:
    """A request that reached the server, even one that a fault then swallowed.

    Attributes:
        method: Its method.
        path: Its path, without the query.
        query: Its parameters; the first value of one that appears twice.
        headers: Its headers; names in any case.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(repr=False, eq=False)


@attrs.frozen
class DummyJSONServer:
    """A running server.

    Attributes:
        url: Its base URL, without a trailing slash.
        records: Its products. Changes appear in the next answer.
        requests: The last 10,000 requests, in the order of their arrival.
    """

    url: str
    records: Records
    requests: deque[LoggedRequest]


_RECORDS = web.AppKey("records", Records)
_REQUESTS: web.AppKey[deque[LoggedRequest]] = web.AppKey("requests", deque)


def dummyjson_app(
    records: Iterable[dict[str, Any]],
    *,
    faults: FaultPlan | None = None,
    rate_limit: bool = False,
    compress: bool = False,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """Make the application that behaves as DummyJSON does.

    Args:
        records: The products. They are copied, unless given as :class:`Records`,
            through which they can be changed while the server runs.
        faults: Faults of the server; None: no faults.
        rate_limit: Allow only 100 requests in ten seconds, as the real one does.
        compress: Send gzip to clients that accept it, as the real one does.
        clock: Gives the seconds since the epoch, for the rate limit.

    Returns:
        An application to be served once.
    """
    existing = records if isinstance(records, Records) else Records(records)
    requests: deque[LoggedRequest] = deque(maxlen=_LOGGED)

    @web.middleware
    async def log(request: web.Request, handler: Handler) -> web.StreamResponse:
        requests.append(
            LoggedRequest(request.method, request.path, request.query, request.headers)
        )
        return await handler(request)

    steps = [
        log,
        *([faults.middleware()] if faults else []),
        *([middleware.rate_limit(clock)] if rate_limit else []),
        *([_gzip] if compress else []),
        middleware.not_modified,
        middleware.pages_not_found,
        middleware.clean,
    ]
    app = web.Application(middlewares=steps)
    app[_RECORDS], app[_REQUESTS] = existing, requests
    Routes(existing).add_to(app.router)
    return app


@contextlib.asynccontextmanager
async def dummyjson_server(
    records: Iterable[dict[str, Any]],
    *,
    faults: FaultPlan | None = None,
    rate_limit: bool = False,
    compress: bool = False,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[DummyJSONServer]:
    """Run a DummyJSON server; :func:`dummyjson_app` explains the arguments."""
    app = dummyjson_app(
        records, faults=faults, rate_limit=rate_limit, compress=compress, clock=clock
    )
    async with serve(app) as url:
        yield DummyJSONServer(url, app[_RECORDS], app[_REQUESTS])


@web.middleware
async def _gzip(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    response.enable_compression()
    return response
