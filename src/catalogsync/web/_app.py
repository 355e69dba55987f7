"""The application."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from catalogsync.config import Access
from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.service import Service

from ._context import Call, Metrics, Site
from ._endpoints import Endpoint, answer_api
from ._guard import Guard
from ._handlers import ENDPOINTS
from ._middleware import add_headers, answer_errors, answer_preflights, limit_requests

_Answer = Callable[[Endpoint[Any], Call], Awaitable[web.StreamResponse]]

# By default, the router does not match braces in a name.
_NAMED = re.compile(r"\{(\w+)\}")


def web_app(
    service: Service,
    *,
    access: Access,
    metrics: Metrics | None = None,
    dashboard: bool = True,
    alive_every: float = 15.0,
) -> web.Application:
    """Make an application to mount in another one, or to serve alone.

    Args:
        service: The service with the jobs. The host opens it, and closes it after the
            application.
        access: Permissions and limits.
        metrics: Metrics to serve, also a hook of the service; None: no metrics.
        dashboard: Whether to serve the dashboard, which needs the extra `serve`.
        alive_every: Seconds of silence after which an event stream sends a comment.

    Raises:
        MisconfiguredError: A webhook names a job that does not exist.
        MissingExtraError: The dashboard needs the extra `serve`, which is not
            installed.
    """
    for job in access.webhooks:
        if job not in service.jobs:
            raise MisconfiguredError(f"webhooks.{job}", "there is no such job")
    site = Site(
        service=service,
        guard=Guard(access),
        metrics=metrics,
        alive_every=alive_every,
    )
    around = [answer_errors(site), limit_requests(site), answer_preflights(site)]
    app = web.Application(middlewares=around)
    routes: list[tuple[Endpoint[Any], _Answer]] = [(e, answer_api) for e in ENDPOINTS]
    if dashboard:
        routes += _pages()
    for endpoint, answer in routes:
        path = _NAMED.sub(r"{\1:[^/]+}", endpoint.path)
        handler = partial(_handle, site, endpoint, answer)
        app.router.add_route(endpoint.method, path, handler)

    async def close(_: web.Application) -> None:
        site.close()
        await site.plans.close()

    app.on_response_prepare.append(add_headers(site))
    app.on_shutdown.append(close)
    return app


async def _handle(
    site: Site, endpoint: Endpoint[Any], answer: _Answer, request: web.Request
) -> web.StreamResponse:
    return await answer(endpoint, Call(site=site, request=request, path=endpoint.path))


def _pages() -> list[tuple[Endpoint[Any], _Answer]]:
    try:
        from ._pages import PAGES, answer_page
    except ImportError as error:
        raise MissingExtraError("the dashboard", "serve") from error
    return [(page, answer_page) for page in PAGES]
