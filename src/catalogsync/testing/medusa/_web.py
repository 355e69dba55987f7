"""Requests and answers, with Medusa's limits."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from catalogsync._lib.strict_json import dumps, loads

from ._auth import Guard
from ._errors import MedusaError, Row, too_large, unknown_error
from ._schema import Check, validate
from ._values import as_javascript

SMALL = 100 * 1024
LARGE = 2 * 1024 * 1024
_HEADERS = 16 * 1024

_NOT_FOUND = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Error</title>
</head>
<body>
<pre>Cannot {} {}</pre>
</body>
</html>
"""


@attrs.define
class LoggedRequest:
    """A request that reached the server, even one that a fault then swallowed.

    Attributes:
        method: Its method.
        path: Its path, without the query.
        query: Its query, as it was sent.
        status: The answer's status, even if a fault then kept it back; 0 while there is
            none.
    """

    method: str
    path: str
    query: str
    status: int = 0

    @property
    def writes(self) -> bool:
        """Whether it may have changed what the administrator sees."""
        return self.method != "GET" and self.path.startswith("/admin/")


def log(requests: deque[LoggedRequest]) -> Middleware:
    """A middleware that logs all requests."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        entry = LoggedRequest(request.method, request.path, request.query_string)
        requests.append(entry)
        response = await handler(request)
        entry.status = response.status
        return response

    return note


def dated(clock: Callable[[], float]) -> Middleware:
    """A middleware that adds the header ``Date`` from the server's clock."""

    @web.middleware
    async def add_date(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers["Date"] = formatdate(clock(), usegmt=True)
        return response

    return add_date


@web.middleware
async def limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse headers that are too large, and answer unknown routes as Express does."""
    size = len(request.raw_path) + sum(
        len(name) + len(value) + 4 for name, value in request.raw_headers
    )
    if size > _HEADERS:
        return web.Response(status=431, headers={"Connection": "close"})
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        page = _NOT_FOUND.format(request.method, request.path)
        return web.Response(text=page, status=404, content_type="text/html")


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a `MedusaError` into an answer."""
    try:
        return await handler(request)
    except MedusaError as error:
        return answer(error.body, status=error.status)


def guarded(guard: Guard) -> Middleware:
    """A middleware that admits only administrators to the Admin API."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_open = request.path == "/admin/feature-flags"
        if request.path.startswith("/admin") and not is_open:
            guard.admit(request)
        return await handler(request)

    return check


def answer(body: object, *, status: int = 200) -> web.Response:
    """An answer with JSON."""
    return web.Response(
        body=dumps(body),
        status=status,
        content_type="application/json",
        charset="utf-8",
    )


async def read_body(
    request: web.Request, check: Check | None = None, *, limit: int = SMALL
) -> Row:
    """The checked body of a request.

    Raises:
        MedusaError: It is too large, not JSON, or not valid.
    """
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large() from None
    if len(raw) > limit:
        raise too_large()
    body: Row = _parse(raw)
    if check is not None:
        validate(check, body)
    if b"\\u0000" in raw:  # PostgreSQL cannot store it
        raise unknown_error()
    return body


def _parse(raw: bytes) -> Any:
    with contextlib.suppress(ValueError):
        return as_javascript(loads(raw or b"{}"))
    body = {"message": "Unexpected end of JSON input", "type": "invalid_data"}
    raise MedusaError(400, body)
