"""Which settings are secret, so that no message shows their values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

__all__ = ["is_secret", "secrets_of"]

_SECRET_NAME = re.compile(r"passw|secret|token|api_?key|credential", re.IGNORECASE)
_SHORTEST = 4


def is_secret(field: attrs.Attribute[Any]) -> bool:
    """Whether a setting's value is shown nowhere: by `repr=False` or by its name."""
    return not field.repr or _SECRET_NAME.search(field.name) is not None


def secrets_of(*settings: object) -> frozenset[str]:
    """The secret texts in these settings, to be kept out of everything printed.

    A password within an address is one as well, whether or not the address is.
    Texts of less than four characters are left out: they stand in half of all words.
    """
    found = {text for each in settings for text in _texts(each)}
    return frozenset(text for text in found if len(text) >= _SHORTEST)


def _texts(settings: object) -> Iterator[str]:
    cls: type[Any] = type(settings)
    if not attrs.has(cls):
        return
    for field in attrs.fields(cls):
        value = getattr(settings, field.name)
        if not isinstance(value, str):
            yield from _texts(value)
            continue
        if is_secret(field):
            yield value
        if "://" in value:
            yield from _in_address(value)


def _in_address(text: str) -> Iterator[str]:
    try:
        parts = urlsplit(text)
    except ValueError:
        return
    if parts.password:
        yield from (parts.password, unquote(parts.password))
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name):
            yield value
