"""The error that a status of 400 or above stands for."""

from __future__ import annotations

import pytest
from aiohttp import web
from tests.http.http_ends import client_of

from catalogsync.errors import (
    CatalogSyncError,
    RefusedError,
    TransientError,
    UnauthorizedError,
)
from catalogsync.http import Reply

SECRET = "s3cret-token"
BUSY = {408, 425, 429}


def expected(status: int) -> type[CatalogSyncError]:
    """What the documentation of `raise_for_status` says."""
    if status in BUSY or status >= 500:
        return TransientError
    return UnauthorizedError if status in {401, 403} else RefusedError


async def test_each_status_has_its_error() -> None:
    """Whatever the body: also one that is no text."""
    async with client_of() as client:
        client.keep_secret(SECRET)
        for status in range(400, 600):
            for body in (b"", b"\xff\x00<html>", f"no {SECRET}".encode()):
                reply = Reply(status, {}, body, "GET http://shop.example/products")
                with pytest.raises(CatalogSyncError) as caught:
                    client.raise_for_status(reply)
                error = caught.value
                assert type(error) is expected(status), status
                assert f"HTTP {status}" in str(error)
                assert SECRET not in f"{error} {vars(error)}"


async def test_a_good_answer_raises_nothing() -> None:
    async with client_of() as client:
        client.raise_for_status(await client.send("GET", "/thing"))


async def test_only_a_500_may_be_a_refusal() -> None:
    """The engine repeats it once, and then looks for the product that causes it."""
    async with client_of() as client:
        for status in range(500, 600):
            with pytest.raises(TransientError) as caught:
                client.raise_for_status(Reply(status, {}, b"", "GET /"))
            assert caught.value.unexplained is (status == 500)


async def test_the_words_of_a_server_and_the_time_it_asks_for() -> None:
    async def busy(request: web.Request) -> web.Response:
        if request.path == "/busy":
            return web.Response(status=429, headers={"Retry-After": "7"})
        return web.Response(status=422, text="the SKU is taken")

    async with client_of(busy) as client:
        with pytest.raises(TransientError) as waits:
            client.raise_for_status(await client.send("GET", "/busy"))
        with pytest.raises(RefusedError) as refused:
            client.raise_for_status(await client.send("POST", "/thing", body=b"{}"))

    assert waits.value.retry_after == 7
    assert refused.value.said == "the SKU is taken"
