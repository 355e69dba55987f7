from __future__ import annotations

import asyncio
import datetime as dt
import math
import subprocess
import sys
from collections.abc import AsyncIterable, Callable, Generator, Iterator
from contextlib import contextmanager
from email.utils import format_datetime

import pytest
from hypothesis import example, given, strategies as st
from stamina import Attempt
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from catalogsync import BrokenReplyError, RefusedError, RetryPolicy, TransientError
from catalogsync.retry import retry_after

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


class StopHereError(Exception):
    """Raised by a hook in the place of a long wait."""


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """What stamina is about to wait; the first wait of a second or more ends it."""
    seen: list[float] = []

    def note(details: RetryDetails) -> None:
        seen.append(details.wait_for)
        if details.wait_for >= 1:
            raise StopHereError

    set_on_retry_hooks([note])
    yield seen
    set_on_retry_hooks(None)


async def repeat(policy: RetryPolicy, *errors: Exception) -> int:
    """Number of tries until the work succeeds, which first raises these."""
    left = list(errors)
    tries = 0
    async for attempt in policy.tries():
        with attempt:
            tries += 1
            if left:
                raise left.pop(0)
    return tries


async def fail_each(tries: AsyncIterable[Attempt], asked: Iterator[float]) -> None:
    """Fail each try and ask for these seconds."""
    async for attempt in tries:
        with attempt:
            raise TransientError("busy", retry_after=next(asked))


async def always_fail(policy: RetryPolicy, note: Callable[[Attempt], None]) -> None:
    """Fail each try, with no time between them; report each attempt."""
    async for attempt in policy.tries():
        with attempt:
            note(attempt)
            raise TransientError("busy", retry_after=0)


def test_default_waits_double_from_a_quarter_of_a_second() -> None:
    assert RetryPolicy().delays() == (0.25, 0.5, 1, 2, 4, 8, 16)
    assert RetryPolicy().attempts == 8


def test_delays_are_capped() -> None:
    policy = RetryPolicy(attempts=6, wait_initial=2, wait_multiplier=3, wait_max=20)
    assert policy.delays() == (2, 6, 18, 20, 20)


def test_one_attempt_has_no_delay() -> None:
    assert RetryPolicy(attempts=1).delays() == ()


def test_very_many_attempts_have_delays_too() -> None:
    assert RetryPolicy(attempts=3000).delays()[-1] == 30


@pytest.mark.parametrize(
    "policy",
    [
        RetryPolicy(wait_jitter=0),
        RetryPolicy(attempts=6, wait_initial=2, wait_multiplier=3, wait_max=20),
        RetryPolicy(attempts=5, wait_initial=0.5, wait_multiplier=1),
    ],
)
async def test_stamina_waits_what_delays_say(policy: RetryPolicy) -> None:
    seen: list[tuple[int, float]] = []
    with pytest.raises(TransientError):
        await always_fail(policy, lambda a: seen.append((a.num, a.next_wait)))
    assert len(seen) == policy.attempts
    assert seen[:-1] == list(enumerate(policy.delays(), start=1))


async def test_wait_is_what_the_policy_says(waits: list[float]) -> None:
    policy = RetryPolicy(wait_initial=7, wait_jitter=0.5)
    with pytest.raises(StopHereError):
        await repeat(policy, TransientError("busy"))
    assert len(waits) == 1
    assert 7 <= waits[0] <= 7.5


async def test_last_error_is_raised_when_no_try_is_left() -> None:
    errors = [TransientError(str(number)) for number in range(3)]
    with pytest.raises(TransientError, match="2"):
        await repeat(RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0), *errors)


async def test_succeeds_on_the_last_try() -> None:
    policy = RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0)
    assert await repeat(policy, TransientError("a"), BrokenReplyError("b")) == 3


@pytest.mark.parametrize(
    "error", [ValueError("no"), RefusedError("no"), asyncio.CancelledError()]
)
async def test_other_errors_are_not_repeated(error: Exception) -> None:
    with pytest.raises(type(error)):
        await repeat(RetryPolicy(wait_initial=0), error)


async def test_retry_after_is_waited_instead(waits: list[float]) -> None:
    with pytest.raises(StopHereError):
        await repeat(RetryPolicy(), TransientError("busy", retry_after=42.5))
    assert waits == [42.5]


async def test_retry_after_zero_is_honoured(waits: list[float]) -> None:
    assert await repeat(RetryPolicy(), TransientError("busy", retry_after=0)) == 2
    assert waits == [0]


async def test_retry_after_counts_for_one_wait_only(waits: list[float]) -> None:
    policy = RetryPolicy(wait_initial=2, wait_multiplier=2, wait_jitter=0)
    with pytest.raises(StopHereError):
        await repeat(policy, TransientError("a", retry_after=0), TransientError("b"))
    assert waits == [0, 4]


async def test_retry_after_beyond_the_time_left_gives_up_at_once(
    waits: list[float],
) -> None:
    error = TransientError("busy", retry_after=61)
    with pytest.raises(TransientError) as caught:
        await repeat(RetryPolicy(timeout=60), error)
    assert caught.value is error
    assert waits == []


async def test_time_that_has_passed_counts(waits: list[float]) -> None:
    times = iter([0.0, 50.0, 59.5])
    asked = iter([0.0, 0.6])
    tries = RetryPolicy(timeout=60).tries(clock=lambda: next(times))
    with pytest.raises(TransientError):
        await fail_each(tries, asked)
    assert waits == [0]


