"""Two processes that are started together on one state store: one of them runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

from catalogsync import StateSettings
from catalogsync.testing import FaultPlan, generate_catalog
from catalogsync.testing.dummyjson import DummyJSONServer, dummyjson_server
from catalogsync.testing.faults import Fault

from .child import Order, ended, start
from .things import desired, existing_by_sql, once

RECORDS = generate_catalog(30, 4, variants=True)


@attrs.define
class Gate:
    """Holds all that is read at a source until it is opened.

    Attributes:
        reached: Somebody is there.
        open: Let everybody through.
        arrivals: Each request at a gate of the test, as the gate's name.
    """

    name: int
    arrivals: list[int]
    reached: asyncio.Event = attrs.field(factory=asyncio.Event)
    open: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        self.arrivals.append(self.name)
        self.reached.set()
        await self.open.wait()
        return await handler(request)


@attrs.frozen
class Both:
    """Two processes with the same products, each with its own source."""

    gates: tuple[Gate, Gate]
    servers: tuple[DummyJSONServer, DummyJSONServer]
    arrivals: list[int]
    file: Path
    runs: str
    group: asyncio.TaskGroup

    async def start(self, **options: Any) -> list[asyncio.Task[dict[str, Any]]]:
        processes = [
            await start(
                Order(
                    source=server.url,
                    store=self.runs,
                    file=f"{self.file}",
                    options={"lease": 60, **options},
                )
            )
            for server in self.servers
        ]
        return [self.group.create_task(ended(process)) for process in processes]

    async def first(self) -> int:
        """Which of them runs."""
        tasks = [self.group.create_task(gate.reached.wait()) for gate in self.gates]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        return next(n for n, gate in enumerate(self.gates) if gate.reached.is_set())

    def is_right(self) -> bool:
        return existing_by_sql(self.file).ours == once(desired(RECORDS))


@asynccontextmanager
async def both(folder: Path, runs: str) -> AsyncIterator[Both]:
    arrivals: list[int] = []
    gates = (Gate(0, arrivals), Gate(1, arrivals))
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                dummyjson_server(RECORDS, faults=FaultPlan(Fault("delay", gate)))
            )
            for gate in gates
        ]
        file = folder / "catalog.db"
        async with asyncio.TaskGroup() as group:
            yield Both(gates, (first, second), arrivals, file, runs, group)


async def test_the_other_one_fails(runs: str, tmp_path: Path) -> None:
    async with both(tmp_path, runs) as pair:
        tasks = await pair.start(when_busy="fail")
        winner = await pair.first()
        loser = await tasks[1 - winner]
        assert loser["status"] == "busy"
        assert "job chaos" in loser["holder"]
        pair.gates[winner].open.set()
        report = await tasks[winner]
        assert (report["status"], report["counts"]["created"]) == ("succeeded", 30)
        assert set(pair.arrivals) == {winner}
        assert pair.is_right()
        await _check_runs(runs, ["succeeded"])


async def test_the_other_one_is_skipped(runs: str, tmp_path: Path) -> None:
    async with both(tmp_path, runs) as pair:
        tasks = await pair.start(when_busy="skip")
        winner = await pair.first()
        loser = await tasks[1 - winner]
        assert (loser["status"], loser["counts"]["fetched"]) == ("skipped", 0)
        pair.gates[winner].open.set()
        report = await tasks[winner]
        assert (report["status"], report["counts"]["created"]) == ("succeeded", 30)
        assert set(pair.arrivals) == {winner}
        assert pair.is_right()
        await _check_runs(runs, ["succeeded"])


async def test_the_other_one_waits(runs: str, tmp_path: Path) -> None:
    async with both(tmp_path, runs) as pair:
        tasks = await pair.start(when_busy="wait", lease=2)
        winner = await pair.first()
        for gate in pair.gates:
            gate.open.set()
        first, second = await tasks[winner], await tasks[1 - winner]
        assert (first["status"], first["counts"]["created"]) == ("succeeded", 30)
        assert (second["status"], second["counts"]["unchanged"]) == ("succeeded", 30)
        assert second["writes"] == 0
        assert pair.arrivals == sorted(pair.arrivals, reverse=bool(winner))
        assert pair.is_right()
        await _check_runs(runs, ["succeeded", "succeeded"])


async def _check_runs(url: str, expected: list[str]) -> None:
    """What the state store knows of them."""
    async with StateSettings(url=url).open() as store:
        assert [run.status for run in await store.runs()] == expected
        assert not await store.failures("chaos")
