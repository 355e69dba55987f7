"""Strict parsing of requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import attrs
from aiohttp import web
from multidict import MultiMapping

from catalogsync._lib.strict_json import loads
from catalogsync.catalog.convert import EXPECTED
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError

from ._errors import RefusalError
from ._shapes import Tree, fields

T = TypeVar("T")

_PATIENCE = 30.0
_LONGEST_KEY = 1000
_MOST_FIELDS = 20
_DIGITS = re.compile(r"[0-9]{1,9}")
_EXPECTED = {**EXPECTED, int: "a number"}


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


def parse_json(request: web.Request, body: bytes) -> Tree:
    """The object in a body; an empty body is an empty object."""
    if not body:
        return {}
    if request.content_type != "application/json":
        raise RefusalError(415, "the body must be application/json")
    try:
        tree = loads(body)
    except ValueError:
        raise RefusalError(400, "the body is not JSON") from None
    return cast("Tree", _checked(dict, tree, "the body"))


def parse_form(request: web.Request, body: bytes) -> Mapping[str, str]:
    """The fields of a form; the last value of a repeated field."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise RefusalError(415, "the body must be a form")
    text = body.decode("ascii", "replace")
    try:
        return dict(
            parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        )
    except ValueError:
        raise RefusalError(400, "the form has too many fields") from None


def parse_query(given: MultiMapping[str]) -> Mapping[str, str]:
    """The parameters of a query, each given once."""
    for name in given:
        if len(given.getall(name)) > 1:
            raise RefusalError(400, f"{name}: given more than once")
    return dict(given)


def structure(
    cls: type[T], given: Mapping[str, object], noun: str, *, strict: bool = True
) -> T:
    """A value of a class of query parameters, form fields or JSON keys.

    *strict* refuses unknown names; messages call a name a *noun*.
    """
    known = {each.name: (each, kind, more) for each, kind, more in fields(cls)}
    unknown = [name for name in given if name not in known]
    if strict and unknown:
        names = ", ".join(known) or "none"
        raise RefusalError(400, f"{unknown[0]}: unknown {noun}; known: {names}")
    values: Tree = {}
    for name, (each, kind, more) in known.items():
        if name in given:
            values[name] = _value(kind, given[name], name, more)
        elif each.default is attrs.NOTHING:
            raise RefusalError(400, f"{name}: is missing")
    return cls(**values)


def _value(kind: Any, value: Any, path: str, limits: Tree) -> object:
    if kind is int:
        least, most = limits["minimum"], limits["maximum"]
        if not _DIGITS.fullmatch(value) or not least <= int(value) <= most:
            raise RefusalError(400, f"{path}: must be a number from {least} to {most}")
        return int(value)
    if kind in {str, str | None}:
        return _checked(str, value, f"{path}:")
    texts = cast("list[object]", _checked(list, value, f"{path}:"))
    if not texts:
        raise RefusalError(400, f"{path}: must not be empty; omit it for all products")
    return tuple(_checked(str, each, f"{path}[{n}]:") for n, each in enumerate(texts))


def _checked(kind: type[T], value: object, path: str) -> T:
    if isinstance(value, kind):
        return value
    expected, got = _EXPECTED[kind], _EXPECTED[type(value)]
    raise RefusalError(400, f"{path} must be {expected}, not {got}")


def product_keys(texts: Iterable[str], source: str) -> list[ProductKey]:
    """Keys of products.

    Args:
        texts: Ids, with or without the name of the source as a prefix.
        source: Name of the source.
    """
    return [_key(f"keys[{index}]", text, source) for index, text in enumerate(texts)]


def _key(path: str, text: str, source: str) -> ProductKey:
    if len(text) > _LONGEST_KEY:
        raise RefusalError(400, f"{path}: longer than {_LONGEST_KEY} characters")
    try:
        return ProductKey(source, text.removeprefix(f"{source}:"))
    except InvalidValueError as error:
        raise RefusalError(400, f"{path}: {error.problem}") from None


def read_key(name: str, text: str) -> ProductKey:
    """A key in the form `source:id`."""
    try:
        return ProductKey.parse(text)
    except InvalidValueError as error:
        raise RefusalError(400, f"{name}: {error.problem}") from None
