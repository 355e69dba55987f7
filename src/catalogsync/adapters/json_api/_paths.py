"""JMESPaths of settings, and what they find in an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from catalogsync.errors import MisconfiguredError, MissingExtraError

__all__ = ["JsonPath", "best_list", "lists_in"]

_DEEPEST = 4
_MOST = 3
_SHOWN = 40


@attrs.frozen
class JsonPath:
    """A JMESPath that a setting holds.

    Attributes:
        text: The path; empty: the whole answer.
    """

    text: str
    _compiled: Any = attrs.field(repr=False, eq=False)

    @classmethod
    def of(cls, setting: str, text: str | None) -> JsonPath:
        """Compile a path.

        Args:
            setting: Name of the setting, for the error.
            text: The path; None: the whole answer.

        Raises:
            MisconfiguredError: It is not a JMESPath.
            MissingExtraError: The extra `mapping` is not installed.
        """
        try:
            import jmespath  # type: ignore[import-untyped]
            from jmespath.exceptions import (  # type: ignore[import-untyped]
                JMESPathError,
            )
        except ImportError as error:
            raise MissingExtraError("the JSON API source", "mapping") from error
        try:
            return cls(text or "", jmespath.compile(text) if text else None)
        except JMESPathError:
            problem = f"`{text}` is not a JMESPath, such as `data.products`"
            raise MisconfiguredError(setting, problem) from None

    def search(self, body: object) -> object:
        """The value at this path; None: there is none."""
        if self._compiled is None:
            return body
        from jmespath.exceptions import JMESPathError

        try:
            return cast("object", self._compiled.search(body))
        except JMESPathError:
            return None


def lists_in(body: object) -> str:
    """Where an answer has lists of objects, as a hint for a person; empty: nowhere."""
    found = [path for path, _ in zip(_lists(body, "", 0), range(_MOST), strict=False)]
    return " or ".join(f"`{path or '@'}`" for path in found)


def best_list(body: object) -> str | None:
    """Path to the longest list of objects in an answer; None: there is none."""
    paths = list(_lists(body, "", 0))
    sizes = {path: len(_at(body, path)) for path in paths}
    return max(sizes, key=lambda path: sizes[path], default=None)


def _at(body: object, path: str) -> list[object]:
    found = JsonPath.of("items", path).search(body)
    return cast("list[object]", found) if isinstance(found, list) else []


def _lists(value: object, path: str, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        items = cast("list[object]", value)
        if items and isinstance(items[0], Mapping):
            yield path
    elif isinstance(value, Mapping) and depth < _DEEPEST:
        for name, inner in cast("Mapping[str, object]", value).items():
            if len(name) <= _SHOWN:
                step = name if name.isidentifier() else f'"{name}"'
                yield from _lists(inner, f"{path}.{step}" if path else step, depth + 1)
