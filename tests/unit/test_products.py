from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from tests.strategies import product_keys, products

from catalogsync import (
    UNSET,
    CatalogSyncError,
    Category,
    Dimensions,
    Image,
    InvalidValueError,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Variant,
)
from catalogsync.catalog.products import GROUPS, TEXTS, Unset

KEY = ProductKey("shop", "1")


def make(**fields: Any) -> Product:
    return Product(**{"key": KEY, "title": "Cup", **fields})


def deep(levels: int) -> Any:
    value: Any = "here"
    for _ in range(levels):
        value = [value]
    return value


def path_of(call: Callable[[], object]) -> str:
    with pytest.raises(InvalidValueError) as caught:
        call()
    assert caught.value.problem
    assert caught.value.path in str(caught.value)
    return caught.value.path


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"title": ""}, "title"),
        ({"title": 5}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": "half \ud83d"}, "title"),
        ({"description": b"bytes"}, "description"),
        ({"description": "\ud800"}, "description"),
        ({"brand": ["a"]}, "brand"),
        ({"brand": Decimal(1)}, "brand"),
        ({"thumbnail": 1.5}, "thumbnail"),
        ({"thumbnail": Image(url="https://a")}, "thumbnail"),
        ({"key": "shop:1"}, "key"),
        ({"status": "for sale"}, "status"),
        ({"images": [Image(url="a"), "b"]}, "images[1]"),
        ({"images": [Image(url="a"), Image(url="a")]}, "images[1]"),
        ({"images": 5}, "images"),
        ({"images": None}, "images"),
        ({"categories": ["beauty"]}, "categories[0]"),
        (
            {"categories": [Category(id="a", name="A"), Category(id="a", name="B")]},
            "categories[1]",
        ),
        ({"tags": ["a", 5]}, "tags[1]"),
        ({"tags": ["a", "b", "a"]}, "tags[2]"),
        ({"tags": "red"}, "tags"),
        ({"weight": 1.5}, "weight"),
        ({"weight": "1.5"}, "weight"),
        ({"weight": Decimal(-1)}, "weight"),
        ({"weight": Decimal("NaN")}, "weight"),
        ({"weight": Decimal("sNaN")}, "weight"),
        ({"weight": Decimal("Infinity")}, "weight"),
        ({"weight": (1, 2)}, "weight"),
        ({"dimensions": {"length": 1}}, "dimensions"),
        ({"origin_country": "Portugal"}, "origin_country"),
        ({"origin_country": "pt"}, "origin_country"),
        ({"origin_country": "ÄÖ"}, "origin_country"),
        ({"hs_code": 6912}, "hs_code"),
        ({"type": ["a"]}, "type"),
        ({"collection": 1}, "collection"),
        ({"discountable": 1}, "discountable"),
        ({"discountable": None}, "discountable"),
        ({"as_of": "2026-03-01T12:00:00Z"}, "as_of"),
        ({"as_of": datetime(2026, 3, 1)}, "as_of"),  # noqa: DTZ001 - without a zone
        ({"discountable": "true"}, "discountable"),
        ({"attributes": {"a": {"b": [1, object()]}}}, "attributes.a.b[1]"),
        ({"attributes": {"a": float("nan")}}, "attributes.a"),
        ({"attributes": {"a": Decimal(1)}}, "attributes.a"),
        ({"attributes": {1: "a"}}, "attributes.1"),
        ({"attributes": {"a": {"b\x00": 1}}}, "attributes.a"),
        ({"attributes": {"a": "\x00"}}, "attributes.a"),
        ({"attributes": {"a": deep(33)}}, "attributes.a" + "[0]" * 32),
        ({"attributes": ["a"]}, "attributes"),
        ({"attributes": None}, "attributes"),
        ({"variants": []}, "variants"),
        ({"variants": ["v"]}, "variants[0]"),
        ({"variants": [Variant(id="v"), Variant(id="v")]}, "variants[1]"),
        (
            {
                "variants": [
                    Variant(id="v", options={"Size": "S"}),
                    Variant(id="w", options={"Color": "S"}),
                ]
            },
            "variants[1].options",
        ),
        (
            {
                "variants": [
                    Variant(id="v", options={"A": "1", "B": "2"}),
                    Variant(id="w", options={"B": "2", "A": "1"}),
                ]
            },
            "variants[1]",
        ),
    ],
)
def test_product_names_the_bad_value(values: dict[str, Any], path: str) -> None:
    assert path_of(lambda: make(**values)) == path


