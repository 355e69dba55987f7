"""Which settings are secret, so that no message shows their values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

__all__ = ["is_secret", "secrets_of"]

_SECRET_NAME = re.compile(r"passw|secret|token|api_?key|credential", re.IGNORECASE)
_SHORTEST = 4


def is_secret(field: attrs.Attribute[Any]) -> bool:
    """Whether a setting's value is shown nowhere: by `repr=False` or by its name."""
    return not field.repr or _SECRET_NAME.search(field.name) is not None


def secrets_of(*settings: object) -> frozenset[str]:
    """The secret texts in these settings, to be kept out of everything printed.

    A password within an address is one as well. Texts of less than four
    characters are left out: they stand in half of all words.
    """
    found = {text for each in settings for text in _texts(each)}
    return frozenset(text for text in found if len(text) >= _SHORTEST)


def _texts(settings: object) -> Iterator[str]:
    cls: type[Any] = type(settings)
    if not attrs.has(cls):
        return
    for field in attrs.fields(cls):
        value = getattr(settings, field.name)
        if isinstance(value, str) and is_secret(field):
            yield value
            yield from _passwords(value)
        else:
            yield from _texts(value)


def _passwords(text: str) -> Iterator[str]:
    if "://" not in text:
        return
    try:
        password = urlsplit(text).password
    except ValueError:
        return
    if password:
        yield from (password, unquote(password))
