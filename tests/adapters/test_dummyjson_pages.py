"""How DummyJSON is read: pages, order, names of categories, single products."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import aiohttp
import attrs
import pytest
import stamina
from tests.adapters.dummyjson_runs import (
    AT_ONCE,
    Record,
    answer,
    key,
    open_shop,
    record,
    run,
    things,
)
from tests.http.http_ends import Clock

from catalogsync import (
    UNSET,
    Category,
    Dimensions,
    Field,
    MemorySink,
    MisconfiguredError,
    Options,
    Price,
    ProductKey,
    RunStatus,
    StockLevel,
    TransientError,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.errors import BrokenReplyError
from catalogsync.events import Event, Retrying
from catalogsync.http.ratelimit import RateLimiter
from catalogsync.testing import dummyjson_server, generate_catalog
from catalogsync.testing.faults import delay, status


async def test_all_products_arrive(real_records: list[Record]) -> None:
    ran = await run(real_records)
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.counts.created == len(real_records) == 194
    assert ran.ids == [str(each["id"]) for each in real_records]
    assert ran.report.requests == 1 + 7
    again = await run(real_records, sink=ran.sink)
    assert again.report.counts.unchanged == 194
    assert again.report.writes == 0


async def test_every_price_is_exact(real_records: list[Record]) -> None:
    ran = await run(real_records)
    encoded = json.dumps([[each["id"], each["price"]] for each in real_records])
    exact = json.loads(encoded, parse_float=Decimal, parse_int=str)
    for number, amount in exact:
        variants = ran.products[number].variants
        assert variants
        assert variants[0].prices == (Price(amount=Decimal(amount), currency="USD"),)


async def test_the_other_fields(real_records: list[Record]) -> None:
    ran = await run(real_records)
    for each in real_records:
        product = ran.products[str(each["id"])]
        assert product.title == each["title"]
        assert product.description == each["description"]
        assert product.brand == each.get("brand")
        assert product.thumbnail == each["thumbnail"]
        assert [image.url for image in product.images or ()] == each["images"]
        assert sorted(product.tags or ()) == sorted(each["tags"])
        assert product.weight == each["weight"]
        size = {name: Decimal(str(n)) for name, n in each["dimensions"].items()}
        size["length"] = size.pop("depth")
        assert product.dimensions == Dimensions(**size)
        assert product.status is UNSET
        assert len(product.variants or ()) == 1
        variant = (product.variants or ())[0]
        assert (variant.id, variant.title) == ("default", UNSET)
        assert (variant.sku, variant.barcode) == (each["sku"], each["meta"]["barcode"])
        assert variant.stock == (StockLevel(quantity=each["stock"]),)
        assert variant.options == {}


async def test_what_else_there_is_stands_in_the_attributes(
    real_records: list[Record],
) -> None:
    ran = await run(real_records)
    names = (
        *("discountPercentage", "minimumOrderQuantity", "rating", "returnPolicy"),
        *("shippingInformation", "warrantyInformation"),
    )
    for each in real_records:
        desired = {name: each[name] for name in names}
        assert ran.products[str(each["id"])].attributes == desired


async def test_reviewers_stay_where_they_are(real_records: list[Record]) -> None:
    """Their names and addresses are not in the sink, and not even requested."""
    ran = await run(real_records)
    kept = repr([attrs.asdict(product) for product in ran.products.values()])
    for each in real_records:
        for review in each["reviews"]:
            assert review["reviewerEmail"] not in kept
    assert "reviewer" not in kept.lower()
    for request in ran.requests:
        if request.path != "/products/categories":
            assert "reviews" not in request.query["select"].split(",")


async def test_a_server_that_sends_more_than_was_asked_for(
    real_records: list[Record],
) -> None:
    page = {"products": real_records[:2], "total": 2, "skip": 0, "limit": 2}
    ran = await run([], answer(json.dumps(page).encode(), "/products[?]*"))
    assert ran.report.counts.created == 2
    assert "reviewer" not in repr(ran.products).lower()
    assert "@" not in repr(ran.products)


@pytest.mark.parametrize("awkward", [True, False])
@pytest.mark.parametrize("variants", [True, False])
async def test_a_made_catalog(awkward: bool, variants: bool) -> None:
    records = generate_catalog(250, variants=variants, awkward=awkward)
    ran = await run(records)
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.counts.created == 250
    assert (await run(records, sink=ran.sink)).report.counts.unchanged == 250
    for each in records:
        product = ran.products[str(each["id"])]
        assert product.title == each["title"]
        found = {
            (variant.id, variant.sku, tuple(variant.options.items()))
            for variant in product.variants or ()
        }
        assert found == {
            (its["id"], its["sku"], tuple(its["options"].items()))
            for its in each.get("variants", ())
        } or found == {("default", each["sku"], ())}


async def test_variants() -> None:
    variants = [
        {
            "id": f"1-{size}",
            "title": f"Size {size}",
            "sku": f"T-{size}",
            "barcode": None,
            "price": 10 + n + 0.1,
            "stock": n,
            "options": {"Size": size, "Color": "Red"},
        }
        for n, size in enumerate("SML")
    ]
    ran = await run([record(1, variants=variants, price=..., stock=...)])
    found = ran.products["1"].variants
    assert found
    assert [variant.id for variant in found] == ["1-S", "1-M", "1-L"]
    assert found[1].title == "Size M"
    assert found[1].sku == "T-M"
    assert found[1].barcode is None
    assert found[1].options == {"Size": "M", "Color": "Red"}
    assert found[1].prices == (Price(amount=Decimal("11.1"), currency="USD"),)
    assert found[1].stock == (StockLevel(quantity=1),)


async def test_the_currency_is_a_setting() -> None:
    ran = await run(things(1), settings={"currency": "EUR"})
    variants = ran.products["1"].variants
    assert variants
    assert variants[0].prices == (Price(amount=Decimal("9.99"), currency="EUR"),)


async def test_the_name_is_the_namespace_of_the_keys() -> None:
    """So two servers in the same shape can fill one store."""
    ran = await run(things(2), settings={"name": "supplier-a"})
    await run(things(2), sink=ran.sink, settings={"name": "supplier-b"})
    assert [str(each) for each in ran.sink.products] == [
        "supplier-a:1",
        "supplier-a:2",
        "supplier-b:1",
        "supplier-b:2",
    ]


@pytest.mark.parametrize(
    ("count", "size", "pages"),
    [
        (0, 30, [("30", "0")]),
        (1, 30, [("30", "0")]),
        (5, 2, [("2", "0"), ("3", "1"), ("3", "3")]),
        (6, 2, [("2", "0"), ("3", "1"), ("3", "3")]),
        (6, 6, [("6", "0")]),
        (6, 7, [("7", "0")]),
        (3, 1, [("1", "0"), ("2", "0"), ("2", "1")]),
        (3, 100_000, [("100000", "0")]),
    ],
)
async def test_pages(count: int, size: int, pages: list[tuple[str, str]]) -> None:
    """Each except the first is requested with the record before it."""
    ran = await run(things(count), settings={"page_size": size})
    assert sorted(ran.pages) == pages
    assert ran.ids == [str(number) for number in range(1, count + 1)]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.counts.fetched == count


async def test_thirty_a_page_by_default() -> None:
    ran = await run(things(31))
    assert sorted(ran.pages) == [("30", "0"), ("31", "29")]


async def test_the_order_is_asked_for_and_kept() -> None:
    """Whatever order the server's own is."""
    ran = await run(reversed(things(20)), settings={"page_size": 3})
    assert ran.ids == [str(number) for number in range(1, 21)]
    for request in ran.requests[1:]:
        assert (request.query["sortBy"], request.query["order"]) == ("id", "asc")


