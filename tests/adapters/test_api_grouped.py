"""APIs whose list has a record for each variant: the pages of a product are far apart."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.adapters.api_runs import STYLES, api_with, record, run_on, settings

from catalogsync import (
    LookupSource,
    MisconfiguredError,
    ProductKey,
    RunStatus,
)
from catalogsync.adapters.json_api import GraphQL
from catalogsync.mapping import Expression, RecordMapping
from catalogsync.testing.api import APIStyle
from catalogsync.testing.faults import Fault, status

MAPPING = RecordMapping(
    key=Expression(from_="product"),
    title=Expression(from_="name"),
    sku=Expression(from_="sku"),
    options={"Size": Expression(from_="size")},
    price=Expression(from_="price", currency="EUR"),
)
GIVEN: dict[str, Any] = {
    "map": MAPPING,
    "grouped": True,
    "lookup": None,
    "lookup_item": None,
}
QUERY = """query ($first: Int!, $after: String) {
  products(first: $first, after: $after) {
    edges { node { id product name sku size price } } pageInfo { endCursor hasNextPage }
  }
}"""


def variants(products: int = 7, each: int = 3) -> list[dict[str, Any]]:
    """Records in an order in which those of a product are in different pages."""
    pairs = [(p, v) for v in range(each) for p in range(products)]
    random.Random(1).shuffle(pairs)
    return [
        record(
            number,
            product=p,
            name=f"Thing {p}",
            sku=f"{p}-{v}",
            size=f"S{v}",
            price=9.99 + v,
        )
        for number, (p, v) in enumerate(pairs, 1)
    ]


def given_for(paging: str) -> dict[str, Any]:
    if paging != "graphql":
        return GIVEN
    return {**GIVEN, "graphql": GraphQL(query=QUERY, connection="products")}


@pytest.mark.parametrize("paging", STYLES)
@pytest.mark.parametrize("total", [True, False])
async def test_variants_come_together(paging: Any, total: bool) -> None:
    async with api_with(variants(), APIStyle(paging=paging, total=total)) as api:
        ran = await run_on(api, size=4, given=given_for(paging))
    assert ran.report.status is RunStatus.SUCCEEDED, str(ran.report)
    products = ran.sink.products
    assert sorted(int(key.id) for key in products) == [*range(7)]
    assert all(len(product.variants or ()) == 3 for product in products.values())
    first = (products[ProductKey("api", "0")].variants or ())[0]
    assert first.prices
    assert str(first.prices[0].amount).endswith(".99")


async def test_a_page_that_fails_is_asked_for_again() -> None:
    """And none of those before it."""
    fault = status(503, path="/products*", on=5)
    async with api_with(variants(), APIStyle(paging="offset"), [fault]) as api:
        ran = await run_on(api, size=4, given=GIVEN)
        asked = [path for _, path in api.requests]
    assert ran.report.status is RunStatus.SUCCEEDED
    assert ran.report.retries == 1
    assert len(ran.sink.products) == 7
    assert asked.count("/products?offset=0&limit=4") == 1


@given(
    paging=st.sampled_from(["offset", "page", "cursor"]),
    total=st.booleans(),
    size=st.integers(4, 12),
    at=st.integers(0, 6),
    to=st.integers(0, 20),
)
async def test_a_list_that_moves_is_read_again(
    paging: Any, total: bool, size: int, at: int, to: int
) -> None:
    """Nothing that stays in it is missed, or the run says so."""
    holder: list[Any] = []
    seen: list[int] = []

    async def effect(request: web.Request, /, handler: Handler) -> web.StreamResponse:
        seen.append(1)
        if len(seen) == at:
            del holder[0].records[to]
        return await handler(request)

    moving = Fault("delay", effect, "*", "/products*")
    records = variants()
    steady = {each["sku"] for each in [*records[:to], *records[to + 1 :]]}
    async with api_with(records, APIStyle(paging=paging, total=total), [moving]) as api:
        holder.append(api)
        ran = await run_on(api, size=size, given=GIVEN)
    found = {v.sku for p in ran.sink.products.values() for v in p.variants or ()}
    if ran.report.status is RunStatus.SUCCEEDED:
        assert steady <= found
    else:
        assert ran.report.problem


async def test_members_and_look_ups() -> None:
    async with (
        api_with(variants(2), APIStyle()) as api,
        settings(api, 4, **GIVEN).open() as source,
    ):
        assert isinstance(source, LookupSource)
        keys = [ProductKey("api", "1"), ProductKey("api", "9")]
        (found,) = (await source.get(keys)).products
        assert found.key == keys[0]
        (sample,) = await source.samples(1, keys=["0"])
        assert len(sample.records) == 3
        (checked,) = await source.check()
        assert checked.ok
    with pytest.raises(MisconfiguredError, match="cannot be set with `grouped`"):
        settings(api, grouped=True)
    members = attrs.evolve(MAPPING, members=Expression(from_="x"))
    with pytest.raises(MisconfiguredError, match="needs `grouped = true`"):
        settings(api, **{**GIVEN, "map": members, "grouped": False})


async def test_a_second_pass_reads_the_list_again() -> None:
    async with (
        api_with(variants(2), APIStyle(paging="offset")) as api,
        settings(api, 4, **GIVEN).open() as source,
    ):
        assert (await source.read(None)).total == 2
        api.records.append(record(99, product=9, name="New", sku="n", size="x"))
        assert (await source.read(None)).total == 3


async def test_a_record_that_is_no_object_is_rejected() -> None:
    records: list[Any] = [*variants(1), "no record"]
    async with (
        api_with(records, APIStyle()) as api,
        settings(api, 4, **GIVEN).open() as source,
    ):
        page = await source.read(None)
    assert [str(each) for each in page.rejected] == [
        "record 4: must be an object, not str"
    ]
