"""A list that moves while its pages are read: nothing that stays in it is missed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.adapters.dummyjson_runs import (
    AT_ONCE,
    Record,
    answer,
    key,
    meanwhile,
    record,
    run,
    served,
    things,
)

from catalogsync import (
    MemorySink,
    Options,
    Page,
    Product,
    Report,
    RunStatus,
    Source,
    sync,
)
from catalogsync.events import PassRepeated
from catalogsync.protocols import Cursor
from catalogsync.testing.faults import Fault

SEEDS = range(300)
SIZE = 30
GAP = 1000
"""Between ids, so that others can come between them."""

Move = Callable[[list[int]], object]


def insert(ids: list[int], at: float) -> None:
    place = int(at * (len(ids) + 1))
    around = [0, *ids, ids[-1] + 2 * GAP]
    ids.insert(place, (around[place] + around[place + 1]) // 2)


def delete(ids: list[int], at: float) -> None:
    del ids[int(at * len(ids))]


def reorder(ids: list[int], at: float, to: float) -> None:
    moved = ids.pop(int(at * len(ids)))
    ids.insert(int(to * (len(ids) + 1)), moved)


def come_and_go(rng: random.Random) -> Move:
    return partial(rng.choice([insert, delete]), at=rng.random())


def change_places(rng: random.Random) -> Move:
    return partial(reorder, at=rng.random(), to=rng.random())


@attrs.define
class Shop:
    """A catalog in which something happens between the requests for its pages.

    Attributes:
        plan: What happens, by the number of the request that comes after it.
        ids: Its products, in order.
        steady: Those that have been there since a pass began.
    """

    plan: Mapping[int, Sequence[Move]]
    ids: list[int] = attrs.field(factory=lambda: list(range(GAP, 195 * GAP, GAP)))
    steady: set[int] = attrs.field(factory=set[int])
    requests: int = 0

    def ask(self, skip: int) -> None:
        """Let happen what does before this page is answered."""
        self.requests += 1
        for move in self.plan.get(self.requests, ()):
            move(self.ids)
        if skip == 0:
            self.steady = set(self.ids)
        self.steady.intersection_update(self.ids)


def shop(seed: int, kind: Callable[[random.Random], Move]) -> Shop:
    """A few moves at a few moments of a pass, and sometimes of the one after it."""
    rng = random.Random(seed)
    plan: dict[int, list[Move]] = defaultdict(list)
    for _ in range(rng.randint(1, 2)):
        plan[rng.randint(2, 9)] += [kind(rng) for _ in range(rng.choice([1, 2, 2, 4]))]
    return Shop(plan)


@attrs.define
class ShopSource:
    """Reads a shop as the DummyJSON source does; replies come in any order."""

    shop: Shop
    rng: random.Random
    name: str = "dummyjson"

    async def read(self, cursor: Cursor | None, /) -> Page:
        for _ in range(self.rng.randrange(4)):
            await asyncio.sleep(0)
        skip = int(cursor or 0)
        self.shop.ask(skip)
        ids = self.shop.ids
        found = ids[skip : skip + SIZE]
        following = range(SIZE, len(ids), SIZE) if cursor is None else ()
        return Page(
            products=[Product(key=key(id_), title="Thing") for id_ in found],
            next=tuple(map(str, following)),
            total=len(ids),
            before=key(ids[skip - 1]) if 0 < skip <= len(ids) else None,
            last=key(found[-1]) if found else None,
        )


@attrs.frozen
class CountedSource:
    """The same source without `before` and `last`: only totals and keys reveal a move."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await self.source.read(cursor)
        return attrs.evolve(page, before=None, last=None)


async def read(source: Source, shop: Shop) -> tuple[Report, set[int]]:
    """The report, and what was there all the time and was missed nevertheless."""
    sink = MemorySink()
    report = await sync(source, sink, options=Options(retry=AT_ONCE))
    return report, {id_ for id_ in shop.steady if key(id_) not in sink.products}


@pytest.mark.parametrize("kind", [come_and_go, change_places])
async def test_a_run_that_succeeds_has_missed_nothing(
    kind: Callable[[random.Random], Move],
) -> None:
    ends: set[RunStatus] = set()
    for seed in SEEDS:
        moving = shop(seed, kind)
        report, missed = await read(ShopSource(moving, random.Random(seed)), moving)
        if report.status is RunStatus.SUCCEEDED:
            assert not missed, f"seed {seed}"
        ends.add(report.status)
    assert ends == {RunStatus.SUCCEEDED, RunStatus.INCOMPLETE}