@pytest.mark.parametrize(
    ("kind", "values", "path"),
    [
        (ProductKey, {"source": "", "id": "1"}, "source"),
        (ProductKey, {"source": "a b", "id": "1"}, "source"),
        (ProductKey, {"source": "a:b", "id": "1"}, "source"),
        (ProductKey, {"source": "é", "id": "1"}, "source"),
        (ProductKey, {"source": "²", "id": "1"}, "source"),
        (ProductKey, {"source": "shop", "id": ""}, "id"),
        (ProductKey, {"source": "shop", "id": 1}, "id"),
        (Price, {"amount": Decimal("-0.01"), "currency": "USD"}, "amount"),
        (Price, {"amount": 9.99, "currency": "USD"}, "amount"),
        (Price, {"amount": 9, "currency": "USD"}, "amount"),
        (Price, {"amount": "9.99", "currency": "USD"}, "amount"),
        (Price, {"amount": None, "currency": "USD"}, "amount"),
        (Price, {"amount": UNSET, "currency": "USD"}, "amount"),
        (Price, {"amount": Decimal("Infinity"), "currency": "USD"}, "amount"),
        (Price, {"amount": Decimal("1E+999999999"), "currency": "USD"}, "amount"),
        (Price, {"amount": Decimal(1), "currency": "usd"}, "currency"),
        (Price, {"amount": Decimal(1), "currency": "US"}, "currency"),
        (Price, {"amount": Decimal(1), "currency": "U5D"}, "currency"),
        (Price, {"amount": Decimal(1), "currency": "ÄÖÜ"}, "currency"),
        (Price, {"amount": Decimal(1), "currency": None}, "currency"),
        (StockLevel, {"quantity": -(10**30)}, "quantity"),
        (StockLevel, {"quantity": 1.0}, "quantity"),
        (StockLevel, {"quantity": True}, "quantity"),
        (StockLevel, {"quantity": "1"}, "quantity"),
        (StockLevel, {"quantity": 1, "location": 5}, "location"),
        (StockLevel, {"quantity": 1, "location": UNSET}, "location"),
        (Image, {"url": ""}, "url"),
        (Image, {"url": None}, "url"),
        (Category, {"id": "", "name": "A"}, "id"),
        (Category, {"id": "a", "name": ""}, "name"),
        (Category, {"id": "a", "name": "A", "parent": "b"}, "parent"),
        (Dimensions, {"length": Decimal(-1)}, "length"),
        (Dimensions, {"width": 1.0}, "width"),
        (Dimensions, {"height": Decimal("NaN")}, "height"),
        (Variant, {"id": ""}, "id"),
        (Variant, {"id": "v", "title": 5}, "title"),
        (Variant, {"id": "v", "title": None}, "title"),
        (Variant, {"id": "v", "sku": 5}, "sku"),
        (Variant, {"id": "v", "barcode": 4006381333931}, "barcode"),
        (Variant, {"id": "v", "options": {"": "S"}}, "options."),
        (Variant, {"id": "v", "options": {"Size": ""}}, "options.Size"),
        (Variant, {"id": "v", "options": {"Size": 38}}, "options.Size"),
        (Variant, {"id": "v", "options": {38: "Size"}}, "options.38"),
        (Variant, {"id": "v", "options": None}, "options"),
        (Variant, {"id": "v", "options": ["Size"]}, "options"),
        (Variant, {"id": "v", "prices": [Decimal(1)]}, "prices[0]"),
        (
            Variant,
            {
                "id": "v",
                "prices": [
                    Price(amount=Decimal(1), currency="USD"),
                    Price(amount=Decimal(2), currency="USD"),
                ],
            },
            "prices[1]",
        ),
        (
            Variant,
            {"id": "v", "stock": [StockLevel(quantity=1), StockLevel(quantity=2)]},
            "stock[1]",
        ),
        (Variant, {"id": "v", "stock": [5]}, "stock[0]"),
    ],
)
def test_parts_name_the_bad_value(
    kind: Callable[..., object], values: dict[str, Any], path: str
) -> None:
    assert path_of(lambda: kind(**values)) == path


def test_unset_is_neither_empty_nor_none() -> None:
    bare = make()
    assert bare.tags is UNSET
    assert bare.description is UNSET
    assert make(tags=[]).tags == ()
    assert make(description=None).description is None
    assert len({bare.description, make(description=None).description}) == 2
    assert bare != make(tags=[])
    assert not UNSET
    assert repr(UNSET) == "UNSET"
    assert Unset.UNSET is UNSET


