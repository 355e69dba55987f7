"""DummyJSON's paths, status codes and conditional requests, as the real server's."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest


async def answer(api: aiohttp.ClientSession, path: str, code: int = 200) -> Any:
    """The JSON at a path, whose status must be as expected."""
    async with api.get(path) as response:
        assert response.status == code
        return await response.json(content_type=None)


# Paths and status codes


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/products/", "/products"),
        ("/products/?limit=1", "/products?limit=1"),
        ("/products/1/", "/products/1"),
        ("/nowhere/", "/nowhere"),
    ],
)
async def test_slash_at_the_end(
    api: aiohttp.ClientSession, path: str, target: str
) -> None:
    """Redirected to the same address without it."""
    async with api.get(path, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (301, target)
        text = f"Moved Permanently. Redirecting to {target}"
        assert await response.text() == text


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_no_such_path(api: aiohttp.ClientSession, method: str) -> None:
    """HTML, not JSON, whatever the method."""
    async with api.request(method, "/nope") as response:
        assert (response.status, response.content_type) == (404, "text/html")
        assert "<!DOCTYPE html>" in await response.text()


async def test_post_to_products(api: aiohttp.ClientSession) -> None:
    """No such route, rather than a method that is not allowed."""
    async with api.post("/products") as response:
        assert response.status == 404
        assert "Cannot POST /products" in await response.text()


async def test_head(api: aiohttp.ClientSession) -> None:
    """The headers of the answer without its body."""
    async with api.head("/products/1") as response:
        assert (response.status, await response.read()) == (200, b"")
        assert "ETag" in response.headers


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("path", "code", "title"),
    [
        ("/http/404", 404, "Not Found"),
        ("/https/503", 503, "Service Unavailable"),
        ("/http/413", 413, "Request Entity Too Large"),
        ("/http/422", 422, "Unprocessable Entity"),
        ("/http/418", 418, "I'm a teapot"),
        ("/http/499", 499, "Client Closed Request"),
        ("/http/429/slow%20down", 429, "slow down"),
    ],
)
async def test_problem(
    api: aiohttp.ClientSession, method: str, path: str, code: int, title: str
) -> None:
    """Any status can be had, with a problem document as its body."""
    async with api.request(method, path) as response:
        assert response.status == code
        assert response.content_type == "application/problem+json"
        assert await response.json(content_type=None) == {
            "status": code,
            "title": title,
            "type": "about:blank",
            "detail": title,
            "message": title,
        }


async def test_other_status_codes(api: aiohttp.ClientSession) -> None:
    """Good ones are short, some have no body, some there are not."""
    assert await answer(api, "/http/200") == {"status": 200, "message": "OK"}
    unsupported = {"message": "Status code '999' is not supported"}
    assert await answer(api, "/http/999", 500) == unsupported
    unsupported = {"message": "Status code '421' is not supported"}
    assert await answer(api, "/http/421", 500) == unsupported
    invalid = {"message": "Status code 'abc' is invalid"}
    assert await answer(api, "/http/abc", 500) == invalid
    for code in (204, 304):
        async with api.get(f"/http/{code}") as response:
            assert (response.status, await response.read()) == (code, b"")


async def test_health(api: aiohttp.ClientSession) -> None:
    """Who only wants to know whether the server is there."""
    assert await answer(api, "/test") == {"status": "ok", "method": "GET"}


# Conditional requests, compression, the rate limit


async def test_not_modified(api: aiohttp.ClientSession) -> None:
    """Who names the ETag gets an empty 304, as long as nothing has changed."""
    async with api.get("/products/1") as response:
        etag = response.headers["ETag"]
    assert etag.startswith('W/"')
    for value, code in ((etag, 304), (f'"x", {etag}', 304), ("*", 304), ('"x"', 200)):
        headers = {"If-None-Match": value}
        async with api.get("/products/1", headers=headers) as response:
            assert response.status == code
            assert response.headers["ETag"] == etag
            assert bool(await response.read()) == (code == 200)
