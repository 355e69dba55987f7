"""An event loop whose time passes at once, and in which nothing can hang unnoticed."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_STEPS = 50_000
_LONGEST = 30 * 86_400.0


class HangError(Exception):
    """What runs would go on for ever, or waits for what never comes."""


class _Selector(selectors.SelectSelector):
    """Waits for no socket; a wait advances the time."""

    now = 0.0
    steps = 0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise HangError("nothing is left that could wake it")
        self.now += max(timeout, 0.0)
        self.steps += 1
        if self.steps > _MOST_STEPS or self.now > _LONGEST:
            self.steps, self.now = 0, 0.0
            raise HangError("it does not come to an end")
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hours = _Selector()
        super().__init__(self._hours)

    def time(self) -> float:
        return self._hours.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in no time.

    Raises:
        HangError: There is no end.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
