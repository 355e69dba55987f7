"""What goes wrong: in HTTP servers, and in a sink that has no HTTP."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

from catalogsync import (
    BatchRefusedError,
    Change,
    ConflictError,
    Existing,
    Field,
    Limits,
    Outcome,
    Product,
    TransientError,
)
from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.changes import (
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
)
from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import Records
from catalogsync.testing.faults import (
    Fault,
    When,
    bad_gateway,
    bad_json,
    cut,
    lost,
    reset,
    stall,
    status,
    truncated,
)

T = TypeVar("T")

# --- HTTP ---


@attrs.define(kw_only=True)
class Ordered:
    """What the maker of a fault may look at.

    Attributes:
        numbers: Requests, or calls, to be struck.
        rng: For everything else that is left to chance.
        ended: Set when the run is over and nothing need be held back any more.
        forget: Lets all tokens of the sink's server be worth nothing.
        poison: Text in the body of each request about one product.
        records: What the source shows.
        late: Requests that were given up and are still being carried out.
    """

    numbers: Sequence[int]
    rng: Random
    ended: asyncio.Event
    forget: Callable[[], None]
    poison: str
    records: Records
    late: list[Late] = attrs.field(factory=list)


@attrs.define
class Late:
    """A request that the client gives up and the server carries out later.

    Attributes:
        after: How many more requests come first.
        ended: Lets it go on in any case.
        done: It was carried out.
    """

    after: int
    ended: asyncio.Event
    done: asyncio.Event = attrs.field(factory=asyncio.Event)
    struck: bool = False
    _go: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        await request.read()
        self.struck = True
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(e.wait()) for e in (self._go, self.ended)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in waits:
                task.cancel()
        try:
            return await handler(request)
        finally:
            self.done.set()

    async def count(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        """Each request that comes meanwhile."""
        if self.struck:
            self.after -= 1
            if self.after <= 0:
                self._go.set()
        return await handler(request)

    async def settled(self) -> None:
        """Wait until it was carried out, if it ever came."""
        if self.struck:
            await self.done.wait()


def late(order: Ordered) -> list[Fault]:
    existing = [Late(order.rng.randint(1, 6), order.ended) for _ in order.numbers]
    order.late += existing
    counts = [Fault("delay", each.count) for each in existing]
    pairs = zip(order.numbers, existing, strict=True)
    return [
        *counts,
        *(Fault("stall", each, "POST", when=When(on=number)) for number, each in pairs),
    ]


async def _closes_afterwards(
    request: web.Request, /, handler: Handler
) -> web.StreamResponse:
    """Answer in full and close the connection, which the client took for open."""
    response = await handler(request)
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        request.transport.close()
    return response


def forgets(order: Ordered) -> list[Fault]:
    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        order.forget()
        return await handler(request)

    return [Fault("delay", effect, when=When(on=order.numbers))]


def poison(order: Ordered) -> list[Fault]:
    """A 500 that says nothing, for one product and whoever comes with it."""

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        if order.poison not in (await request.read()).decode():
            return await handler(request)
        body = {"type": "unknown_error", "message": "An unknown error occurred."}
        return web.json_response(body, status=500)

    return [Fault("status", effect, "POST", "/admin/products*")]


def moves(order: Ordered) -> list[Fault]:
    """The list at the source gets shorter, or longer, while it is read."""
    records, rng = order.records, order.rng

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        if rng.random() < 0.5:
            del records[rng.randrange(len(records))]
        else:
            new = generate_catalog(200, 6)[-1]
            records.insert(0, {**new, "id": rng.choice([0, 900])})
        return await handler(request)

    return [Fault("delay", effect, "GET", "/products?*", When(on=rng.randint(2, 5)))]


Make = Callable[[Ordered], list[Fault]]

_ASK_AGAIN = {"Retry-After": "0"}

HTTP: dict[str, Make] = {
    "answer lost": lambda o: [lost(on=o.numbers)],
    "reset": lambda o: [reset(on=o.numbers)],
    "502 of a proxy": lambda o: [bad_gateway(on=o.numbers)],
    "500 that passes": lambda o: [status(500, on=o.numbers)],
    "503": lambda o: [status(503, on=o.numbers, headers=_ASK_AGAIN)],
    "429 storm": lambda o: [
        status(429, on=range(o.numbers[0], o.numbers[0] + 3), headers=_ASK_AGAIN)
    ],
    "cut": lambda o: [cut(on=n, keep=o.rng.random()) for n in o.numbers],
    "cut, length agrees": lambda o: [
        truncated(on=n, keep=o.rng.random()) for n in o.numbers
    ],
    "no JSON": lambda o: [bad_json(on=o.numbers)],
    "other JSON": lambda o: [
        bad_json(on=n, body=o.rng.choice(["{}", "[]", "null", "0", '""']))
        for n in o.numbers
    ],
    "closed while idle": lambda o: [
        Fault("lost", _closes_afterwards, when=When(on=o.numbers))
    ],
    "no answer in time": lambda o: [stall(o.ended, on=o.numbers[:2])],
}
AT_SOURCE: dict[str, Make] = {**HTTP, "list moves": moves}
AT_MEDUSA: dict[str, Make] = {
    **HTTP,
    "carried out later": late,
    "token expires": forgets,
    "500 for one product": poison,
}

# --- a sink without HTTP ---

Real = Callable[[], Awaitable[Any]]


@attrs.define
class Meddled:
    """A SQL sink between which and the engine something goes wrong.

    Attributes:
        inner: The sink.
        trick: What happens to the calls that are struck.
        numbers: Those; only writes are counted if the trick is about them.
        calls: Calls so far.
        writes: Writes so far.
        strikes: How many of them were struck.
        late: What was given up and is still to be carried out.
    """

    inner: SQLSink
    trick: Trick | None = None
    numbers: Sequence[int] = ()
    calls: int = 0
    writes: int = 0
    strikes: int = 0
    late: list[Real] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def endpoint(self) -> str:
        return self.inner.endpoint

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    def shape(self, product: Product, /) -> Product:
        return self.inner.shape(product)

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[Any, Found]:
        found = await self._call(lambda: self.inner.find(desired, fields=fields))
        while self.late:
            await self.late.pop()()
        return found

    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        async for page in self.inner.owned(source):
            yield await self._call(lambda page=page: _at_once(page))

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        return await self._call(lambda: self.inner.find_references(references))

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        return await self._call(lambda: self.inner.write_references(changes))

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        self.writes += 1
        real = partial(self.inner.write, changes)
        on_write = self.trick and self.trick.on_write
        if self.trick is None or on_write is None:
            return await self._call(real)
        if not self.trick.always and self.writes not in self.numbers:
            return await real()
        self.strikes += 1
        return await on_write(self, real, changes)

    async def _call(self, real: Callable[[], Awaitable[T]]) -> T:
        self.calls += 1
        on_any = self.trick and self.trick.on_any
        if on_any is None or self.calls not in self.numbers:
            return await real()
        self.strikes += 1
        found: T = await on_any(self, real)
        return found


async def _at_once(value: T) -> T:
    return value


@attrs.frozen(kw_only=True)
class Trick:
    """What happens to a call; of those about writes, only to these."""

    on_any: Callable[[Meddled, Real], Awaitable[Any]] | None = None
    on_write: (
        Callable[[Meddled, Real, Sequence[Change]], Awaitable[Sequence[Outcome]]] | None
    ) = None
    always: bool = False


async def busy(_: Meddled, __: Real) -> Any:
    """Nothing can be done now."""
    raise TransientError("busy")


def _before(error: Callable[[], Exception]) -> Trick:
    async def trick(_: Meddled, __: Real) -> Any:
        raise error()

    return Trick(on_any=trick)


def _after(error: Callable[[], Exception]) -> Trick:
    async def trick(_: Meddled, real: Real) -> Any:
        await real()
        raise error()

    return Trick(on_any=trick)


def _locked(file: Path) -> Trick:
    """Another program has the database for itself."""

    async def trick(_: Meddled, real: Real) -> Any:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as other:
            # Another call of the sink may be in flight.
            while not _has_locked(other):  # noqa: ASYNC110 - no event says when it ends
                await asyncio.sleep(0)
            return await real()

    return Trick(on_any=trick)


def _has_locked(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


async def _silent(_: Meddled, real: Real, __: Sequence[Change]) -> Sequence[Outcome]:
    return (await real())[1:]


async def _later(sink: Meddled, real: Real, _: Sequence[Change]) -> Sequence[Outcome]:
    """Given up, and carried out just after the sink was asked again."""

    async def goes_on() -> None:
        try:
            await real()
        except ConflictError:
            """It collides, and nobody is there to hear it."""

    sink.late.append(goes_on)
    raise TransientError("no answer in time")


def _poisoned(id_: str, error: Callable[[], Exception]) -> Trick:
    async def trick(
        _: Meddled, real: Real, changes: Sequence[Change]
    ) -> Sequence[Outcome]:
        if any(change.key.id == id_ for change in changes):
            raise error()
        outcomes: Sequence[Outcome] = await real()
        return outcomes

    return Trick(on_write=trick, always=True)


def _busy() -> Exception:
    return TransientError("busy")


def _conflict() -> Exception:
    return ConflictError("changed meanwhile")


def _unexplained() -> Exception:
    return TransientError("the database failed", unexplained=True)


AT_SQL: dict[str, Callable[[Path, str], Trick]] = {
    "busy": lambda *_: Trick(on_any=busy),
    "answer lost": lambda *_: _after(_busy),
    "conflict": lambda *_: _before(_conflict),
    "conflict after the work": lambda *_: _after(_conflict),
    "500 that passes": lambda *_: _before(_unexplained),
    "500 after the work": lambda *_: _after(_unexplained),
    "locked": lambda file, _: _locked(file),
    "carried out later": lambda *_: Trick(on_write=_later),
    "outcome dropped": lambda *_: Trick(on_write=_silent),
    "one product refused": lambda _, id_: _poisoned(
        id_, lambda: BatchRefusedError("not acceptable")
    ),
    "500 for one product": lambda _, id_: _poisoned(id_, _unexplained),
}
