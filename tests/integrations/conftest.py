"""A run to watch: 25 products, read in pages from a server that fails once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from catalogsync import EventHook, MemorySink, Options, Report, RetryPolicy, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.testing import FaultPlan, dummyjson_server, generate_catalog
from catalogsync.testing.faults import status

Watched = Callable[[EventHook], Awaitable[Report]]


@pytest.fixture
def watched() -> Watched:
    """Watch a run with a hook, and give its report."""

    async def watched(hook: EventHook) -> Report:
        faults = FaultPlan(status(503, "GET", "/products*", on=2))
        records = generate_catalog(25, awkward=False)
        retry = RetryPolicy(wait_initial=0, wait_jitter=0)
        async with (
            dummyjson_server(records, faults=faults) as server,
            DummyJSONSettings(url=server.url, page_size=10).open() as source,
        ):
            return await sync(
                source,
                MemorySink(),
                job="cups",
                options=Options(retry=retry),
                hooks=[hook],
            )

    return watched
