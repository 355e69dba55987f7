"""An event loop that does something at a chosen turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Loop"]


class Loop(asyncio.SelectorEventLoop):
    """Does something at the beginning of one of its turns."""

    left = 0
    over = False
    act: Callable[[], object] | None = None

    def at(self, turn: int, act: Callable[[], object]) -> None:
        """Do this after so many turns."""
        self.left, self.act = turn, act

    def _run_once(self) -> None:
        self.left -= 1
        if self.act is not None and self.left <= 0 and not self.over:
            act, self.act = self.act, None
            act()
        super()._run_once()  # type: ignore[misc]