async def test_several_pages_at_once_in_order() -> None:
    """The second page is held back until the fifth is requested."""
    asked = asyncio.Event()

    class Tell(asyncio.Event):
        """Does not wait, but sets an event."""

        async def wait(self) -> Any:
            asked.set()
            return True

    ran = await run(
        things(10),
        delay(asked, "GET", "/products?*skip=1&*"),
        delay(Tell(), "GET", "/products?*skip=7&*"),
        settings={"page_size": 2},
        pages_ahead=4,
    )
    assert ran.ids == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("limit", [0, 1, 30, 1000, None, "30", [], ...])
async def test_the_replys_limit_says_nothing(limit: object) -> None:
    records = things(5)
    pages = []
    for skip, end in ((0, 2), (1, 4), (3, 5)):
        page = {"products": records[skip:end], "total": 5, "skip": skip}
        if limit is not ...:
            page["limit"] = limit
        body = json.dumps(page).encode()
        pages.append(answer(body, f"/products?*skip={skip}&*"))
    ran = await run([], *pages, settings={"page_size": 2})
    assert ran.ids == ["1", "2", "3", "4", "5"]
    assert ran.report.status is RunStatus.SUCCEEDED


async def test_categories_have_the_servers_names() -> None:
    categories = [
        {"slug": "mens-shirts", "name": "Men's Shirts", "url": "http://x"},
        {"slug": "unused", "name": "Unused"},
    ]
    body = json.dumps(categories).encode()
    records = [record(1), record(2, category="home-decoration")]
    ran = await run(records, answer(body, "/products/categories"))
    assert ran.products["1"].categories == (
        Category(id="mens-shirts", name="Men's Shirts"),
    )
    assert ran.products["2"].categories == (
        Category(id="home-decoration", name="Home Decoration"),
    )
    assert Counter(request.path for request in ran.requests) == {
        "/products/categories": 1,
        "/products": 1,
    }


