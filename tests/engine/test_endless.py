"""Sources that never end or announce a huge total, and sources with duplicates."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Sequence

import attrs
import pytest
from hypothesis import given, strategies as st

from catalogsync import (
    BrokenReplyError,
    Page,
    Product,
    ProductKey,
    Prune,
    Rejected,
    Report,
    RunStatus,
    sync,
)
from catalogsync.protocols import Cursor

from .fakes import (
    HANGS,
    FaultySink,
    LookupSource,
    PagedSource,
    catalog,
    check,
    fast,
    key,
    product,
    run,
)
from .shop import Shop


@attrs.define(kw_only=True)
class Endless:
    """A source that always names another page.

    Attributes:
        page: The products of each page, by its number.
        total: What it says.
        parallel: How many pages each page names.
        most: More pages than are read if the run notices anything.
    """

    page: Callable[[int], Sequence[Product]]
    total: int | None = None
    parallel: int = 1
    name: str = "shop"
    most: int = 5000
    reads: int = 0
    named: int = 0

    async def read(self, cursor: Cursor | None, /) -> Page:
        self.reads += 1
        assert self.reads < self.most, "it is read for ever"
        await asyncio.sleep(0)
        number = int(cursor or 0)
        if cursor is None:
            self.named = 0
        following = range(self.named + 1, self.named + 1 + self.parallel)
        self.named = following[-1]
        names = tuple(map(str, following))
        return Page(products=self.page(number), next=names, total=self.total)

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """None of these is there, if one believes it."""
        return Page(products=())


def pages(size: int, of: int) -> list[list[Product]]:
    return [[product(n) for n in range(at, at + of)] for at in range(0, size, of)]


CLAMPED = pages(30, 10)
NEVER_ENDING = {
    "the last page again": lambda n: CLAMPED[min(n, 2)],
    "all over again": lambda n: CLAMPED[n % 3],
    "the first page again": lambda n: CLAMPED[n if n < 3 else 0],
    "a product of the last page": lambda n: CLAMPED[n] if n < 3 else [product(29)],
    "empty pages": lambda n: CLAMPED[n] if n < 3 else [],
    "empty pages and repeats": lambda n: CLAMPED[n] if n < 3 else [product(1)][n % 2 :],
}


async def read_to_the_end(source: Endless, sink: Shop) -> Report:
    """What a run that would remove makes of it, with products that left before."""
    await sync(LookupSource(products=catalog(33)), sink)
    options = fast(prune=Prune.DELETE, max_prune=100)
    async with asyncio.timeout(HANGS):
        report = await sync(source, sink, options=options)
    check(report)
    return report


@pytest.mark.parametrize("page", NEVER_ENDING.values(), ids=NEVER_ENDING.keys())
@pytest.mark.parametrize("total", [None, 30, 31, 1000, 10**9])
@pytest.mark.parametrize("parallel", [1, 3])
async def test_a_source_that_does_not_end(
    page: Callable[[int], Sequence[Product]], total: int | None, parallel: int
) -> None:
    """It is read to where nothing new comes, and nothing is removed for it."""
    source = Endless(page=page, total=total, parallel=parallel)
    sink = Shop()
    report = await read_to_the_end(source, sink)
    assert report.status is RunStatus.INCOMPLETE
    assert "the source does not end" in report.problem
    assert report.counts.unchanged == report.counts.fetched == 30
    assert (report.counts.removed, len(sink.rows)) == (0, 33)


async def test_one_whose_total_is_reached_is_read_no_further() -> None:
    source = Endless(page=NEVER_ENDING["the last page again"], total=30)
    await read_to_the_end(source, Shop())
    assert source.reads == 2 * 4


@pytest.mark.parametrize("total", [None, 0, 7])
async def test_one_that_gives_nothing_for_ever_is_an_error(total: int | None) -> None:
    source = Endless(page=lambda _: [], total=total)
    with pytest.raises(BrokenReplyError, match="the source does not end: 1000 pages"):
        await run(source, FaultySink())


@given(
    graph=st.lists(
        st.tuples(
            st.lists(st.integers(0, 20), max_size=4),
            st.lists(st.integers(0, 11), max_size=3),
        ),
        min_size=1,
        max_size=12,
    ),
    total=st.none() | st.integers(0, 30),
    ahead=st.integers(1, 4),
)
async def test_pages_that_name_each_other_in_any_way(
    graph: list[tuple[list[int], list[int]]], total: int | None, ahead: int
) -> None:
    """The run ends, takes each product once, and removes nothing without reason."""

    class Graph:
        name = "shop"
        reads = 0

        async def read(self, cursor: Cursor | None, /) -> Page:
            Graph.reads += 1
            numbers, following = graph[int(cursor or 0) % len(graph)]
            products = [product(number) for number in numbers]
            return Page(products=products, next=tuple(map(str, following)), total=total)

    sink = FaultySink()
    Graph.reads = 0
    try:
        report = await run(Graph(), sink, options=fast(pages_ahead=ahead))
    except BrokenReplyError:
        assert not sink.writes
    else:
        keys = {key(n) for numbers, _ in graph for n in numbers}
        assert sink.products.keys() <= keys
        assert report.counts.created == len(sink.products)
    assert Graph.reads <= 2 * (1 + 12)


# --- what a source says of its size ---


@attrs.frozen
class Huge(Sequence[Cursor]):
    """As many cursors as one likes, made one by one."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: object) -> str:
        assert isinstance(index, int)
        return str(index + 1)


