"""Fetching images: what is read, what is refused, and no way into the own network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.image_server import ImageServer, image_server, png

from catalogsync.catalog.images import FetchedImage, StoredImage
from catalogsync.errors import MisconfiguredError, RefusedError, TransientError
from catalogsync.http import ImageOptions, open_images
from catalogsync.http._images import is_public
from catalogsync.testing.servers import serve

GIF, JPG = b"GIF89a\1\0\1\0\0\0\0;", b"\xff\xd8\xff\xe0\0\x10JFIF\0"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"


@pytest.fixture
async def server() -> AsyncIterator[ImageServer]:
    async with image_server() as running:
        yield running


async def fetch(address: str, **options: Any) -> FetchedImage | None:
    options = {"allow_private": True, **options}
    async with open_images(ImageOptions(**options)) as fetcher:
        return await fetcher.fetch(address, None)


def seen(image: FetchedImage | None) -> StoredImage:
    assert image is not None
    return StoredImage(
        url="u",
        file_id="f",
        digest=image.digest,
        etag=image.etag,
        modified=image.modified,
    )


async def refused(address: str, words: str, **options: Any) -> None:
    with pytest.raises(RefusedError, match=words) as error:
        await fetch(address, **options)
    assert "127.0.0.1" not in str(error.value)  # it may be a secret address


async def test_an_image_is_read_once(server: ImageServer) -> None:
    address = server.add("/a", png("a"))
    async with open_images(ImageOptions(allow_private=True)) as fetcher:
        image = await fetcher.fetch(address, None)
        assert image is not None
        assert (image.content, image.type) == (png("a"), "png")
        before = seen(image)
        assert not await fetcher.changed(address, before)
        assert await fetcher.fetch(address, before) is None
        server.add("/a", JPG)
        assert await fetcher.changed(address, before)
        assert server.bodies["/a"] == 1
        changed = await fetcher.fetch(address, before)
        assert changed is not None
        assert (changed.type, changed.digest == image.digest) == ("jpg", False)


async def test_a_server_without_conditions_is_not_read_again(
    server: ImageServer,
) -> None:
    """Neither if it knows no conditions, nor if it sends nothing to compare."""
    address = server.add("/a", png("a"))
    async with open_images(ImageOptions(allow_private=True)) as fetcher:
        before = seen(await fetcher.fetch(address, None))
        server.plain = True
        assert not await fetcher.changed(
            address, StoredImage(url="u", file_id="f", digest="d")
        )
        assert server.asked["/a"] == 1
        assert await fetcher.changed(address, before)
        assert server.bodies["/a"] == 1


async def test_a_server_without_head_is_asked_otherwise(server: ImageServer) -> None:
    app = web.Application()
    app.router.add_get("/a", server.answer, allow_head=False)
    server.add("/a", png("a"))
    async with (
        serve(app) as url,
        open_images(ImageOptions(allow_private=True)) as fetcher,
    ):
        before = seen(await fetcher.fetch(f"{url}/a", None))
        assert not await fetcher.changed(f"{url}/a", before)
        assert server.bodies["/a"] == 1


@pytest.mark.parametrize(
    "content", [HTML, SVG, b"", b"hello", b"%PDF-1.4", b"\x1f\x8b\x08\0"]
)
async def test_other_content_is_refused(server: ImageServer, content: bytes) -> None:
    """Whatever the name says."""
    await refused(server.add("/a.png", content), "image|accepted|empty")


async def test_types_are_a_setting(server: ImageServer) -> None:
    image = await fetch(server.add("/a", SVG), types=("svg",))
    assert image is not None
    assert image.type == "svg"
    await refused(server.add("/b", GIF), "gif is not among", types=("jpeg", "png"))
    assert await fetch(server.add("/c", JPG), types=("jpeg",))


async def test_large_images_are_refused(server: ImageServer) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(png("a" * 1000))

    app = web.Application()
    app.router.add_get("/", endless)
    async with serve(app) as url:
        await refused(url, "larger than 5000 bytes", max_size=5000)
    await refused(server.add("/a", png("a" * 5000)), "larger", max_size=5000)


async def test_a_slow_server_is_not_waited_for() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(png("a"))
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/", slow)
    async with serve(app) as url:
        with pytest.raises(TransientError):
            await fetch(url, timeout=0.1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, RefusedError), (403, RefusedError), (503, TransientError)],
)
async def test_a_status_is_said(
    server: ImageServer, status: int, kind: type[Exception]
) -> None:
    server.refused["/a"] = status
    async with open_images(ImageOptions(allow_private=True)) as fetcher:
        with pytest.raises(kind, match=str(status)):
            await fetcher.fetch(f"{server.url}/a", None)
        before = StoredImage(url="u", file_id="f", digest="d", etag='"1"')
        with pytest.raises(kind, match=str(status)):
            await fetcher.changed(f"{server.url}/a", before)


async def test_a_dead_host_is_not_tried_forever() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/a"
    said: list[str] = []
    async with open_images(ImageOptions(allow_private=True)) as fetcher:
        for _ in range(6):
            with pytest.raises(TransientError) as error:
                await fetcher.fetch(address, None)
            said.append(str(error.value))
    assert said == ["its server cannot be reached"] * 5 + [
        "its server did not answer before"
    ]


# Addresses that somebody chose to reach what only we can reach.


@pytest.mark.parametrize(
    "address",
    [
        *("file:///etc/passwd", "ftp://example.com/a.png", "data:image/png;base64,AA"),
        *("gopher://127.0.0.1/", "unix:///run/docker.sock", "//example.com/a", "a.png"),
        *("javascript:alert(1)", "http://", "http:///a", "http://[::1", ""),
    ],
)
async def test_only_http_is_fetched(address: str) -> None:
    await refused(address, "http")


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
        ),
        *("localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        *("[0:0:0:0:0:0:0:1]", "127.0.0.1.", "LOCALHOST"),
    ],
)
async def test_no_spelling_reaches_this_machine(server: ImageServer, host: str) -> None:
    """Not even one request arrives."""
    server.add("/a", png("a"))
    port = server.url.rpartition(":")[2]
    async with open_images(ImageOptions()) as fetcher:
        with pytest.raises((RefusedError, TransientError)) as error:
            await fetcher.fetch(f"http://{host}:{port}/a", None)
    assert not server.asked
    if isinstance(error.value, RefusedError):
        words = ("not a public address", "not valid")
        assert str(error.value).partition(";")[0].endswith(words)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "[fe80::1]"]
)
async def test_no_private_or_link_local_address(host: str) -> None:
    await refused(f"http://{host}/a.png", "not a public address", allow_private=False)


async def test_dns_does_not_reach_this_machine(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public name that leads here, at first or only later, is refused as well."""
    address = server.add("/a", png("a")).replace("127.0.0.1", "cdn.example.com")
    port = int(server.url.rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    await refused(address, "not a public address", allow_private=False)
    assert not server.asked
    assert await fetch(address)  # the name does lead here


async def test_a_redirect_does_not_reach_this_machine(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first server may be public; each connection is looked at by itself."""
    looked_at: list[str] = []

    def first_is_public(text: str) -> bool:
        looked_at.append(text)
        return len(looked_at) == 1 or is_public(text)

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound(server.add("/a", png("a")))

    app = web.Application()
    app.router.add_get("/", redirect)
    async with serve(app) as url:
        assert await fetch(url)  # redirects are followed
        monkeypatch.setattr("catalogsync.http._images.is_public", first_is_public)
        before = server.asked.total()
        await refused(url, "not a public address", allow_private=False)
    assert looked_at == ["127.0.0.1", "127.0.0.1"]
    assert server.asked.total() == before


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "/"])
async def test_a_redirect_leads_to_no_other_protocol_and_ends(target: str) -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    app = web.Application()
    app.router.add_get("/", redirect)
    async with serve(app) as url:
        await refused(url, "protocol|too often")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *(("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True)),
        *(("10.1.2.3", False), ("172.16.0.1", False), ("192.168.0.1", False)),
        *(("100.64.0.1", False), ("169.254.169.254", False), ("224.0.0.1", False)),
        *(("255.255.255.255", False), ("192.0.2.1", False), ("198.18.0.1", False)),
        *(("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False)),
        *(("fec0::1", False), ("ff02::1", False), ("64:ff9b::7f00:1", False)),
        *(("64:ff9b:1::a00:1", False), ("2002:7f00:1::", False), ("::7f00:1", False)),
        *(("::ffff:10.0.0.1", False), ("2002:808:808::", True), ("2001:db8::1", False)),
    ],
)
def test_public_addresses(address: str, *, public: bool) -> None:
    assert is_public(address) is public


async def test_a_proxy_is_not_asked(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would choose the address of the connection itself."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert await fetch(server.add("/a", png("a")))


def test_options_are_checked() -> None:
    for wrong in ({"at_once": 0}, {"max_size": 0}, {"timeout": 0}):
        with pytest.raises((ValueError, MisconfiguredError)):
            ImageOptions(**wrong)
