"""A lane beside full runs, into a real Medusa: some quantities changed in between."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs

from catalogsync import Field, Options, Report, StateSettings, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.testing import dummyjson_app, generate_catalog, serve_in_thread
from catalogsync.testing.dummyjson import Records

from . import processes
from .rounds import interleaved, median, table

_PAGE = 200
_LANE = Options(only=frozenset({Field.STOCK}))


@attrs.frozen
class Bench:
    """Both sides, and where the runs keep what they remember.

    Attributes:
        source: Address of the source.
        store: What the real store said when it was ready.
        records: The records of the source.
        state: The file of the state store.
        changed: How many quantities change before each run.
    """

    source: str
    store: dict[str, Any]
    records: Records
    state: Path
    changed: int
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count)

    def sell(self) -> None:
        """Change some quantities, spread over the catalog."""
        number = next(self._numbers)
        step = max(1, len(self.records) // self.changed)
        for record in self.records[number % step :: step][: self.changed]:
            record["stock"] = 1000 + number

    async def run(self, options: Options, *, remembers: bool = True) -> Report:
        """One run, with both sides opened for it."""
        source = DummyJSONSettings(url=self.source, page_size=_PAGE, max_requests=0)
        login = {name: self.store[name] for name in ("url", "email", "password")}
        state = StateSettings(url=f"sqlite:///{self.state}" if remembers else "memory:")
        async with (
            source.open() as opened,
            MedusaSettings(**login).open() as sink,
            state.open() as store,
        ):
            return await sync(opened, sink, options=options, job="bench", state=store)

    def timed(self, work: Callable[[], Awaitable[Report]]) -> dict[str, Any]:
        """Sell something, run, and say what it cost."""
        self.sell()
        started = time.perf_counter()
        report = asyncio.run(_awaited(work()))
        seconds = time.perf_counter() - started
        if report.counts.updated != self.changed:
            raise RuntimeError(f"not what was to be measured: {report}")
        return {
            "seconds": seconds,
            "requests": report.requests,
            "received": report.bytes_received / 1e6,
        }


async def _awaited(work: Awaitable[Report]) -> Report:
    return await work


def measure(products: int, changed: int, rounds: int, data: Path) -> None:
    """Measure a lane over stock, and full runs with the same changes."""
    records = Records(generate_catalog(products, awkward=False))
    with (
        processes.real_store(data) as store,
        serve_in_thread(lambda: dummyjson_app(records)) as url,
    ):
        store.do("empty")
        bench = Bench(url, store.told, records, data / "lanes.db", changed)
        bench.state.unlink(missing_ok=True)
        for _ in range(3):  # create, compare, recognise
            print(f"  {asyncio.run(bench.run(Options())).summary}")
        _measure(bench, rounds)


def _measure(bench: Bench, rounds: int) -> None:
    contenders = {
        "lane over stock": lambda: bench.timed(lambda: bench.run(_LANE)),
        "full run": lambda: bench.timed(lambda: bench.run(Options())),
        "full run that remembers nothing": lambda: bench.timed(
            lambda: bench.run(Options(), remembers=False)
        ),
    }
    results = interleaved(rounds, contenders, "a real Medusa")
    lane = median(results, "lane over stock", "seconds")
    rows = [
        [
            name,
            f"{median(results, name, 'seconds'):.2f}",
            f"{median(results, name, 'seconds') / lane:.1f}",
            str(results[name][0]["requests"]),
            f"{median(results, name, 'received'):.1f}",
        ]
        for name in contenders
    ]
    what = f"{len(bench.records)} products, {bench.changed} quantities changed"
    head = ["", "seconds", "x lane", "requests", "MB received"]
    table(f"{what} (medians of {rounds})", head, rows)