@pytest.mark.parametrize(
    "item",
    [None, "mens-shirts", 5, {}, {"slug": "mens-shirts"}, [], {"name": "Shirts"}]
    + [{"slug": "mens-shirts", "name": name} for name in ("", None, 5, "\0", "\ud800")],
)
async def test_a_category_without_a_name_gets_one_made_of_its_slug(
    item: object,
) -> None:
    body = json.dumps([item, {"slug": "b", "name": "Bees"}]).encode()
    records = [record(1), record(2, category="b")]
    ran = await run(records, answer(body, "/products/categories"))
    assert ran.products["1"].categories == (
        Category(id="mens-shirts", name="Mens Shirts"),
    )
    assert ran.products["2"].categories == (Category(id="b", name="Bees"),)


@pytest.mark.parametrize(
    ("slug", "name"),
    [("a", "A"), ("men's-3d-shirts", "Men's 3d Shirts"), ("-", "-"), ("A-b", "A B")],
)
async def test_a_name_made_of_a_slug(slug: str, name: str) -> None:
    ran = await run([record(1, category=slug)], answer(b"[]", "/products/categories"))
    assert ran.products["1"].categories == (Category(id=slug, name=name),)


async def test_names_are_requested_in_every_run() -> None:
    """A host may keep a source open for weeks."""
    first = json.dumps([{"slug": "mens-shirts", "name": "Shirts"}]).encode()
    sink = MemorySink()
    faults = [answer(first, "/products/categories", on=1)]
    async with open_shop(things(1), faults) as (_, source):
        for name in ("Shirts", "Mens Shirts"):
            await sync(source, sink)
            assert sink.products[key(1)].categories == (
                Category(id="mens-shirts", name=name),
            )


@pytest.mark.parametrize("body", [b"{}", b'{"message":"soon"}', b"null", b'"x"', b"{"])
async def test_names_that_cannot_be_read_are_asked_for_again(body: bytes) -> None:
    """Names made of slugs would rename every category in the store."""
    ran = await run(things(1), answer(body, "/products/categories", on={1, 2}))
    assert ran.report.retries == 2
    assert ran.report.status is RunStatus.SUCCEEDED
    with pytest.raises(BrokenReplyError, match="/products/categories: not "):
        await run(things(1), answer(body, "/products/categories"))


