"""A sink that is down: for the whole run, or from its middle on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.engine.fakes import FAST, check

from catalogsync import (
    Options,
    Report,
    RunStatus,
    Sink,
    StateSettings,
    TransientError,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.state.protocols import StateStore
from catalogsync.testing import FaultPlan, dummyjson_server, fake_medusa
from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.faults import Fault, bad_gateway, reset, status

from .shelves import Shelf, SqlShelf, medusa_shelf
from .things import desired, once
from .troubles import Meddled, Trick, busy

SIZE = 210
RECORDS = generate_catalog(SIZE, 6)
OPTIONS = Options(retry=FAST, batch_size=10)
DOWN = [status(503), status(500), bad_gateway(), reset()]
FROM = (-1, 0, 1, 5, 19)
"""Batches that go through before all is down; -1: none, and nothing else either."""


@attrs.define
class Outage:
    """Everything fails once so many batches went through."""

    fault: Fault
    left: int
    struck: int = 0

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        self.left -= request.path == "/admin/products/batch"
        if self.left >= 0:
            return await handler(request)
        self.struck += 1
        return await self.fault.effect(request, handler=handler)


Sync = Callable[[Sink], Awaitable[Report]]


@asynccontextmanager
async def runs() -> AsyncIterator[tuple[Sync, StateStore]]:
    """Runs from one source, which use one state store."""
    async with (
        dummyjson_server(RECORDS) as server,
        DummyJSONSettings(url=server.url, max_requests=0).open() as source,
        StateSettings().open() as store,
    ):

        async def run(sink: Sink) -> Report:
            report = await sync(source, sink, options=OPTIONS, job="j", state=store)
            check(report)
            return report

        yield run, store


def check_short(report: Report) -> None:
    """It gave up, says so in a line, and blames no product."""
    assert report.status is RunStatus.INCOMPLETE, str(report)
    alone = all(o.reason.startswith("could not ask") for o in report.failures)
    gave_up = report.problem.startswith("gave up: the sink failed ")
    assert gave_up or (alone and report.counts.unresolved == SIZE)
    assert report.counts.failed == 0
    assert report.counts.unresolved > 0
    assert len(str(report).splitlines()) < 25


async def check_mended(run: Sync, store: StateStore, shelf: Shelf) -> None:
    """Nothing is left of it in the state store, and the next run does the rest."""
    assert not await store.failures("j")
    async with shelf.open() as sink:
        report = await run(sink)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert (await shelf.existing()).ours == once(desired(RECORDS))
    assert [r.status for r in await store.runs()] == ["succeeded", "incomplete"]


@pytest.mark.parametrize("left", FROM)
@pytest.mark.parametrize("fault", DOWN, ids=["503", "500", "502", "reset"])
async def test_a_server_that_is_down(fault: Fault, left: int) -> None:
    plan = FaultPlan()
    async with (
        runs() as (run, store),
        fake_medusa(faults=plan) as fake,
        medusa_shelf(fake) as shelf,
    ):
        async with shelf.open() as sink:
            plan.add(Fault("status", outage := Outage(fault, left)))
            check_short(await run(sink))
        assert 0 < outage.struck < 100  # two finds and two writes are in flight
        plan.clear()
        await check_mended(run, store, shelf)


async def test_a_server_that_is_gone() -> None:
    """Its port is closed; another one comes up there later."""
    async with runs() as (run, store), AsyncExitStack() as stack:
        fake = await stack.enter_async_context(fake_medusa())
        async with medusa_shelf(fake) as shelf, shelf.open() as sink:
            await stack.aclose()
            check_short(await run(sink))
            with pytest.raises(TransientError, match="cannot connect"):
                async with shelf.open():
                    pass
        port = int(fake.url.rpartition(":")[2])
        async with fake_medusa(port=port) as fake, medusa_shelf(fake) as shelf:
            await check_mended(run, store, shelf)


@pytest.mark.parametrize("calls", [1, 2, 3, 9, 19])
async def test_a_database_that_is_down(calls: int, tmp_path: Path) -> None:
    shelf = SqlShelf(tmp_path / "catalog.db")
    async with runs() as (run, store):
        async with shelf.open() as sink:
            numbers = range(calls, 1000)
            meddled = Meddled(sink, Trick(on_any=busy), numbers)  # type: ignore[arg-type]
            check_short(await run(meddled))
        assert 0 < meddled.strikes < 20
        await check_mended(run, store, shelf)