async def test_without_timeout_any_retry_after_is_waited(waits: list[float]) -> None:
    with pytest.raises(StopHereError):
        await repeat(RetryPolicy(timeout=None), TransientError("busy", retry_after=1e6))
    assert waits == [1e6]


async def test_no_wait_goes_beyond_the_timeout(waits: list[float]) -> None:
    """No further try begins after the timeout, so waiting for one is in vain."""
    policy = RetryPolicy(timeout=10, wait_initial=20, wait_jitter=0)
    with pytest.raises(TransientError):
        await repeat(policy, TransientError("busy"))
    assert waits == []


async def test_a_policy_can_be_used_again() -> None:
    policy = RetryPolicy(attempts=2, wait_initial=0, wait_jitter=0)
    for _ in range(3):
        assert await repeat(policy, TransientError("busy")) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"attempts": 0},
        {"wait_initial": -1},
        {"wait_multiplier": 0.5},
        {"wait_max": -1},
        {"wait_jitter": -0.1},
        {"timeout": 0},
        {"timeout": -1},
    ],
)
def test_wrong_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RetryPolicy(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 01 May 2026 12:00:30 GMT", 30),
        ("Fri, 01 May 2026 14:00:30 +0200", 30),
        ("Fri, 01 May 2026 12:00:30 -0000", 30),
        ("Fri, 01 May 2026 11:59:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Fri, 99 May 2026 12:00:30 GMT", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("120, 120", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_retry_after_header(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, now=lambda: NOW) == seconds


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (math.nan, None),
        (-math.nan, None),
        (math.inf, 31_536_000),
        (-math.inf, 0),
        (-3.5, 0),
        (1e300, 31_536_000),
        (86_401, 86_401),
        (0.5, 0.5),
        (None, None),
    ],
)
def test_a_time_to_wait_is_one(asked: float | None, kept: float | None) -> None:
    """An adapter may have it from a header: no one waits for NaN, or forever."""
    assert TransientError("busy", retry_after=asked).retry_after == kept


def test_no_retry_after_header() -> None:
    assert retry_after({}) is None


def test_retry_after_header_is_existing_against_the_clock() -> None:
    header = format_datetime(
        dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), usegmt=True
    )
    seconds = retry_after({"Retry-After": header})
    assert seconds is not None
    assert 3500 < seconds <= 3600


_dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Fri", "x"]),
    st.integers(0, 40),
    st.sampled_from(["May", "Feb", "x"]),
    st.integers(0, 12000),
    st.integers(0, 30),
    st.integers(0, 70),
    st.integers(0, 70),
    st.one_of(
        st.sampled_from(["GMT", "EST", ""]), st.integers(-(10**25), 10**25).map(str)
    ),
)


@given(st.one_of(st.text(), _dates))
@example("Fri, 01 May 2026 12:00:00 +99999999999999999999")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("9" * 400)
def test_any_header_gives_seconds_or_none(text: str) -> None:
    seconds = retry_after({"Retry-After": text}, now=lambda: NOW)
    assert seconds is None or seconds >= 0


async def test_who_waits_hears_of_it_before(waits: list[float]) -> None:
    """With the number of the next attempt, and how long until it begins."""
    calls: list[tuple[str, int, float]] = []
    errors = [
        TransientError("a", retry_after=0),
        TransientError("b"),
        TransientError("c"),
    ]
    policy = RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0.5)

    def note(error: TransientError, attempt: int, wait: float) -> None:
        calls.append((str(error), attempt, wait))
        assert len(waits) == len(calls) - 1

    async def fail() -> None:
        async for attempt in policy.tries(on_retry=note):
            with attempt:
                raise errors[attempt.num - 1]

    with pytest.raises(TransientError, match="c"):
        await fail()
    assert [each[:2] for each in calls] == [("a", 2), ("b", 3)]
    assert [wait for *_, wait in calls] == waits


async def test_stamina_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A run logs each retry itself."""
    policy = RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0)
    assert await repeat(policy, TransientError("a"), TransientError("b")) == 3
    assert not [record for record in caplog.records if record.name == "stamina"]


async def test_the_hooks_of_the_host_are_called() -> None:
    """Also those that span the time until the next try."""
    seen: list[object] = []

    @contextmanager
    def hook(details: RetryDetails) -> Generator[None]:
        seen.append((details.retry_num, details.wait_for, str(details.caused_by)))
        yield
        seen.append("tried")

    set_on_retry_hooks([hook])
    try:
        policy = RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0)
        await repeat(policy, TransientError("a"), TransientError("b"))
    finally:
        set_on_retry_hooks(None)
    assert seen[::2] == [(1, 0, "a"), (2, 0, "b")]


HOST = """
import asyncio, logging
import stamina
from stamina.instrumentation import get_on_retry_hooks
hooks = get_on_retry_hooks()
logger = logging.getLogger("stamina")
def settings():
    roots = logging.getLogger()
    return [(x.handlers[:], x.filters[:], x.level, x.disabled) for x in (logger, roots)]
before = settings()
import catalogsync
from catalogsync import MemorySink, Options, Product, ProductKey, RetryPolicy
class Busy(MemorySink):
    async def find(self, desired, /, **_):
        raise catalogsync.TransientError("busy")
product = Product(key=ProductKey("shop", "1"), title="Cup")
options = Options(retry=RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0))
report = asyncio.run(
    catalogsync.sync(catalogsync.as_source([product]), Busy(), options=options)
)
assert report.retries == 2
assert settings() == before
assert get_on_retry_hooks() == hooks
assert stamina.is_active() and not stamina.is_testing()
"""


def test_nothing_is_printed_and_no_setting_of_the_host_is_changed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOST], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