async def test_chosen_products_are_read_one_by_one() -> None:
    ran = await run(things(100), keys=[key(7), key(3), key(7)])
    assert sorted(ran.ids) == ["3", "7"]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert [request.path for request in ran.requests] == [
        "/products/categories",
        "/products/7",
        "/products/3",
    ]
    assert "reviews" not in ran.requests[1].query["select"]
    assert (await run(things(100), sink=ran.sink)).report.counts.unchanged == 2


async def test_more_keys_than_one_look_up_takes() -> None:
    keys = [key(number) for number in range(1, 121)]
    ran = await run(things(120), keys=keys, limit=110)
    assert ran.report.counts.created == 110


async def test_a_chosen_product_that_is_not_there() -> None:
    ran = await run(things(3), keys=[key(2), key(99), key("no such")])
    assert ran.ids == ["2"]
    assert ran.report.status is RunStatus.DEGRADED
    assert "dummyjson:99, dummyjson:no such" in ran.report.warnings[0]


async def test_a_chosen_product_of_another_source() -> None:
    other = attrs.evolve(key(2), source="other")
    ran = await run(things(3), keys=[other])
    assert ran.ids == []
    assert "the source does not have other:2" in ran.report.warnings[0]


async def test_an_invalid_selected_product() -> None:
    ran = await run([record(1), record(2, price=-1)], keys=[key(1), key(2)])
    assert ran.ids == ["1"]
    assert ran.report.status is RunStatus.DEGRADED
    assert ran.report.failures[0].key == key(2)
    assert ran.report.failures[0].reason == (
        "price: must be 0 or more, is -1 (product 2)"
    )


@pytest.mark.parametrize("id_", ["a/b", "..", "a?b=c", "ä b", "%2F", "a#b", "1/../2"])
async def test_ids_of_any_kind(id_: str) -> None:
    records = [record(1), record(2), {**record(3), "id": id_}]
    assert id_ in (await run(records)).ids
    ran = await run(records, keys=[key(id_)])
    assert ran.ids in ([id_], [])
    if id_ != "..":
        assert ran.ids == [id_]


@pytest.mark.parametrize("found", [3, "3 ", None, 2.0, True, ...])
async def test_another_product_than_was_asked_for(found: object) -> None:
    """It is not written under either key."""
    body = json.dumps(record(2, id=found)).encode()
    ran = await run(things(3), answer(body, "/products/2?*"), keys=[key(2)])
    assert ran.ids == []
    assert list(ran.reasons) == ["2"]
    assert ran.reasons["2"].startswith("id: ")


async def test_a_word_of_the_servers_own_is_no_id() -> None:
    """`/products/search` answers with a page."""
    ran = await run(things(3), keys=[key("search")])
    assert ran.ids == []
    assert ran.reasons == {"search": "id: is missing"}


async def test_an_id_that_spoils_its_own_answer_only() -> None:
    """`/products/categories` answers with a list; the others are there."""
    ran = await run(things(3), keys=[key("categories"), key(1)])
    assert ran.ids == ["1"]
    assert ran.reasons == {"categories": "id: is the name of a route of the server"}


@attrs.define
class Turning(Clock):
    """A clock that also goes forward whenever the engine waits."""

    def hear(self, event: Event) -> None:
        if isinstance(event, Retrying):
            self.now += 10.0


async def test_under_the_servers_limit() -> None:
    """195 requests take 20 seconds by the clock, and none of them is refused."""
    clock = Clock()
    async with open_shop(
        things(194),
        settings={"page_size": 1, "max_requests": 90},
        rate_limit=True,
        clock=clock,
    ) as (server, source):
        assert source.client.limiter
        assert (source.client.limiter.most, source.client.limiter.per) == (90, 10.0)
        source.client.limiter = RateLimiter(90, 10.0, clock=clock, sleep=clock.sleep)
        report = await sync(source, MemorySink(), options=Options(retry=AT_ONCE))
    assert report.counts.created == 194
    assert report.retries == 0
    assert len(server.requests) == 195
    assert sum(clock.slept) == pytest.approx(20.0)


