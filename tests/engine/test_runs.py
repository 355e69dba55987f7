"""Whole runs as a caller sees them, with adapters that behave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Self

import attrs
import pytest

from catalogsync import (
    Action,
    Category,
    Change,
    Field,
    Limits,
    MemorySink,
    Options,
    OutcomeStatus,
    Page,
    Product,
    RunStatus,
    Sync,
    TransientError,
    UnauthorizedError,
    as_source,
    run_blocking,
    sync,
)
from catalogsync.adapters.memory import MemorySource
from catalogsync.diff.describe import diff
from catalogsync.events import (
    BatchWritten,
    Compared,
    Event,
    PageRead,
    ProductUnresolved,
    RunFinished,
    RunStarted,
)
from catalogsync.protocols import Cursor

from .fakes import (
    FaultySink,
    PagedSource,
    Seen,
    catalog,
    check,
    fails,
    fast,
    key,
    priced,
    product,
    run,
    until,
)


async def test_first_run_creates_and_the_second_has_nothing_to_do() -> None:
    source = as_source(catalog(40))
    sink = FaultySink()
    first = await run(source, sink)
    assert first.status is RunStatus.SUCCEEDED
    assert (first.counts.created, first.writes) == (40, 3)
    second = await run(source, sink)
    assert second.status is RunStatus.SUCCEEDED
    assert (second.counts.unchanged, second.writes) == (40, 0)
    assert first.run_id != second.run_id


async def test_only_what_changed_is_written() -> None:
    sink = FaultySink()
    await run(as_source([priced(n) for n in range(20)]), sink)
    sink.changes.clear()
    products = [priced(n) for n in range(20)]
    products[3] = priced(3, "2.00")
    products[7] = priced(7, title="Renamed")
    report = await run(as_source(products), sink)
    assert (report.counts.updated, report.counts.unchanged) == (2, 18)
    assert [(c.key, c.action, set(c.fields)) for c in sink.changes] == [
        (key(3), Action.UPDATE, {Field.PRICES}),
        (key(7), Action.UPDATE, {Field.TITLE}),
    ]


async def test_a_write_creates_or_updates_and_never_both() -> None:
    sink = FaultySink()
    await run(as_source([priced(n) for n in range(0, 40, 2)]), sink)
    report = await run(as_source([priced(n, "2.00") for n in range(40)]), sink)
    assert (report.counts.created, report.counts.updated) == (20, 20)
    assert sink.holds(*(priced(n, "2.00") for n in range(40)))


async def test_an_empty_catalog() -> None:
    report = await run(as_source([]), FaultySink())
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.fetched == report.writes == 0


async def test_finds_ask_only_for_compared_fields_and_within_the_limit() -> None:
    sink = FaultySink(limits=Limits(find=7))
    await run(as_source([product(n, tags=["a"]) for n in range(20)]), sink)
    assert [len(keys) for keys in sink.finds] == [7, 7, 6]
    assert set(sink.asked) == {frozenset({Field.TITLE, Field.STATUS, Field.TAGS})}


@pytest.mark.parametrize(("batch", "size"), [(4, 4), (100, 15), (15, 15)])
async def test_the_smaller_batch_counts(batch: int, size: int) -> None:
    sink = FaultySink(limits=Limits(batch=batch))
    await run(as_source(catalog(30)), sink)
    assert max(map(len, sink.writes)) == size


async def test_transform_edits() -> None:
    sink = FaultySink()

    def louder(item: Product) -> Product:
        return attrs.evolve(item, title=item.title.upper())

    report = await run(as_source(catalog(3)), sink, options=fast(transform=louder))
    assert report.counts.created == 3
    assert sink.products[key(1)].title == "PRODUCT 1"


async def test_transform_vetoes() -> None:
    sink = FaultySink()

    def even(item: Product) -> Product | None:
        return None if int(item.key.id) % 2 else item

    report = await run(as_source(catalog(5)), sink, options=fast(transform=even))
    assert report.status is RunStatus.SUCCEEDED
    assert (report.counts.skipped, report.counts.created) == (2, 3)


async def test_transform_that_raises_fails_one_product() -> None:
    def picky(item: Product) -> Product:
        if item.key == key(1):
            raise KeyError("price")
        return item

    report = await run(
        as_source(catalog(3)), FaultySink(), options=fast(transform=picky)
    )
    assert report.status is RunStatus.DEGRADED
    assert [o.reason for o in report.failures] == [
        "the transform raised KeyError('price')"
    ]


async def test_transform_that_changes_the_key_fails_the_product() -> None:
    def other(item: Product) -> Product:
        return attrs.evolve(item, key=key(item.key.id + "x"))

    report = await run(
        as_source(catalog(2)), FaultySink(), options=fast(transform=other)
    )
    assert report.counts.failed == 2
    assert "shop:0x" in report.failures[0].reason


@pytest.mark.parametrize("value", [True, "Product 1", 0])
async def test_a_transform_that_returns_something_else_fails_the_product(
    value: Any,
) -> None:
    report = await run(
        as_source(catalog(2)), FaultySink(), options=fast(transform=lambda _: value)
    )
    assert report.status is RunStatus.DEGRADED
    assert report.counts.failed == 2


@attrs.define(kw_only=True)
class EmptyTitleSink(FaultySink):
    """Has a shape that is no product."""

    def shape(self, product: Product, /) -> Product:
        return attrs.evolve(product, title=product.title.replace("Product 1", ""))


async def test_a_shape_that_no_product_can_have() -> None:
    report = await run(as_source(catalog(3)), EmptyTitleSink())
    assert report.status is RunStatus.DEGRADED
    assert [o.key for o in report.failures] == [key(1)]
    assert "title" in report.failures[0].reason


async def test_events_come_in_order() -> None:
    seen = Seen()
    sink = FaultySink()
    sink.others = {}
    async with Sync(
        PagedSource(products=catalog(12)), sink, job="nightly", hooks=[seen]
    ).run() as handle:
        report = await handle.report()
    assert (seen.names[:2], seen.names[-1]) == (
        ["RunStarted", "PageRead"],
        "RunFinished",
    )
    assert sorted(seen.names[2:-1]) == [
        *["BatchWritten"] * 2,
        *["Compared"] * 2,
        "PageRead",
        *["ProductsWritten"] * 2,
    ]
    assert {event.run_id for event in seen.events} == {report.run_id, handle.run_id}
    started = seen.of(RunStarted)[0]
    assert (started.job, started.source, started.sink) == ("nightly", "shop", "fake")
    assert [(e.products, e.total) for e in seen.of(PageRead)] == [(10, 12), (2, 12)]
    assert [(e.products, e.changes) for e in seen.of(Compared)] == [(10, 10), (2, 2)]
    assert [e.products for e in seen.of(BatchWritten)] == [10, 2]
    assert seen.of(RunFinished)[0].summary == report.summary
    assert report.job == "nightly"


async def test_an_unresolved_product_is_reported() -> None:
    seen = Seen()
    sink = FaultySink()
    sink.steps.append(fails(UnauthorizedError("401")))
    await run(as_source(catalog(1)), sink, hooks=[seen])
    assert [e.outcome.status for e in seen.of(ProductUnresolved)] == [
        OutcomeStatus.UNRESOLVED
    ]


async def test_a_failing_hook_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def bad(event: Event, /) -> None:
        raise ZeroDivisionError(type(event).__name__)

    seen = Seen()
    report = await run(as_source(catalog(3)), FaultySink(), hooks=[bad, seen])
    assert report.status is RunStatus.SUCCEEDED
    assert len(seen.events) == 6
    records = [r for r in caplog.records if "event hook failed" in r.getMessage()]
    assert len(records) == 6


async def test_events_go_to_the_standard_logger(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="catalogsync")
    report = await run(as_source(catalog(3)), FaultySink())
    texts = [r.getMessage() for r in caplog.records if r.name == "catalogsync"]
    assert [text.split(":")[0] for text in texts] == [
        "RunStarted",
        "PageRead",
        "Compared",
        "ProductsWritten",
        "BatchWritten",
        "RunFinished",
    ]
    assert all(report.run_id in text for text in texts)


@attrs.define(kw_only=True)
class CountingSource(PagedSource):
    """Counts its requests, those before the run as well."""

    @property
    def requests(self) -> int:
        return 100 + len(self.reads)


@attrs.define(kw_only=True)
class CountingSink(FaultySink):
    """Counts its requests."""

    @property
    def requests(self) -> int:
        return 1000 + len(self.finds) + len(self.writes)


async def test_requests_of_this_run_are_counted() -> None:
    source, sink = CountingSource(products=catalog(20)), CountingSink()
    await run(source, sink)
    report = await run(source, sink)
    assert report.requests == 2 + 2


async def test_a_report_says_how_long_everything_took() -> None:
    report = await run(as_source(catalog(20)), FaultySink())
    assert report.phases.keys() == {"read", "find", "plan", "write"}
    assert all(seconds >= 0 for seconds in report.phases.values())
    assert report.duration_s > 0
    assert report.products_per_second > 0


async def test_counts_can_be_watched() -> None:
    gate = asyncio.Event()
    source = PagedSource(products=catalog(20), gates={1: gate})
    sink = FaultySink(limits=Limits(find=10))
    async with Sync(source, sink).run() as handle:
        assert handle.counts.fetched == 0
        await until(lambda: handle.counts.created == 10)
        assert handle.counts.fetched == 10
        gate.set()
        report = await handle.report()
    check(report)
    assert handle.counts == report.counts


async def test_a_plan_writes_nothing_and_reports_the_changes() -> None:
    sink = FaultySink()
    await run(as_source([priced(1), priced(2)]), sink)
    before = dict(sink.products)
    sink.writes.clear()
    shown: list[Change] = []
    products = [priced(1), priced(2, "2.00"), priced(3)]
    report = await run(as_source(products), sink, show=shown.append)
    assert report.status is RunStatus.SUCCEEDED
    counts = report.counts
    assert (counts.created, counts.updated, counts.unchanged) == (1, 1, 1)
    changes = {change.key: change for change in shown}
    assert {key_: change.action for key_, change in changes.items()} == {
        key(2): Action.UPDATE,
        key(3): Action.CREATE,
    }
    assert [(d.path, d.old, d.new) for d in diff(changes[key(2)])] == [
        ("variants.v.prices.USD", "1.00", "2.00")
    ]
    assert sink.writes == []
    assert sink.products == before
    assert report.writes == 2


async def test_an_error_in_a_plan_is_raised() -> None:
    sink = FaultySink()
    sink.find_faults.append(UnauthorizedError("401"))
    with pytest.raises(UnauthorizedError):
        await Sync(as_source(catalog(3)), sink).plan(lambda _: None)


async def test_what_shows_changes_may_not_raise_unseen() -> None:
    def show(_: Change) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Sync(as_source(catalog(3)), FaultySink()).plan(show)


async def test_sinks_in_memory_keep_everything() -> None:
    category = Category(id="a", name="A")
    products = [priced(1, categories=[category], tags=["x"]), priced(2)]
    sink = MemorySink()
    report = await run(as_source(products), sink)
    assert report.counts.created == 2
    assert sink.products == {item.key: item for item in products}
    assert (await run(as_source(products), sink)).counts.unchanged == 2


async def test_default_options_are_those_of_the_class() -> None:
    """As few batches as the sink's limit allows, and of about the same size."""
    sink = FaultySink(limits=Limits(batch=20))
    report = await sync(as_source(catalog(31)), sink)
    check(report)
    assert [len(keys) for keys in sink.writes] == [16, 15]
    assert Options() == Options(batch_size=None, pages_ahead=4)


