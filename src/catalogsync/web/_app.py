"""The application."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from catalogsync.config import Access
from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.service import Service

from ._context import Endpoint, Metrics, Site
from ._guard import Guard
from ._handlers import ENDPOINTS
from ._middleware import add_headers, answer_errors, answer_preflights, limit_requests

if TYPE_CHECKING:
    from ._page_context import Page

__all__ = ["web_app"]

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
    endpoints: list[Endpoint | Page] = [*ENDPOINTS]
    if dashboard:
        endpoints += _pages()
    for endpoint in endpoints:
        path = _NAMED.sub(r"{\1:[^/]+}", endpoint.path)
        app.router.add_route(endpoint.method, path, endpoint.bind(site))

    async def close(_: web.Application) -> None:
        site.close()
        await site.plans.close()

    app.on_response_prepare.append(add_headers(site))
    app.on_shutdown.append(close)
    return app


def _pages() -> Sequence[Page]:
    try:
        from ._pages import PAGES
    except ImportError as error:
        raise MissingExtraError("the dashboard", "serve") from error
    return PAGES
