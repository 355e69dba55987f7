"""DummyJSON that breaks its word, fails or is not there."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.adapters.dummyjson_runs import (
    AT_ONCE,
    Ran,
    answer,
    key,
    meanwhile,
    open_shop,
    record,
    run,
    served,
    things,
)

from catalogsync import (
    CatalogSyncError,
    MemorySink,
    MisconfiguredError,
    Options,
    ProductKey,
    RetryPolicy,
    RunStatus,
    TransientError,
    sync,
)
from catalogsync._lib import strict_json
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.errors import BrokenReplyError
from catalogsync.http._client import HttpOptions
from catalogsync.testing import FaultPlan, dummyjson_server, generate_catalog
from catalogsync.testing.dummyjson import Records
from catalogsync.testing.faults import (
    Fault,
    bad_gateway,
    bad_json,
    cut,
    lost,
    reset,
    stall,
    status,
    truncated,
)
from catalogsync.testing.servers import serve

FIRST = "/products[?]*skip=0&*"
SECOND = "/products[?]*skip=4&*"
THIRD = "/products[?]*skip=9&*"
PAGES_OF_FIVE: dict[str, Any] = {"settings": {"page_size": 5}}

FAULTS: list[Callable[..., Fault]] = [
    bad_gateway,
    bad_json,
    cut,
    lost,
    reset,
    truncated,
    lambda method, path, **when: status(500, method, path, **when),
    lambda method, path, **when: status(503, method, path, **when),
    lambda method, path, **when: status(429, method, path, **when),
    lambda method, path, **when: bad_json(method, path, body="5", **when),
    lambda method, path, **when: bad_json(method, path, body="null", **when),
    lambda method, path, **when: bad_json(method, path, body="{}", **when),
]
SEVERAL = {1, 2}
"""Of one page's requests: aiohttp repeats one lost GET by itself."""


def page(*records: object, total: object, skip: object = 0) -> bytes:
    found = {"products": records, "total": total, "skip": skip, "limit": 30}
    return json.dumps(found).encode()


def assert_all_there(ran: Ran, count: int) -> None:
    assert ran.ids == [str(number) for number in range(1, count + 1)]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.counts.fetched == ran.report.counts.created == count
    assert ran.report.failures == ()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "path", [FIRST, SECOND, THIRD, "/products/categories"], ids=["0", "5", "10", "c"]
)
async def test_a_page_that_fails_and_comes_later(
    fault: Callable[..., Fault], path: str
) -> None:
    ran = await run(things(14), fault("GET", path, on=SEVERAL), **PAGES_OF_FIVE)
    assert_all_there(ran, 14)
    assert ran.passes == 1
    assert ran.report.retries >= 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_page_that_never_comes(fault: Callable[..., Fault]) -> None:
    """Everything else is there, and the report says what is not."""
    ran = await run(things(14), fault("GET", SECOND), **PAGES_OF_FIVE)
    assert ran.ids == [str(n) for n in (1, 2, 3, 4, 5, 11, 12, 13, 14)]
    assert ran.report.status is RunStatus.INCOMPLETE
    assert "could not read page 5: " in ran.report.problem
    assert ran.report.counts.failed == 0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", [FIRST, "/products/categories"])
async def test_a_beginning_that_never_comes(
    fault: Callable[..., Fault], path: str
) -> None:
    with pytest.raises(TransientError, match=r"^GET http://127"):
        await run(things(14), fault("GET", path), **PAGES_OF_FIVE)


async def test_a_existing_answer() -> None:
    settings = {
        "page_size": 5,
        "http": HttpOptions(timeout=0.2),
    }
    fault = stall(asyncio.Event(), "GET", SECOND, on=1)
    ran = await run(things(14), fault, settings=settings)
    assert_all_there(ran, 14)
    assert ran.report.retries >= 1


@pytest.mark.parametrize(
    "body",
    [
        page(total=14),
        page(*things(4), total=14),
        page(*things(6), total=14),
        page(*things(5), total=None),
        page(*things(5), total="14"),
        page(*things(5), total=14.0),
        page(*things(1), total=True),
        page(*things(5), total=-1),
        page(*things(5), total=10**12),
        page(*things(5), total=14, skip=5),
        page(*things(5), total=14, skip=None),
        b'{"products": null, "total": 14}',
        b'{"products": {}, "total": 14}',
        b'{"total": 14}',
        b'"products"',
    ],
)
async def test_a_page_that_is_not_what_was_asked_for(body: bytes) -> None:
    ran = await run(things(14), answer(body, FIRST, on=1), **PAGES_OF_FIVE)
    assert_all_there(ran, 14)
    assert ran.report.retries == 1
    with pytest.raises(BrokenReplyError, match="/products: "):
        await run(things(14), answer(body, FIRST), **PAGES_OF_FIVE)