async def test_counting_alone_would_miss_some() -> None:
    """With the same moves; so the test above is able to fail."""
    for seed in SEEDS:
        moving = shop(seed, come_and_go)
        source = CountedSource(ShopSource(moving, random.Random(seed)))
        report, missed = await read(source, moving)
        if report.status is RunStatus.SUCCEEDED and missed:
            return
    pytest.fail("no run missed anything")


async def test_what_cannot_be_noticed() -> None:
    """Unless its order is a fixed one: one changes places, one comes, one goes."""
    ids = list(range(GAP, 195 * GAP, GAP))
    unread, read_ = ids[40], ids[3]

    def hide(ids: list[int]) -> None:
        ids.remove(unread)
        ids[ids.index(read_)] = unread
        ids.insert(40, GAP // 2)

    moving = Shop({2: [hide]})
    sink = MemorySink()
    source = ShopSource(moving, random.Random(0))
    options = Options(retry=AT_ONCE, pages_ahead=1)
    report = await sync(source, sink, options=options)
    assert report.status is RunStatus.SUCCEEDED
    assert moving.steady - {int(key.id) for key in sink.products} == {unread}


@pytest.mark.parametrize("seed", range(8))
async def test_over_http(seed: int) -> None:
    moving = shop(seed, come_and_go)
    records = served(map(record, moving.ids))

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        moving.ask(int(request.query["skip"]))
        records[:] = map(record, moving.ids)
        return await handler(request)

    ran = await run(records, Fault("delay", effect, "GET", "/products[?]*"))
    if ran.report.status is RunStatus.SUCCEEDED:
        assert {str(id_) for id_ in moving.steady} <= set(ran.ids)
    else:
        assert ran.report.status is RunStatus.INCOMPLETE
        assert "also when it was read again" in ran.report.problem


PAGES_OF_FIVE = {"page_size": 5}
SECOND = "/products[?]*skip=4&*"


async def test_one_that_goes_while_another_comes() -> None:
    """The total is the same, no key comes twice, and yet a product was passed by."""
    records = served(things(14))

    def change() -> None:
        del records[0]
        records.append(record(15))

    ran = await run(
        records, meanwhile(change, SECOND), settings=PAGES_OF_FIVE, pages_ahead=1
    )
    assert sorted(ran.ids, key=int) == [str(number) for number in range(1, 16)]
    assert ran.report.status is RunStatus.SUCCEEDED
    (repeated,) = [each for each in ran.events if isinstance(each, PassRepeated)]
    assert repeated.reason == (
        "the source's list moved while it was read"
        " (dummyjson:6 is now where dummyjson:5 was)"
    )


async def test_a_list_that_never_stands_still() -> None:
    records = served(things(14))

    def change() -> None:
        del records[0]
        records.append(record(int(records[-1]["id"]) + 1))

    changes = [meanwhile(change, SECOND, on=on) for on in (1, 2)]
    ran = await run(records, *changes, settings=PAGES_OF_FIVE, pages_ahead=1)
    assert ran.report.status is RunStatus.INCOMPLETE
    assert ran.report.problem == (
        "the source's list moved while it was read"
        " (dummyjson:7 is now where dummyjson:6 was), also when it was read again"
    )
    assert ran.passes == 2


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record(5, price=-1), "price: must be 0 or more, is -1"),
        (record(5, id=None), "id: must be text or a whole number, not null"),
    ],
)
async def test_the_record_before_a_page_is_rejected_once(
    bad: Record, message: str
) -> None:
    """It belongs to the page before, which reports it."""
    records = [*things(4), bad, *things(14)[5:]]
    pages = [
        answer(
            json.dumps({"products": records[skip:end], "total": 14}).encode(),
            f"/products[?]*skip={skip}&*",
        )
        for skip, end in ((0, 5), (4, 10), (9, 14))
    ]
    ran = await run([], *pages, settings=PAGES_OF_FIVE)
    assert (ran.report.counts.created, ran.report.counts.failed) == (13, 1)
    assert ran.report.status is RunStatus.DEGRADED
    failed = [outcome.reason for outcome in ran.report.failures]
    (reason,) = [*failed, *map(str, ran.report.rejected)]
    assert message in reason
    assert "page skip=0, record 4" in reason
    assert ran.passes == 1


async def test_a_server_that_gives_no_more_than_a_page() -> None:
    """The record before the page is not available; everything else is."""

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        body = json.loads(response.body)
        return web.json_response({**body, "products": body["products"][:5]})

    cap = Fault("bad_json", effect, "GET", "/products[?]*")
    ran = await run(things(13), cap, settings=PAGES_OF_FIVE, pages_ahead=1)
    assert ran.ids == [str(number) for number in range(1, 14)]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.retries == 0
    assert ran.pages == [("5", "0"), ("6", "4"), ("5", "5"), ("6", "9")]
