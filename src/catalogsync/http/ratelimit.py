"""A rate limiter for requests."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import attrs

__all__ = ["RateLimiter"]


@attrs.define
class RateLimiter:
    """Allows at most *most* requests in any *per* seconds, in the order of arrival.

    Attributes:
        most: Requests in one window.
        per: Length of the window in seconds.
        clock: Gives the time in seconds; tests replace it.
        sleep: Waits for some seconds; tests replace it.
    """

    most: int = attrs.field(validator=attrs.validators.ge(1))
    per: float = attrs.field(validator=attrs.validators.gt(0))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _passed: deque[float] = attrs.field(factory=deque[float], init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def wait(self) -> None:
        """Wait until the next request may be sent."""
        async with self._turn:
            if len(self._passed) == self.most:
                free = self._passed[0] + self.per
                while (left := free - self.clock()) > 0:
                    await self.sleep(left)
                self._passed.popleft()
            self._passed.append(self.clock())
