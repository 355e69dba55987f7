"""Never more than the allowed requests in any window."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.http.http_ends import Clock, client_of

from catalogsync.http.ratelimit import RateLimiter


@attrs.define
class HandClock:
    """A clock that a test turns; who sleeps waits for that."""

    now: float = 0.0
    sleepers: list[tuple[float, asyncio.Event]] = attrs.field(factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self.sleepers.append((self.now + seconds, event))
        await event.wait()

    async def turn(self, seconds: float) -> None:
        self.now += seconds
        for when, event in self.sleepers:
            if when <= self.now:
                event.set()
        await settle()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def limiter_by(clock: Clock | HandClock, most: int, per: float = 10.0) -> RateLimiter:
    return RateLimiter(most, per, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize(("most", "per"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0)])
def test_senseless_limits(most: int, per: float) -> None:
    with pytest.raises(ValueError):
        RateLimiter(most, per)


async def test_waits_just_as_long_as_it_must() -> None:
    clock = Clock()
    limiter = limiter_by(clock, 2)
    await limiter.wait()
    clock.now += 4.0
    await limiter.wait()
    assert clock.slept == []
    await limiter.wait()
    assert clock.slept == [6.0]
    await limiter.wait()
    assert clock.slept == [6.0, 4.0]
    clock.now += 100.0
    await limiter.wait()
    await limiter.wait()
    assert clock.slept == [6.0, 4.0]


@given(
    most=st.integers(1, 5),
    missing_parts=st.lists(st.floats(0, 15) | st.just(0.0), max_size=40),
)
async def test_never_more_in_any_window(most: int, missing_parts: list[float]) -> None:
    clock = Clock()
    limiter = limiter_by(clock, most)
    passed: list[float] = []
    for gap in missing_parts:
        clock.now += gap
        await limiter.wait()
        passed.append(clock.now)
    for first, later in zip(passed, passed[most:], strict=False):
        assert later - first >= 10.0 - 1e-6


async def test_a_sleep_that_ends_early_lets_nobody_through() -> None:
    clock = Clock()

    async def doze(seconds: float) -> None:
        await clock.sleep(seconds if seconds < 1 else seconds * 0.9)

    limiter = RateLimiter(1, 10.0, clock=clock, sleep=doze)
    await limiter.wait()
    await limiter.wait()
    assert clock.now == pytest.approx(1010.0)


async def test_first_come_first_served() -> None:
    clock = HandClock()
    limiter = limiter_by(clock, 2)
    served: list[int] = []

    async def come(number: int) -> None:
        await limiter.wait()
        served.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(come(number))
        await settle()
        assert served == [0, 1]
        await clock.turn(9.5)
        assert served == [0, 1]
        await clock.turn(0.5)
        assert served == [0, 1, 2, 3]
        await clock.turn(10.0)
    assert served == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_who_goes_away_takes_no_turn(gone: int) -> None:
    """Neither a waiter that sleeps nor one behind it."""
    clock = HandClock()
    limiter = limiter_by(clock, 1)
    await limiter.wait()
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        tasks += [group.create_task(limiter.wait()) for _ in range(3)]
        await settle()
        tasks[gone].cancel()
        await settle()
        waiting = [task for task in tasks if not task.cancelled()]
        assert len(waiting) == 2
        await clock.turn(10.0)
        assert [task.done() for task in waiting] == [True, False]
        await clock.turn(10.0)
        assert all(task.done() for task in waiting)


async def test_the_client_waits_before_each_request() -> None:
    clock = Clock()
    async with client_of(limiter=limiter_by(clock, 3)) as client:
        for number in range(7):
            await client.send("GET", f"/{number}")
    assert clock.slept == [10.0, 10.0]
    assert client.requests == 7