@pytest.mark.parametrize("name", [*TEXTS, *GROUPS])
def test_empty_text_of_a_product_becomes_none(name: str) -> None:
    assert getattr(make(**{name: ""}), name) is None


@pytest.mark.parametrize("name", ["sku", "barcode"])
def test_empty_text_of_a_variant_becomes_none(name: str) -> None:
    assert getattr(Variant(id="v", **{name: ""}), name) is None


def test_variants_without_options_may_be_several() -> None:
    """What a sink holds may have been read without its options."""
    variants = (Variant(id="v"), Variant(id="w"))
    assert make(variants=variants).variants == variants


def test_lists_of_any_kind_become_tuples() -> None:
    product = make(
        images=iter([Image(url="a")]),
        tags={"a"},
        categories=[Category(id="c", name="C")],
        variants=(v for v in [Variant(id="v")]),
    )
    assert product.images == (Image(url="a"),)
    assert product.tags == ("a",)
    assert isinstance(product.categories, tuple)
    assert isinstance(product.variants, tuple)


def test_values_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        make().title = "x"  # type: ignore[misc]


def test_what_is_given_later_does_not_change_a_product() -> None:
    attributes: dict[str, Any] = {"a": 1}
    options = {"Size": "S"}
    product = make(attributes=attributes, variants=[Variant(id="v", options=options)])
    attributes["a"] = object()
    options["Size"] = ""
    assert product == make(
        attributes={"a": 1}, variants=[Variant(id="v", options={"Size": "S"})]
    )


def test_the_deepest_json_is_taken() -> None:
    assert make(attributes={"a": deep(32)}).attributes == {"a": deep(32)}


def test_json_of_every_kind_is_taken() -> None:
    value = {"a": [None, True, 1, 1.5, "x", {}, []]}
    assert make(attributes={"a": value}).attributes == {"a": value}


def test_a_status_is_text_as_well() -> None:
    assert make(status=ProductStatus.DRAFT).status == "draft"


def test_a_category_knows_its_parents() -> None:
    root = Category(id="a", name="A")
    assert Category(id="b", name="B", parent=root).parent is root


def test_key_has_one_text_form() -> None:
    key = ProductKey("my-shop_2.de", "a:b c")
    assert str(key) == "my-shop_2.de:a:b c"
    assert ProductKey.parse(str(key)) == key
    assert ProductKey("a", "1") < ProductKey("a", "2") < ProductKey("b", "1")


@given(product_keys())
def test_key_can_be_read_again(key: ProductKey) -> None:
    assert ProductKey.parse(str(key)) == key


def test_text_without_colon_is_not_a_key() -> None:
    with pytest.raises(InvalidValueError, match=r"^a product key is source:id"):
        ProductKey.parse("shop")


def test_a_problem_can_be_moved_under_a_parent() -> None:
    inner = InvalidValueError("amount", "must be 0 or more").under("prices[0]")
    assert str(inner.under("variants[2]")) == (
        "variants[2].prices[0].amount: must be 0 or more"
    )
    assert InvalidValueError("[3]", "no").under("tags").path == "tags[3]"
    assert InvalidValueError("", "no").under("tags").path == "tags"


def test_problem_is_a_value_error_and_ours() -> None:
    assert issubclass(InvalidValueError, ValueError)
    assert issubclass(InvalidValueError, CatalogSyncError)


@given(products())
def test_product_is_as_it_was_made(product: Product) -> None:
    fields = {
        field.name: getattr(product, field.name) for field in attrs.fields(Product)
    }
    assert Product(**fields) == product
    assert attrs.evolve(product) == product


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_whole_number_that_no_json_number_holds(number: int) -> None:
    with pytest.raises(InvalidValueError, match="is too large for a JSON number"):
        Product(key=ProductKey("shop", "1"), title="Cup", attributes={"n": [number]})


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", "\u2003"])
def test_an_optional_text_that_is_empty_becomes_none(text: str) -> None:
    product = make(description=text, brand=text, thumbnail=text, tags=["a", text])
    assert (product.description, product.brand, product.thumbnail) == (None,) * 3
    assert product.tags == ("a",)
    variant = Variant(id="v", title=text, sku=text, barcode=text)
    assert (variant.title, variant.sku, variant.barcode) == (UNSET, None, None)
