"""The JSON API source, with each kind of pagination and of authentication."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.adapters.api_runs import (
    AUTHS,
    STYLES,
    api_with,
    credentials,
    record,
    run,
    run_on,
    settings,
    things,
)

from catalogsync import (
    BrokenReplyError,
    LookupSource,
    MisconfiguredError,
    ProductKey,
    Rejected,
    RunStatus,
    UnauthorizedError,
)
from catalogsync.adapters.json_api import Paging
from catalogsync.mapping import Sampling
from catalogsync.testing.api import APIStyle
from catalogsync.testing.faults import (
    Fault,
    bad_json,
    cut,
    lost,
    reset,
    status,
    truncated,
)

each_style = pytest.mark.parametrize("paging", STYLES)
each_auth = pytest.mark.parametrize("auth", AUTHS)
PRODUCTS = "/[pg]r*"


@each_style
@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 23])
async def test_everything_is_read_once(paging: Any, total: bool, count: int) -> None:
    ran = await run(things(count), APIStyle(paging=paging, total=total))
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    assert ran.ids == [*range(1, count + 1)]
    assert ran.report.retries == 0


@each_style
@each_auth
async def test_with_each_kind_of_credentials(paging: Any, auth: Any) -> None:
    ran = await run(things(23), APIStyle(paging=paging, auth=auth))
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    assert len(ran.ids) == 23
    assert ran.api.tokens == (auth == "oauth2")


@each_style
@each_auth
async def test_without_credentials_it_is_unauthorized(paging: Any, auth: Any) -> None:
    if auth == "none":
        return
    async with api_with(things(3), APIStyle(paging=paging, auth=auth)) as api:
        with pytest.raises(UnauthorizedError, match=r"\(auth, headers\).*who are you"):
            await run_on(api, given={"auth": None})


@pytest.mark.parametrize("in_body", [True, False])
async def test_a_client_that_is_not_accepted(in_body: bool) -> None:
    async with api_with([], APIStyle(auth="oauth2")) as api:
        auth = credentials("oauth2", api.url, in_body=in_body)
        assert auth
        wrong = attrs.evolve(auth, client_secret="s3cret-and-wrong")
        with pytest.raises(UnauthorizedError, match="invalid_client") as caught:
            await run_on(api, given={"auth": wrong})
        assert "s3cret" not in str(caught.value)
        await run_on(api, given={"auth": auth})


@each_style
async def test_tokens_are_renewed(paging: Any) -> None:
    style = APIStyle(paging=paging, auth="oauth2", token_requests=2)
    ran = await run(things(40), style, pages_ahead=1)
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    assert len(ran.ids) == 40
    if paging != "none":
        assert ran.api.tokens > 2


@each_style
@pytest.mark.parametrize(
    "fault",
    [
        status(503, path=PRODUCTS, on=[1, 3]),
        status(429, path=PRODUCTS, headers={"Retry-After": "0"}, on=[1, 3]),
        status(500, path=PRODUCTS, on=[1, 3]),
        bad_json(path=PRODUCTS, on=[1, 3]),
        cut(path=PRODUCTS, on=[1, 3]),
        truncated(path=PRODUCTS, on=[1, 3]),
        lost(path=PRODUCTS, on=[1, 3]),
        reset(path=PRODUCTS, on=[1, 3]),
    ],
    ids=lambda fault: fault.kind,
)
async def test_faults_are_retried(paging: Any, fault: Fault) -> None:
    ran = await run(things(23), APIStyle(paging=paging), fault)
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    assert len(ran.ids) == 23


@pytest.mark.parametrize("paging", ["offset", "page"])
@pytest.mark.parametrize("total", [True, False])
async def test_a_server_with_a_smaller_largest_page(paging: Any, total: bool) -> None:
    style = APIStyle(paging=paging, total=total, largest=7)
    ran = await run(things(50), style, size=20)
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    assert len(ran.ids) == 50


@pytest.mark.parametrize("total", [True, False])
async def test_a_server_that_accepts_only_certain_sizes(total: bool) -> None:
    """Then pages do not overlap, and everything is read all the same."""
    style = APIStyle(paging="page", total=total, sizes=(10, 20))
    ran = await run(things(95), style, size=20)
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    assert len(ran.ids) == 95
    assert ran.report.retries == 0
    pages = [path for _, path in ran.api.requests]
    assert "/products?page=5&per_page=20" in pages


async def test_pages_are_read_in_parallel_if_the_total_is_known() -> None:
    async with api_with(things(23), APIStyle(paging="offset")) as api:
        async with settings(api).open() as source:
            page = await source.read(None)
            assert [*page.next] == ["4:5:1", "8:5:1", "12:5:1", "16:5:1", "20:5:1"]
            assert page.total == 23
        async with settings(api, total="").open() as source:
            assert [*(await source.read(None)).next] == ["4:5:1"]


async def test_prices_are_exact() -> None:
    price = "1234567890.12345678901234567890"
    body = f'{{"data": [{{"id": 1, "name": "A", "price": {price}}}]}}'
    ran = await run([], APIStyle(total=False), bad_json(body=body))
    (product,) = ran.sink.products.values()
    (variant,) = product.variants
    assert variant.prices[0].amount == Decimal(price)


@each_style
async def test_single_products(paging: Any) -> None:
    style = APIStyle(paging=paging)
    async with api_with(things(9), style) as api, settings(api).open() as source:
        assert isinstance(source, LookupSource)
        keys = [ProductKey("api", id_) for id_ in ("7", "99", "a/b ?")]
        page = await source.get([*keys, ProductKey("other", "1")])
    assert [product.key.id for product in page.products] == ["7"]
    assert page.rejected == []


async def test_another_product_than_the_one_asked_for() -> None:
    wrong = bad_json(body='{"data": {"id": 8, "name": "Thing", "price": 1}}')
    async with api_with([], faults=[wrong]) as api, settings(api).open() as source:
        assert isinstance(source, LookupSource)
        (rejected,) = (await source.get([ProductKey("api", "7")])).rejected
    assert "product api:8 instead of api:7" in rejected.reason


@each_style
async def test_samples_show_records(paging: Any) -> None:
    records = [*things(8), record(9, name=None)]
    async with api_with(records, APIStyle(paging=paging)) as api:
        for given in ({}, {"lookup": "", "graphql": None}):
            if given and paging == "graphql":
                continue
            async with settings(api, **given).open() as source:
                assert isinstance(source, Sampling)
                assert len(await source.samples(7)) == 7
                (last,) = await source.samples(5, keys=["9", "99"])
            assert isinstance(last.result, Rejected)
            assert last.records[0].values["id"] == 9


async def test_without_a_setting_there_is_no_lookup() -> None:
    async with api_with([]) as api, settings(api, lookup="").open() as source:
        assert not isinstance(source, LookupSource)


async def test_records_that_are_no_products() -> None:
    records = [record(1), record(2, price="many"), record(3, id=None), record(4)]
    ran = await run(records, APIStyle(), given={"total": ""})
    assert ran.report.status is RunStatus.DEGRADED
    assert ran.ids == [1, 4]
    reasons = [*map(str, ran.report.rejected), *(f.reason for f in ran.report.failures)]
    assert any("record 3: key: is missing" in each for each in reasons)
    assert any("price: " in each for each in reasons)


async def test_items_that_are_elsewhere() -> None:
    async with api_with(things(3)) as api:
        with pytest.raises(MisconfiguredError) as caught:
            await run_on(api, given={"items": "data.products"})
    assert caught.value.setting == "items"
    assert "`data.products` is not a list of records" in str(caught.value)
    assert "the answer has lists at `data`" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"items": "data..products"}, "items"),
        ({"total": "meta["}, "total"),
        ({"url": "ftp://example.com"}, "url"),
        ({"name": "a:b"}, "name"),
    ],
)
async def test_settings_that_are_not_valid(given: Any, setting: str) -> None:
    async with api_with([]) as api:
        with pytest.raises(MisconfiguredError) as caught:
            async with settings(api, **given).open():
                pytest.fail("must not open")
    assert caught.value.setting == setting


async def test_a_list_at_an_address_that_does_not_exist() -> None:
    async with api_with([]) as api:
        with pytest.raises(MisconfiguredError, match="HTTP 404"):
            await run_on(api, given={"url": f"{api.url}/produkte"})


def pages(make: Any) -> Fault:
    """Answers that a function makes from the number of the page."""

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        return web.json_response(make(int(request.query.get("cursor", "1"))))

    return Fault("bad_json", effect, "GET", "/products*")


async def test_a_list_that_never_ends() -> None:
    """Each page has something new and names another one."""
    endless = pages(lambda page: {"data": [record(page)], "meta": {"next": page + 1}})
    paging = Paging(style="cursor", next="meta.next", max_pages=50)
    given = {"paging": paging, "total": ""}
    ran = await run([], APIStyle(), endless, given=given)
    assert ran.report.status is RunStatus.INCOMPLETE
    assert "does not end after 50 pages" in ran.report.problem
    assert "paging.max_pages" in ran.report.problem


async def test_pages_in_a_circle() -> None:
    circle = pages(
        lambda page: {"data": [record(page)], "meta": {"next": page % 3 + 1}}
    )
    given = {"paging": Paging(style="cursor", next="meta.next"), "total": ""}
    ran = await run([], APIStyle(), circle, given=given)
    assert ran.report.status is RunStatus.INCOMPLETE
    assert "circle" in ran.report.problem


@pytest.mark.parametrize("paging", ["offset", "page"])
async def test_a_total_that_is_far_too_large(paging: Any) -> None:
    many = bad_json(body='{"data": [{"id": 1}], "meta": {"total": 99999999999}}')
    async with api_with([], APIStyle(paging=paging), [many]) as api:
        with pytest.raises(BrokenReplyError, match=r"paging\.max_pages"):
            await run_on(api)


async def test_a_total_that_is_the_number_in_the_page() -> None:
    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        begin, size = int(request.query["offset"]), int(request.query["limit"])
        data = things(23)[begin : begin + size]
        return web.json_response({"data": data, "meta": {"total": len(data)}})

    wrong = Fault("bad_json", effect, "GET", "/products*")
    ran = await run([], APIStyle(paging="offset"), wrong)
    assert ran.report.status is RunStatus.INCOMPLETE
    assert "is `total` the number of all records?" in ran.report.problem


async def test_a_server_that_never_stops_sending() -> None:
    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"data": [')
        while True:
            await response.write(b'{"id": 1},' * 1000)

    forever = Fault("bad_json", effect, "GET", "/products*")
    async with api_with([], APIStyle(), [forever]) as api:
        http = attrs.evolve(settings(api).http, max_body=1 << 20)
        with pytest.raises(BrokenReplyError, match="larger than 1048576 bytes"):
            await run_on(api, given={"http": http})


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, "[1e999999999999999999999]", "\x00"]
)
async def test_hostile_answers(body: str) -> None:
    async with api_with([], APIStyle(), [bad_json(body=body)]) as api:
        with pytest.raises((BrokenReplyError, MisconfiguredError)):
            await run_on(api)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example.com/products",
        "//evil.example.com",
        "http://127.0.0.1:1/x",
        "ftp://x/",
    ],
)
async def test_credentials_stay_with_their_server(link: str) -> None:
    other = bad_json(body=f'{{"data": [], "meta": {{"next": "{link}"}}}}')
    style = APIStyle(paging="next", auth="bearer")
    async with api_with([], style, [other]) as api:
        with pytest.raises(MisconfiguredError, match="on another server"):
            await run_on(api, given={"total": ""})


@each_auth
@each_style
async def test_secrets_appear_nowhere(
    paging: Any, auth: Any, caplog: pytest.LogCaptureFixture
) -> None:
    style = APIStyle(paging=paging, auth=auth)
    echo = "k-31415926 battery-staple correct horse c2hvcDpjb3JyZWN0IGhvcnNl"
    async with api_with(things(20), style, [status(400, body=echo, on=4)]) as api:
        given = settings(api)
        texts = [repr(given)]
        try:
            texts.append(str((await run_on(api)).report))
        except MisconfiguredError as error:
            texts.append(str(error))
    secret = ("k-31415926", "battery-staple", "correct horse", "access-token", "c2hvc")
    used = {"parameter": 0, "header": 0, "bearer": 1, "basic": 2, "oauth2": 2}
    if auth != "none":
        assert not any(secret[used[auth]] in text for text in (*texts, caplog.text))


@pytest.mark.parametrize("paging", ["offset", "page"])
@pytest.mark.parametrize("overlap", [True, False])
async def test_one_that_goes_while_another_comes(paging: Any, overlap: bool) -> None:
    """The total is the same and no key comes twice: only overlapping pages show it."""
    holder: list[Any] = []
    requests = (
        [(), (), ((True, 0), (False, 999))] if overlap else [((True, 0), (False, 999))]
    )
    fault = shifting(lambda: holder[0].records, requests)
    async with api_with(things(40), APIStyle(paging=paging), [fault]) as api:
        holder.append(api)
        given = {
            "paging": Paging(
                style=paging, size=20, size_parameter="limit", overlap=overlap
            )
        }
        ran = await run_on(api, pages_ahead=1, given=given)
    assert ran.report.status is RunStatus.SUCCEEDED
    missed = {*range(2, 41), 999} - {*ran.ids}
    assert missed == (set() if overlap else {21})


def shifting(api_records: Any, moves: Any) -> Fault:
    """Records come and go between the requests."""
    left = iter(moves)

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        for gone, number in next(left, ()):
            records = api_records()
            if gone and len(records) > 1:
                del records[number % len(records)]
            else:
                new = record(number, name="New")
                if all(each["id"] != number for each in records):
                    records.append(new)
                    records.sort(key=lambda each: each["id"])
        return response

    return Fault("delay", effect, "*", PRODUCTS)


MOVES = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2000)), max_size=3), max_size=8
)


@given(
    paging=st.sampled_from(STYLES),
    total=st.booleans(),
    count=st.integers(0, 80),
    size=st.integers(15, 25),
    ahead=st.integers(1, 4),
    moves=MOVES,
)
async def test_nothing_is_lost_or_the_run_says_so(
    paging: Any, total: bool, count: int, size: int, ahead: int, moves: Any
) -> None:
    """What was there from the beginning to the end is read, or the run is incomplete."""
    records = [record(number * 20) for number in range(1, count + 1)]
    holder: list[Any] = []
    fault = shifting(lambda: holder[0].records, moves)
    style = APIStyle(paging=paging, total=total)
    async with api_with(records, style, [fault]) as api:
        holder.append(api)
        ran = await run_on(api, size=size, pages_ahead=ahead)
        steady = {r["id"] for r in records} & {r["id"] for r in api.records}
    if ran.report.status is RunStatus.SUCCEEDED:
        assert steady <= set(ran.ids)
    else:
        assert ran.report.status is RunStatus.INCOMPLETE
        assert ran.report.problem


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(0, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["data", "meta", "id", "name", "products", "next", "total"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(paging=st.sampled_from(STYLES), total=st.booleans(), body=ANYTHING)
async def test_any_answer_ends_with_a_report_or_a_clear_error(
    paging: Any, total: bool, body: Any
) -> None:
    style = APIStyle(paging=paging, total=total)
    fault = bad_json(path=PRODUCTS, body=json.dumps(body))
    async with api_with([], style, [fault]) as api:
        try:
            ran = await run_on(api, pages_ahead=2)
        except (BrokenReplyError, MisconfiguredError):
            return
    assert ran.report.status is not RunStatus.FAILED, str(ran.report)
