"""When and how often something is tried again: one policy object, on stamina."""

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

from .errors import TransientError

__all__ = ["OnRetry", "RetryPolicy", "retry_after"]

OnRetry = Callable[[TransientError, int, float], None]
"""Told of an error, the number of the next attempt, and the seconds until then."""

_LONGEST_WAIT = 86_400.0
_COUNTED = 10_000


def _above_zero(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, int | float) and value <= 0:
        msg = f"{attribute.name} must be above 0, or None"
        raise ValueError(msg)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How a page or a batch is repeated after a `TransientError`.

    The wait before repeat *n* (1, 2, ...) is `wait_initial * wait_multiplier **
    (n - 1)` seconds plus a random part of up to `wait_jitter`, and never more
    than `wait_max`. If the other side asked for a time (`Retry-After`), that is
    waited instead; a time beyond what is left of `timeout` gives up at once.

    Attributes:
        attempts: Tries in all, the first included.
        wait_initial: Seconds before the first repeat.
        wait_multiplier: Growth of the wait from one repeat to the next.
        wait_max: Longest wait, in seconds.
        wait_jitter: Most that chance adds to a wait, in seconds.
        timeout: Seconds after which no further try begins; None: no such end.
            It does not cut a try short: requests have timeouts of their own.
    """

    attempts: int = attrs.field(default=6, validator=attrs.validators.ge(1))
    wait_initial: float = attrs.field(default=1.0, validator=attrs.validators.ge(0))
    wait_multiplier: float = attrs.field(default=2.0, validator=attrs.validators.ge(1))
    wait_max: float = attrs.field(default=30.0, validator=attrs.validators.ge(0))
    wait_jitter: float = attrs.field(default=0.25, validator=attrs.validators.ge(0))
    timeout: float | None = attrs.field(default=300.0, validator=_above_zero)

    def delays(self) -> tuple[float, ...]:
        """The waits between all tries in seconds, without what chance adds."""
        return tuple(self._delay(n) for n in range(1, self.attempts))

    @property
    def patience(self) -> float:
        """Seconds that pass between the first and the last try, at least."""
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
        """The tries; each is a context manager around the work.

        ```python
        async for attempt in policy.tries():
            with attempt:
                page = await source.read(cursor)
        ```

        Args:
            on_retry: Called before each wait, with the error, the number of the next
                attempt, and the seconds until it begins.
            clock: Seconds, for the time left; replaced in tests.

        Raises:
            TransientError: The last one, when there is no further try.
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
    """Tries of which stamina logs nothing: a run tells of each by its own logger.

    What the host has set for stamina stays as it is, and its other hooks are called.
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
    """Call the hooks of stamina before a wait, without those that only log."""
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
        headers: Of an HTTP response.
        now: The time that an HTTP date is held against.

    Returns:
        Seconds to wait, from 0 to those of a day; None without the header or for
        one that makes no sense.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(_LONGEST_WAIT, float(text))
    date = http_date(text)
    if date is None:
        return None
    return min(_LONGEST_WAIT, max(0.0, (date - now()).total_seconds()))


def http_date(text: str) -> dt.datetime | None:
    """The time that a header names; None: it names none."""
    try:
        date = parsedate_to_datetime(text)
        return date.astimezone(dt.UTC) if date.tzinfo else date.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
