"""Any error, from any method of an adapter, is reported once, with its origin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import pytest

from catalogsync import (
    Change,
    Existing,
    Field,
    Limits,
    MemorySink,
    Outcome,
    Page,
    Product,
    ProductKey,
    Prune,
    RunStatus,
    TransientError,
    sync,
)
from catalogsync.catalog.changes import (
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
)
from catalogsync.catalog.outcomes import Again
from catalogsync.events import Event, RunFinished
from catalogsync.protocols import AdoptBy, Cursor

from .fakes import catalog, fast, key, product, running

Make = Callable[[], BaseException]
_WRONG: list[Any] = ["5", True, []]
ERRORS: dict[str, tuple[Make, str]] = {
    "key": (partial(KeyError, "x"), "KeyError: 'x'"),
    "silent": (AssertionError, "AssertionError"),
    "timeout": (asyncio.TimeoutError, "TimeoutError"),
    "recursion": (partial(RecursionError, "deep"), "RecursionError: deep"),
    "group": (
        partial(ExceptionGroup, "several", [ValueError("x")]),
        "ExceptionGroup: ValueError: x",
    ),
    "cancelled": (asyncio.CancelledError, "CancelledError"),
    "stop": (StopIteration, "StopIteration"),
    "async stop": (StopAsyncIteration, "StopAsyncIteration"),
    "closed": (GeneratorExit, "GeneratorExit"),
    **{
        f"retry_after {wrong!r}": (
            partial(TransientError, "busy", retry_after=wrong),
            f"TypeError: retry_after must be a number of seconds or None, is {wrong!r}",
        )
        for wrong in _WRONG
    },
}


@attrs.define
class Side:
    """A source and a sink one of whose methods fails."""

    method: str
    make: Make
    name: str = "shop"
    limits: Limits = attrs.field(factory=partial(Limits, weight=100))
    memory: MemorySink = attrs.field(factory=MemorySink)

    async def read(self, _: Cursor | None, /) -> Page:
        if self.method == "read":
            raise self.make()
        tagged = product(3, tags=["t"])
        return Page(products=[*catalog(3), tagged])

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        if self.method == "get":
            raise self.make()
        return Page(products=[product(each.id) for each in keys])

    def shape(self, product: Product, /) -> Product:
        if self.method == "shape":
            raise self.make()
        return product

    def weigh(self, _: Change, /) -> int:
        if self.method == "weigh":
            raise self.make()
        return 1

    def handle(self, product: Product, /) -> str:
        if self.method == "handle":
            raise self.make()
        return product.key.id

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        if self.method == "find":
            raise self.make()
        return await self.memory.find(desired, fields=fields)

    async def find_foreign(
        self, _: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        if self.method == "find_foreign":
            raise self.make()
        return {}

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome | Again]:
        if self.method == "write":
            raise self.make()
        return await self.memory.write(changes)

    async def find_references(
        self, _: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        if self.method == "find_references":
            raise self.make()
        return {}

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        if self.method == "write_references":
            raise self.make()
        return [
            ReferenceOutcome(reference=c.reference, id=c.reference.id) for c in changes
        ]

    async def owned(self, _: str, /) -> AsyncIterator[Sequence[Existing]]:
        yield []
        if self.method == "owned":
            raise self.make()


METHODS = (
    "read",
    "get",
    "shape",
    "weigh",
    "handle",
    "find",
    "find_foreign",
    "write",
    "find_references",
    "write_references",
    "owned",
)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", METHODS)
async def test_it_is_reported_once_with_its_origin(
    method: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, message = ERRORS[error]
    side, events = Side(method, make), list[Event]()
    options = fast(
        adopt=[AdoptBy.HANDLE],
        prune=Prune.DELETE,
        keys=[key(0)] if method == "get" else None,
    )
    caplog.set_level(logging.ERROR, "catalogsync")
    async with asyncio.timeout(60):
        with suppress(Exception):
            await sync(side, side, options=options, hooks=[events.append])
    assert not running()
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.status is RunStatus.FAILED or finished.report
    text = finished.report.problem if finished.report else finished.summary
    for stop in ("StopIteration", "StopAsyncIteration"):
        # What Python makes of one where it means the end of something else.
        kind = "async generator" if method == "owned" else "coroutine"
        text = text.replace(f"RuntimeError: {kind} raised {stop}", stop)
    place = f" in Side.{method} (test_defects.py:"
    assert text.count(f"{message}{place}") == 1, text
    assert text.count(place) == 1, text
    (record,) = [r for r in caplog.records if r.exc_info]
    assert record.exc_text is None or f", in {method}\n" in record.exc_text