async def test_two_runs_may_go_on_at_once() -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(sync(as_source(catalog(50)), FaultySink()))
            for _ in range(3)
        ]
    assert [task.result().counts.created for task in tasks] == [50, 50, 50]


def test_blocking_with_open_sides() -> None:
    sink = MemorySink()
    report = run_blocking(as_source(catalog(5)), sink, job="nightly")
    check(report)
    assert (report.job, report.counts.created) == ("nightly", 5)


@attrs.frozen
class Settings:
    """Opens a memory source or sink, and notes it."""

    side: Any
    log: list[str]

    def open(self) -> Any:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Any]:
        self.log.append("open")
        yield self.side
        self.log.append("close")


def test_blocking_with_settings_opens_and_closes() -> None:
    log: list[str] = []
    source = Settings(as_source(catalog(5)), log)
    sink = Settings(MemorySink(), log)
    assert run_blocking(source, sink).counts.created == 5
    assert log == ["open", "open", "close", "close"]


@attrs.define
class OpenedSource:
    """Has a class method that opens it, as adapters do."""

    name: str = "shop"

    @classmethod
    def open(cls, url: str) -> Self:
        raise AssertionError(url)

    async def read(self, cursor: Cursor | None, /) -> Page:
        return Page(products=catalog(3))


@attrs.define(kw_only=True)
class OpenedSink(MemorySink):
    """Has a class method that opens it, as adapters do."""

    @classmethod
    def open(cls, url: str) -> Self:
        raise AssertionError(url)


