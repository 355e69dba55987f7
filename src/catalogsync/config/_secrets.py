"""Which settings are secret."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import attrs

from catalogsync._lib.redact import has_secret_name, secrets_in_address

_SHORTEST = 4


def is_secret(field: attrs.Attribute[Any]) -> bool:
    """Whether a setting is secret, by `repr=False` or by its name."""
    return not field.repr or has_secret_name(field.name)


def secrets_of(*settings: object) -> frozenset[str]:
    """The secrets in these settings, including passwords in addresses.

    Texts of fewer than four characters are left out: they are part of too many words.
    """
    found = {text for each in settings for text in _of_settings(each)}
    return frozenset(text for text in found if len(text) >= _SHORTEST)


def _of_settings(settings: object) -> Iterator[str]:
    cls: type[Any] = type(settings)
    if not attrs.has(cls):
        return
    for field in attrs.fields(cls):
        yield from _of_value(getattr(settings, field.name), secret=is_secret(field))


def _of_value(value: object, *, secret: bool) -> Iterator[str]:
    match value:
        case str():
            if secret:
                yield value
            yield from secrets_in_address(value)
        case Mapping():
            for item in cast("Mapping[object, object]", value).values():
                yield from _of_value(item, secret=secret)
        case list() | tuple() | set() | frozenset():
            for item in cast("Collection[object]", value):
                yield from _of_value(item, secret=secret)
        case _:
            yield from _of_settings(value)
