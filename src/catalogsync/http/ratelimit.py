"""Keeping under a server's limit of requests."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import attrs

__all__ = ["RateLimiter"]


@attrs.define
class RateLimiter:
    """Lets at most *most* callers through in any *per* seconds, in order.

    Attributes:
        most: How many.
        per: Length of the window in seconds.
        clock: Seconds; replaced in tests.
        sleep: Waits seconds; replaced in tests.
    """

    most: int = attrs.field(validator=attrs.validators.ge(1))
    per: float = attrs.field(validator=attrs.validators.gt(0))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _passed: deque[float] = attrs.field(factory=deque[float], init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def wait(self) -> None:
        """Return when one more may go through."""
        async with self._turn:
            if len(self._passed) == self.most:
                free = self._passed[0] + self.per
                while (left := free - self.clock()) > 0:
                    await self.sleep(left)
                self._passed.popleft()
            self._passed.append(self.clock())
