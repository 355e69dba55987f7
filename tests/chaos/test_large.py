"""Ten thousand products over HTTP, with a tenth of all requests failing."""

from __future__ import annotations

from tests.engine.fakes import check

from catalogsync import Options, RetryPolicy, RunStatus, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.testing import FaultPlan, dummyjson_server, fake_medusa, iter_catalog
from catalogsync.testing.dummyjson import Records
from catalogsync.testing.faults import Fault, cut, reset, status

from .shelves import medusa_shelf
from .things import desired, once

SIZE = 10_000
RATE = 0.1
OPTIONS = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))


def faults() -> list[Fault]:
    """Each of four faults takes its part of a tenth of all requests."""
    return [
        status(503, rate=RATE / 4),
        status(429, rate=RATE / 4, headers={"Retry-After": "0"}),
        reset(rate=RATE / 4),
        cut(rate=RATE / 4),
    ]


async def test_all_of_it_arrives_in_one_go() -> None:
    records = Records(iter_catalog(SIZE, 40))
    plans = FaultPlan(seed=1), FaultPlan(seed=2)
    async with (
        dummyjson_server(records, faults=plans[0]) as server,
        fake_medusa(faults=plans[1]) as fake,
        medusa_shelf(fake) as shelf,
        DummyJSONSettings(
            url=server.url, page_size=250, max_requests=0
        ).open() as source,
        shelf.open() as sink,
    ):
        for plan in plans:
            plan.add(*faults())
        report = await sync(source, sink, options=OPTIONS)
        check(report)
        assert report.status is RunStatus.SUCCEEDED, str(report)
        assert report.counts.created == SIZE
        for plan in plans:
            assert plan.injected
            plan.clear()
        existing = await shelf.existing()
        assert existing.ours == once(desired(records))
        assert not existing.twice
        again = await sync(source, sink, options=OPTIONS)
        assert (again.writes, again.counts.unchanged) == (0, SIZE)
