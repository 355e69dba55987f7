"""A local server of generated images, which counts the bodies that it sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import blake2b

import attrs
from aiohttp import web

from catalogsync.testing.servers import serve

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def png(text: str) -> bytes:
    """The beginning of a PNG file, different for each text."""
    return PNG + text.encode()


@attrs.define
class ImageServer:
    """Images by path, with an `ETag` for each.

    Attributes:
        url: Base address.
        images: Contents by path.
        bodies: How often each content was sent, by path.
        asked: How often each path was asked for, with or without content.
        refused: Statuses of paths that are refused.
        plain: Whether no `ETag` is sent, and no condition looked at.
    """

    url: str = ""
    images: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    bodies: Counter[str] = attrs.field(factory=Counter[str])
    asked: Counter[str] = attrs.field(factory=Counter[str])
    refused: dict[str, int] = attrs.field(factory=dict[str, int])
    plain: bool = False

    def add(self, path: str, content: bytes) -> str:
        """Add an image or change it; its address."""
        self.images[path] = content
        return self.url + path

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """An image, or its absence."""
        path = request.path
        self.asked[path] += 1
        if path in self.refused:
            return web.Response(status=self.refused[path])
        if path not in self.images:
            raise web.HTTPNotFound
        content = self.images[path]
        if self.plain:
            self.bodies[path] += request.method == "GET"
            return web.Response(body=content)
        etag = blake2b(content, digest_size=8).hexdigest()
        if request.headers.get("If-None-Match") == f'"{etag}"':
            return web.Response(status=304, headers={"ETag": f'"{etag}"'})
        self.bodies[path] += request.method == "GET"
        return web.Response(body=content, headers={"ETag": f'"{etag}"'})


@asynccontextmanager
async def image_server() -> AsyncGenerator[ImageServer]:
    """A running server."""
    server = ImageServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with serve(app) as url:
        server.url = url
        yield server