async def test_a_page_that_is_too_short_says_by_how_much() -> None:
    """A server may limit the size of a page."""
    with pytest.raises(BrokenReplyError, match="5 products instead of 30 at skip 0"):
        await run([], answer(page(*things(5), total=100), "/products[?]*"))


async def test_an_answer_that_is_too_large() -> None:
    settings = {"page_size": 5, "http": HttpOptions(max_body=3000)}
    records = [*things(5), record(6, description="x" * 3000), *things(14)[6:]]
    ran = await run(records, settings=settings)
    assert ran.ids == [str(n) for n in (1, 2, 3, 4, 5, 11, 12, 13, 14)]
    assert ran.report.status is RunStatus.INCOMPLETE
    assert "the answer is larger than 3000 bytes" in ran.report.problem


@pytest.mark.parametrize("orjson", [True, False])
async def test_half_an_emoji_spoils_one_product_and_not_its_page(
    orjson: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JavaScript produces them when it cuts a title."""
    body = page(record(1), record(2, title="Cut \ud83d"), record(3), total=3)
    assert b"\\ud83d" in body
    if not orjson:
        monkeypatch.setattr(strict_json, "_orjson", None)
    ran = await run([], answer(body, "/products[?]*"))
    assert ran.ids == ["1", "3"]
    assert ran.report.status is RunStatus.DEGRADED
    assert ran.reasons["2"].startswith("title: contains half a surrogate pair")


@pytest.mark.parametrize("price", ["1e400", "-1e400", "1" * 400])
async def test_a_number_beyond_all_bounds_spoils_one_product(price: str) -> None:
    text = page(record(1), record(2, price="PRICE"), record(3), total=3).decode()
    body = text.replace('"PRICE"', price).encode()
    ran = await run([], answer(body, "/products[?]*"))
    assert ran.ids == ["1", "3"]
    assert ran.reasons["2"].startswith("price: must be 0 or more, is ")


async def test_nan_is_no_json() -> None:
    body = page(record(1, price=float("nan")), total=1)
    with pytest.raises(BrokenReplyError, match="not JSON"):
        await run([], answer(body, "/products[?]*"))


async def test_a_product_that_is_added_while_the_pages_are_read() -> None:
    """The total moves, so all is read once more."""
    records = served(things(14))
    change = meanwhile(lambda: records.append(record(15)), SECOND)
    ran = await run(records, change, **PAGES_OF_FIVE, pages_ahead=1)
    assert_all_there(ran, 15)
    assert ran.passes == 2


async def test_a_product_that_is_added_at_the_beginning() -> None:
    """Then every later page repeats the last one of the page before."""
    records = served(things(14))
    change = meanwhile(lambda: records.insert(0, record(0)), SECOND)
    ran = await run(records, change, **PAGES_OF_FIVE, pages_ahead=1)
    assert sorted(ran.ids, key=int) == [str(number) for number in range(15)]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.passes == 2


async def test_a_product_that_is_removed_while_the_pages_are_read() -> None:
    """Then every later page skips one, which the second pass finds."""
    records = served(things(14))
    change = meanwhile(lambda: records.pop(0), SECOND)
    ran = await run(records, change, **PAGES_OF_FIVE, pages_ahead=1)
    assert sorted(ran.ids, key=int) == [str(number) for number in range(1, 15)]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.counts.created == 14
    assert ran.passes == 2


async def test_a_catalog_that_shrinks_by_pages() -> None:
    """Pages past the new end are empty, which is not an error by itself."""
    records = served(things(14))
    change = meanwhile(lambda: records.__delitem__(slice(3, None)), SECOND)
    ran = await run(records, change, **PAGES_OF_FIVE, pages_ahead=1)
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.retries == 0
    assert ran.passes == 2


async def test_a_total_that_never_stands_still() -> None:
    records = served(things(14))

    def one_more() -> None:
        records.append(record(len(records) + 1))

    changes = [meanwhile(one_more, SECOND, on=on) for on in (1, 2)]
    ran = await run(records, *changes, **PAGES_OF_FIVE, pages_ahead=1)
    assert ran.report.status is RunStatus.INCOMPLETE
    assert ran.report.problem == (
        "the source's total moved from 15 to 16, also when it was read again"
    )
    assert ran.passes == 2
    assert ran.report.counts.failed == 0


async def test_a_key_that_comes_twice() -> None:
    ran = await run([*things(3), record(2, title="Second thing 2"), *things(6)[3:]])
    assert ran.ids == ["1", "2", "3", "4", "5", "6"]
    assert ran.report.status is RunStatus.DEGRADED
    (rejected,) = ran.report.rejected
    assert str(rejected) == (
        "record 3: dummyjson:2 appears twice in the source, first in record 2"
    )
    assert ran.passes == 2
    assert ran.report.counts.fetched == 7


async def test_a_total_beyond_all_measure_costs_no_memory() -> None:
    """The pages that would follow are not listed beforehand."""
    boast = json.dumps({"products": things(5), "total": 100_000_000, "skip": 0})
    tracemalloc.start()
    try:
        ran = await run(
            things(5), answer(boast.encode(), FIRST), **PAGES_OF_FIVE, pages_ahead=1
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ran.report.status is RunStatus.INCOMPLETE
    assert ran.report.counts.created == 5
    assert peak < 20_000_000


async def test_a_key_that_comes_twice_once() -> None:
    """The page is right again when all is read once more."""
    twice = page(*things(4), record(4), total=7)
    ran = await run(things(7), answer(twice, FIRST, on=1), **PAGES_OF_FIVE)
    assert ran.passes == 2
    assert sorted(ran.ids) == [str(number) for number in range(1, 8)]
    assert ran.report.status is RunStatus.SUCCEEDED


async def test_an_id_as_number_and_as_text_is_the_same_key() -> None:
    ran = await run([record(1), {**record(2), "id": "1"}])
    assert ran.ids == ["1"]
    (rejected,) = ran.report.rejected
    assert rejected.reason.startswith("dummyjson:1 appears twice")


async def test_a_bad_record_counts_once_though_all_is_read_twice() -> None:
    records = served([*things(6), record(7, price=None), record(0, id=None)])
    change = meanwhile(lambda: records.append(record(8)), SECOND)
    ran = await run(records, change, **PAGES_OF_FIVE, pages_ahead=1)
    assert ran.passes == 2
    assert ran.report.status is RunStatus.DEGRADED
    assert (ran.report.counts.created, ran.report.counts.failed) == (7, 2)
    assert list(ran.reasons) == ["7"]


async def test_a_500_in_the_middle() -> None:
    faults = [status(500, "GET", "/products[?]*", on={2, 3, 5})]
    records = generate_catalog(100)
    ran = await run(records, *faults, settings={"page_size": 10})
    assert_all_there(ran, 100)
    assert ran.report.retries == 3


async def test_the_server_goes_down_in_the_middle() -> None:
    """What has come is written; two lost pages in a row are enough."""
    faults = [
        status(503, "GET", f"/products[?]*skip={skip}&*") for skip in range(4, 99)
    ]
    ran = await run(things(99), *faults, **PAGES_OF_FIVE, pages_ahead=2)
    assert ran.ids == ["1", "2", "3", "4", "5"]
    assert ran.report.status is RunStatus.INCOMPLETE
    assert "HTTP 503" in ran.report.problem
    assert len(ran.pages) <= 1 + 3 * AT_ONCE.attempts


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (status(404), "HTTP 404; is this a DummyJSON server?"),
        (status(401), "HTTP 401; is this a DummyJSON server?"),
        (status(400), "HTTP 400; is this a DummyJSON server?"),
        (status(204), "HTTP 204; is this a DummyJSON server?"),
        (status(301, headers={"Location": "https://shop.example.com/products"}), "use"),
    ],
)
@pytest.mark.parametrize("path", ["/products/categories", "/products"])
async def test_something_else_is_there(fault: Fault, message: str, path: str) -> None:
    """Said at once and with the name of the setting."""
    there = Fault(fault.kind, fault.effect, "GET", path, fault.when)
    with pytest.raises(MisconfiguredError) as caught:
        await run(things(3), there)
    assert caught.value.setting == "url"
    assert message in str(caught.value)


async def test_a_wrong_path_in_the_address() -> None:
    async with open_shop(things(3)) as (server, _):
        settings = DummyJSONSettings(url=f"{server.url}/products")
        async with settings.open() as source:
            with pytest.raises(MisconfiguredError) as caught:
                await sync(source, MemorySink())
    assert str(caught.value) == (
        f"url: GET {server.url}/products/products/categories: HTTP 404;"
        " is this a DummyJSON server?"
    )


async def test_nobody_is_there() -> None:
    async with serve(web.Application()) as url:
        pass
    sink = MemorySink()
    async with DummyJSONSettings(url=url).open() as source:
        with pytest.raises(TransientError, match="Connection refused"):
            await sync(source, sink, options=Options(retry=AT_ONCE))
        assert source.requests == AT_ONCE.attempts
        with pytest.raises(TransientError, match="cannot connect"):
            await source.check()
    assert sink.products == {}


async def test_a_404_of_somebody_else_does_not_say_that_a_product_is_gone() -> None:
    """DummyJSON says it as JSON; a proxy or a wrong address gives a page."""
    page = status(404, "GET", "/products/7*", body="<html>not here</html>")
    async with (
        dummyjson_server(things(3), faults=FaultPlan(page)) as server,
        DummyJSONSettings(url=server.url).open() as source,
    ):
        keys = [ProductKey("dummyjson", id_) for id_ in ("9", "7")]
        assert not (await source.get(keys[:1])).products
        with pytest.raises(
            MisconfiguredError, match="HTTP 404; is this a DummyJSON server"
        ):
            await source.get(keys)


async def test_no_repeats_where_none_are_allowed() -> None:
    fault = status(503, "GET", SECOND, on=1)
    retry = RetryPolicy(attempts=1)
    ran = await run(things(14), fault, **PAGES_OF_FIVE, retry=retry)
    assert ran.report.status is RunStatus.INCOMPLETE
    assert ran.report.retries == 0
    assert ran.report.counts.created == 9


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_chosen_product_that_comes_later(fault: Callable[..., Fault]) -> None:
    there = fault("GET", "/products/2[?]*", on=SEVERAL)
    ran = await run(things(3), there, keys=[key(1), key(2), key(3)])
    assert sorted(ran.ids) in (["1", "2", "3"], ["1", "3"])
    if ran.reasons:
        assert ran.reasons == {"2": "id: is missing"}
    else:
        assert ran.report.status is RunStatus.SUCCEEDED


@given(data=st.data())
async def test_whatever_goes_wrong_the_report_is_right(data: st.DataObject) -> None:
    """A run that succeeds has seen everything; one that has not says so."""
    path = st.sampled_from([FIRST, SECOND, THIRD, "/products[?]*", "/products/*"])
    numbers = st.sets(st.integers(1, 12), max_size=6)
    drawn = data.draw(
        st.lists(st.tuples(st.sampled_from(FAULTS), path, numbers), max_size=4)
    )
    faults = [make("GET", where, on=on) for make, where, on in drawn]
    try:
        ran = await run(things(14), *faults, **PAGES_OF_FIVE)
    except CatalogSyncError as error:
        assert isinstance(error, TransientError)  # noqa: PT017
        return
    assert set(ran.ids) <= {str(number) for number in range(1, 15)}
    assert ran.report.counts.failed == ran.report.counts.unresolved == 0
    complete = len(ran.ids) == 14
    assert complete == (ran.report.status is RunStatus.SUCCEEDED)
    assert bool(ran.report.problem) == (not complete)


@given(
    changes=st.lists(
        st.tuples(
            st.integers(1, 8), st.sampled_from(["add", "remove"]), st.integers(0, 13)
        ),
        max_size=3,
    )
)
async def test_whatever_moves_meanwhile(
    changes: list[tuple[int, str, int]],
) -> None:
    """A run that succeeds has seen everything that is there at its end."""
    records = served(things(14))
    faults = [
        meanwhile(_mover(records, what, place, n), "/products[?]*", on=on)
        for n, (on, what, place) in enumerate(changes)
    ]
    ran = await run(records, *faults, **PAGES_OF_FIVE, pages_ahead=1)
    assert ran.report.counts.failed == 0
    assert len(set(ran.ids)) == len(ran.ids) == ran.report.counts.created
    if ran.report.status is RunStatus.SUCCEEDED:
        assert {str(each["id"]) for each in records} <= set(ran.ids)


def _mover(records: Records, what: str, place: int, n: int) -> Callable[[], object]:
    if what == "add":
        return lambda: records.insert(place, record(100 + n))
    return lambda: records.pop(min(place, len(records) - 1))
