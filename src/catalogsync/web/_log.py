"""The access log, without queries and headers, which may contain secrets."""

from __future__ import annotations

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


class AccessLogger(AbstractAccessLogger):
    """Logs address, method, path, status and duration of each request."""

    def log(
        self, request: web.BaseRequest, response: web.StreamResponse, time: float
    ) -> None:
        """Log one answered request."""
        self.logger.info(
            "%s %s %s %s %.3f s",
            request.remote,
            request.method,
            request.rel_url.raw_path,
            response.status,
            time,
        )
