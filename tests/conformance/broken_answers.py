"""A small API, and clients that take its bad answers wrongly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import attrs
from aiohttp import web
from tests.conformance.broken_sources import PRODUCTS

from catalogsync import (
    Field,
    MemorySink,
    Page,
    Product,
    ProductKey,
    Sink,
    Source,
    TransientError,
    UnauthorizedError,
)
from catalogsync.catalog.changes import Found
from catalogsync.http import HttpClient, HttpOptions, base_url, open_http
from catalogsync.protocols import Cursor
from catalogsync.testing import FaultPlan, serve
from catalogsync.testing.conformance import Setup


@attrs.define
class Asked:
    """Asks the API for titles, as an adapter should."""

    client: HttpClient
    is_closed: bool = False

    async def titles(self) -> Sequence[str]:
        reply = await self.client.send("GET", "/titles")
        self.client.raise_for_status(reply)
        found: list[str] = reply.json()
        return found


class Refuses(Asked):
    async def titles(self) -> Sequence[str]:
        try:
            return await super().titles()
        except TransientError as error:
            raise UnauthorizedError(str(error)) from error


class ForgetsWait(Asked):
    async def titles(self) -> Sequence[str]:
        try:
            return await super().titles()
        except TransientError as error:
            raise TransientError(str(error)) from error


class RawErrors(Asked):
    async def titles(self) -> Sequence[str]:
        try:
            return await super().titles()
        except TransientError as error:
            message = "Server disconnected"
            raise aiohttp.ServerDisconnectedError(message) from error


class TakesLess(Asked):
    async def titles(self) -> Sequence[str]:
        reply = await self.client.send("GET", "/titles")
        self.client.raise_for_status(reply)
        with suppress(TransientError, json.JSONDecodeError):
            found: list[str] = reply.json()
            return found
        return []


class TriesForEver(Asked):
    async def titles(self) -> Sequence[str]:
        try:
            return await super().titles()
        except UnauthorizedError as error:
            raise TransientError(str(error)) from error


class Closes(Asked):
    async def titles(self) -> Sequence[str]:
        if self.is_closed:
            message = "Session is closed"
            raise RuntimeError(message)
        try:
            return await super().titles()
        except TransientError:
            self.is_closed = True
            raise


@attrs.define
class AskingSource:
    """Its products have the titles of the API."""

    asked: Asked
    name: str = "kit"

    async def read(self, cursor: Cursor | None, /) -> Page:
        titles = await self.asked.titles()
        pairs = zip(PRODUCTS, titles, strict=False)
        return Page(products=[attrs.evolve(p, title=title) for p, title in pairs])


@attrs.define(kw_only=True)
class AskingSink(MemorySink):
    """Asks before it looks."""

    asked: Any = None

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        await self.asked.titles()
        return await MemorySink.find(self, desired, fields=fields)


async def _asked(adapter: type[Asked]) -> AsyncIterator[tuple[FaultPlan, Asked]]:
    async def titles(_: web.Request) -> web.Response:
        return web.json_response([product.title for product in PRODUCTS])

    faults = FaultPlan()
    app = web.Application(middlewares=[faults.middleware()])
    app.router.add_get("/titles", titles)
    async with (
        serve(app) as url,
        open_http(base_url("url", url), HttpOptions()) as client,
    ):
        yield faults, adapter(client)


async def source(adapter: type[Asked]) -> AsyncIterator[Setup[Source]]:
    async for faults, asked in _asked(adapter):
        yield Setup(AskingSource(asked), faults=faults)


async def sink(adapter: type[Asked]) -> AsyncIterator[Setup[Sink]]:
    async for faults, asked in _asked(adapter):
        yield Setup(AskingSink(asked=asked), faults=faults)


BROKEN: list[tuple[str, type[Asked]]] = [
    ("busy-server", Refuses),
    ("asked-to-wait", ForgetsWait),
    ("lost-connection", RawErrors),
    ("cut-answer", TakesLess),
    ("rejected-credentials", TriesForEver),
    ("recovers", Closes),
]
