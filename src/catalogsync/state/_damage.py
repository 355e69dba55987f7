"""Rows that somebody damaged: they are reported, and do without."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs

from ._steps import Row

__all__ = ["Damage"]

T = TypeVar("T")

_MOST = 100
_LONGEST = 60

logger = logging.getLogger("catalogsync.state")


@attrs.frozen(eq=False)
class Damage:
    """Which rows could not be read, until somebody takes note."""

    _found: dict[str, None] = attrs.field(factory=dict[str, None])

    def read(
        self, table: str, found: Iterable[Row], read: Callable[[Row], T]
    ) -> list[T]:
        """The values of those rows that have one.

        Args:
            table: Where they are; its first two columns tell them apart.
            found: The rows.
            read: Makes a value of a row.
        """
        values: list[T] = []
        for row in found:
            try:
                values.append(read(row))
            except (ValueError, TypeError) as error:
                self._note(f"{table} ({_name(row)}): {error}")
        return values

    def _note(self, what: str) -> None:
        text = f"the state store ignores a damaged row of {what}"
        if text not in self._found and len(self._found) < _MOST:
            self._found[text] = None
            logger.warning(text)

    def take(self) -> tuple[str, ...]:
        """What was found since this was asked last."""
        found = tuple(self._found)
        self._found.clear()
        return found


def _name(row: Row) -> str:
    return ", ".join(
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        for text in map(repr, row[:2])
    )
