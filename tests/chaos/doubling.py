"""A sink that takes the same product twice, and loses answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from random import Random

import attrs
from tests.engine.fakes import FAST, check, product

from catalogsync import (
    Action,
    Change,
    Existing,
    Field,
    Limits,
    Options,
    Outcome,
    Product,
    ProductKey,
    Report,
    RunStatus,
    TransientError,
    as_source,
    sync,
)
from catalogsync.catalog.changes import Found

from .verdicts import Verdict

BATCHES = 13
GRACE = 0.05
"""Seconds for which a request that was given up may go on."""


class Killed(BaseException):
    """The process is gone."""


@attrs.define
class Doubling:
    """Knows no handles: whatever is created is there, as often as it is created.

    Attributes:
        lost: Writes whose answers are lost, by number.
        late: Whether such a write is carried out only after the answer was lost.
        deadly: Writes in which the process dies that sends them. They are carried
            out just after the next process has looked.
        rows: What it holds.
        writes: How many there were.
    """

    lost: Collection[int] = ()
    late: bool = False
    deadly: Collection[int] = ()
    name: str = "doubling"
    limits: Limits = attrs.field(
        factory=partial(Limits, batch=15, writers=2, collides=False)
    )
    rows: list[tuple[Product, str]] = attrs.field(factory=list)
    writes: int = 0
    _left: list[Sequence[Change]] = attrs.field(factory=list, init=False)

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        keys = {each.key for each in desired}
        found = {
            row.key: Existing(product=row, last_applied=last_applied)
            for row, last_applied in self.rows
            if row.key in keys
        }
        while self._left:
            self._work(self._left.pop())
        return found

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        self.writes += 1
        if self.writes in self.deadly:
            self._left.append(changes)
            raise Killed
        if self.writes not in self.lost:
            self._work(changes)
            return [change.done() for change in changes]
        loop = asyncio.get_running_loop()
        if self.late:
            loop.call_later(GRACE / 2, self._work, changes)
        else:
            self._work(changes)
        raise TransientError("no answer")

    def _work(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.action is not Action.CREATE:
                self.rows = [row for row in self.rows if row[0].key != change.key]
            self.rows.append((change.product, change.last_applied))


async def play_doubling(seed: int, *, late: bool = False) -> Verdict:
    """194 products in thirteen batches, three of which get no answer."""
    started = time.perf_counter()
    desired = [product(number) for number in range(194)]
    sink = Doubling(lost=Random(seed).sample(range(1, BATCHES + 1), 3), late=late)
    report = await _run(desired, sink)
    first = sink.writes
    again = await _run(desired, sink)
    existing = Counter(row.key for row, _ in sink.rows)
    twice = [key for key, count in existing.items() if count > 1]
    lost = [each for each in desired if each.key not in existing]
    right = report.status is RunStatus.SUCCEEDED and report.counts.created == 194
    is_wrong = [
        *(f"{key} is there {existing[key]} times" for key in twice),
        *(f"{each.key} is not there" for each in lost),
        *([] if right else [f"not at once: {report}"]),
        *(
            []
            if sink.writes == first and again.counts.unchanged == 194
            else ["no rest"]
        ),
    ]
    return Verdict(
        case=f"doubling-{'late-' if late else ''}{seed}",
        row="a sink without handles: "
        + ("carried out later" if late else "answer lost"),
        duplicates=len(twice),
        lost=len(lost),
        finished=right,
        wrong=tuple(is_wrong),
        seconds=time.perf_counter() - started,
    )


async def _run(desired: Sequence[Product], sink: Doubling) -> Report:
    options = Options(retry=FAST, grace=GRACE)
    report = await sync(as_source(desired, name="shop"), sink, options=options)
    check(report)
    return report
