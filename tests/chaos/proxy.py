"""A proxy in front of a server that is itself in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import attrs
from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from catalogsync.testing.faults import FaultPlan

_OWN = {"host", "content-length", "transfer-encoding", "connection", "keep-alive"}
_LONGEST = 1 << 16
_LARGEST = 4 << 20


@attrs.frozen
class Proxy:
    """Where a proxy listens, and what it still has to do."""

    url: str
    _pending: set[asyncio.Future[None]]

    async def idle(self) -> None:
        """Wait until all requests that arrived were carried out."""
        while self._pending:
            await asyncio.wait(self._pending)


@asynccontextmanager
async def proxy(target: str, plan: FaultPlan) -> AsyncIterator[Proxy]:
    """Forward everything, over the faults of a plan.

    What reached the proxy is carried out, whether its client waits for it or not.
    """
    pending: set[asyncio.Future[None]] = set()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as client:

        async def forward(request: web.Request) -> web.Response:
            url = URL(f"{target}{request.rel_url.raw_path_qs}", encoded=True)
            headers = {
                n: v for n, v in request.headers.items() if n.lower() not in _OWN
            }
            body = await request.read()
            async with client.request(
                request.method, url, data=body, headers=headers
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    headers={
                        n: answer.headers[n] for n in _TOLD if n in answer.headers
                    },
                )

        @web.middleware
        async def accept(request: web.Request, handler: Handler) -> web.StreamResponse:
            done = asyncio.get_running_loop().create_future()
            pending.add(done)
            try:
                return await handler(request)
            finally:
                pending.discard(done)
                done.set_result(None)

        middlewares = [accept, plan.middleware()]
        app = web.Application(middlewares=middlewares, client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", forward)
        async with _served(app) as url:
            yield Proxy(url, pending)


_TOLD = ("Content-Type", "Date", "Retry-After")


@asynccontextmanager
async def _served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(
        app, max_line_size=_LONGEST, max_field_size=_LONGEST, shutdown_timeout=0.05
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
