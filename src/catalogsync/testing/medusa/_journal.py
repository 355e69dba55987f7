"""Transactions: changes to rows that can be undone together."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

from ._errors import MedusaError, Row

_ABSENT: Any = object()


class Journal:
    """Records old values, so that a failed request can be undone.

    Lists in rows are replaced and never changed in place, so old values of columns are
    sufficient.
    """

    def __init__(self) -> None:
        self._before: list[tuple[Row, str, Any]] = []
        self._scars: list[tuple[Row, str, Any]] = []

    def put(self, row: Row, key: str, value: object) -> None:
        """Set a column, or a row in a table."""
        self._before.append((row, key, row.get(key, _ABSENT)))
        row[key] = value

    def drop(self, row: Row, key: str) -> None:
        """Remove a column, or a row from a table, if it is there."""
        if key in row:
            self._before.append((row, key, row.pop(key)))

    def scar(self, row: Row, key: str, value: object) -> None:
        """Set a column or a row after an undo, as Medusa's own undo is incomplete."""
        self._scars.append((row, key, value))

    @contextlib.contextmanager
    def transaction(self) -> Generator[None]:
        """Undo all changes of the block if it raises a `MedusaError`."""
        self._before.clear()
        self._scars.clear()
        try:
            yield
        except MedusaError:
            self._undo()
            raise

    def _undo(self) -> None:
        for row, key, value in reversed(self._before):
            if value is _ABSENT:
                row.pop(key, None)
            else:
                row[key] = value
        for row, key, value in self._scars:
            row[key] = value
