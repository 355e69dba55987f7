"""Reading: pages in order, ahead but bounded; sources that contradict themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import attrs
import pytest

from catalogsync import (
    BrokenReplyError,
    Limits,
    MemorySink,
    MisconfiguredError,
    Options,
    Page,
    Product,
    ProductKey,
    Rejected,
    RetryPolicy,
    RunStatus,
    StockLevel,
    Sync,
    TransientError,
    UnauthorizedError,
    Variant,
    as_source,
    sync,
)
from catalogsync.events import PageRead, PassRepeated
from catalogsync.protocols import Cursor

from .fakes import (
    FaultySink,
    LookupSource,
    PagedSource,
    Seen,
    catalog,
    check,
    fast,
    hangs,
    idle,
    key,
    product,
    run,
    running,
    until,
)

BUSY = TransientError("busy", retry_after=0)
WIDE = Limits(find=1000, batch=1000)


def written(sink: FaultySink) -> list[ProductKey]:
    return [key_ for keys in sink.writes for key_ in keys]


def rejected(number: object, where: str = "record 1") -> Rejected:
    return Rejected(key=key(number), reason="price: is missing", where=where)


def twice(number: object, first: int, second: int) -> Rejected:
    reason = f"{key(number)} appears twice in the source, first in record {first}"
    return Rejected(key=key(number), reason=reason, where=f"record {second}")


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 95])
async def test_every_product_arrives_once_and_in_order(
    size: int, parallel: bool
) -> None:
    source = PagedSource(products=catalog(size), parallel=parallel)
    sink = FaultySink()
    report = await run(source, sink)
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == report.counts.fetched == size
    assert written(sink) == [product.key for product in catalog(size)]
    assert source.reads == list(range(max(1, -(-size // 10))))


async def test_pages_that_arrive_in_another_order_are_handed_out_in_order() -> None:
    gates = {number: asyncio.Event() for number in (1, 2, 3)}
    source = PagedSource(products=catalog(50), parallel=True, gates=gates)
    sink = FaultySink(limits=Limits(finders=1, writers=1))
    async with asyncio.TaskGroup() as group:
        group.create_task(run(source, sink, options=fast(pages_ahead=4)))
        for number in (3, 2, 1):
            await until(lambda: len(source.reads) == 5)
            gates[number].set()
            await idle(20)
    assert written(sink) == [product.key for product in catalog(50)]


@pytest.mark.parametrize("ahead", [1, 3, 8])
async def test_pages_that_may_be_read_in_parallel_are(ahead: int) -> None:
    source = PagedSource(products=catalog(200), parallel=True)
    await run(source, FaultySink(), options=fast(pages_ahead=ahead))
    assert source.most_in_flight == ahead


async def test_pages_that_follow_each_other_are_read_one_by_one() -> None:
    source = PagedSource(products=catalog(200))
    await run(source, FaultySink())
    assert source.most_in_flight == 1


@pytest.mark.parametrize("parallel", [False, True])
async def test_a_stuck_writer_stops_the_reading(parallel: bool) -> None:
    """What is read and not written is bounded, however large the catalog is."""
    source = PagedSource(products=catalog(10_000), parallel=parallel)
    sink = FaultySink(limits=Limits(writers=2, find=20))
    gate = asyncio.Event()
    sink.steps += [hangs(gate)] * 2
    options = fast(batch_size=10, pages_ahead=4)
    async with Sync(source, sink, options=options).run() as handle:
        await until(lambda: sink.most_writes == 2)
        await idle()
        pages, fetched = len(source.reads), handle.counts.fetched
        await idle()
        assert (len(source.reads), handle.counts.fetched) == (pages, fetched)
        assert pages <= 2 + 2 + 2 * 4 + 1 + 4
        assert fetched <= 10 * pages
        gate.set()
        report = await handle.report()
    check(report)
    assert report.counts.created == 10_000
    assert sink.holds(*catalog(10_000))


async def test_reading_and_writing_overlap() -> None:
    gate = asyncio.Event()
    source = PagedSource(products=catalog(30), gates={2: gate})
    sink = FaultySink(limits=Limits(find=10))
    async with asyncio.TaskGroup() as group:
        group.create_task(run(source, sink))
        await until(lambda: sink.writes)
        assert not gate.is_set()
        gate.set()


async def test_a_page_that_fails_is_read_again() -> None:
    faults: dict[int, list[BaseException]] = {
        0: [BUSY],
        1: [BrokenReplyError("cut short", retry_after=0), BUSY],
    }
    source = PagedSource(products=catalog(25), faults=faults)
    seen = Seen()
    report = await run(source, FaultySink(), hooks=[seen])
    assert report.status is RunStatus.SUCCEEDED
    assert report.retries == 3
    assert [event.what for event in seen.events if hasattr(event, "what")] == [
        "read the first page",
        "read page 1",
        "read page 1",
    ]


@pytest.mark.parametrize(
    "error", [BUSY, UnauthorizedError("401"), ZeroDivisionError("x")]
)
async def test_a_first_page_that_cannot_be_read_is_an_error(error: Exception) -> None:
    source = PagedSource(products=catalog(25), faults={0: [error] * 4})
    sink = FaultySink()
    with pytest.raises(type(error)) as caught:
        await run(source, sink)
    assert caught.value is error
    assert not sink.finds
    assert not running()


async def test_a_page_that_cannot_be_read_makes_the_run_incomplete() -> None:
    source = PagedSource(products=catalog(50), parallel=True, faults={2: [BUSY] * 4})
    report = await run(source, FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.problem == "could not read page 2: busy"
    assert report.counts.created == 40


async def test_a_lost_page_after_rejected_records_still_reports_them() -> None:
    """Something was read, so the run has a report."""
    source = PagedSource(
        products=catalog(20),
        rejected={0: [rejected(99)]},
        faults={1: [BUSY] * 4},
    )

    @attrs.define
    class OnlyRejectedFirst:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            page = await source.read(cursor)
            return page if cursor else attrs.evolve(page, products=[])

    report = await run(OnlyRejectedFirst(), FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.failed == 1


async def test_two_lost_pages_in_a_row_end_the_reading() -> None:
    faults: dict[int, list[BaseException]] = {2: [BUSY] * 4, 3: [BUSY] * 4}
    source = PagedSource(products=catalog(200), parallel=True, faults=faults)
    report = await run(source, FaultySink(), options=fast(pages_ahead=1))
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 20
    assert max(source.reads) <= 4


async def test_lost_pages_apart_do_not_end_the_reading() -> None:
    faults: dict[int, list[BaseException]] = {2: [BUSY] * 4, 4: [BUSY] * 4}
    source = PagedSource(products=catalog(100), parallel=True, faults=faults)
    report = await run(source, FaultySink())
    assert report.counts.created == 80


@pytest.mark.parametrize("error", [UnauthorizedError("401"), ZeroDivisionError("x")])
async def test_a_later_page_that_breaks_the_run(error: Exception) -> None:
    source = PagedSource(
        products=catalog(100), parallel=True, faults={5: [error]}, page_size=10
    )
    sink = FaultySink(limits=Limits(find=10))
    report = await run(source, sink, options=fast(pages_ahead=1))
    assert report.status is RunStatus.FAILED
    assert str(error) in report.problem
    assert report.counts.created + report.counts.unresolved == report.counts.fetched
    assert report.counts.created >= 10


async def test_an_adapter_that_leaks_a_cancellation_ends_the_run() -> None:
    """It must not hang; no cancellation was requested."""
    faults: dict[int, list[BaseException]] = {1: [asyncio.CancelledError()]}
    source = PagedSource(products=catalog(30), parallel=True, faults=faults)
    with pytest.raises(RuntimeError, match=r"CancelledError in PagedSource\.read"):
        await run(source, FaultySink())
    assert not running()


async def test_rejected_records_are_counted_and_reported() -> None:
    nameless = Rejected(key=None, reason="id: is missing", where="page 0, record 3")
    source = PagedSource(
        products=catalog(15), rejected={0: [nameless], 1: [rejected(99)]}
    )
    seen = Seen()
    report = await run(source, FaultySink(), hooks=[seen])
    assert report.status is RunStatus.DEGRADED
    assert (report.counts.fetched, report.counts.failed) == (17, 2)
    assert report.rejected == (nameless,)
    assert [(o.key, o.reason) for o in report.failures] == [
        (key(99), "price: is missing (record 1)")
    ]
    pages = [(e.products, e.rejected, e.total) for e in seen.of(PageRead)]
    assert pages == [(10, 1, 17), (5, 1, 17)]


@attrs.define(kw_only=True)
class RestlessSource(PagedSource):
    """Shows other pages in its first pass than in those after it."""

    first: Sequence[Page] = ()
    passes: int = 0

    def page(self, number: int) -> Page:
        if number == 0:
            self.passes += 1
        if self.passes == 1:
            return self.first[number]
        return super().page(number)


def pages(*contents: Sequence[Product], **fields: Any) -> list[Page]:
    last = len(contents) - 1
    return [
        Page(
            products=products,
            next=(str(number + 1),) if number < last else (),
            **fields,
        )
        for number, products in enumerate(contents)
    ]


FOUR = catalog(4)
BROKEN = {
    "a total that moves": [
        Page(products=FOUR[:2], next=("1",), total=4),
        Page(products=FOUR[2:], total=5),
    ],
    "a key that comes twice": pages(FOUR[:2], FOUR[1:]),
    "fewer products than promised": pages(FOUR[:2], FOUR[3:], total=4),
    "more products than promised": pages(FOUR[:2], FOUR[2:], total=3),
    "a list that moves": [
        Page(products=FOUR[:2], next=("1",), total=4, last=key(1)),
        Page(products=FOUR[2:], total=4, before=key(0)),
    ],
}


@pytest.mark.parametrize("first", BROKEN.values(), ids=BROKEN.keys())
async def test_a_source_that_broke_its_word_is_read_once_more(
    first: Sequence[Page],
) -> None:
    source = RestlessSource(products=FOUR, page_size=2, first=first)
    sink = FaultySink()
    seen = Seen()
    report = await run(source, sink, hooks=[seen])
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == report.counts.fetched == 4
    assert sink.holds(*FOUR)
    assert len(seen.of(PassRepeated)) == 1
    assert source.passes == 2


@attrs.define
class GivenSource:
    """Gives these pages in every pass, and is busy in place of one that is None."""

    pages: Sequence[Page | None]
    name: str = "shop"

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = self.pages[int(cursor or 0)]
        if page is None:
            raise BUSY
        return page


def overlapping(*, before: ProductKey | None, **fields: Any) -> list[Page]:
    """Two pages, the second of which names the record before it."""
    return [
        Page(products=FOUR[:2], next=("1",), **fields),
        Page(products=FOUR[2:], before=before),
    ]


@pytest.mark.parametrize(
    "given",
    [
        overlapping(before=key(1), last=key(1)),
        overlapping(before=key(0)),
        overlapping(before=None, last=key(1)),
        [
            Page(products=FOUR, next=("1",), last=key(3)),
            Page(products=[], before=key(3)),
        ],
        [
            Page(products=FOUR[:2], next=("1", "2"), last=key(1)),
            Page(products=[]),
            Page(products=FOUR[2:], before=key(0)),
        ],
    ],
    ids=["still", "no last", "no before", "an empty end", "an empty page between"],
)
async def test_a_list_that_was_not_seen_to_move(given: Sequence[Page]) -> None:
    seen = Seen()
    report = await run(GivenSource(given), FaultySink(), hooks=[seen])
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 4
    assert not seen.of(PassRepeated)


async def test_a_list_that_keeps_moving_makes_the_run_incomplete() -> None:
    source = GivenSource(overlapping(before=key(0), last=key(1)))
    seen = Seen()
    report = await run(source, FaultySink(), hooks=[seen])
    assert report.status is RunStatus.INCOMPLETE
    moved = "the source's list moved while it was read (shop:0 is now where shop:1 was)"
    assert report.problem == f"{moved}, also when it was read again"
    assert [event.reason for event in seen.of(PassRepeated)] == [moved]


async def test_a_list_is_not_taken_to_have_moved_by_a_lost_page() -> None:
    given = [
        Page(products=FOUR[:1], next=("1", "2"), last=key(0)),
        None,
        Page(products=FOUR[2:], before=key(1)),
    ]
    seen = Seen()
    report = await run(GivenSource(given), FaultySink(), hooks=[seen])
    assert report.problem == "could not read page 1: busy"
    assert not seen.of(PassRepeated)


async def test_a_limit_that_is_reached_on_a_page_that_moved() -> None:
    """Whatever came later would not have been taken."""
    source = GivenSource(overlapping(before=key(0), last=key(1)))
    report = await run(source, FaultySink(), options=fast(limit=3))
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 3


async def test_rejected_records_are_not_counted_again_in_the_second_pass() -> None:
    nameless = Rejected(key=None, reason="id: is missing", where="record 3")
    bad = [nameless, rejected(99)]
    first = [Page(products=FOUR, rejected=bad, total=7)]
    source = RestlessSource(products=FOUR, first=first, rejected={0: bad})
    report = await run(source, FaultySink())
    assert report.status is RunStatus.DEGRADED
    assert source.passes == 2
    assert (report.counts.fetched, report.counts.failed) == (6, 2)


async def test_a_record_that_was_rejected_and_is_good_in_the_second_pass() -> None:
    first = [Page(products=FOUR[:3], rejected=[rejected(3)], total=5)]
    source = RestlessSource(products=FOUR, first=first)
    report = await run(source, FaultySink())
    assert source.passes == 2
    assert report.counts.fetched == 4


@pytest.mark.parametrize(
    ("total", "problem"),
    [
        (lambda read: 25 + read % 2, "total moved"),
        (lambda _: 26, "gave 25 of 26"),
        (lambda _: 24, "gave 25 of 24"),
    ],
)
async def test_a_source_that_never_keeps_its_word_makes_the_run_incomplete(
    total: Any, problem: str
) -> None:
    source = PagedSource(products=catalog(25), total=total)
    report = await run(source, FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert problem in report.problem
    assert "also when it was read again" in report.problem
    assert report.counts.created == report.counts.fetched == 25
    assert len(source.reads) == 6


async def test_a_page_that_is_broken_all_the_time_is_tried_in_a_second_pass() -> None:
    broken = BrokenReplyError("cut short", retry_after=0)
    source = PagedSource(products=catalog(50), parallel=True, faults={2: [broken] * 4})
    sink = FaultySink()
    seen = Seen()
    report = await run(source, sink, hooks=[seen])
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 50
    assert [e.reason for e in seen.of(PassRepeated)] == [
        "could not read page 2: cut short"
    ]
    assert sink.holds(*catalog(50))


async def test_a_page_that_is_broken_in_both_passes_is_reported_once() -> None:
    broken = BrokenReplyError("cut short", retry_after=0)
    source = PagedSource(products=catalog(50), parallel=True, faults={2: [broken] * 8})
    report = await run(source, FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 40
    assert report.problem.count("cut short") == 1


async def test_pages_that_are_lost_in_the_second_pass_only_make_no_difference() -> None:
    """What the first pass brought is not lost again."""
    faults: dict[int, list[BaseException]] = {1: [BrokenReplyError("x", retry_after=0)]}
    faults[1] = faults[1] * 4 + [BUSY] * 4
    source = PagedSource(products=catalog(30), parallel=True, faults=faults)
    report = await run(source, FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 20


async def test_a_key_that_comes_twice_in_a_page_counts_once() -> None:
    source = PagedSource(products=[product(1), product(1, title="Other")])
    sink = FaultySink()
    report = await run(source, sink)
    assert report.status is RunStatus.DEGRADED
    assert report.rejected == (twice(1, 1, 2),)
    assert (report.counts.created, report.counts.failed) == (1, 1)
    assert sink.holds(product(1))


async def test_a_rejected_record_with_the_key_of_a_product_counts_once() -> None:
    source = PagedSource(products=catalog(3), rejected={0: [rejected(1)]})
    sink = FaultySink()
    report = await run(source, sink)
    assert report.status is RunStatus.DEGRADED
    assert report.rejected == (twice(1, 1, 3),)
    assert (report.counts.fetched, report.counts.created) == (4, 3)
    assert sink.holds(*catalog(3))


async def test_products_that_only_the_second_pass_shows_are_taken() -> None:
    source = RestlessSource(products=FOUR, first=pages(FOUR[:2], FOUR[:1]))
    report = await run(source, FaultySink())
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 4


async def test_a_second_pass_that_cannot_begin_makes_the_run_incomplete() -> None:
    source = RestlessSource(products=FOUR, first=pages(FOUR[:2], FOUR[1:]))
    source.faults = {0: []}
    read = source.read

    async def read_once(cursor: Cursor | None, /) -> Page:
        if cursor is None and source.passes:
            raise BUSY
        return await read(cursor)

    @attrs.define
    class Once:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            return await read_once(cursor)

    report = await run(Once(), FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert "could not read the first page: busy" in report.problem
    assert report.counts.created == 4


async def test_pages_that_name_each_other_do_not_go_on_for_ever() -> None:
    """A cursor that does not move is a source that breaks its word."""
    reads = 0

    @attrs.define
    class Circle:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            nonlocal reads
            reads += 1
            assert reads < 1000, "the same page was read a thousand times"
            return Page(products=FOUR, next=("1",))

    report = await run(Circle(), FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 4


async def test_pages_without_products_that_name_each_other_are_an_error() -> None:
    @attrs.define
    class Circle:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            return Page(products=[], next=("1",))

    with pytest.raises(BrokenReplyError, match="named page 1 twice"):
        await run(Circle(), FaultySink())


async def test_a_last_page_that_names_itself_is_still_taken() -> None:
    @attrs.define
    class Last:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            number = int(cursor or 0)
            following = str(min(number + 1, 3))
            return Page(products=[FOUR[number]], next=(following,))

    report = await run(Last(), FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 4


async def test_without_a_total_the_end_is_where_the_source_says() -> None:
    source = PagedSource(products=catalog(25), with_total=False)
    assert (await run(source, FaultySink())).status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 25])
async def test_limit_takes_the_first_products(limit: int) -> None:
    source = PagedSource(products=catalog(25), with_total=False)
    sink = FaultySink()
    report = await run(source, sink, options=fast(limit=limit, pages_ahead=1))
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.fetched == limit
    assert sink.holds(*catalog(25)[:limit])
    assert len(source.reads) <= limit // 10 + 2


async def test_limit_beyond_the_catalog_takes_all() -> None:
    report = await run(
        PagedSource(products=catalog(5)), FaultySink(), options=fast(limit=99)
    )
    assert report.counts.created == 5


async def test_rejected_records_count_for_the_limit() -> None:
    nameless = Rejected(key=None, reason="no", where="record 1")
    source = PagedSource(products=catalog(5), rejected={0: [nameless, rejected(9)]})
    report = await run(source, FaultySink(), options=fast(limit=2))
    assert (report.counts.fetched, report.counts.failed) == (2, 2)


async def test_chosen_keys_are_looked_up() -> None:
    source = LookupSource(products=catalog(25))
    sink = FaultySink()
    keys = [key(7), key(3), key(7)]
    report = await run(source, sink, options=fast(keys=keys))
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 2
    assert not source.reads
    assert source.lookups == [[key(7), key(3)]]
    assert sink.holds(product(3), product(7))


async def test_many_chosen_keys_are_looked_up_in_parts() -> None:
    source = LookupSource(products=catalog(120))
    keys = [product.key for product in catalog(120)]
    report = await run(source, FaultySink(), options=fast(keys=keys, limit=110))
    assert report.counts.created == 110
    assert sum(map(len, source.lookups)) == 120
    assert max(map(len, source.lookups)) < 120


async def test_chosen_keys_are_picked_where_nothing_can_be_looked_up() -> None:
    nameless = Rejected(key=None, reason="no", where="record 1")
    bad = {0: [nameless, rejected(98), rejected(99)]}
    source = PagedSource(products=catalog(25), rejected=bad)
    sink = FaultySink()
    keys = (key(3), key(17), key(99))
    report = await run(source, sink, options=fast(keys=keys))
    assert report.status is RunStatus.DEGRADED
    assert (report.counts.created, report.counts.failed) == (2, 1)
    assert sink.holds(product(3), product(17))


@pytest.mark.parametrize("kind", [PagedSource, LookupSource])
async def test_chosen_keys_that_are_not_there(kind: type[PagedSource]) -> None:
    source = kind(products=catalog(5))
    report = await run(source, FaultySink(), options=fast(keys=(key(1), key(77))))
    assert report.status is RunStatus.DEGRADED
    assert report.warnings == ("the source does not have shop:77",)
    assert report.counts.created == 1


async def test_no_chosen_keys_take_nothing() -> None:
    source = LookupSource(products=catalog(5))
    report = await run(source, FaultySink(), options=fast(keys=()))
    assert report.counts.fetched == 0


async def test_a_look_up_is_repeated() -> None:
    source = LookupSource(products=catalog(5), lookup_faults=[BUSY])
    report = await run(source, FaultySink(), options=fast(keys=[key(1)]))
    assert (report.counts.created, report.retries) == (1, 1)


async def test_a_look_up_without_tries_left() -> None:
    source = LookupSource(products=catalog(60), lookup_faults=[BUSY] * 4)
    with pytest.raises(TransientError, match="busy"):
        await run(source, FaultySink(), options=fast(keys=[key(1)]))


async def test_a_later_look_up_without_tries_left_makes_the_run_incomplete() -> None:
    source = LookupSource(products=catalog(60))

    async def get(keys: Sequence[ProductKey], /) -> Page:
        if source.lookups:
            raise BUSY
        return await source.get(keys)

    @attrs.define
    class Later:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            raise AssertionError

        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            return await get(keys)

    keys = [product.key for product in catalog(60)]
    report = await run(Later(), FaultySink(), options=fast(keys=keys))
    assert report.status is RunStatus.INCOMPLETE
    assert "busy" in report.problem
    assert not report.warnings


async def test_any_iterable_is_a_source() -> None:
    for products in (catalog(25), tuple(catalog(25)), iter(catalog(25))):
        source = as_source(products, name="shop", page_size=10)
        report = await run(source, FaultySink())
        assert report.counts.created == 25


async def test_an_async_iterable_is_a_source() -> None:
    async def products() -> AsyncIterator[Product]:
        for item in catalog(20):
            yield item

    report = await run(as_source(products(), name="shop", page_size=10), FaultySink())
    assert report.counts.created == 20


async def test_a_list_can_be_read_again() -> None:
    source = as_source(catalog(5))
    sink = FaultySink()
    await run(source, sink)
    assert (await run(source, sink)).counts.unchanged == 5


@pytest.mark.parametrize("cursor", ["0", "20", "10"])
async def test_pages_of_an_iterable_are_read_in_order(cursor: str) -> None:
    """Those of a list can be read in any order, as the kit for adapters checks."""
    source = as_source(iter(catalog(50)), page_size=10)
    if cursor != "10":
        await source.read(None)
    with pytest.raises(MisconfiguredError, match="in order"):
        await source.read(cursor)


async def test_an_iterable_that_breaks_is_not_taken_for_its_end() -> None:
    """A generator cannot go on after an error, so its products are not all there."""

    async def products() -> AsyncIterator[Product]:
        for item in catalog(15):
            yield item
        raise TransientError("the connection was lost", retry_after=0)

    with pytest.raises(MisconfiguredError, match="only once"):
        await run(as_source(products(), page_size=100), FaultySink())


async def test_an_iterable_that_gives_a_key_twice_is_incomplete() -> None:
    """A generator cannot be read again, so a second pass cannot help."""
    products = iter([product(1), product(1), product(2)])
    report = await run(as_source(products, name="shop"), FaultySink())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 2


async def test_an_iterable_that_raises_at_once() -> None:
    def products() -> Any:
        raise ZeroDivisionError
        yield product(1)

    with pytest.raises(ZeroDivisionError):
        await run(as_source(products()), FaultySink())


def test_a_page_has_at_least_one_product() -> None:
    with pytest.raises(ValueError, match="page_size"):
        as_source([], page_size=0)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é"])
def test_a_source_needs_a_name_that_is_valid_in_keys(name: str) -> None:
    with pytest.raises(MisconfiguredError, match="name of the source"):
        Sync(as_source([], name=name), FaultySink()).run()


@pytest.mark.parametrize("name", ["batch_size", "writers", "pages_ahead", "limit"])
def test_numbers_in_options_are_one_or_more(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Options(**{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["batch", "weight", "writers", "find"])
def test_limits_are_one_or_more(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


async def test_one_attempt_means_no_repeat() -> None:
    source = PagedSource(products=catalog(5), faults={0: [BUSY]})
    with pytest.raises(TransientError):
        await run(source, FaultySink(), options=fast(retry=RetryPolicy(attempts=1)))


async def test_a_stop_iteration_does_not_end_the_run_well() -> None:
    """`await anext(...)` on what is exhausted looked like the end of the source."""

    class Exhausted(PagedSource):
        async def read(self, cursor: Cursor | None, /) -> Page:
            if cursor is not None:
                raise StopAsyncIteration
            return await super().read(cursor)

    with pytest.raises(RuntimeError, match=r"StopAsyncIteration in .*Exhausted\.read"):
        await run(Exhausted(products=catalog(6), page_size=2), FaultySink())


async def test_what_was_oversold_counts_as_sold_out() -> None:
    """Whether the source or the transform says so; the transform sees the number."""
    seen: list[int] = []

    def transform(product: Product) -> Product:
        (variant,) = product.variants or ()
        (level,) = variant.stock or ()
        seen.append(level.quantity)
        less = attrs.evolve(level, quantity=level.quantity - 2)
        return attrs.evolve(product, variants=[attrs.evolve(variant, stock=[less])])

    def stocked(number: int) -> Product:
        stock = [StockLevel(quantity=number)]
        variants = [Variant(id="v", stock=stock)]
        return Product(
            key=ProductKey("shop", str(number)), title="T", variants=variants
        )

    source = as_source([stocked(n) for n in (-1, 1, 5)], name="shop")
    sink = MemorySink()
    for updated in (0, 1):
        report = await sync(source, sink, options=Options(transform=transform))
        assert report.counts.unchanged == 3 * updated
        (warning,) = report.warnings
        assert warning.endswith(": 2 products, for example shop:-1")
        assert report.status is RunStatus.SUCCEEDED
    stock = [v.stock[0].quantity for p in sink.products.values() for v in p.variants]  # type: ignore[union-attr,index]
    assert (stock, seen[:3]) == ([0, 0, 3], [-1, 1, 5])
