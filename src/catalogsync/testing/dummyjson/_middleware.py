"""Middlewares for all requests."""

from __future__ import annotations

import asyncio
import hashlib
import html
import math
import re
from collections import Counter
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ._query import BadQuery, Query
from ._records import dump

_WINDOW = 10
_MOST = 100

_NOT_FOUND = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="UTF-8" /><title>Page not found</title></head>
<body><h1>404</h1><p>There is nothing at this address.</p></body>
</html>
"""


def json_response(
    body: bytes, *, status: int = 200, content_type: str = "application/json"
) -> web.Response:
    """An answer with serialised JSON."""
    return web.Response(
        body=body, status=status, content_type=content_type, charset="utf-8"
    )


def refuse(message: str, status: int) -> web.Response:
    """An error answer in DummyJSON's form."""
    return json_response(dump({"message": message}), status=status)


def rate_limit(clock: Callable[[], float]) -> Middleware:
    """Allow 100 requests of an address in each window of ten seconds.

    All addresses share the window, which begins when the server starts.
    """
    hits: Counter[str | None] = Counter()
    ends = clock() + _WINDOW

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal ends
        if (late := clock() - ends) >= 0:
            hits.clear()
            ends += (late // _WINDOW + 1) * _WINDOW
        hits[request.remote] += 1
        if hits[request.remote] > _MOST:
            message = "request limit exceeded, please wait a few seconds"
            response: web.StreamResponse = refuse(message, 429)
            response.headers["Retry-After"] = str(_WINDOW)
        else:
            response = await handler(request)
        response.headers["X-RateLimit-Limit"] = str(_MOST)
        response.headers["X-RateLimit-Remaining"] = str(
            max(_MOST - hits[request.remote], 0)
        )
        response.headers["X-RateLimit-Reset"] = str(math.ceil(ends))
        return response

    return limit


@web.middleware
async def not_modified(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add weak ETags, and answer conditional requests with an empty 304."""
    response = await handler(request)
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes):
        return response
    digest = hashlib.blake2b(body, digest_size=15).hexdigest()
    etag = f'W/"{len(body):x}-{digest}"'
    response.headers["ETag"] = etag
    if request.method in {"GET", "HEAD"} and response.status == 200:
        known = re.split(r"\s*,\s*", request.headers.get("If-None-Match", ""))
        if "*" in known or etag in known or etag.removeprefix("W/") in known:
            return web.Response(status=304, headers={"ETag": etag})
    return response


@web.middleware
async def pages_not_found(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer requests without a route with HTML, whatever the method."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        page = _NOT_FOUND
        if request.method not in {"GET", "HEAD"}:
            what = html.escape(f"Cannot {request.method} {request.path}")
            page = f"<!DOCTYPE html>\n<html><body><pre>{what}</pre></body></html>\n"
        return web.Response(status=404, text=page, content_type="text/html")


@web.middleware
async def clean(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Redirect paths with a trailing slash, check the query, and apply its delay."""
    path, mark, rest = request.path_qs.partition("?")
    if path.endswith("/") and path != "/":
        target = re.sub("/+", "/", path[:-1]) + mark + rest
        text = f"Moved Permanently. Redirecting to {target}"
        return web.Response(status=301, text=text, headers={"Location": target})
    try:
        query = Query.parse(request.query)
    except BadQuery as error:
        return refuse(str(error), 400)
    if query.delay:
        await asyncio.sleep(query.delay)
    return await handler(request)
