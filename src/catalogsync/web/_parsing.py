"""Strict parsing of requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Any, cast

import attrs
from aiohttp import web
from multidict import MultiMapping

from catalogsync._lib.strict_json import loads
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError

from ._errors import RefusalError

__all__ = [
    "Query",
    "no_keys",
    "parse_json",
    "read_body",
    "read_key",
    "read_keys",
    "read_text",
]

_PATIENCE = 30.0
_LONGEST_KEY = 1000
_DIGITS = re.compile(r"[0-9]{1,9}")
_EXPECTED: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _EXPECTED[type(value)]


async def read_body(request: web.Request, most: int) -> bytes:
    """The body of a request.

    Raises:
        RefusalError: It is too large, compressed or incomplete, or takes too long.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusalError(415, "the body must not be compressed")
    if (request.content_length or 0) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for part in request.content.iter_any():
                body += part
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError:
        raise RefusalError(408, "timed out while reading the body") from None
    except web.RequestPayloadError:
        raise RefusalError(400, "the body is incomplete or badly framed") from None
    return bytes(body)


def _too_large(most: int) -> RefusalError:
    # Close the connection rather than read the rest.
    text = f"the body is larger than {most} bytes"
    return RefusalError(413, text, headers={"Connection": "close"})


def parse_json(request: web.Request, body: bytes) -> dict[str, Any]:
    """The object in a body; an empty body is an empty object.

    Raises:
        RefusalError: The body is not a JSON object.
    """
    if not body:
        return {}
    if request.content_type != "application/json":
        raise RefusalError(415, "the body must be application/json")
    try:
        tree = loads(body)
    except ValueError:
        raise RefusalError(400, "the body is not JSON") from None
    if not isinstance(tree, dict):
        raise RefusalError(400, f"the body must be an object, not {_kind(tree)}")
    return cast("dict[str, Any]", tree)


def _only(tree: dict[str, Any], known: Collection[str]) -> None:
    for name in tree:
        if name not in known:
            names = ", ".join(known) or "none"
            raise RefusalError(400, f"{name}: unknown key; known: {names}")


def no_keys(tree: dict[str, Any]) -> None:
    """Check that an object is empty."""
    _only(tree, ())


def read_text(tree: dict[str, Any], name: str) -> str:
    """The text in an object with this single key."""
    _only(tree, (name,))
    text = tree.get(name)
    if not isinstance(text, str):
        if name not in tree:
            raise RefusalError(400, f"{name}: is missing")
        raise RefusalError(400, f"{name}: must be text, not {_kind(text)}")
    return text


def read_keys(tree: dict[str, Any], source: str) -> list[ProductKey]:
    """The products in `{"keys": [...]}`; empty if there is no such key.

    Args:
        tree: The body.
        source: Name of the source, an optional prefix of each id.
    """
    _only(tree, ("keys",))
    if "keys" not in tree:
        return []
    given = tree["keys"]
    if not isinstance(given, list):
        raise RefusalError(400, f"keys: must be a list, not {_kind(given)}")
    if not given:
        raise RefusalError(400, "keys: must not be empty; omit it for all products")
    texts = cast("list[object]", given)
    return [_key(index, text, source) for index, text in enumerate(texts)]


def _key(index: int, text: object, source: str) -> ProductKey:
    if not isinstance(text, str):
        raise RefusalError(400, f"keys[{index}]: must be text, not {_kind(text)}")
    if len(text) > _LONGEST_KEY:
        problem = f"longer than {_LONGEST_KEY} characters"
        raise RefusalError(400, f"keys[{index}]: {problem}")
    try:
        return ProductKey(source, text.removeprefix(f"{source}:"))
    except InvalidValueError as error:
        raise RefusalError(400, f"keys[{index}]: {error.problem}") from None


def read_key(name: str, text: str) -> ProductKey:
    """A key in the form `source:id`."""
    try:
        return ProductKey.parse(text)
    except InvalidValueError as error:
        raise RefusalError(400, f"{name}: {error.problem}") from None


@attrs.frozen
class Query:
    """Query parameters.

    Attributes:
        given: The parameters of the request.
        known: Names of the parameters that the endpoint accepts.
    """

    given: MultiMapping[str]
    known: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        for name in self.given:
            if name not in self.known:
                names = ", ".join(self.known) or "none"
                raise RefusalError(400, f"{name}: unknown parameter; known: {names}")
            if len(self.given.getall(name)) > 1:
                raise RefusalError(400, f"{name}: given more than once")

    def text(self, name: str) -> str:
        """A text; empty if it is missing."""
        return self.given.get(name, "")

    def number(self, name: str, *, default: int, most: int, least: int = 1) -> int:
        """A whole number from *least* to *most*."""
        text = self.given.get(name)
        if text is None:
            return default
        if not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
            raise RefusalError(400, f"{name}: must be a number from {least} to {most}")
        return int(text)
