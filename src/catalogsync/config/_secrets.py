"""Which settings are secret, and keeping them out of what people see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import attrs

__all__ = ["Censor", "is_secret", "secrets_of"]

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


def _sorted_forms(secrets: Iterable[str]) -> tuple[str, ...]:
    forms = {form for text in secrets for form in _forms(text)}
    return tuple(sorted(forms, key=len, reverse=True))


def _forms(text: str) -> Iterator[str]:
    """A text as it is, and as it stands in code, in JSON and in addresses."""
    yield from (text, repr(text)[1:-1], quote(text), quote(text, safe=""))
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]


@attrs.frozen
class Censor:
    """Replaces secrets in texts, also where the other side repeats them.

    Attributes:
        secrets: As they are, and as they may be quoted.
    """

    secrets: tuple[str, ...] = attrs.field(
        default=(), repr=False, converter=_sorted_forms
    )

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def tree(self, tree: Any) -> Any:
        """The same JSON without secrets in its texts."""
        if not self.secrets:
            return tree
        match tree:
            case str():
                return self.text(tree)
            case list() | tuple():
                return [self.tree(item) for item in cast("list[Any]", tree)]
            case Mapping():
                items = cast("Mapping[str, Any]", tree).items()
                return {name: self.tree(item) for name, item in items}
            case _:
                return tree