async def test_over_the_servers_limit() -> None:
    """With the limit switched off the server's `Retry-After` is heeded."""
    clock = Turning()
    with stamina.set_testing(True, attempts=4):
        async with open_shop(
            things(150), settings={"page_size": 1}, rate_limit=True, clock=clock
        ) as (server, source):
            assert source.client.limiter is None
            report = await sync(source, MemorySink(), hooks=[clock.hear])
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 150
    assert report.retries > 0
    assert len(server.requests) == 151 + report.retries


async def test_busy_names_the_time_to_wait() -> None:
    fault = status(429, headers={"Retry-After": "10"})
    async with open_shop(things(1), [fault]) as (_, source):
        with pytest.raises(TransientError) as caught:
            await source.read(None)
    assert caught.value.retry_after == 10.0


async def test_the_default_keeps_under_the_limit() -> None:
    settings = DummyJSONSettings()
    assert settings.max_requests < 100
    assert settings.url == "https://dummyjson.com"
    assert settings.page_size == 30


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"url": "dummyjson.com"}, "url"),
        ({"url": "https://me:secret@dummyjson.com"}, "url"),
        ({"name": ""}, "name"),
        ({"name": "a:b"}, "name"),
        ({"currency": "dollar"}, "currency"),
        ({"currency": "usd"}, "currency"),
    ],
)
async def test_settings_that_cannot_be_right(
    values: dict[str, Any], setting: str
) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        async with DummyJSONSettings(**values).open():
            pass
    assert caught.value.setting == setting
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "values", [{"page_size": 0}, {"page_size": -1}, {"max_requests": -1}]
)
def test_senseless_settings(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DummyJSONSettings(**values)


async def test_the_address_may_have_a_path() -> None:
    """And a slash at its end."""
    async with open_shop(things(3)) as (server, _):
        settings = DummyJSONSettings(url=f"{server.url}/")
        async with settings.open() as source:
            assert len((await source.read(None)).products) == 3


async def test_the_hosts_own_session() -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with open_shop(things(3)) as (server, _):
            settings = DummyJSONSettings(url=server.url)
            async with settings.open(session) as source:
                page = await source.get([key(1), key(99)])
        assert not session.closed
    assert [product.key for product in page.products] == [key(1)]


async def test_compressed_answers(real_records: list[Record]) -> None:
    async with open_shop(real_records, compress=True) as (_, source):
        report = await sync(source, MemorySink())
    assert report.counts.created == 194


async def test_requests_are_counted() -> None:
    async with open_shop(things(61)) as (server, source):
        await source.check()
        report = await sync(source, MemorySink())
        assert source.requests == len(server.requests) == 5
    assert report.requests == 4


async def test_check() -> None:
    async with open_shop(things(61)) as (server, source):
        (finding,) = await source.check()
    assert finding.ok
    assert finding.text == f"{server.url} has 61 products"


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"total": 5}', b"null"])
async def test_check_of_something_else(body: bytes) -> None:
    async with open_shop([], [answer(body, "/products[?]*")]) as (_, source):
        with pytest.raises(BrokenReplyError):
            await source.check()


async def test_a_lane_requests_what_it_needs() -> None:
    """Not the categories, and of each product what its variants are made of."""
    records, sink = generate_catalog(40, awkward=False), MemorySink()
    async with (
        dummyjson_server(records) as server,
        DummyJSONSettings(url=server.url).open() as source,
    ):
        await sync(source, sink)
        server.requests.clear()
        server.records[0]["stock"] = 77
        server.records[0]["title"] = "Another title"
        report = await sync(source, sink, options=Options(only=[Field.STOCK]))
        assert report.counts.updated == 1
        assert report.requests == len(server.requests) == 2
        assert {(each.path, each.query["select"]) for each in server.requests} == {
            ("/products", "title,price,stock,variants")
        }
        found = await source.select(frozenset({Field.BARCODE, Field.TAGS})).get(
            [ProductKey("dummyjson", "1")]
        )
        assert len(found.products) == 1
        assert server.requests[-1].query["select"] == (
            "title,price,stock,tags,meta,variants"
        )
