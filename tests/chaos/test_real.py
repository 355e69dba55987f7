"""A Medusa store behind a bad line, and one that is killed; fake and real."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import attrs
import pytest
from tests.engine.fakes import check

from catalogsync import Options, Report, RetryPolicy, RunStatus, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.testing import FaultPlan, dummyjson_server
from catalogsync.testing.dummyjson import DummyJSONServer, Records
from catalogsync.testing.faults import (
    Fault,
    bad_gateway,
    cut,
    delay,
    lost,
    reset,
    stall,
    status,
    truncated,
)

from .proxy import Proxy, proxy
from .shelves import MedusaShelf, medusa_shelf
from .things import desired, once

BATCH = "/admin/products/batch"
OPTIONS = Options(
    retry=RetryPolicy(attempts=6, wait_initial=0.1, wait_jitter=0),
    batch_size=25,
    prune="delete",
    grace=3,
)
Line = Callable[..., Fault]

AGAIN = {"Retry-After": "0"}
LINES: dict[str, Line] = {
    "answer lost": lost,
    "reset": reset,
    "502": bad_gateway,
    "503": partial(status, 503),
    "429": partial(status, 429, headers=AGAIN),
    "cut": partial(cut, keep=0.3),
    "cut, length agrees": partial(truncated, keep=0.3),
}


@attrs.frozen
class Scene:
    """A store behind a proxy, and a source."""

    server: DummyJSONServer
    proxy: Proxy
    plan: FaultPlan
    shelf: MedusaShelf

    async def run(self, *faults: Fault, timeout: float = 60) -> Report:  # noqa: ASYNC109
        """A run over these faults."""
        async with (
            DummyJSONSettings(url=self.server.url, max_requests=0).open() as source,
            self.shelf.open(timeout) as sink,
        ):
            self.plan.add(*faults)
            report = await sync(source, sink, options=OPTIONS)
        check(report)
        self.plan.clear()
        return report

    async def is_right(self) -> bool:
        existing = await self.shelf.existing()
        assert not existing.twice
        return existing.ours == once(desired(self.server.records))


def change(records: Records) -> None:
    """Some products change, and some leave."""
    for number in range(1, 190, 4):
        record = records.by_id(number)
        record["title"] += " (new)"
        record["price"], record["stock"] = 12.5, 77
        record["tags"] = [*record["tags"][:1], "changed"]
    for number in (2, 20, 40):
        records.remove(records.by_id(number))


@asynccontextmanager
async def scene(medusa: Any, records: Sequence[dict[str, Any]]) -> AsyncIterator[Scene]:
    plan = FaultPlan()
    async with (
        dummyjson_server(copy.deepcopy(records)) as server,
        proxy(medusa.url, plan) as line,
        medusa_shelf(medusa, line.url) as shelf,
    ):
        yield Scene(server, line, plan, shelf)


def _strikes(line: Line, rng: Random, batches: int) -> list[Fault]:
    """On some of all requests, and on some of those that write products."""
    return [
        line("POST", BATCH, on=rng.sample(range(1, batches + 1), min(batches, 3))),
        line("*", "*", on=rng.sample(range(1, 30), 2)),
    ]


async def _over(
    place: Scene,
    make: Callable[[int], list[Fault]],
    timeout: float = 60,  # noqa: ASYNC109
    *,
    late: bool = False,
) -> None:
    """A first run and one with changes, each over faults; and then one more.

    A request that the server begins *late*, after all others, may put the last-applied state back
    that it came with. One more run then confirms those last-applied states and changes nothing else.
    """
    await place.shelf.put_stranger()
    first = await place.run(*make(8), timeout=timeout)
    assert first.status is RunStatus.SUCCEEDED, str(first)
    assert first.counts.created == len(place.server.records)
    assert first.retries
    assert await place.is_right()
    await place.shelf.edit("dummyjson:1")
    before = (await place.shelf.existing()).others
    assert len(before) == 2
    change(place.server.records)
    second = await place.run(*make(2), timeout=timeout)
    assert second.status is RunStatus.SUCCEEDED, str(second)
    assert (second.counts.updated, second.counts.removed) == (48, 3)
    assert second.retries
    assert await place.is_right()
    assert (await place.shelf.existing()).others == before
    if late:
        await place.proxy.idle()
        confirmed = await place.run()
        assert confirmed.status is RunStatus.SUCCEEDED, str(confirmed)
        assert confirmed.writes <= 1
        assert await place.is_right()
        assert (await place.shelf.existing()).others == before
    quiet = await place.run()
    assert (quiet.writes, quiet.counts.unchanged) == (0, 191)


@pytest.mark.parametrize("name", LINES)
async def test_over_a_bad_line(
    medusa: Any, real_records: list[dict[str, Any]], name: str
) -> None:
    rng = Random(name)
    async with scene(medusa, real_records) as place:
        await _over(place, lambda batches: _strikes(LINES[name], rng, batches))


def _first_batch(strikes: Callable[..., Fault], _: int) -> list[Fault]:
    return [strikes("POST", BATCH, on=[1])]


@pytest.mark.parametrize("begins", ["at once", "later"])
async def test_carried_out_though_nobody_waits_for_it(
    medusa: Any, real_records: list[dict[str, Any]], begins: str
) -> None:
    """The client gives up; the server goes on, or begins only then."""
    timeout = 8 if "database_url" in medusa.facts else 0.5
    async with scene(medusa, real_records) as place:
        ended = asyncio.Event()
        line = {
            "at once": partial(stall, ended),
            "later": partial(delay, timeout * 1.3),
        }
        strikes = line[begins]
        make = partial(_first_batch, strikes)
        await _over(place, make, timeout, late=begins == "later")
        ended.set()
