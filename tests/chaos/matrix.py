"""Every fault, in a first run and in one with changes, at every place where it can be.

A case orders a fault, lets a run go over it, and holds what is in the sink then
against what the source shows. Afterwards the fault is gone: the next run must mend
all that is left, and the one after it must find nothing to do.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal

import attrs
from tests.engine.fakes import FAST, check

from catalogsync import (
    Options,
    Product,
    ProductKey,
    Report,
    RunStatus,
    Sink,
    Source,
    as_source,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.http._client import HttpOptions
from catalogsync.testing import FaultPlan, fake_medusa, generate_catalog
from catalogsync.testing.dummyjson import DummyJSONServer, Records, dummyjson_server
from catalogsync.testing.medusa import FakeMedusa

from .shelves import MedusaShelf, Shelf, SqlShelf, medusa_shelf
from .things import Thing, desired, once
from .troubles import AT_MEDUSA, AT_SOURCE, AT_SQL, Meddled, Ordered
from .verdicts import Verdict

Where = Literal["source", "sink"]
Kind = Literal["sql", "medusa"]

SIZE = 48
OPTIONS = Options(retry=FAST, batch_size=10, prune="delete", max_prune=0.5, grace=0)
_EDITED = "dummyjson:3"
_SHORT = 0.25
_TIMED = {"no answer in time", "carried out later", "locked"}
_LASTS: Mapping[str, RunStatus] = {
    "500 for one product": RunStatus.DEGRADED,
    "one product refused": RunStatus.DEGRADED,
    "outcome dropped": RunStatus.INCOMPLETE,
}

_FINISHED = {RunStatus.SUCCEEDED, RunStatus.DEGRADED}


@attrs.frozen(kw_only=True)
class Case:
    """One cell of the matrix."""

    fault: str
    where: Where
    kind: Kind
    second: bool
    seed: int

    def __str__(self) -> str:
        run = "second" if self.second else "first"
        return f"{self.where}-{self.kind}-{run}-{self.fault}-{self.seed}"

    @property
    def row(self) -> str:
        """Cases of one row of the table."""
        place = "source" if self.where == "source" else self.kind
        return f"{place}: {self.fault}"


def cases() -> list[Case]:
    """All cases."""
    places: list[tuple[Where, Kind, Mapping[str, object], int]] = [
        ("source", "sql", AT_SOURCE, 2),
        ("source", "medusa", AT_SOURCE, 2),
        ("sink", "medusa", AT_MEDUSA, 3),
        ("sink", "sql", AT_SQL, 3),
    ]
    return [
        Case(fault=fault, where=where, kind=kind, second=second, seed=seed)
        for where, kind, faults, seeds in places
        for fault in faults
        for second in (False, True)
        for seed in range(seeds)
    ]


@attrs.define(kw_only=True)
class Stage:
    """Source and sink of a case."""

    records: Records
    source_plan: FaultPlan
    server: DummyJSONServer
    shelf: Shelf
    sink_plan: FaultPlan
    fake: FakeMedusa | None
    ended: asyncio.Event

    @asynccontextmanager
    async def ends(self, timeout: float = 60) -> AsyncIterator[tuple[Source, Sink]]:  # noqa: ASYNC109
        settings = DummyJSONSettings(
            url=self.server.url,
            page_size=10,
            max_requests=0,
            http=HttpOptions(timeout=timeout),
        )
        async with settings.open() as source, self.shelf.open(timeout) as sink:
            yield source, sink

    @property
    def injected(self) -> int:
        """How many faults struck in the servers."""
        return len(self.source_plan.injected) + len(self.sink_plan.injected)

    async def run(self) -> Report:
        """A run with nothing in its way."""
        async with self.ends() as (source, sink):
            report = await sync(source, sink, options=OPTIONS)
        check(report)
        return report

    async def before(self, *, second: bool) -> None:
        """What was there before the run of the case."""
        async with self.shelf.open() as sink:
            theirs = Product(key=ProductKey("other", "1"), title="Another supplier's")
            await sync(as_source([theirs], name="other"), sink)
        await self.shelf.put_stranger()
        if second:
            report = await self.run()
            assert report.status is RunStatus.SUCCEEDED, str(report)
            await self.shelf.edit(_EDITED)
            _change(self.records)


def _change(records: Records) -> None:
    """Some products change, some leave, and some are new."""
    for number in (1, 3, 12, 23, 34, 45):
        record = records.by_id(number)
        record["title"] += " (new)"
        record["price"] = 12.5
        record["tags"] = [*record["tags"][:1], "changed"]
        record["category"] = records.by_id(number + 1)["category"]
    for number in (4, 14, 24, 40):
        records.by_id(number)["stock"] = 77
    for number in (2, 20, 39):
        records.remove(records.by_id(number))
    records.extend(generate_catalog(SIZE + 12, 6)[SIZE:])


@functools.cache
def _catalog() -> list[dict[str, Any]]:
    return generate_catalog(SIZE, 6, variants=True)


@asynccontextmanager
async def stage(kind: Kind) -> AsyncIterator[Stage]:
    """An empty sink, and a source."""
    async with AsyncExitStack() as stack:
        source_plan, sink_plan, fake = FaultPlan(), FaultPlan(), None
        server = await stack.enter_async_context(
            dummyjson_server(records := Records(_catalog()), faults=source_plan)
        )
        shelf: MedusaShelf | SqlShelf
        if kind == "medusa":
            fake = await stack.enter_async_context(fake_medusa(faults=sink_plan))
            shelf = await stack.enter_async_context(medusa_shelf(fake))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            shelf = SqlShelf(Path(folder) / "catalog.db")
        yield Stage(
            records=records,
            source_plan=source_plan,
            server=server,
            shelf=shelf,
            sink_plan=sink_plan,
            fake=fake,
            ended=asyncio.Event(),
        )


@attrs.frozen
class Steps:
    """How many requests, or calls, an undisturbed run makes."""

    source: int
    sink: int
    writes: int


_steps: dict[tuple[Kind, bool], Steps] = {}


async def _count(kind: Kind, *, second: bool) -> Steps:
    """Run the case without a fault."""
    known = _steps.get((kind, second))
    if known is not None:
        return known
    async with stage(kind) as scene:
        await scene.before(second=second)
        async with scene.ends() as (source, sink):
            scene.server.requests.clear()
            if scene.fake:
                scene.fake.requests.clear()
                await sync(source, sink, options=OPTIONS)
                calls, writes = len(scene.fake.requests), len(scene.fake.writes)
            else:
                meddled = Meddled(sink)  # type: ignore[arg-type]
                await sync(source, meddled, options=OPTIONS)
                calls, writes = meddled.calls, meddled.writes
            steps = Steps(len(scene.server.requests), calls, writes)
    _steps[kind, second] = steps
    return steps


async def play(case: Case) -> Verdict:
    """Carry out a case."""
    started = time.perf_counter()
    steps = await _count(case.kind, second=case.second)
    async with stage(case.kind) as scene:
        await scene.before(second=case.second)
        before = await scene.shelf.existing()
        poisoned = _poisoned(case)
        order = _order(scene, case, steps, poisoned)
        report, records = await _disturbed(scene, case, order, poisoned)
        judge = _Judge(case=case, report=report, poisoned=poisoned)
        existing = await scene.shelf.existing()
        judge.look(existing.ours, records, desired(scene.records))
        judge.twice(existing.twice)
        judge.others(before.others, existing.others)
        judge.others(_foreign(before.things), _foreign(existing.things))
        await _mend(scene, judge)
        return judge.verdict(time.perf_counter() - started)


def _poisoned(case: Case) -> str:
    """A product that the run has to create."""
    return str(SIZE + 5 if case.second else 7)


async def _disturbed(
    scene: Stage, case: Case, order: Ordered, poisoned: str
) -> tuple[Report, dict[str, Thing]]:
    """The run of the case, and what the source showed before it."""
    records = desired(scene.records)
    async with scene.ends(_SHORT if case.fault in _TIMED else 60) as (source, sink):
        meddled = Meddled(sink)  # type: ignore[arg-type]
        if case.where == "source":
            scene.source_plan.add(*AT_SOURCE[case.fault](order))
        elif scene.fake:
            scene.sink_plan.add(*AT_MEDUSA[case.fault](order))
        else:
            assert isinstance(scene.shelf, SqlShelf)
            meddled.trick = AT_SQL[case.fault](scene.shelf.file, poisoned)
            meddled.numbers = order.numbers
        used = sink if scene.fake else meddled
        report = await sync(source, used, options=OPTIONS)
        scene.ended.set()
        for each in order.late:
            await each.settled()
    assert scene.injected or meddled.strikes, "the fault has not struck"
    assert not order.late or any(each.struck for each in order.late)
    scene.source_plan.clear()
    scene.sink_plan.clear()
    return report, records


def _order(scene: Stage, case: Case, steps: Steps, poisoned: str) -> Ordered:
    """What is to be struck, by the case's seed."""
    rng = Random(str(case))
    most = steps.source if case.where == "source" else steps.sink
    if case.fault in {"carried out later", "outcome dropped"}:
        most = steps.writes
    return Ordered(
        numbers=rng.sample(range(1, most + 1), min(most, rng.randint(1, 3))),
        rng=rng,
        ended=scene.ended,
        forget=scene.fake.forget_tokens if scene.fake else _nothing,
        poison=f'"external_id":"dummyjson:{poisoned}"',
        records=scene.records,
    )


