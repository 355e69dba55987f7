"""Nothing to change means nothing written, for every product that the model takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from tests.adapters.sql_databases import DATABASES
from tests.real import real_is_desired
from tests.strategies import products

from catalogsync import (
    Category,
    Change,
    Dimensions,
    MemorySink,
    Options,
    Price,
    Product,
    ProductKey,
    RetryPolicy,
    StockLevel,
    Sync,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.catalog.products import Unset
from catalogsync.diff.describe import diff
from catalogsync.testing.medusa import fake_medusa

FAST = Options(retry=RetryPolicy(attempts=2, wait_initial=0, wait_jitter=0))
SINKS = ["memory", *DATABASES, "fake", *(["real"] if real_is_desired() else [])]


@pytest.fixture(params=SINKS)
def place(request: pytest.FixtureRequest) -> Any:
    """Where a sink of each kind writes; it is empty."""
    match request.param:
        case "sqlite" | "postgresql" as name:
            fixture = "sqlite" if name == "sqlite" else "postgres"
            return SQLSettings(url=request.getfixturevalue(fixture))
        case "real":
            store = request.getfixturevalue("real_store")
            store.do("empty")
            return SimpleNamespace(**store.facts)
        case name:
            return name


@pytest.fixture
async def sink(place: Any) -> AsyncIterator[Any]:
    """A sink of each kind."""
    async with AsyncExitStack() as stack:
        match place:
            case "memory":
                yield MemorySink()
            case SQLSettings():
                yield await stack.enter_async_context(place.open())
            case "fake":
                fake = await stack.enter_async_context(fake_medusa())
                yield await stack.enter_async_context(medusa_sink(fake))
            case _:
                yield await stack.enter_async_context(medusa_sink(place))


def medusa_sink(medusa: Any) -> Any:
    login = {"email": medusa.email, "password": medusa.password}
    return MedusaSettings(url=medusa.url, **login).open()


def generated(number: int) -> list[Product]:
    """Products of all kinds, with ids and SKUs of their own."""
    found: list[Product] = []

    @settings(max_examples=number, database=None)
    @given(products())
    def collect(product: Product) -> None:
        found.append(product)

    collect()
    return [_distinct(number, product) for number, product in enumerate(found)]


def _distinct(number: int, product: Product) -> Product:
    variants = product.variants
    if not isinstance(variants, Unset):
        variants = tuple(_own(f"{number}", variant) for variant in variants)
    key = ProductKey("shop", f"{number} {product.key.id}")
    return attrs.evolve(product, key=key, variants=variants)


def _own(number: str, variant: Variant) -> Variant:
    """With a SKU and a barcode that no other has, and what any store has."""
    prices, stock = variant.prices, variant.stock
    if prices:
        prices = [attrs.evolve(prices[0], currency="USD")]
    if stock:
        stock = [attrs.evolve(stock[0], location=None)]
    named = {
        name: f"{value} {number} {variant.id}"
        for name in ("sku", "barcode")
        if (value := getattr(variant, name))
    }
    return attrs.evolve(variant, prices=prices, stock=stock, **named)


async def test_a_second_run_writes_nothing(sink: Any) -> None:
    desired = generated(200)
    report = await sync(as_source(desired, name="shop"), sink, options=FAST)
    assert report.problem == ""
    shown: list[Any] = []
    again = await Sync(as_source(desired, name="shop"), sink, options=FAST).plan(
        shown.append
    )
    failed = {outcome.key: outcome.reason for outcome in report.failures}
    changes = [c for c in shown if isinstance(c, Change) and c.key not in failed]
    assert [diff(change) for change in changes] == []
    assert again.counts.unchanged == report.counts.created
    assert report.counts.created > 150
    assert not [reason for reason in failed.values() if "HTTP 5" in reason]


def thing(id_: str = "1", **values: Any) -> Product:
    return Product(key=ProductKey("shop", id_), title="Thing", **values)


AWKWARD = [
    thing(tags=["null"]),
    thing(tags=["a,b"]),
    thing("a,b"),
    thing(categories=[Category(id="a,b", name="null")]),
    thing(
        weight=Decimal("12345678.9"), dimensions=Dimensions(width=Decimal("1904.9992"))
    ),
    thing(
        attributes={"__proto__": 1, "a": {"__proto__": {}, "b": [{"__proto__": None}]}}
    ),
    thing(attributes={"a": 2**53 + 1, "b": -0.0, "c": "", "": {"": ""}}),
    thing(
        variants=[
            Variant(id="v", prices=[Price(amount=Decimal("0.0001"), currency="USD")])
        ]
    ),
    thing(variants=[Variant(id="v", stock=[StockLevel(quantity=2**53 + 1)])]),
]


@pytest.mark.parametrize("desired", AWKWARD, ids=str)
async def test_a_product_alone(sink: Any, desired: Product) -> None:
    """A store may take a question about one differently from one about several."""
    for number in range(2):
        report = await sync(as_source([desired], name="shop"), sink, options=FAST)
        assert report.failures == ()
        assert (report.counts.created, report.counts.unchanged) == (1 - number, number)
        assert report.manual_edits == ()


async def test_what_is_kept_otherwise_is_named() -> None:
    """Once for each field, with an example."""
    heavy = [thing(str(n), weight=Decimal("12345678.9")) for n in range(3)]
    cheap = Price(amount=Decimal("0.00005"), currency="USD")
    free = thing("free", variants=[Variant(id="v", prices=[cheap])])
    lost = thing("lost", attributes={"__proto__": 1, "empty": ""})
    products = [*heavy, free, lost]
    async with fake_medusa() as fake, medusa_sink(fake) as sink:
        report = await sync(as_source(products, name="shop"), sink, options=FAST)
    assert set(report.warnings) == {
        (
            "the sink cannot keep weight as supplied: 3 products,"
            " for example shop:0 weight (12345678.9 becomes 12345679)"
        ),
        (
            "the sink cannot keep prices as supplied: 1 product,"
            " for example shop:free variants.v.prices.USD (0.00005 becomes 0)"
        ),
        (
            "the sink cannot keep attributes as supplied: 1 product,"
            " for example shop:lost attributes.__proto__ (1 becomes None)"
        ),
    }
