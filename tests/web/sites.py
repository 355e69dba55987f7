"""A shop that is served, and clients of it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
from aiohttp import web
from tests.service.shops import Shop, open_shop

from catalogsync.testing import serve
from catalogsync.web import Access, Role, Token, sign, web_app

READ, OPERATE = "read-token-0123456789", "operate-token-0123456789"
SECRET = "whsec_d2ViaG9vay1zZWNyZXQtMDEyMzQ1Njc4OQ=="
NEXT_SECRET = "whsec_d2ViaG9vay1zZWNyZXQtOTg3NjU0MzIxMA=="
WRONG_SECRET = "whsec_d3Jvbmctc2VjcmV0LTAxMjM0NTY3ODkwMTIz"
JSON = {"Content-Type": "application/json"}
ACCESS = Access(
    tokens={
        "reader": Token(token=READ),
        "boss": Token(token=OPERATE, role=Role.OPERATE),
    },
    webhooks={"shelf": (SECRET, NEXT_SECRET)},
)


@attrs.define
class Site:
    """A served shop.

    Attributes:
        shop: What is served.
        url: Where.
        client: Has no token.
    """

    shop: Shop
    url: str
    client: aiohttp.ClientSession

    async def answer(
        self, method: str, path: str, *, token: str | None = OPERATE, **more: Any
    ) -> tuple[aiohttp.ClientResponse, Any]:
        """An answer and the JSON in it."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.client.request(
            method, self.url + path, headers=headers, **more
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response, json.loads(text) if is_json else text

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        """The JSON of an answer with a status."""
        response, tree = await self.answer(method, path, **more)
        assert response.status == status, tree
        return tree

    async def get(self, path: str, **more: Any) -> Any:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, status: int = 202, **more: Any) -> Any:
        return await self.ask("POST", path, status, **more)

    async def hook(
        self,
        tree: object = None,
        *,
        status: int = 202,
        secret: str = SECRET,
        at: float | None = None,
    ) -> Any:
        """Call the webhook."""
        body = json.dumps({} if tree is None else tree).encode()
        headers = {**JSON, **sign(secret, body, at=at)}
        path = "/webhooks/shelf"
        return await self.post(path, status, token=None, data=body, headers=headers)

    @asynccontextmanager
    async def events(self, query: str = "") -> AsyncIterator[Events]:
        """A stream of events that has begun."""
        headers = {"Authorization": f"Bearer {READ}"}
        async with self.client.get(
            f"{self.url}/api/events{query}", headers=headers
        ) as response:
            assert response.status == 200
            events = Events(response)
            assert await events.line() == ": events follow"
            yield events


@attrs.frozen
class Events:
    """A stream of events."""

    response: aiohttp.ClientResponse

    async def line(self) -> str:
        """The next line that is not empty; empty: the stream has ended."""
        async for line in self.response.content:
            if text := line.decode().rstrip("\n"):
                return text
        return ""

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The name and the data of the next event; an empty name: it has ended."""
        line = await self.line()
        while line.startswith(":"):
            line = await self.line()
        if not line:
            return "", {}
        data = await self.line()
        return line.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def until(self, name: str) -> dict[str, Any]:
        """Read on until an event comes; its data."""
        while True:
            found, data = await self.next()
            if found == name:
                return data
            assert found, f"no {name} came"


@asynccontextmanager
async def serving(
    shop: Shop, *, prefix: str = "", access: Access = ACCESS, **more: Any
) -> AsyncIterator[Site]:
    """Serve a shop, mounted in a host if there is a prefix."""
    app = web_app(shop.service, access=access, dashboard=False, **more)
    if prefix:
        host = web.Application()
        host.add_subapp(prefix, app)
        app = host
    async with serve(app) as url, aiohttp.ClientSession() as client:
        yield Site(shop, url + prefix, client)


@asynccontextmanager
async def open_site(
    *,
    prefix: str = "",
    access: Access = ACCESS,
    metrics: Any = None,
    alive_every: float = 15.0,
    **more: Any,
) -> AsyncIterator[Site]:
    """Open a shop and serve it."""
    async with (
        open_shop(**more) as shop,
        serving(
            shop,
            prefix=prefix,
            access=access,
            metrics=metrics,
            alive_every=alive_every,
        ) as site,
    ):
        yield site


@attrs.define
class NarrowSite(Site):
    """A served shop with its runner."""

    runner: web.AppRunner


@asynccontextmanager
async def serving_narrowly(shop: Shop) -> AsyncIterator[NarrowSite]:
    """Serve with small buffers towards the clients, and no limit for the end."""
    app = web_app(shop.service, access=ACCESS, dashboard=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3600)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=500)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await web.SockSite(runner, listener, backlog=500).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(connector=connector) as client:
            yield NarrowSite(shop, url, client, runner)
    finally:
        await runner.cleanup()
