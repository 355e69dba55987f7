"""Rate limits that a server announces in its headers."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping

import attrs

from catalogsync.errors import TransientError
from catalogsync.retry import http_date, retry_after

__all__ = ["Pace", "asked_to_wait"]

_PREFIXES = ("RateLimit-", "X-RateLimit-", "X-Rate-Limit-")
_COMBINED = re.compile(r"\b(remaining|reset|r|t)\s*=\s*\"?(\d{1,15})")
_NAMES = {"r": "remaining", "t": "reset"}
_EPOCH, _EPOCH_MILLISECONDS = 1e9, 1e12
_LONGEST = 60.0
_LONGEST_DIGITS = 15


@attrs.define
class Pace:
    """Holds requests back while the server announces that none are left.

    Attributes:
        clock: Seconds, increasing; tests replace it.
        sleep: Waits for some seconds; tests replace it.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _until: float = attrs.field(default=-math.inf, init=False)

    async def wait(self) -> None:
        """Wait until the server accepts requests again.

        Raises:
            TransientError: That takes more than a minute.
        """
        while (left := self._until - self.clock()) > 0:
            if left > _LONGEST:
                problem = f"the server accepts no request for another {left:.0f} s"
                raise TransientError(problem, retry_after=left)
            await self.sleep(left)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Read how many requests are left, and until when."""
        remaining, seconds = _limits(headers)
        if remaining == 0 and seconds is not None:
            self._until = max(self._until, self.clock() + seconds)


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a refusal; None: the server does not say."""
    wait = retry_after(headers)
    return _limits(headers)[1] if wait is None else wait


def _limits(headers: Mapping[str, str]) -> tuple[int | None, float | None]:
    """Requests that are left, and seconds until there are more."""
    found = _combined(headers)
    remaining, reset = found.get("remaining"), found.get("reset")
    for prefix in _PREFIXES:
        remaining = _whole(headers.get(f"{prefix}Remaining"), remaining)
        reset = _whole(headers.get(f"{prefix}Reset"), reset)
    return remaining, None if reset is None else _seconds(reset, headers)


def _combined(headers: Mapping[str, str]) -> dict[str, int]:
    """The parts of one header for all, such as `RateLimit: "default";r=0;t=30`."""
    pairs: list[tuple[str, str]] = _COMBINED.findall(
        headers.get("RateLimit", "")[:1000]
    )
    return {_NAMES.get(name, name): int(digits) for name, digits in pairs}


def _whole(text: str | None, default: int | None) -> int | None:
    digits = (text or "").strip().partition(".")[0]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _LONGEST_DIGITS:
        return default
    return int(digits)


def _seconds(reset: int, headers: Mapping[str, str]) -> float:
    """Seconds until a reset, given as seconds or as a time by the server's clock."""
    if reset < _EPOCH:
        return float(reset)
    at = reset / 1000 if reset >= _EPOCH_MILLISECONDS else reset
    date = http_date(headers.get("Date", ""))
    return max(0.0, at - (date.timestamp() if date else time.time()))