def _nothing() -> None:
    """There is no server that could forget."""


async def _mend(scene: Stage, judge: _Judge) -> None:
    """Without the fault, one run repairs everything and another one does nothing."""
    after = await scene.run()
    judge.expect(after.status is RunStatus.SUCCEEDED, f"the next run: {after}")
    existing = await scene.shelf.existing()
    judge.exact(existing.ours, once(desired(scene.records)))
    judge.twice(existing.twice)
    quiet = await scene.run()
    counts = quiet.counts
    idle = (quiet.writes, counts.unchanged) == (0, counts.fetched)
    judge.expect(idle and counts.fetched == len(scene.records), f"no rest: {quiet}")


def _foreign(things: Mapping[str, list[Thing]]) -> Mapping[str, object]:
    return {key: v for key, v in things.items() if not key.startswith("dummyjson:")}


@attrs.define(kw_only=True)
class _Judge:
    """Collects what must not be."""

    case: Case
    report: Report
    poisoned: str
    duplicates: int = 0
    lost: int = 0
    unexplained: int = 0
    wrong: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        try:
            check(self.report)
        except AssertionError as error:
            self.wrong.append(f"the report: {error}")
        status = _LASTS.get(self.case.fault, RunStatus.SUCCEEDED)
        self.expect(self.report.status is status, f"not {status}: {self.report}")
        if status is RunStatus.DEGRADED:
            reported = [outcome.key.id for outcome in self.report.failures]
            self.expect(reported == [self.poisoned], f"reported {reported}")

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)

    def look(
        self,
        ours: Mapping[str, tuple[Thing, ...]],
        first: Mapping[str, Thing],
        last: Mapping[str, Thing],
    ) -> None:
        """Hold what is there against what the source showed first and last."""
        reported = {outcome.key.id for outcome in self.report.failures}
        for id_, found in ours.items():
            if len(found) > 1:
                self.duplicates += 1
                self.wrong.append(f"{id_} is there {len(found)} times")
        for id_ in first.keys() & last.keys() - reported:
            if id_ not in ours:
                self.lost += 1
                self.wrong.append(f"{id_} is not there, and nobody says so")
            elif ours[id_][0] not in (first[id_], last[id_]):
                self.unexplained += 1
                self.wrong.append(f"{id_} is {ours[id_][0]}, not {last[id_]}")
        if self.report.status is RunStatus.SUCCEEDED:
            surplus = ours.keys() - first.keys() - last.keys()
            self.unexplained += len(surplus)
            self.expect(not surplus, f"should be gone: {surplus}")

    def exact(
        self,
        ours: Mapping[str, tuple[Thing, ...]],
        right: Mapping[str, tuple[Thing, ...]],
    ) -> None:
        differing = sorted(
            id_ for id_ in ours.keys() | right.keys() if ours.get(id_) != right.get(id_)
        )
        self.expect(not differing, f"not right after the next run: {differing}")

    def twice(self, names: Sequence[str]) -> None:
        self.duplicates += len(names)
        self.wrong += [f"{name} is there twice" for name in names]

    def others(self, before: Mapping[str, object], after: Mapping[str, object]) -> None:
        self.expect(before == after, f"touched: {before} became {after}")

    def verdict(self, seconds: float) -> Verdict:
        return Verdict(
            case=str(self.case),
            row=self.case.row,
            duplicates=self.duplicates,
            lost=self.lost,
            unexplained=self.unexplained,
            finished=self.report.status in _FINISHED,
            wrong=tuple(self.wrong),
            seconds=seconds,
        )
