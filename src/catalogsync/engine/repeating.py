"""Work that is repeated as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from catalogsync.retry import RetryPolicy

from .recorder import Recorder

__all__ = ["repeated"]

T = TypeVar("T")


async def repeated(
    work: Callable[[], Awaitable[T]], what: str, recorder: Recorder, policy: RetryPolicy
) -> T:
    """Do work until it succeeds, as long as the policy allows.

    Args:
        work: The work; it can be done again after a `TransientError`.
        what: The work in words, such as `read page 30`.
        recorder: Counts and reports retries.
        policy: When the work is repeated.

    Raises:
        TransientError: The last retry failed.
    """
    async for attempt in policy.tries(on_retry=recorder.retrying(what)):
        with attempt:
            return await work()
    raise AssertionError("unreachable")
