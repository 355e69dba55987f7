"""Sources, sinks and stores that record calls and can be held up."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
from tests.engine.fakes import FAST

from catalogsync import (
    Change,
    Field,
    Job,
    Limits,
    MemorySink,
    Options,
    Outcome,
    Page,
    Product,
    ProductKey,
    StateSettings,
)
from catalogsync.catalog.changes import Found
from catalogsync.events import RunFinished
from catalogsync.protocols import Cursor
from catalogsync.service import JobEvent, Service
from catalogsync.state import StateStore

MIDNIGHT = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)


def key(number: object) -> ProductKey:
    return ProductKey("shelf", str(number))


@attrs.define(kw_only=True)
class Shelf:
    """A source that can be asked for single products.

    Attributes:
        titles: Of its products, by number.
        faults: What the next reads raise.
        passes: How often it was read from the beginning.
        asked: What it was asked for.
    """

    name: str = "shelf"
    titles: dict[int, str] = attrs.field(factory=dict[int, str])
    faults: list[Exception] = attrs.field(factory=list[Exception])
    passes: int = 0
    asked: list[list[str]] = attrs.field(factory=list[list[str]])

    def _product(self, number: int) -> Product:
        return Product(key=key(number), title=self.titles[number])

    async def read(self, cursor: Cursor | None, /) -> Page:
        if cursor is None:
            self.passes += 1
        if self.faults:
            raise self.faults.pop(0)
        return Page(products=[self._product(number) for number in self.titles])

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        self.asked.append(sorted(each.id for each in keys))
        if self.faults:
            raise self.faults.pop(0)
        known = {str(number) for number in self.titles}
        found = [int(each.id) for each in keys if each.id in known]
        return Page(products=[self._product(number) for number in found])


async def _nothing(_: Sequence[Change]) -> None:
    """Ignores all calls."""


@attrs.define(kw_only=True)
class Till:
    """A sink whose writes wait while its gate is shut.

    Attributes:
        gate: Shut it to make writes wait.
        writing: Set when a write begins.
        after: Called after each write.
        writes: What was written.
        at_once: How many writes there were at most at the same time.
    """

    name: str = "till"
    limits: Limits = attrs.field(factory=lambda: Limits(batch=2, find=2, collides=True))
    inner: MemorySink = attrs.field(factory=MemorySink)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    writing: asyncio.Event = attrs.field(factory=asyncio.Event)
    after: Callable[[Sequence[Change]], Awaitable[None]] = _nothing
    writes: list[list[str]] = attrs.field(factory=list[list[str]])
    at_once: int = 0
    _busy: int = 0

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    @property
    def endpoint(self) -> str:
        return self.inner.endpoint

    @property
    def titles(self) -> dict[str, str]:
        return {each.key.id: each.title for each in self.inner.products.values()}

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        return await self.inner.find(desired, fields=fields)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        self._busy += 1
        self.at_once = max(self.at_once, self._busy)
        self.writing.set()
        await self.gate.wait()
        outcomes = await self.inner.write(changes)
        self.writes.append([change.key.id for change in changes])
        await self.after(changes)
        self._busy -= 1
        return outcomes


class Heard:
    """A state store that records calls and their results."""

    def __init__(self, store: StateStore) -> None:
        self.log: list[tuple[str, Any]] = []
        self.faults: dict[str, Exception] = {}
        self.holds: dict[str, asyncio.Event] = {}
        self._store = store
        self._news = asyncio.Condition()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name in self.faults:
                raise self.faults.pop(name)
            result = await method(*args, **kwargs)
            if name in self.holds:
                await self.holds[name].wait()
            async with self._news:
                self.log.append((name, result))
                self._news.notify_all()
            return result

        return call

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until a condition holds; checked after each call of the store."""
        async with self._news:
            await self._news.wait_for(happened)

    async def idle(self) -> None:
        """Wait until a job found nothing to do."""
        await self.until(lambda: self.log and self.log[-1] == ("triggers", []))


@attrs.define
class Clock:
    """A clock that does not move."""

    now: dt.datetime = MIDNIGHT

    def __call__(self) -> dt.datetime:
        return self.now


@attrs.define
class Shop:
    """A job with all that is around it, and the service that runs it.

    Attributes:
        service: Which is open.
        shelf: The source.
        till: The sink.
        store: The state store.
        clock: The time for the service.
    """

    service: Service
    shelf: Shelf
    till: Till
    store: Heard
    clock: Clock

    async def ask(self, *numbers: int) -> str:
        return await self.service.trigger("shelf", [key(each) for each in numbers])

    async def run(self, *numbers: int) -> str:
        """Ask for a run and wait until it is over and nothing is left to do."""
        run_id = await self.ask(*numbers)
        await self.store.until(lambda: ("drop_triggers", None) in self.store.log)
        await self.store.idle()
        self.store.log.clear()
        return run_id

    def look(self, now: dt.datetime) -> None:
        """Let it be another time, and the job look at the clock."""
        self.clock.now = now
        self.service.job_state("shelf").wake.set()


@asynccontextmanager
async def finished(
    service: Service,
) -> AsyncIterator[Callable[[], Awaitable[JobEvent]]]:
    """Gives what waits for the end of the next run."""
    with service.feed.reading() as reader:

        async def wait() -> JobEvent:
            async for item in reader:
                if isinstance(item.event, RunFinished):
                    return item
            raise AssertionError("the service ended")

        yield wait


def job(shelf: Shelf, till: Till, **more: Any) -> Job:
    """A job that has to be asked, unless more is said."""
    options = more.pop("options", Options(retry=FAST))
    given = {"name": "shelf", "schedule": None, "options": options, **more}
    return Job(source=shelf, sink=till, **given)


def shelf_of(size: int) -> Shelf:
    return Shelf(titles={number: f"Thing {number}" for number in range(size)})


@asynccontextmanager
async def memory_store() -> AsyncIterator[Heard]:
    async with StateSettings().open() as store:
        yield Heard(store)


@asynccontextmanager
async def open_shop(
    size: int = 5,
    *,
    store: Heard | None = None,
    shelf: Shelf | None = None,
    till: Till | None = None,
    retry_after: float = 3600.0,
    now: dt.datetime = MIDNIGHT,
    **more: Any,
) -> AsyncIterator[Shop]:
    """Open a service with one job; by default, with a new state store."""
    shelf, till, clock = shelf or shelf_of(size), till or Till(), Clock(now)
    if store is None:
        async with (
            memory_store() as made,
            open_shop(
                store=made,
                shelf=shelf,
                till=till,
                retry_after=retry_after,
                now=now,
                **more,
            ) as shop,
        ):
            yield shop
        return
    service = Service(
        jobs={"shelf": job(shelf, till, **more)},
        state=store,  # type: ignore[arg-type] # it passes everything on
        clock=clock,
        retry_after=retry_after,
    )
    async with service:
        yield Shop(service, shelf, till, store, clock)
