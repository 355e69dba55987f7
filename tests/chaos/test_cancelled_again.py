"""A run that is cancelled repeatedly, at any await, does not block later runs."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import cast

import attrs
import pytest
from tests.chaos.loops import Loop
from tests.engine.fakes import catalog, check, fast, running
from tests.engine.shop import Shop

from catalogsync import Report, RunStatus, StateSettings, as_source, sync
from catalogsync.state import StateStore

MOST = 10**6


async def synced(shop: Shop, store: StateStore, title: str) -> Report:
    products = [attrs.evolve(each, title=title) for each in catalog(3)]
    source = as_source(products, name="shop")
    return await sync(source, shop, options=fast(lease=MOST), job="j", state=store)


async def assert_free(shop: Shop, store: StateStore) -> None:
    """The next run of this process succeeds at once, and no run is left."""
    assert not running()
    report = await synced(shop, store, "next")
    check(report)
    assert report.status is RunStatus.SUCCEEDED
    assert set(shop.titles().values()) == {"next"}
    records = await store.runs(limit=MOST)
    assert [r for r in records if r.status is None] == []


def step_of(runs: str) -> int:
    """Turns from one try to the next: a server takes its time, and many turns."""
    return 1 if runs.startswith("sqlite") else 11


@attrs.define
class Blow:
    """Ends a run by `asyncio.timeout` or `Task.cancel`, and does so again."""

    loop: Loop
    gap: int
    times: int
    timeout: bool
    struck: int = 0

    async def strike(self, turn: int, work: Callable[[], Awaitable[object]]) -> bool:
        """Do the work and end it at a turn; False: it was through before."""

        async def timed() -> None:
            async with asyncio.timeout(None) as scope:
                scopes.append(scope)
                await work()
            scopes.clear()

        def act() -> None:
            if self.timeout and not self.struck and scopes:
                scopes[0].reschedule(self.loop.time())
            else:
                task.cancel()
            self.struck += 1
            if self.struck < self.times:
                self.loop.at(self.gap, act)

        scopes: list[asyncio.Timeout] = []
        self.struck = 0
        task = self.loop.create_task(timed())
        self.loop.at(turn, act)
        await asyncio.wait({task})
        self.loop.act = None
        with suppress(asyncio.CancelledError, TimeoutError):
            await task
        return self.struck > 0


@pytest.mark.parametrize(("times", "gap"), [(1, 1), (2, 1), (3, 1), (3, 4)])
@pytest.mark.parametrize("timeout", [False, True], ids=["cancelled", "timed out"])
def test_the_next_run_is_not_kept_out(
    runs: str, timeout: bool, times: int, gap: int
) -> None:
    async def sweep(blow: Blow) -> int:
        shop, turn = Shop(), 1
        async with StateSettings(url=runs).open() as store:
            await synced(shop, store, "first")
            while await blow.strike(turn, partial(synced, shop, store, f"{turn}")):
                await assert_free(shop, store)
                turn += step_of(runs)
        return turn

    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = cast("Loop", runner.get_loop())
        assert runner.run(sweep(Blow(loop, gap, times, timeout))) > 20


@pytest.fixture
def only_new_garbage() -> Iterator[None]:
    """Make collecting quick: only what this test leaves behind is looked at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.collect()  # while the warnings still count for this test


# A loop that is killed leaves it to the garbage collector to close its sockets.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("only_new_garbage")
@pytest.mark.parametrize(("times", "gap"), [(1, 1), (2, 1), (2, 5)])
def test_after_an_interrupt_the_next_run_is_not_kept_out(
    runs: str, times: int, gap: int
) -> None:
    """The second one ends the loop wherever it is, as Ctrl-C twice does."""
    shop, turn = Shop(), 1
    interrupted(Loop(), runs, shop, "first")
    while True:
        loop = Loop()
        struck = strike_by_signal(loop, turn, gap, times)
        interrupted(loop, runs, shop, f"{turn}")
        interrupted(Loop(), runs, shop, "next")
        assert set(shop.titles().values()) == {"next"}
        if not struck:
            break
        turn += 2 * step_of(runs)
    assert turn > 20


def interrupted(loop: Loop, runs: str, shop: Shop, title: str) -> None:
    """Carry out a run in a loop, unless an interrupt ends it."""

    async def run() -> None:
        try:
            async with StateSettings(url=runs).open() as store:
                await synced(shop, store, title)
        finally:
            loop.over = True  # what follows is the loop's own end

    with (
        suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        runner.run(run())
    gc.collect()  # or sockets stay open and hold locks, which a dead process does not


def strike_by_signal(loop: Loop, turn: int, gap: int, times: int) -> list[int]:
    """Interrupt the loop at a turn, and again; returns the actions taken."""
    struck: list[int] = []

    def act() -> None:
        struck.append(turn)
        if len(struck) < times:
            loop.at(gap, act)
        signal.raise_signal(signal.SIGINT)

    loop.at(turn, act)
    return struck