async def test_a_huge_total_costs_no_memory() -> None:
    @attrs.define
    class Boaster:
        name: str = "shop"

        async def read(self, cursor: Cursor | None, /) -> Page:
            if cursor is not None:
                raise BrokenReplyError("there is no such page", retry_after=0)
            return Page(products=catalog(3), next=Huge(10**9), total=10**9)

    tracemalloc.start()
    try:
        report = await run(Boaster(), FaultySink())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 3
    assert peak < 10_000_000


# --- keys that appear twice ---


@given(
    numbers=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    size=st.integers(1, 8),
    parallel=st.booleans(),
    with_total=st.booleans(),
)
async def test_keys_that_appear_twice(
    numbers: list[int], size: int, parallel: bool, with_total: bool
) -> None:
    """The first is taken, and each of the others is rejected with both places."""
    products = [product(n, title=f"At {place}") for place, n in enumerate(numbers)]
    source = PagedSource(
        products=products, page_size=size, parallel=parallel, with_total=with_total
    )
    sink = FaultySink()
    report = await run(source, sink)
    first = {n: numbers.index(n) for n in numbers}
    again = [(n, place) for place, n in enumerate(numbers) if first[n] != place]
    assert [(r.key, r.where) for r in report.rejected] == [
        (key(n), f"record {place + 1}") for n, place in again
    ]
    for record, (n, _) in zip(report.rejected, again, strict=True):
        assert record.reason.endswith(f"first in record {first[n] + 1}")
    assert report.status is (RunStatus.DEGRADED if again else RunStatus.SUCCEEDED)
    assert report.counts.created == len(first)
    assert sink.holds(*(products[place] for place in first.values()))


async def test_repeats_forbid_no_removal() -> None:
    """The source was seen as a whole, twice."""
    shop = Shop()
    await sync(LookupSource(products=catalog(4)), shop)
    source = LookupSource(products=[*catalog(3), product(0)])
    options = fast(prune=Prune.DELETE, max_prune=5)
    report = await sync(source, shop, options=options)
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 1)
    assert shop.titles().keys() == {"0", "1", "2"}


@given(moves=st.permutations([0, 1, 2, 0]))
async def test_repeats_in_other_places_are_a_list_that_moves(moves: list[int]) -> None:
    """Only the same places in both passes are a mistake of the source."""
    before = [product(n) for n in (0, 0, 1, 2)]
    after = [product(n) for n in moves]

    class Moving(PagedSource):
        def page(self, number: int) -> Page:
            self.products = before if len(self.reads) == 1 else after
            return super().page(number)

    report = await run(Moving(products=before), FaultySink())
    same = moves[:2] == [0, 0]
    assert report.status is (RunStatus.DEGRADED if same else RunStatus.INCOMPLETE)
    assert len(report.rejected) == same


# --- records without a key ---


@given(
    records=st.lists(
        st.tuples(st.sampled_from(["id: is missing", "id: is odd"]), st.integers(0, 2)),
        max_size=12,
    ),
    again=st.booleans(),
)
async def test_records_without_a_key_are_reported_one_by_one(
    records: list[tuple[str, int]], again: bool
) -> None:
    """Also those that are alike, and once where the source is read twice."""
    bad = [
        Rejected(key=None, reason=reason, where=f"row {row}", path="id")
        for reason, row in records
    ]
    total = 3 + len(bad)
    source = PagedSource(
        products=catalog(3),
        rejected={0: bad},
        total=lambda reads: total - (again and reads == 1),
    )
    report = await run(source, FaultySink())
    assert sorted(map(str, report.rejected)) == sorted(map(str, bad))
    assert report.counts.failed == len(bad)
    assert len(source.reads) == (2 if again else 1)
