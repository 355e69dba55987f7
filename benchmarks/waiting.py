"""How long a run takes where time goes into waiting for slow or failing servers.

Both sides only wait, so this measures how well reading, finding and writing overlap.
The script beside it does the same by hand: it reads four pages at once, and finds and
writes each page as soon as it is there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar, cast

import attrs

from catalogsync import (
    Existing,
    Field,
    Limits,
    Outcome,
    Page,
    Price,
    Product,
    ProductKey,
    TransientError,
    Variant,
    sync,
)
from catalogsync._lib.concurrency import each
from catalogsync.catalog.changes import Write
from catalogsync.protocols import Cursor

T = TypeVar("T")
_AT_ONCE = 4


@attrs.frozen(kw_only=True)
class Case:
    """Products in a source, seconds that servers take, and how often they fail.

    Attributes:
        target: How much longer than the script a run should take at most.
    """

    name: str
    products: int
    page: int
    reading: float
    asking: float
    each: float
    failing: float = 0.0
    parallel: bool = True
    target: float | None = None


_SMALL = Case(
    name="194 products, pages in parallel",
    products=194,
    page=30,
    reading=0.1,
    asking=0.04,
    each=0.008,
    target=1.05,
)
CASES = (
    attrs.evolve(
        _SMALL,
        name="194 products, pages one after the other",
        parallel=False,
        target=None,
    ),
    _SMALL,
    Case(
        name="10,000 products, every tenth request fails",
        products=10_000,
        page=100,
        reading=0.005,
        asking=0.005,
        each=0.0001,
        failing=0.1,
        target=1.2,
    ),
)


@attrs.define
class _Server:
    """Waits and sometimes fails, always in the same way."""

    failing: float
    seed: int
    _random: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311

    async def answer(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._random.random() < self.failing:
            raise TransientError("HTTP 503")


@attrs.frozen
class _Source:
    case: Case
    server: _Server
    name: str = "slow"

    async def read(self, cursor: Cursor | None, /) -> Page:
        await self.server.answer(self.case.reading)
        begin, end = int(cursor or 0), self.case.products
        after = begin + self.case.page
        if self.case.parallel:
            following = [] if cursor else [*range(after, end, self.case.page)]
        else:
            following = [after] if after < end else []
        return Page(
            products=[_product(n) for n in range(begin, min(after, end))],
            next=[*map(str, following)],
            total=end,
        )


def _product(number: int) -> Product:
    price = Price(amount=Decimal(1 + number), currency="USD")
    return Product(
        key=ProductKey("slow", f"{number}"),
        title=f"Product {number}",
        variants=[Variant(id="default", prices=[price])],
    )


@attrs.frozen
class _Sink:
    case: Case
    server: _Server
    name: str = "slow"
    limits: Limits = attrs.field(factory=lambda: Limits(writers=2, collides=True))
    existing: dict[ProductKey, Existing] = attrs.field(
        factory=dict[ProductKey, Existing]
    )

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Existing]:
        await self.server.answer(self.case.asking)
        keys = [p.key for p in desired if p.key in self.existing]
        return {key: self.existing[key] for key in keys}

    async def write(self, changes: Sequence[Write], /) -> Sequence[Outcome]:
        await self.store([(c.product, c.last_applied) for c in changes])
        return [change.done() for change in changes]

    async def store(self, products: Sequence[tuple[Product, str]]) -> None:
        await self.server.answer(self.case.asking + self.case.each * len(products))
        for product, text in products:
            self.existing[product.key] = Existing(product=product, last_applied=text)


def contenders(case: Case) -> dict[str, Callable[[], dict[str, Any]]]:
    """What to measure of a case: `catalogsync` and the `script`."""
    ways = {"catalogsync": _ours, "script": _script}
    return {name: partial(_run, way, case) for name, way in ways.items()}


def _run(
    way: Callable[[_Source, _Sink], Awaitable[None]], case: Case
) -> dict[str, Any]:
    return asyncio.run(_timed(way, case))


async def _timed(
    way: Callable[[_Source, _Sink], Awaitable[None]], case: Case
) -> dict[str, Any]:
    servers = _Server(case.failing, 1), _Server(case.failing, 2)
    sink = _Sink(case, servers[1])
    before = time.perf_counter()
    await way(_Source(case, servers[0]), sink)
    seconds = time.perf_counter() - before
    assert len(sink.existing) == case.products
    return {"seconds": seconds}


async def _ours(source: _Source, sink: _Sink) -> None:
    report = await sync(source, sink)
    assert report.counts.created == source.case.products, str(report)


async def _script(source: _Source, sink: _Sink) -> None:
    writers = asyncio.Semaphore(sink.limits.writers)

    async def put(products: Sequence[Product]) -> None:
        async with writers:
            found = await _again(partial(sink.find, products, fields=frozenset()))
            new = [(product, "") for product in products if product.key not in found]
            await _again(partial(sink.store, new))

    async with asyncio.TaskGroup() as group:
        cursors: list[Cursor | None] = [None]
        while cursors:
            now, cursors = cursors[:_AT_ONCE], cursors[_AT_ONCE:]
            for page in await each(partial(_read, source), now, at_once=_AT_ONCE):
                group.create_task(put(cast("Sequence[Product]", page.products)))
                cursors += page.next


async def _read(source: _Source, cursor: Cursor | None) -> Page:
    return await _again(partial(source.read, cursor))


async def _again(work: Callable[[], Awaitable[T]]) -> T:
    """Try until it works, with the waits of our default policy."""
    wait = 0.25
    while True:
        try:
            return await work()
        except TransientError:
            await asyncio.sleep(wait)
            wait *= 2
