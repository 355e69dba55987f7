"""Runs from a DummyJSON server into memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Unpack

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

from catalogsync import (
    MemorySink,
    Options,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings, DummyJSONSource
from catalogsync.events import Event, PassRepeated
from catalogsync.testing.dummyjson import (
    DummyJSONServer,
    LoggedRequest,
    Records,
    dummyjson_server,
)
from catalogsync.testing.faults import Fault, FaultPlan, When

Record = dict[str, Any]

AT_ONCE = RetryPolicy(wait_initial=0, wait_jitter=0)


def record(number: int, **fields: Any) -> Record:
    """A small record, in which a test says what it is about; `...` leaves one out."""
    given = {
        "id": number,
        "title": f"Thing {number}",
        "category": "mens-shirts",
        "price": 9.99,
        "stock": 5,
        "tags": ["red"],
        "images": [f"http://images/{number}.png"],
        **fields,
    }
    return {name: value for name, value in given.items() if value is not ...}


def things(count: int) -> list[Record]:
    return [record(number) for number in range(1, count + 1)]


def key(number: object) -> ProductKey:
    return ProductKey("dummyjson", str(number))


def meanwhile(change: Callable[[], object], path: str, on: int = 1) -> Fault:
    """Something that happens at the server when a page is asked for."""

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        change()
        return await handler(request)

    return Fault("delay", effect, "GET", path, When(on=on))


def answer(body: bytes, path: str, **when: Unpack[When]) -> Fault:
    """A page of any bytes at all."""

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return Fault("bad_json", effect, "GET", path, when)


@asynccontextmanager
async def open_shop(
    records: Iterable[Record],
    faults: Sequence[Fault] = (),
    *,
    settings: dict[str, Any] | None = None,
    **server_options: Any,
) -> AsyncIterator[tuple[DummyJSONServer, DummyJSONSource]]:
    """A server with these records, and a source that reads it."""
    plan = FaultPlan(*faults)
    async with dummyjson_server(records, faults=plan, **server_options) as server:
        values = {"max_requests": 0, **(settings or {})}
        async with DummyJSONSettings(url=server.url, **values).open() as source:
            yield server, source


@attrs.frozen
class Ran:
    """The result of a run."""

    report: Report
    sink: MemorySink
    events: list[Event]
    requests: list[LoggedRequest]

    @property
    def products(self) -> dict[str, Product]:
        """What the sink holds, by the source's id."""
        return {key.id: product for key, product in self.sink.products.items()}

    @property
    def ids(self) -> list[str]:
        return [key.id for key in self.sink.products]

    @property
    def passes(self) -> int:
        return 1 + sum(isinstance(event, PassRepeated) for event in self.events)

    @property
    def pages(self) -> list[tuple[str, str]]:
        """Limit and skip of the pages that were asked for."""
        return [
            (request.query["limit"], request.query["skip"])
            for request in self.requests
            if request.path == "/products"
        ]

    @property
    def reasons(self) -> dict[str, str]:
        """Why products failed, by id, without where."""
        return {
            outcome.key.id: outcome.reason.rpartition(" (")[0]
            for outcome in self.report.failures
        }


async def run(
    records: Iterable[Record],
    *faults: Fault,
    sink: MemorySink | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Ran:
    """Bring a new sink, or this one, in step with a server with these records."""
    sink = sink or MemorySink()
    events: list[Event] = []
    chosen = Options(**{"retry": AT_ONCE, **options})
    async with open_shop(records, faults, settings=settings) as (server, source):
        report = await sync(source, sink, options=chosen, hooks=[events.append])
        ran = Ran(report, sink, events, list(server.requests))
    counts = attrs.asdict(report.counts)
    fetched, _ = counts.pop("fetched"), counts.pop("removed")
    assert fetched == sum(counts.values())
    assert report.requests <= len(ran.requests)
    return ran


def served(records: Iterable[Record]) -> Records:
    """Records that a test changes while they are served."""
    return Records(records)
