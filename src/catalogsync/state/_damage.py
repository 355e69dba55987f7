"""Damaged rows: they are skipped and reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs

from ._sql import Row

T = TypeVar("T")

_MOST = 100
_LONGEST = 60

logger = logging.getLogger("catalogsync.state")


@attrs.frozen(eq=False)
class Damage:
    """Collects descriptions of unreadable rows."""

    _found: dict[str, None] = attrs.field(factory=dict[str, None])

    def read(
        self, table: str, found: Iterable[Row], read: Callable[[Row], T]
    ) -> list[T]:
        """The values of the readable rows.

        Args:
            table: Name of the table; messages name a row by its first two columns.
            found: The rows.
            read: Returns the value of a row; raises for an unreadable one.
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
        """Descriptions of the rows found since the last call."""
        found = tuple(self._found)
        self._found.clear()
        return found


def _name(row: Row) -> str:
    return ", ".join(
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        for text in map(repr, row[:2])
    )
