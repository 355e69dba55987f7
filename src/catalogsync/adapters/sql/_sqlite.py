"""A SQLite connection that releases its lock when it is closed."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import Any
from weakref import WeakSet


class LeavingNothing(sqlite3.Connection):
    """A connection whose close ends its statements and its transaction.

    Python does not really close a connection while one of its cursors is alive, and the
    exception of a cancelled task keeps cursors alive until the garbage collector runs.
    Until then, the file would stay locked.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._cursors = WeakSet[sqlite3.Cursor]()
        super().__init__(*args, **options)

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Create a cursor."""
        made = super().cursor(*args, **options)
        self._cursors.add(made)
        return made

    def close(self) -> None:
        """Close all cursors, roll back, and close."""
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            for cursor in list(self._cursors):
                cursor.close()
            self.rollback()
        super().close()

    def __del__(self) -> None:
        # A task that is cancelled while it connects never gets its connection.
        with suppress(sqlite3.Error):
            self.close()
