"""What Medusa can hold of a product, and the names that we give there."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.strategies import products

from catalogsync import (
    Category,
    Dimensions,
    Image,
    InvalidValueError,
    Price,
    Product,
    ProductKey,
    RefusedError,
    StockLevel,
    Variant,
)
from catalogsync.adapters.medusa.handles import category_handle, handle, in_pieces
from catalogsync.adapters.medusa.normalize import shape
from catalogsync.adapters.medusa.store_context import Places
from catalogsync.catalog.changes import Reference, ReferenceKind

PLACES = Places(
    channel="sc_1",
    profile="sp_1",
    location="sloc_1",
    locations={"Main": "sloc_1", "sloc_1": "sloc_1", "Outlet": "sloc_2"},
    currencies=frozenset({"USD", "EUR"}),
    linked=True,
    names={},
)
KEY = ProductKey("shop", "1")


def product(**values: Any) -> Product:
    return Product(**{"key": KEY, "title": "Cup", **values})


def with_variant(**values: Any) -> Product:
    return product(variants=[Variant(id="v", **values)])


@given(products())
def test_what_was_shaped_stays_as_it_is(desired: Product) -> None:
    try:
        once = shape(desired, PLACES)
    except (RefusedError, InvalidValueError):
        return
    assert shape(once, PLACES) == once


@given(st.decimals(0, 10**6, places=5))
def test_a_weight_becomes_what_four_bytes_give_back(weight: Decimal) -> None:
    shaped = shape(product(weight=weight), PLACES).weight
    assert isinstance(shaped, Decimal)
    assert struct.pack("f", shaped) == struct.pack("f", weight)


def test_sizes() -> None:
    exact = Dimensions(length=Decimal("5.02"), width=Decimal(3))
    assert shape(product(dimensions=exact), PLACES).dimensions is exact
    fine = Dimensions(height=Decimal("1.23456789"))
    shaped = shape(product(dimensions=fine), PLACES).dimensions
    assert shaped == Dimensions(height=Decimal("1.2345679"))
    assert shape(product(dimensions=Dimensions()), PLACES).dimensions is None


def test_attributes() -> None:
    given_ = {"a": "", "b": 2**60, "c": [2**60, {"d": 1}], "e": None}
    shaped = shape(product(attributes=given_), PLACES).attributes
    assert shaped == {"b": float(2**60), "c": [float(2**60), {"d": 1}], "e": None}


@pytest.mark.parametrize("name", ["brand", "catalogsync"])
def test_attributes_with_names_that_are_taken(name: str) -> None:
    with pytest.raises(RefusedError, match=f"attribute name '{name}' is reserved"):
        shape(product(attributes={name: 1}), PLACES)


@pytest.mark.parametrize(
    "values",
    [
        {"key": ProductKey("shop", "x" * 1001)},
        {"tags": ["x" * 1001]},
        {"categories": [Category(id="x" * 1001, name="X")]},
    ],
)
def test_what_is_too_long_to_be_asked_for(values: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="1001 characters"):
        shape(product(**values), PLACES)


def test_stock_locations_by_name() -> None:
    levels = [
        StockLevel(quantity=1, location="Main"),
        StockLevel(quantity=2, location="Outlet"),
    ]
    (variant,) = shape(with_variant(stock=levels), PLACES).variants or ()
    assert variant.stock == (
        StockLevel(quantity=1),
        StockLevel(quantity=2, location="sloc_2"),
    )
    nowhere = [StockLevel(quantity=1, location="Moon")]
    with pytest.raises(RefusedError, match="no stock location 'Moon'"):
        shape(with_variant(stock=nowhere), PLACES)


def test_prices() -> None:
    long = Decimal("0.12345678901234567890")
    desired = with_variant(prices=[Price(amount=long, currency="EUR")])
    (variant,) = shape(desired, PLACES).variants or ()
    assert variant.prices == (
        Price(amount=Decimal("0.12345678901234568"), currency="EUR"),
    )
    desired = with_variant(prices=[Price(amount=Decimal(1), currency="JPY")])
    with pytest.raises(RefusedError, match="does not sell in JPY, only in EUR, USD"):
        shape(desired, PLACES)


def test_the_first_image_serves_as_thumbnail() -> None:
    desired = product(thumbnail=None, images=[Image(url="https://a/1"), Image(url="b")])
    assert shape(desired, PLACES).thumbnail == "https://a/1"


@pytest.mark.parametrize(
    ("key", "title", "expected"),
    [
        (
            ProductKey("dummyjson", "7"),
            "Red Cup & Saucer",
            "red-cup-saucer-dummyjson-7",
        ),
        (ProductKey("dummyjson", "7"), "Чашка", "chashka-dummyjson-7"),
        (ProductKey("dummyjson", "7"), "☕", "dummyjson-7"),
        (ProductKey("dummyjson", "7"), "x" * 200, f"{'x' * 80}-dummyjson-7"),
    ],
)
def test_handles_are_readable(key: ProductKey, title: str, expected: str) -> None:
    assert handle(product(key=key, title=title)) == expected


SOURCES = st.text("abAB-._1", min_size=1, max_size=4).filter(
    lambda text: any(c.isalnum() for c in text)
)
IDS = st.text("abAB-/ é1☕", min_size=1, max_size=4)


@given(SOURCES, IDS, SOURCES, IDS)
def test_two_keys_never_share_a_handle(s1: str, i1: str, s2: str, i2: str) -> None:
    one, other = ProductKey(s1, i1), ProductKey(s2, i2)
    first, second = (handle(product(key=k, title="☕")) for k in (one, other))
    if one != other and one.source == other.source:
        assert first != second
    assert set(first) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_handles_of_categories() -> None:
    def of(id_: str) -> Reference:
        return Reference(kind=ReferenceKind.CATEGORY, source="s", id=id_, name="N")

    assert category_handle(of("mens-shirts")) == "mens-shirts"
    assert category_handle(of("Men's shirts")) == "men-s-shirts"
    unique = category_handle(of("Men's shirts"), unique=True)
    assert unique.startswith("men-s-shirts-")
    assert category_handle(of("☕"))


@given(st.lists(st.text(max_size=300), max_size=80))
def test_queries_are_cut_into_pieces(values: list[str]) -> None:
    pieces = list(in_pieces("id[]", values))
    assert sum(piece.count("id%5B%5D=") for piece in pieces) == len(values)
    assert all(len(piece) < 14_000 for piece in pieces)


def test_shaping_leaves_the_rest_alone() -> None:
    desired = product(weight=Decimal(4), attributes={"a": 1}, tags=["x"])
    assert shape(desired, PLACES) is desired
    assert shape(attrs.evolve(desired, weight=None), PLACES).weight is None
