"""Sources and sinks that misbehave on command, and the checks of every run."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from catalogsync import (
    Action,
    Change,
    EventHook,
    Existing,
    Field,
    Limits,
    Options,
    Outcome,
    OutcomeStatus,
    Page,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    Rejected,
    Report,
    RetryPolicy,
    RunStatus,
    Sink,
    Source,
    StockLevel,
    Sync,
    TransientError,
    Variant,
    sync,
)
from catalogsync.catalog.changes import Found, ReferenceChange
from catalogsync.events import Event
from catalogsync.guard import Budget, Budgets
from catalogsync.protocols import Cursor

FAST = RetryPolicy(attempts=4, wait_initial=0, wait_jitter=0)
HANGS = 60.0
"""Seconds after which a run counts as hanging; no test comes near."""
_COUNTED = re.compile(r": \d+ products?, for example ")


def key(number: object) -> ProductKey:
    return ProductKey("shop", str(number))


def product(number: object, **fields: Any) -> Product:
    return Product(key=key(number), **{"title": f"Product {number}", **fields})


def priced(number: object, amount: str = "1.00", **fields: Any) -> Product:
    price = Price(amount=Decimal(amount), currency="USD")
    variant = Variant(id="v", sku=f"sku-{number}", prices=[price])
    return product(number, variants=[variant], **fields)


def stocked(number: object, **fields: Any) -> Product:
    """A product that can be sold."""
    stock = [StockLevel(quantity=2)]
    variant = Variant(id="v", sku=f"sku-{number}", stock=stock)
    return product(number, variants=[variant], **fields)


def is_on_sale(product: Product) -> bool:
    """Whether shoppers can buy it: it is shown, and any stock that it has is left."""
    levels = [level for v in product.variants or () for level in v.stock or ()]
    is_left = not levels or any(level.quantity for level in levels)
    return is_left and product.status is not ProductStatus.DRAFT


def catalog(size: int) -> list[Product]:
    return [product(number) for number in range(size)]


NEVER_HELD = attrs.evolve(Budgets.off(), created=Budget(share=1, number=10_000))
"""Runs are guarded, and never held."""


def fast(**options: Any) -> Options:
    given = {"retry": FAST, "batch_size": 15, "guard": NEVER_HELD}
    return Options(**{**given, **options})


def server_error() -> TransientError:
    """A 500 that says nothing."""
    return TransientError("500", unexplained=True)


async def run(
    source: Source,
    sink: Sink,
    *,
    options: Options | None = None,
    hooks: Iterable[EventHook] = (),
    show: Callable[[Change | ReferenceChange], None] | None = None,
) -> Report:
    """Sync, or plan with *show*; the report and what is left are checked."""
    options = options or fast()
    async with asyncio.timeout(HANGS):
        if show is None:
            report = await sync(source, sink, options=options, hooks=hooks)
        else:
            report = await Sync(source, sink, options=options, hooks=hooks).plan(show)
    check(report)
    assert not running()
    return report


def check(report: Report) -> None:
    """What holds for every report of a run."""
    counts = report.counts
    assert counts.fetched == (
        counts.created
        + counts.updated
        + counts.unchanged
        + counts.skipped
        + counts.failed
        + counts.unresolved
    )
    by_status = Counter(outcome.status for outcome in report.failures)
    assert by_status[OutcomeStatus.FAILED] + len(report.rejected) == counts.failed
    assert by_status[OutcomeStatus.UNRESOLVED] == counts.unresolved
    assert by_status.total() == counts.unresolved + counts.failed - len(report.rejected)
    keys = [outcome.key for outcome in report.failures]
    assert len(keys) == len(set(keys))
    assert all(outcome.reason for outcome in report.failures)
    if report.status is RunStatus.SUCCEEDED:
        assert not report.problem
        assert not counts.failed + counts.unresolved
        # Values that are adjusted, in so many products, degrade no run.
        assert all(_COUNTED.search(warning) for warning in report.warnings)
        assert not report.discrepancies
    if report.status is RunStatus.DEGRADED:
        assert not report.problem
        assert counts.failed or report.warnings or report.discrepancies or report.held
        assert not counts.unresolved
    if report.status in {RunStatus.INCOMPLETE, RunStatus.FAILED}:
        assert report.problem or counts.unresolved
    assert report.to_dict()["counts"]["fetched"] == counts.fetched


def running() -> set[str]:
    """Names of tasks of the library that are not done."""
    names = {task.get_name() for task in asyncio.all_tasks()}
    return {name for name in names if name.startswith("catalogsync")}


async def until(condition: Callable[[], object]) -> None:
    """Let the others work until something holds."""
    async with asyncio.timeout(HANGS):
        while not condition():  # noqa: ASYNC110 - a fake has no event for everything
            await asyncio.sleep(0)


async def idle(turns: int = 200) -> None:
    """Let the others work until all wait for something that the test withholds."""
    for _ in range(turns):
        await asyncio.sleep(0)


@attrs.define
class Seen:
    """A hook that keeps all events."""

    events: list[Event] = attrs.field(factory=list[Event])

    def __call__(self, event: Event, /) -> None:
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@attrs.define(kw_only=True)
class PagedSource:
    """A source with pages, in the manner that the fields say.

    Attributes:
        products: All products.
        page_size: Products in a page.
        parallel: Whether the first page names all others.
        with_total: Whether pages have a total.
        total: Gives the total by number of the read; else it is the real one.
        rejected: Rejected records by page.
        faults: Errors by page, raised one after the other.
        gates: Events by page that are waited for.
        shift: What the pages hold instead, from that read of a page on.
        reads: Pages that were asked for, in order.
    """

    products: Sequence[Product]
    name: str = "shop"
    page_size: int = 10
    parallel: bool = False
    with_total: bool = True
    total: Callable[[int], int] | None = None
    rejected: Mapping[int, Sequence[Rejected]] = attrs.field(factory=dict)
    faults: Mapping[int, list[BaseException]] = attrs.field(factory=dict)
    gates: Mapping[int, asyncio.Event] = attrs.field(factory=dict)
    reads: list[int] = attrs.field(factory=list[int])
    in_flight: int = 0
    most_in_flight: int = 0

    async def read(self, cursor: Cursor | None, /) -> Page:
        number = int(cursor or 0)
        self.reads.append(number)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if gate := self.gates.get(number):
                await gate.wait()
        finally:
            self.in_flight -= 1
        if faults := self.faults.get(number):
            raise faults.pop(0)
        return self.page(number)

    def page(self, number: int) -> Page:
        begin = number * self.page_size
        pages = max(1, -(-len(self.products) // self.page_size))
        if self.parallel:
            following = range(1, pages) if number == 0 else range(0)
        else:
            following = range(number + 1, min(number + 2, pages))
        total = len(self.products) + sum(map(len, self.rejected.values()))
        if self.total is not None:
            total = self.total(len(self.reads))
        return Page(
            products=self.products[begin : begin + self.page_size],
            rejected=self.rejected.get(number, ()),
            next=tuple(map(str, following)),
            total=total if self.with_total else None,
        )


@attrs.define(kw_only=True)
class LookupSource(PagedSource):
    """A source that can be asked for chosen products."""

    lookups: list[list[ProductKey]] = attrs.field(factory=list[list[ProductKey]])
    lookup_faults: list[Exception] = attrs.field(factory=list[Exception])

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        self.lookups.append(list(keys))
        if self.lookup_faults:
            raise self.lookup_faults.pop(0)
        return Page(products=[p for p in self.products if p.key in keys])


Step = Callable[["FaultySink", Sequence[Change]], Awaitable[Sequence[Outcome]]]


@attrs.define(kw_only=True)
class FaultySink:
    """A sink that keeps products in memory and follows its script.

    It notes what must never be: a product that is created when it is there, a
    product in two writes at once, a write that creates and updates.

    Attributes:
        limits: What it says it can take; a second creation is refused.
        steps: What the next writes do instead of working; see the functions below.
        rule: Sees the changes of every write first; may raise.
        find_faults: What the next finds do: raise, or nothing.
        others: What is in the way of products, such as conflicts.
    """

    name: str = "fake"
    limits: Limits = attrs.field(factory=Limits)
    steps: deque[Step] = attrs.field(factory=deque[Step])
    rule: Callable[[Sequence[Change]], None] = lambda _: None
    find_faults: deque[Exception | None] = attrs.field(factory=deque[Exception | None])
    others: dict[ProductKey, Found] = attrs.field(factory=dict[ProductKey, Found])
    products: dict[ProductKey, Product] = attrs.field(factory=dict[ProductKey, Product])
    last_applied: dict[ProductKey, str] = attrs.field(factory=dict[ProductKey, str])
    writes: list[list[ProductKey]] = attrs.field(factory=list[list[ProductKey]])
    changes: list[Change] = attrs.field(factory=list[Change])
    finds: list[list[ProductKey]] = attrs.field(factory=list[list[ProductKey]])
    asked: list[frozenset[Field]] = attrs.field(factory=list[frozenset[Field]])
    wrong: list[str] = attrs.field(factory=list[str])
    in_flight: set[ProductKey] = attrs.field(factory=set[ProductKey])
    most_writes: int = 0
    _writes_now: int = 0

    def __attrs_post_init__(self) -> None:
        self.limits = attrs.evolve(self.limits, collides=True)

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        self.finds.append([product.key for product in desired])
        self.asked.append(fields)
        await asyncio.sleep(0)
        if self.find_faults and (error := self.find_faults.popleft()):
            raise error
        return {
            product.key: existing
            for product in desired
            if (existing := self.existing(product.key)) is not None
        }

    def existing(self, key: ProductKey) -> Found | None:
        if key in self.others:
            return self.others[key]
        if key not in self.products:
            return None
        return Existing(product=self.products[key], last_applied=self.last_applied[key])

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        keys = [change.key for change in changes]
        self.writes.append(keys)
        self.changes.extend(changes)
        if not keys:
            self.wrong.append("an empty write")
        if len({change.action for change in changes}) > 1:
            self.wrong.append("a write that creates and updates")
        for key_ in keys:
            if key_ in self.in_flight or keys.count(key_) > 1:
                self.wrong.append(f"{key_} is in two writes")
        self.in_flight.update(keys)
        self._writes_now += 1
        self.most_writes = max(self.most_writes, self._writes_now)
        try:
            await asyncio.sleep(0)
            self.rule(changes)
            step = self.steps.popleft() if self.steps else works
            return await step(self, changes)
        finally:
            self._writes_now -= 1
            self.in_flight.difference_update(keys)

    def work(self, changes: Iterable[Change]) -> list[Outcome]:
        """Really do it."""
        outcomes: list[Outcome] = []
        for change in changes:
            there = change.key in self.products
            if there is (change.action is Action.CREATE):
                self.wrong.append(f"{change.action} of {change.key}, there: {there}")
            self.products[change.key] = change.product
            self.last_applied[change.key] = change.last_applied
            outcomes.append(change.done())
        return outcomes

    def holds(self, *products: Product) -> bool:
        """Whether it holds these, nothing else, and nothing went wrong."""
        assert not self.wrong
        return self.products == {product.key: product for product in products}


async def works(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
    return sink.work(changes)


def fails(error: BaseException) -> Step:
    """Does nothing and raises."""

    async def step(_: FaultySink, __: Sequence[Change]) -> Sequence[Outcome]:
        raise error

    return step


def loses(error: Exception, *, done: int | None = None) -> Step:
    """Does the work, or the first *done* of it, and the answer is lost."""

    async def step(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        sink.work(changes[:done])
        raise error

    return step


def answers(change: Callable[[list[Outcome]], Sequence[Outcome]]) -> Step:
    """Does the work and says something else about it."""

    async def step(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        return change(sink.work(changes))

    return step


def hangs(event: asyncio.Event, *, after: bool = False) -> Step:
    """Waits for the event before the work, or after it."""

    async def step(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        outcomes = sink.work(changes) if after else []
        await event.wait()
        return outcomes or sink.work(changes)

    return step


def poison(*bad: ProductKey, error: Callable[[], Exception]) -> Callable[..., None]:
    """A rule: a write with one of these raises and nothing is done."""

    def rule(changes: Sequence[Change]) -> None:
        if any(change.key in bad for change in changes):
            raise error()

    return rule
