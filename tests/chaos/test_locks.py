"""A run that ends at any of its awaits leaves no transaction and no lock behind.

The garbage collector is off, so that it cannot clean up by chance.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.adapters.sql_databases import DATABASES, Hand
from tests.chaos.loops import Loop
from tests.engine.fakes import fast, product

from catalogsync import Category, Run, StateSettings, Sync, as_source
from catalogsync.adapters.sql import SQLSettings

STEP = 3
PATIENCE = 10  # seconds, waited for only where a lock is left

_CATALOG = [
    product(n, tags=[f"tag {n}"], categories=[Category(id=f"c{n}", name="C")])
    for n in range(3)
]
_TABLES = "catalogsync_run, catalogsync_lease, catalogsync_counter, product, category"


@attrs.frozen
class Sides:
    """Where the catalog and the runs are kept."""

    catalog: str
    runs: str

    async def assert_free(self) -> None:
        """Somebody else can lock everything."""
        if self.catalog.startswith("sqlite"):
            for url in (self.catalog, self.runs):
                await asyncio.to_thread(_lock_file, url.removeprefix("sqlite:///"))
            return
        await Hand(self.catalog)(
            f"DO 'BEGIN SET LOCAL lock_timeout = ''{PATIENCE}s'';"
            f" LOCK TABLE {_TABLES} IN ACCESS EXCLUSIVE MODE; END'"
        )


def _lock_file(file: str) -> None:
    other = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
    with closing(other):
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE other (x)")
        other.execute("DROP TABLE other")
        other.execute("COMMIT")
        # In WAL mode, a reader does not keep others from writing, but from this.
        ((busy, *_),) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not busy


@pytest.fixture(params=DATABASES)
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Sides:
    """New databases, of each kind."""
    if request.param == "sqlite":
        return Sides(f"sqlite:///{tmp_path}/shop.db", f"sqlite:///{tmp_path}/runs.db")
    url: str = request.getfixturevalue("postgres")
    return Sides(url, url)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected."""
    gc.disable()
    yield
    gc.enable()


async def _end_at(loop: Loop, turn: int, sides: Sides, end: _End) -> bool:
    """End a run after so many turns; False: it was through before."""
    async with (
        SQLSettings(url=sides.catalog, timeout=5).open() as sink,
        StateSettings(url=sides.runs).open() as store,
    ):
        changed = [attrs.evolve(each, title=f"{turn}") for each in _CATALOG]
        source = as_source(changed, name="shop")
        run = Sync(source, sink, options=fast(), state=store).run()

        async def carry_out() -> None:
            async with run:
                await run.report()

        task = loop.create_task(carry_out())
        loop.at(turn, lambda: end(task, run))
        await asyncio.wait({task})
        ended, loop.act = loop.act is None, None
        with suppress(asyncio.CancelledError, Exception):
            await task
        # The error of the task keeps what it saw alive, as it would in a log.
        await sides.assert_free()
    return ended


_End = Callable[[asyncio.Task[Any], Run], object]
_ENDS: dict[str, _End] = {
    "cancelled": lambda task, _: task.cancel(),
    "stopped": lambda _, run: run.stop(),
    "stopped at once": lambda _, run: run.stop(grace=0),
}


@pytest.mark.patient
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("end", _ENDS)
def test_nothing_stays_locked(sides: Sides, end: str) -> None:
    """Neither the catalog nor the state store, whichever await it was."""
    loop = Loop()

    async def sweep() -> int:
        turn = 1
        await _end_at(loop, 10**6, sides, _ENDS[end])  # the tables are there
        while await _end_at(loop, turn, sides, _ENDS[end]):
            turn += STEP
        return turn

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(sweep()) > 10 * STEP
