"""A hostile Medusa: its messages are cut, and it cannot keep a run busy."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.security.raw_server import raw_server, reply
from tests.strategies import json_values

from catalogsync import Product, ProductKey, as_source, sync
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.medusa.client import _date, _lifetime
from catalogsync.errors import (
    BrokenReplyError,
    CatalogSyncError,
    TransientError,
    UnauthorizedError,
)
from catalogsync.testing import fake_medusa

LOGIN = {"email": "admin@example.com", "password": "correct-horse"}
KEY = {"api_key": "sk_correct-horse"}
MEGABYTE = 1 << 20
DEEP = b"[" * 500 + b"]" * 500

Say = Callable[[bytes], bytes]


async def failure(say: Say, settings: Mapping[str, Any]) -> tuple[Any, int]:
    """How opening a store that says this fails, and how many requests it took."""
    requests = 0

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        writer.write(say(request))

    async with raw_server(answer) as url:
        with pytest.raises(CatalogSyncError) as caught:
            async with MedusaSettings(url=url, **settings).open():
                pass
    assert len(str(caught.value)) < 10_000
    return caught.value, requests


@pytest.mark.parametrize(
    "token",
    ["", "a\r\nX-Evil: 1", "a b", "a\0", "é", "\ud83d", "x" * 20_000, 1, None, ["a"]],
)
async def test_an_invalid_token(token: object) -> None:
    """Nothing but a token goes into a header."""
    body = json.dumps({"token": token}).encode()
    error, requests = await failure(lambda _: reply(body), LOGIN)
    assert type(error) is BrokenReplyError
    assert str(error).endswith("/auth/user/emailpass: no token")
    assert requests <= 4


@pytest.mark.parametrize("settings", [LOGIN, KEY], ids=["login", "key"])
async def test_nobody_is_let_in(settings: Mapping[str, Any]) -> None:
    """It does not log in for ever."""

    def say(request: bytes) -> bytes:
        if request.startswith(b"POST /auth"):
            return reply(b'{"token": "a.b.c"}')
        return reply(b"{}", "401 Unauthorized")

    error, requests = await failure(say, settings)
    assert type(error) is UnauthorizedError
    assert requests <= 12


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "invalid_data", "message": "%s"}' % (b"x" * 10 * MEGABYTE),
        b'{"type": "%s", "message": "no"}' % (b"x" * 10 * MEGABYTE),
        b'{"type": %s, "message": %s}' % (DEEP, DEEP),
        b'{"message": {"a": 1e999}, "type": 7}',
        b"[" * 100_000 + b"]" * 100_000,
        b"x" * 10 * MEGABYTE,
    ],
    ids=["message", "type", "deep", "number", "deeper", "text"],
)
async def test_words_without_an_end(status: int, body: bytes) -> None:
    """An error quotes some of them."""
    error, _ = await failure(lambda _: reply(body, f"{status} No"), KEY)
    assert len(getattr(error, "said", "")) < 5000


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"x"', DEEP, b"{", b""])
async def test_an_answer_that_is_no_object(body: bytes) -> None:
    error, _ = await failure(lambda _: reply(body), KEY)
    assert isinstance(error, TransientError)


@given(json_values() | st.binary())
def test_any_token_has_an_end(payload: Any) -> None:
    """Or none; what it says of it is not believed blindly."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    said = b'{"exp": %s, "iat": 1}', b'{"exp": 1, "iat": %s}'
    for claims in (data, *(about % data for about in said)):
        token = f"a.{urlsafe_b64encode(claims).decode()}.c"
        assert isinstance(_lifetime(token), float)


@given(st.text())
def test_any_text_may_be_a_token(token: str) -> None:
    assert isinstance(_lifetime(token), float)


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("Fri, 01 Jan 2027 00:00:00 GMT", 2027),
        ("Fri, 01 Jan 2027 00:00:00 -0000", 2027),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
        ("Fri, 01 Jan 2027 00:00:00 +9999", None),
        ("now", None),
        ("", None),
    ],
)
def test_the_clock_of_a_server(text: str, year: int | None) -> None:
    """Of any kind; it always has a time zone, so that it can be compared."""
    date = _date({"Date": text})
    assert (date and date.year) == year
    assert date is None or date.tzinfo


async def test_metadata_without_an_end() -> None:
    """It is left alone, and our own keys are written."""
    async with fake_medusa() as medusa:
        access = {"email": medusa.email, "password": medusa.password}
        products = [Product(key=ProductKey("shop", id_), title=id_) for id_ in "12"]
        async with MedusaSettings(url=medusa.url, **access).open() as sink:
            await sync(as_source(products), sink)
            metadata = medusa.product(external_id="shop:1")["metadata"]
            metadata["theirs"] = json.loads("[" * 600 + "]" * 600)
            attributes = [attrs.evolve(p, attributes={"a": 1}) for p in products]
            report = await sync(as_source(attributes), sink)
            after = medusa.product(external_id="shop:1")["metadata"]
    assert (report.failures, report.counts.updated) == ((), 2)
    assert (after["a"], after["theirs"]) == (1, metadata["theirs"])
