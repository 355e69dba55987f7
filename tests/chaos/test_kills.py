"""Processes that are killed in the middle, and the run after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any, Literal

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.engine.fakes import check

from catalogsync import Report, RunStatus, StateSettings, sync
from catalogsync.testing import FaultPlan, fake_medusa, generate_catalog
from catalogsync.testing.dummyjson import DummyJSONServer, Records, dummyjson_server
from catalogsync.testing.faults import Fault
from catalogsync.testing.medusa import FakeMedusa

from .child import Order, Statements, fork, gone, run_options, source_settings
from .shelves import MedusaShelf, SqlShelf, medusa_shelf
from .things import Found, desired, once

Fate = Literal["before", "done", "later"]
"""What becomes of the request that was sent last: it never arrived, it is carried
out, or it is carried out while the next run goes on."""

SIZE = 30
MOMENTS = 13


@attrs.define
class Killer:
    """Kills a process when a server hears from it for the nth time.

    Attributes:
        nth: Which request.
        fate: What becomes of it.
        path: Only these requests count.
        after: So many more have come when it is carried out later.
        process: Which process; None: the killing is over, or has not begun.
        heard: Requests so far.
        struck: Whether it was killed.
    """

    nth: int
    fate: Fate
    path: str = "*"
    after: int = 0
    process: BaseProcess | None = None
    heard: int = 0
    struck: bool = False
    _go: asyncio.Event = attrs.field(factory=asyncio.Event)
    _done: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        if not fnmatchcase(request.path, self.path):
            return await handler(request)
        self.heard += 1
        if self.process is None or self.heard != self.nth:
            if self.struck:
                await self._count_down()
            return await handler(request)
        await request.read()
        self.process.kill()
        self.struck = True
        if self.fate == "before":
            return web.Response(status=503)
        if self.fate == "later":
            await self._go.wait()
        try:
            return await handler(request)
        finally:
            self._done.set()

    async def _count_down(self) -> None:
        self.after -= 1
        if self.after == 0 and self.fate == "later":
            await self.end()

    async def end(self) -> None:
        """Hold nothing back any more."""
        self._go.set()
        if self.struck and self.fate != "before":
            await self._done.wait()


@attrs.frozen(kw_only=True)
class World:
    """A source, a sink and a state store that outlive a process."""

    records: Records
    server: DummyJSONServer
    shelf: MedusaShelf | SqlShelf
    runs: str
    fake: FakeMedusa | None

    def order(self, options: Mapping[str, Any], dies_at: int = 0) -> Order:
        sink: dict[str, Any]
        if isinstance(self.shelf, SqlShelf):
            sink = {"file": f"{self.shelf.file}"}
        else:
            names = ("url", "email", "password")
            sink = {"medusa": {name: getattr(self.shelf, name) for name in names}}
        return Order(
            source=self.server.url,
            store=self.runs,
            options=dict(options),
            dies_at=dies_at,
            **sink,
        )

    async def run(self, **options: Any) -> Report:
        """A run in this process, with the state store."""
        async with (
            source_settings(self.server.url).open() as source,
            self.shelf.open() as sink,
            StateSettings(url=self.runs).open() as store,
        ):
            report = await sync(
                source, sink, options=run_options(**options), job="chaos", state=store
            )
        check(report)
        return report

    async def first(self, *, second: bool) -> None:
        """What comes before the run that is killed."""
        if second:
            assert (await self.run()).status is RunStatus.SUCCEEDED
            change(self.records)

    async def intents(self) -> Mapping[Any, Any]:
        async with self.shelf.open() as sink:
            place: str = sink.endpoint  # type: ignore[attr-defined]
        async with StateSettings(url=self.runs).open() as store:
            return await store.intents(place, "dummyjson")


def change(records: Records) -> None:
    """Some products change, one leaves, some are new."""
    for number in (1, 7, 8, 15, 22, 23, 29):
        record = records.by_id(number)
        record["title"] += " (new)"
        record["price"], record["stock"] = 12.5, 77
        record["tags"] = [*record["tags"][:1], "changed"]
    records.remove(records.by_id(9))
    records.extend(generate_catalog(SIZE + 7, 4)[SIZE:])


def retitle(records: Records, *, every: int = 2) -> None:
    """Titles change once more: between the killed run and the next."""
    for number in range(0, len(records), every):
        records[number]["title"] += " (renamed)"


@asynccontextmanager
async def world(kind: str, folder: Path, killer: Killer) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        plan = FaultPlan(Fault("delay", killer))
        records = Records(generate_catalog(SIZE, 4, variants=True))
        server = await stack.enter_async_context(dummyjson_server(records, faults=plan))
        fake: FakeMedusa | None = None
        shelf: MedusaShelf | SqlShelf = SqlShelf(folder / "catalog.db")
        if kind == "medusa":
            fake = await stack.enter_async_context(fake_medusa(faults=plan))
            shelf = await stack.enter_async_context(medusa_shelf(fake))
        runs = f"sqlite:///{folder}/runs.db"
        yield World(records=records, server=server, shelf=shelf, runs=runs, fake=fake)


async def settle(place: World, killer: Killer, options: Mapping[str, Any]) -> Found:
    """The runs after the killed one, until there is nothing left to be done."""
    after = await place.run(**options)
    assert after.status is RunStatus.SUCCEEDED, str(after)
    await killer.end()
    existing = await place.shelf.existing()
    quiet = await place.run(**options)
    assert (quiet.writes, quiet.counts.unchanged) == (0, len(place.records)), str(quiet)
    assert not await place.intents()
    return existing


_lengths: dict[tuple[str, bool], int] = {}


async def length(kind: str, folder: Path, *, second: bool) -> int:
    """Number of requests, or SQL statements, of an undisturbed run."""
    if (kind, second) not in _lengths:
        killer = Killer(0, "done")
        folder = folder / "undisturbed"
        folder.mkdir()
        async with world(kind, folder, killer) as place:
            await place.first(second=second)
            killer.heard = 0
            with (statements := Statements()).listening():
                await place.run()
            by_kind = {"sql": statements.heard, "medusa": killer.heard}
            _lengths[kind, second] = by_kind[kind]
    return _lengths[kind, second]


EDITS = ("overwrite", "keep")
FATES: tuple[Fate, ...] = ("before", "done", "later")


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
async def test_medusa_as_if_nothing_had_been(
    second: bool, moment: int, tmp_path: Path
) -> None:
    """Killed when a server hears from it for the nth time."""
    total = await length("medusa", tmp_path, second=second)
    options = {"on_manual_edit": EDITS[moment % 2]}
    nth = _nth(total, moment)
    killer = Killer(nth, FATES[moment % 3], after=Random(nth).randint(4, 20))
    async with world("medusa", tmp_path, killer) as place:
        await place.first(second=second)
        killer.heard = 0
        killer.process = process = fork(place.order(options))
        await gone(process)
        killer.process = None
        assert killer.struck
        assert process.exitcode == -9
        if moment % 4 > 1:
            retitle(place.records)
        existing = await settle(place, killer, options)
        assert existing.ours == once(desired(place.records))
        assert not existing.twice


@pytest.mark.parametrize("nth", range(1, 6))
async def test_a_creation_that_goes_on_under_another_title(
    nth: int, tmp_path: Path
) -> None:
    """It is carried out between the look and the creation of the next run."""
    killer = Killer(nth, "later", path="/admin/products/batch", after=1)
    async with world("medusa", tmp_path, killer) as place:
        for record in place.records:  # nothing but the handle is unique
            del record["sku"], record["meta"]
            record.pop("variants", None)
        killer.process = process = fork(place.order({}))
        await gone(process)
        killer.process = None
        assert process.exitcode == -9
        retitle(place.records, every=1)
        existing = await settle(place, killer, {})
        assert existing.ours == once(desired(place.records))


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
async def test_sql_as_if_nothing_had_been(
    second: bool, moment: int, tmp_path: Path
) -> None:
    """Killed before the nth SQL statement."""
    total = await length("sql", tmp_path, second=second)
    options = {"on_manual_edit": EDITS[moment % 2]}
    killer = Killer(0, "done")
    async with world("sql", tmp_path, killer) as place:
        await place.first(second=second)
        process = fork(place.order(options, dies_at=_nth(total, moment)))
        await gone(process)
        assert process.exitcode == -9
        if moment % 4 > 1:
            retitle(place.records)
        existing = await settle(place, killer, options)
        assert existing.ours == once(desired(place.records))
        assert not existing.twice


def _nth(total: int, moment: int) -> int:
    """A moment in each part of the run."""
    part = total / MOMENTS
    return 1 + int(part * (moment + Random(moment).random()))
