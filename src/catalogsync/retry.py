"""Retries: when and how often something is tried again, on top of stamina."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, cast

import attrs
import stamina
from stamina.instrumentation import RetryDetails, get_on_retry_hooks

from ._lib.bounds import above, at_least
from .errors import InvalidValueError, TransientError

__all__ = ["OnRetry", "RetryPolicy", "retry_after"]

OnRetry = Callable[[TransientError, int, float], None]
"""Receives the error, the number of the next attempt, and the seconds until it."""

_LONGEST_WAIT = 86_400.0
_COUNTED = 10_000
_one_or_more = at_least(1, InvalidValueError)
_not_negative = at_least(0, InvalidValueError)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and when to retry a page or a batch after a `TransientError`.

    The wait before retry *n* (1, 2, ...) is `wait_initial * wait_multiplier ** (n - 1)`
    seconds plus a random part of up to `wait_jitter`, but never more than `wait_max`.
    If the other side asks for a certain wait (`Retry-After`), that applies instead;
    if it is longer than the rest of `timeout`, there is no further retry.

    Attributes:
        attempts: Number of attempts, including the first.
        wait_initial: Seconds before the first retry.
        wait_multiplier: Factor from one wait to the next.
        wait_max: Longest wait, in seconds.
        wait_jitter: Largest random part of a wait, in seconds.
        timeout: Seconds after which no further attempt starts; None: no limit. It does
            not interrupt an attempt: requests have their own timeouts.
    """

    attempts: int = attrs.field(default=8, validator=_one_or_more)
    wait_initial: float = attrs.field(default=0.25, validator=_not_negative)
    wait_multiplier: float = attrs.field(default=2.0, validator=_one_or_more)
    wait_max: float = attrs.field(default=30.0, validator=_not_negative)
    wait_jitter: float = attrs.field(default=0.1, validator=_not_negative)
    timeout: float | None = attrs.field(
        default=300.0, validator=above(0, InvalidValueError)
    )

    def delays(self) -> tuple[float, ...]:
        """The waits between all attempts in seconds, without the random part."""
        return tuple(self._delay(n) for n in range(1, self.attempts))

    @property
    def patience(self) -> float:
        """Seconds between the first and the last attempt, at least."""
        repeats = range(1, min(self.attempts, _COUNTED))
        waits = sum(map(self._delay, repeats))
        return waits if self.timeout is None else min(waits, self.timeout)

    def _delay(self, repeat: int) -> float:
        try:
            wait = self.wait_initial * self.wait_multiplier ** (repeat - 1)
        except OverflowError:
            return self.wait_max
        return min(self.wait_max, wait)

    def tries(
        self,
        *,
        on_retry: OnRetry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> AsyncIterable[stamina.Attempt]:
        """The attempts; each is a context manager around the work.

        ```python
        async for attempt in policy.tries():
            with attempt:
                page = await source.read(cursor)
        ```

        Args:
            on_retry: Called before each wait, with the error, the number of the next
                attempt, and the seconds until it begins.
            clock: Returns the time in seconds; replaced in tests.

        Raises:
            TransientError: The last one, when there is no further attempt.
        """
        end = None if self.timeout is None else clock() + self.timeout

        numbers = itertools.count(1)

        def again(error: Exception) -> bool | float:
            if not isinstance(error, TransientError):
                return False
            number, asked = next(numbers), error.retry_after
            wait = self._delay(number) if asked is None else asked
            if number >= self.attempts or (end is not None and clock() + wait > end):
                return False
            if asked is None:
                wait = min(self.wait_max, wait + random.uniform(0, self.wait_jitter))  # noqa: S311
            if on_retry is not None:
                on_retry(error, number + 1, wait)
            return wait

        tries = stamina.retry_context(
            on=again,
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.wait_initial,
            wait_max=self.wait_max,
            wait_jitter=self.wait_jitter,
            wait_exp_base=self.wait_multiplier,
        )
        return _Quiet(tries)


_LOGGING = ("stamina.instrumentation._logging", "stamina.instrumentation._structlog")


@attrs.frozen
class _Quiet:
    """Attempts that stamina does not log, because a run logs each retry itself.

    The host's own configuration of stamina is not changed, and its other hooks are
    called.
    """

    tries: Any

    def __aiter__(self) -> AsyncIterator[stamina.Attempt]:
        tries: Any = aiter(self.tries)
        retrying = tries._t_a_retrying  # noqa: SLF001 - stamina has no other way
        if getattr(retrying, "before_sleep", None) is not None:
            entered = tries._cms_to_exit  # noqa: SLF001
            retrying.before_sleep = partial(_call_hooks, entered)
        return cast("AsyncIterator[stamina.Attempt]", tries)


def _call_hooks(entered: list[AbstractContextManager[None]], state: Any) -> None:
    """Call stamina's hooks before a wait, except those that only log."""
    wait = state.upcoming_sleep
    details = RetryDetails(
        name="<context block>",
        args=(),
        kwargs={},
        retry_num=state.attempt_number,
        wait_for=wait,
        waited_so_far=state.idle_for - wait,
        caused_by=state.outcome.exception(),
    )
    for hook in get_on_retry_hooks():
        if getattr(hook, "__module__", "") in _LOGGING:
            continue
        context: Any = hook(details)
        if hasattr(context, "__enter__"):
            context.__enter__()
            entered.append(context)


def retry_after(
    headers: Mapping[str, str],
    *,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> float | None:
    """Read the header `Retry-After`.

    Args:
        headers: Headers of an HTTP response.
        now: Returns the current time, which an HTTP date is compared with.

    Returns:
        Seconds to wait, from 0 to one day, or None if the header is missing or invalid.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(_LONGEST_WAIT, float(text))
    date = http_date(text)
    if date is None:
        return None
    return min(_LONGEST_WAIT, max(0.0, (date - now()).total_seconds()))


def http_date(text: str) -> dt.datetime | None:
    """The time in a header; None: it is not a valid date."""
    try:
        date = parsedate_to_datetime(text)
        return date.astimezone(dt.UTC) if date.tzinfo else date.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
