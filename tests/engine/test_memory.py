"""What is in memory at once is bounded by its size, not only by its number."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from tests.strategies import products

from catalogsync import (
    Change,
    Field,
    Limits,
    Outcome,
    OutcomeStatus,
    Page,
    Product,
    ProductKey,
    RunStatus,
    StateSettings,
    Sync,
    as_source,
    sync,
)
from catalogsync.batching import ROOM, weight_of
from catalogsync.catalog.changes import Found
from catalogsync.engine.retrying import find_failed
from catalogsync.protocols import Cursor

from .fakes import FaultySink, fast, key, product, run

MB = 1_000_000


def heavy(number: int, size: int = MB) -> Product:
    """A product with a text of its own."""
    return product(number, description=f"{number:08}" * (size // 8))


@attrs.define(kw_only=True)
class Warehouse:
    """A source of heavy products that are made when they are read.

    Attributes:
        pages: How many pages there are.
        page_size: Products in a page.
        parallel: Whether the first page names all others.
        weight: Characters of each product's text.
    """

    pages: int
    page_size: int = 10
    weight: int = MB
    parallel: bool = False
    name: str = "shop"
    lookups: list[int] = attrs.field(factory=list[int])

    async def read(self, cursor: Cursor | None, /) -> Page:
        await asyncio.sleep(0)
        number = int(cursor or 0)
        following = range(number + 1, min(number + 2, self.pages))
        if self.parallel:
            following = range(1, self.pages) if cursor is None else range(0)
        begin = number * self.page_size
        numbers = range(begin, begin + self.page_size)
        made = [heavy(number, self.weight) for number in numbers]
        return Page(products=made, next=tuple(map(str, following)))

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        self.lookups.append(len(keys))
        return Page(products=[heavy(int(key.id)) for key in keys])


@attrs.define(kw_only=True)
class Sieve:
    """A sink that keeps nothing, and takes its time for each batch."""

    limits: Limits
    name: str = "sieve"
    refuses: bool = False
    written: int = 0

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        return {}

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        for _ in range(300):
            await asyncio.sleep(0)
        self.written += len(changes)
        if self.refuses:
            failed = OutcomeStatus.FAILED
            return [Outcome(change.key, failed, "no room") for change in changes]
        return [change.done() for change in changes]


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """Bytes that were in use at once at most."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@attrs.define(kw_only=True)
class Census(Sieve):
    """A sieve that counts the product keys that are in memory."""

    most: int = 0

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        alive = sum(type(one) is ProductKey for one in gc.get_objects())
        self.most = max(self.most, alive)
        return [change.done() for change in changes]


@pytest.mark.parametrize("stored", [False, True])
async def test_no_key_is_kept_of_a_product_that_is_through(
    stored: bool, tmp_path: Path
) -> None:
    """As many are in memory at the end of a long run as at the end of a short one."""
    counted: list[int] = []
    for pages in (100, 400):
        source = Warehouse(pages=pages, weight=8)
        sink = Census(limits=Limits(find=100))
        settings = StateSettings(url=f"sqlite:///{tmp_path / f'{pages}.db'}")
        async with settings.open() as store:
            kept = store if stored else None
            report = await sync(source, sink, options=fast(), state=kept)
        assert report.counts.created == 10 * pages
        counted.append(sink.most)
    assert counted[1] < counted[0] + 1000


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("writers", [1, 4])
async def test_heavy_products_are_existing_a_few_at_a_time(
    peak: Callable[[], int], parallel: bool, writers: int
) -> None:
    """200 MB go through a sink that takes 500 products at a time."""
    source = Warehouse(pages=20, parallel=parallel)
    sink = Sieve(limits=Limits(find=500, batch=100, writers=writers))
    report = await run(source, sink)
    assert (report.status, sink.written) == (RunStatus.SUCCEEDED, 200)
    most_batches = (2 * writers + 4) * ROOM
    assert peak() < most_batches + 30 * MB < 110 * MB


async def test_heavy_products_of_an_iterator(peak: Callable[[], int]) -> None:
    """Its pages are cut where they are heavy."""
    source = as_source(map(heavy, range(150)), name="shop")
    sink = Sieve(limits=Limits(find=500, batch=100))
    report = await run(source, sink)
    assert sink.written == report.counts.created == 150
    assert peak() < 50 * MB


