"""What happens to all requests and responses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler, Middleware

from ._context import Site
from ._errors import UNEXPECTED, one_line, refusal_of
from ._guard import retry_later
from ._rate_limit import address_of

logger = logging.getLogger("catalogsync.web")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PREFLIGHT = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Max-Age": "600",
}

OnPrepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def add_headers(site: Site) -> OnPrepare:
    """Add security and CORS headers to responses."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.pop("Server", None)
        if site.guard.access.cors:
            response.headers["Vary"] = "Origin"
        if site.guard.is_allowed_origin(request):
            origin = request.headers["Origin"]
            response.headers["Access-Control-Allow-Origin"] = origin

    return add


def answer_errors(site: Site) -> Middleware:
    """Answer errors with a status and one line of text."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status == UNEXPECTED:
                path = request.rel_url.raw_path
                logger.exception("%s %s failed", request.method, path)
            text = one_line(site.redactor.text(str(refusal)))
            response = web.json_response(
                text=site.text({"error": text}), status=refusal.status
            )
            response.headers.update(refusal.headers)
            return response

    return middleware


def limit_requests(site: Site) -> Middleware:
    """Limit the requests of each address."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        address = address_of(request.remote)
        wait = site.requests.wait(address)
        if wait:
            raise retry_later("requests", wait)
        site.requests.spend(address)
        return await handler(request)

    return middleware


def answer_preflights(site: Site) -> Middleware:
    """Answer CORS preflight requests."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        asks = request.method == "OPTIONS" and site.guard.is_allowed_origin(request)
        if asks and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)

    return middleware


class AccessLogger(AbstractAccessLogger):
    """Logs each request, without its query and headers, which may contain secrets."""

    def log(
        self, request: web.BaseRequest, response: web.StreamResponse, time: float
    ) -> None:
        """Log address, method, path, status and duration of an answered request."""
        self.logger.info(
            "%s %s %s %s %.3f s",
            request.remote,
            request.method,
            request.rel_url.raw_path,
            response.status,
            time,
        )