def test_an_object_with_a_method_open_is_still_a_source_or_sink() -> None:
    assert run_blocking(OpenedSource(), OpenedSink()).counts.created == 3


async def test_blocking_is_not_for_hosts_with_a_loop() -> None:
    with pytest.raises(RuntimeError, match=r"await sync"):
        run_blocking(as_source(catalog(1)), MemorySink())


def test_blocking_raises_what_broke_the_run_off() -> None:
    sink = FaultySink()
    sink.find_faults.append(UnauthorizedError("401"))
    with pytest.raises(UnauthorizedError):
        run_blocking(as_source(catalog(5)), sink)


async def test_one_product_that_cannot_be_compared_does_not_end_the_run() -> None:
    """Numbers of JSON have no end; those of digests and columns do."""
    numbers = [10**300, -(10**300), 2**64, 1e308, 5e-324]
    products = [product(n, attributes={"n": v}) for n, v in enumerate(numbers)]
    report = await run(as_source(products), FaultySink())
    assert report.counts.created + report.counts.failed == len(numbers)
    assert report.counts.created >= 3


async def test_memory_source_has_a_name_for_its_keys() -> None:
    source = MemorySource(products=catalog(1), name="shop")
    assert source.name == "shop"
    sink = FaultySink()
    sink.find_faults.append(TransientError("busy", retry_after=0))
    assert (await run(source, sink)).counts.created == 1