async def test_heavy_products_that_are_looked_up(peak: Callable[[], int]) -> None:
    """The first request shows how large they are."""
    source = Warehouse(pages=0)
    sink = Sieve(limits=Limits(find=500, batch=100))
    keys = [key(number) for number in range(150)]
    await run(source, sink, options=fast(keys=keys))
    assert sink.written == 150
    assert source.lookups == [50, *[4] * 25]
    assert peak() < 90 * MB


async def test_heavy_products_that_a_transform_makes(peak: Callable[[], int]) -> None:
    def grow(small: Product) -> Product:
        return heavy(int(small.key.id))

    light = [product(number) for number in range(150)]
    sink = Sieve(limits=Limits(find=500, batch=100))
    await run(as_source(light, name="shop"), sink, options=fast(transform=grow))
    assert sink.written == 150
    assert peak() < 50 * MB


@pytest.mark.parametrize("where", ["the transform", "the sink"])
async def test_heavy_products_that_fail_are_kept_in_the_store_as_they_come(
    peak: Callable[[], int], where: str
) -> None:
    """They wait for no batch to be written: there may be none."""

    class Narrow(Sieve):
        def shape(self, product: Product, /) -> Product:
            from catalogsync import RefusedError

            raise RefusedError("it is too large")

    def fail(_: Product) -> Product:
        raise ValueError("it is too large")

    kept: list[int] = []

    class Counting:
        """A state store that forgets failures, and counts how many came at once."""

        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def put_failures(self, _: str, failures: Sequence[object]) -> None:
            kept.append(len(failures))

    async with StateSettings().open() as opened:
        store: Any = Counting(opened)
        options = fast(transform=fail if where == "the transform" else None)
        sink = Narrow(limits=Limits(find=5))
        report = await sync(
            Warehouse(pages=15), sink, options=options, state=store, job="j"
        )
    assert report.counts.failed == sum(kept) == 150
    assert max(kept) <= 30
    assert peak() < 90 * MB


@pytest.mark.parametrize("asked", [False, True])
async def test_failed_heavy_products_are_tried_a_few_at_a_time(
    tmp_path: Path, asked: bool
) -> None:
    """80 MB, asked for at the source or as they were kept."""
    source: Any = Warehouse(pages=8)
    if not asked:
        source = as_source(map(heavy, range(80)), name="shop")
    async with StateSettings(url=f"sqlite:///{tmp_path}/runs.db").open() as store:
        refusing = Sieve(limits=Limits(find=5, batch=5), refuses=True)
        options = fast(max_refusals=1000)
        report = await sync(source, refusing, options=options, state=store, job="j")
        assert report.counts.failed == 80
        tracemalloc.start()
        failed = await find_failed(source, store, job="j")
        assert len(failed.keys) == 80
        sink = Sieve(limits=Limits(find=500, batch=100))
        async with Sync(failed.name, sink, job="j", state=store).retry(failed) as retry:
            report = await retry.report()
    assert report.counts.created == sink.written == 80
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * MB


async def test_light_products_still_go_in_large_groups() -> None:
    sink = FaultySink(limits=Limits(find=500, batch=100))
    await run(as_source([product(n) for n in range(1000)], name="shop"), sink)
    assert [len(found) for found in sink.finds] == [100, 200, 400, 300]


@given(one=products())
async def test_a_weight_is_about_what_a_product_takes(one: Product) -> None:
    """Never less than its texts, and not far more than all of it."""
    whole = _bytes_of(one, set())
    # Texts are weighed at several bytes a character; é takes one in memory.
    assert len(one.title) < weight_of(one) < 6 * whole + 4000


def _bytes_of(value: object, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    total = sys.getsizeof(value)
    if attrs.has(type(value)):
        names = (field.name for field in attrs.fields(type(value)))  # type: ignore[arg-type]
        return total + sum(_bytes_of(getattr(value, name), seen) for name in names)
    if isinstance(value, Mapping):
        return total + sum(
            _bytes_of(each, seen) for pair in value.items() for each in pair
        )
    if isinstance(value, list | tuple):
        return total + sum(_bytes_of(each, seen) for each in value)
    return total
