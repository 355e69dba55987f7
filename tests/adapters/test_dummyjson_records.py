"""What becomes of single records: good ones, odd ones, and no records at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests import strategies as _settings  # noqa: F401 - sets Hypothesis up
from tests.adapters.dummyjson_runs import Ran, Record, answer, key, record, run

from catalogsync import (
    UNSET,
    Dimensions,
    Image,
    InvalidValueError,
    Price,
    Product,
    Rejected,
    RunStatus,
    StockLevel,
    Variant,
)
from catalogsync.adapters.dummyjson._records import FIELDS, Mapper
from catalogsync.adapters.dummyjson._source import _sorted_out

ONE = {"id": "v", "price": 1, "stock": 1, "options": {"Size": "S"}}
SAME = "all variants must have the same options; the first has"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.sampled_from(["", "\0", "\ud800", "x" * 10_000, " @ $.", "'", "]["]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(FIELDS), inner)
        | st.dictionaries(st.sampled_from(sorted(ONE)), inner)
    ),
    max_leaves=12,
)


async def run_of(*records: object, **options: Any) -> Ran:
    """A run over one page of anything."""
    found = {"products": records, "total": len(records), "skip": 0}
    body = json.dumps(found).replace("Infinity", "1e400").encode()
    return await run([], answer(body, "/products[?]*"), **options)


def product_of(**fields: Any) -> Product:
    """The product that a record with these fields becomes."""
    mapper = Mapper(source="dummyjson", currency="USD")
    given = record(1, **fields)
    return mapper.product(mapper.key(given), given)


def variant_of(**fields: Any) -> Variant:
    variants = product_of(**fields).variants
    assert variants
    return variants[0]


def problem_of(**fields: Any) -> str:
    with pytest.raises(InvalidValueError) as caught:
        product_of(**fields)
    return str(caught.value)


_VALUE = re.compile(r" \((?:'[^']*'|[0-9.e+-]+|True|False)\)")


def message(reason: str, value: object) -> str:
    """A reason without the wrong value, which it has to have if it is a simple one."""
    if ", not " not in reason or not isinstance(value, str | int | float):
        return reason
    shown = repr(value) if isinstance(value, str) else str(value)
    assert f" ({shown})" in reason
    return reason.replace(f" ({shown})", "", 1)


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        (19.99, "19.99"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.1, "1.1"),
        (10, "10"),
        (10.0, "10.0"),
        (0, "0"),
        (0.01, "0.01"),
        (36999.99, "36999.99"),
        (9999999.99, "9999999.99"),
        (1e16, "1E+16"),
        (1e-7, "1E-7"),
        (2**63, "9223372036854775808"),
    ],
)
def test_prices_are_what_the_record_says(price: float, amount: str) -> None:
    prices = variant_of(price=price).prices
    assert prices == (Price(amount=Decimal(amount), currency="USD"),)


@given(st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=2))
def test_every_price_to_the_cent_is_exact(amount: Decimal) -> None:
    raw = json.loads(json.dumps(float(amount)))
    prices = variant_of(price=raw).prices
    assert prices
    assert prices[0].amount == amount


@pytest.mark.parametrize(
    ("price", "problem"),
    [
        ("9.99", "must be a number, not text"),
        ("", "must be a number, not text"),
        (True, "must be a number, not true or false"),
        ([9.99], "must be a number, not a list"),
        ({"amount": 1}, "must be a number, not an object"),
        (None, "is missing"),
        (..., "is missing"),
        (-0.01, "must be 0 or more, is -0.01"),
        (math.inf, "must be 0 or more, is Infinity"),
        (math.nan, "must be 0 or more, is NaN"),
        (1e31, "must have at most 30 digits, is 1e+31"),
        (1e-31, "must have at most 30 digits, is 1e-31"),
    ],
)
def test_what_is_no_price(price: object, problem: str) -> None:
    assert message(problem_of(price=price), price) == f"price: {problem}"


@pytest.mark.parametrize(
    ("stock", "problem"),
    [
        (2.5, "must be a whole number, not a decimal number"),
        ("5", "must be a whole number, not text"),
        (True, "must be a whole number, not true or false"),
    ],
)
def test_what_is_no_stock(stock: object, problem: str) -> None:
    assert message(problem_of(stock=stock), stock) == f"stock: {problem}"


@pytest.mark.parametrize("stock", [None, ...])
def test_no_word_of_the_stock_is_not_none_left(stock: object) -> None:
    """The store's stock is left alone; 0 would end the sale."""
    assert variant_of(stock=stock).stock is UNSET
    assert variant_of(stock=0).stock == (StockLevel(quantity=0),)


@pytest.mark.parametrize("id_", [0, -3, 7, 2**64 - 1, "7", "a/b", " ", "ü", "0"])
async def test_ids(id_: int | str) -> None:
    ran = await run_of(record(1, id=id_))
    assert ran.ids == [str(id_)]


@pytest.mark.parametrize(
    ("id_", "problem"),
    [
        (..., "is missing"),
        (None, "must be text or a whole number, not null"),
        (True, "must be text or a whole number, not true or false"),
        (7.0, "must be text or a whole number, not a decimal number"),
        (2.0**64, "must be text or a whole number, not a decimal number"),
        ([1], "must be text or a whole number, not a list"),
        ({}, "must be text or a whole number, not an object"),
        ("", "must not be empty"),
        ("\0", "contains a NUL character"),
        ("\ud800", "contains half a surrogate pair, which no store can keep"),
    ],
)
async def test_an_invalid_id(id_: object, problem: str) -> None:
    """The report names its position instead of a key."""
    ran = await run_of(record(1), record(2, id=id_), record(3))
    assert ran.ids == ["1", "3"]
    assert ran.report.counts.failed == 1
    (rejected,) = ran.report.rejected
    assert message(str(rejected), id_) == f"page skip=0, record 1: id: {problem}"
    assert (rejected.key, rejected.path) == (None, "id")
    assert ran.report.status is RunStatus.DEGRADED


@pytest.mark.parametrize(
    ("nothing", "kind"),
    [
        (None, "null"),
        (5, "a whole number"),
        ("text", "text"),
        ([], "a list"),
        (False, "true or false"),
    ],
)
async def test_what_is_no_record(nothing: object, kind: str) -> None:
    ran = await run_of(record(1), nothing, record(3))
    assert ran.ids == ["1", "3"]
    problem = f"record: must be an object, not {kind}"
    (rejected,) = ran.report.rejected
    assert message(str(rejected), nothing) == f"page skip=0, record 1: {problem}"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"title": ...}, "title: is missing"),
        ({"title": None}, "title: must be text, not null"),
        ({"title": ""}, "title: must not be empty"),
        ({"title": " \n"}, "title: must not be empty"),
        ({"title": 5}, "title: must be text, not a whole number"),
        ({"title": "a\0b"}, "title: contains a NUL character"),
        ({"description": ["x"]}, "description: must be text, not a list"),
        ({"brand": 5}, "brand: must be text, not a whole number"),
        ({"category": 5}, "category: must be text, not a whole number"),
        ({"category": {"slug": "a"}}, "category: must be text, not an object"),
        ({"category": "\0"}, "category: contains a NUL character"),
        ({"tags": "red"}, "tags: must be a list, not text"),
        ({"tags": {"red": 1}}, "tags: must be a list, not an object"),
        ({"tags": ["a", "a", "\0"]}, "tags[2]: contains a NUL character"),
        ({"tags": ["a", None]}, "tags[1]: must be text, not null"),
        ({"images": "http://x"}, "images: must be a list, not text"),
        ({"images": [{"url": "a"}]}, "images[0]: must be text, not an object"),
        ({"thumbnail": 5}, "thumbnail: must be text, not a whole number"),
        ({"sku": 5}, "sku: must be text, not a whole number"),
        ({"sku": "\0"}, "sku: contains a NUL character"),
        ({"weight": "5"}, "weight: must be a number, not text"),
        ({"weight": -1}, "weight: must be 0 or more, is -1"),
        ({"dimensions": 5}, "dimensions: must be an object, not a whole number"),
        ({"dimensions": []}, "dimensions: must be an object, not a list"),
        ({"dimensions": "10x5"}, "dimensions: must be an object, not text"),
        (
            {"dimensions": {"width": "5"}},
            "dimensions.width: must be a number, not text",
        ),
        ({"dimensions": {"width": -1}}, "dimensions.width: must be 0 or more, is -1"),
        ({"dimensions": {"depth": -1}}, "dimensions.depth: must be 0 or more, is -1"),
        ({"meta": "x"}, "meta: must be an object, not text"),
        ({"meta": {"barcode": 5}}, "meta.barcode: must be text, not a whole number"),
        ({"meta": {"barcode": "\0"}}, "meta.barcode: contains a NUL character"),
        ({"rating": math.inf}, "rating: inf is not a JSON number"),
        ({"returnPolicy": ["\0"]}, "returnPolicy[0]: contains a NUL character"),
        ({"variants": "x"}, "variants: must be a list, not text"),
        ({"variants": {}}, "variants: must be a list, not an object"),
        ({"variants": [5]}, "variants[0]: must be an object, not a whole number"),
        ({"variants": [ONE, ["id"]]}, "variants[1]: must be an object, not a list"),
        ({"variants": [{"price": 1}]}, "variants[0].id: is missing"),
        ({"variants": [{"id": "v"}]}, "variants[0].price: is missing"),
        (
            {"variants": [{**ONE, "id": 1.5}]},
            "variants[0].id: must be text or a whole number, not a decimal number",
        ),
        (
            {"variants": [{**ONE, "price": None}]},
            "variants[0].price: must be a number, not null",
        ),
        (
            {"variants": [ONE, {**ONE, "id": "w", "price": -1}]},
            "variants[1].price: must be 0 or more, is -1",
        ),
        (
            {"variants": [{**ONE, "barcode": "\0"}]},
            "variants[0].barcode: contains a NUL character",
        ),
        (
            {"variants": [{**ONE, "options": []}]},
            "variants[0].options: must be an object, not a list",
        ),
        (
            {"variants": [{**ONE, "options": {"a @ $.b": 5}}]},
            "variants[0].options['a @ $.b']: must be text, not a whole number",
        ),
        (
            {"variants": [{**ONE, "options": {"Size": ""}}]},
            "variants[0].options.Size: an option and its value must not be empty",
        ),
        ({"variants": [ONE, ONE]}, "variants[1]: v appears twice"),
        (
            {"variants": [ONE, {**ONE, "id": "w", "options": {"Color": "Red"}}]},
            f"variants[1].options: {SAME} Size",
        ),
    ],
)
async def test_a_bad_record_is_rejected_alone(
    fields: dict[str, Any], problem: str
) -> None:
    """With its key, and the path to what is wrong with it."""
    ran = await run_of(record(1), record(2, **fields), record(3))
    assert ran.ids == ["1", "3"]
    assert ran.report.status is RunStatus.DEGRADED
    assert (ran.report.counts.created, ran.report.counts.failed) == (2, 1)
    (failure,) = ran.report.failures
    assert failure.key == key(2)
    assert _VALUE.sub("", failure.reason) == f"{problem} (page skip=0, record 1)"
    assert ran.report.retries == 0
    assert ran.passes == 1


async def test_the_page_of_a_bad_record_is_reported() -> None:
    records = [record(n, price=-1 if n == 5 else 1) for n in range(1, 8)]
    ran = await run(records, settings={"page_size": 3})
    assert ran.report.failures[0].reason.endswith(" (page skip=3, record 1)")


@pytest.mark.parametrize("missing", [None, ...])
def test_what_a_record_does_not_have(missing: object) -> None:
    names = ("description", "brand", "thumbnail", "category", "tags", "images")
    more = ("weight", "dimensions", "meta", "sku", "variants", "rating")
    product = product_of(**dict.fromkeys((*names, *more), missing))
    assert product.description is product.brand is product.thumbnail is None
    assert product.categories == product.tags == product.images == ()
    assert product.weight is product.dimensions is None
    assert product.attributes == {}
    assert product.variants
    assert product.variants[0].sku is product.variants[0].barcode is None


def test_empty_becomes_none() -> None:
    fields = dict.fromkeys(("description", "brand", "thumbnail", "sku"), "")
    product = product_of(**fields, tags=[], images=[], variants=[], dimensions={})
    assert product.description is product.brand is product.thumbnail is None
    assert product.tags == product.images == ()
    assert product.dimensions == Dimensions()
    assert product.variants
    assert product.variants[0].sku is None


def test_what_is_there_twice_is_taken_once() -> None:
    product = product_of(tags=["b", "a", "b"], images=["y", "x", "y"])
    assert product.tags == ("b", "a")
    assert product.images == (Image(url="y"), Image(url="x"))


def test_tags_that_differ_in_case_differ() -> None:
    assert product_of(tags=["Red", "red"]).tags == ("Red", "red")


@pytest.mark.parametrize(
    "text",
    [
        "<p>Bold &amp; <b>new</b></p><script>alert(1)</script>",
        "One\nTwo\r\n\tThree",
        "كرسي 🦊 庭の椅子",
        "x" * 1_000_000,
        "  edges  ",
        "{{ }} ${x} %s ' OR 1=1 --",
    ],
)
async def test_texts_arrive_as_they_are(text: str) -> None:
    ran = await run_of(record(1, title=text, description=text, tags=[text]))
    product = ran.products["1"]
    assert product.title == product.description == text
    assert product.tags == (text,)


def test_variants_may_say_little() -> None:
    variant = variant_of(variants=[{"id": 5, "price": 2, "title": "", "options": None}])
    assert variant == Variant(
        id="5",
        sku=None,
        barcode=None,
        prices=[Price(amount=Decimal(2), currency="USD")],
    )
    assert variant.title is variant.stock is UNSET


def test_with_variants_the_records_own_price_does_not_count() -> None:
    variant = variant_of(price=99, stock=99, variants=[ONE])
    assert variant.prices == (Price(amount=Decimal(1), currency="USD"),)
    assert variant.stock == (StockLevel(quantity=1),)


def test_fields_that_nobody_knows_are_left_out() -> None:
    product = product_of(reviews=[{"reviewerEmail": "a@b"}], secret="x", meta={"x": 1})
    assert product == product_of(meta={})


@pytest.mark.parametrize("depth", [10, 100, 900])
async def test_deep_attributes(depth: int) -> None:
    rating: object = 1
    for _ in range(depth):
        rating = [rating]
    ran = await run_of(record(1), record(2, rating=rating))
    assert ran.ids == (["1", "2"] if depth == 10 else ["1"])
    if depth > 10:
        assert "deeper than 32 levels" in ran.reasons["2"]


def sorted_out(
    mapper: Mapper, records: Sequence[object]
) -> tuple[list[Product], list[Rejected]]:
    """The products of a page, and why other records are not."""
    drafts, rejected = _sorted_out(mapper, records, "page")
    built = [draft.build() for draft in drafts]
    products = [item for item in built if isinstance(item, Product)]
    return products, rejected + [item for item in built if isinstance(item, Rejected)]


def fine(products: list[Product]) -> None:
    """No product claims what no record says."""
    for product in products:
        assert product.title
        assert product.variants


@given(nothing=JSON)
def test_anything_in_place_of_a_record(nothing: object) -> None:
    mapper = Mapper(source="dummyjson", currency="USD")
    page = [record(-1), nothing, record(-3)]
    products, rejected = sorted_out(mapper, page)
    assert [products[0].key, products[-1].key] == [key(-1), key(-3)]
    assert len(products) + len(rejected) == 3
    fine(products)
    for each in rejected:
        path, colon, problem = each.reason.partition(": ")
        assert path
        assert colon
        assert problem
        assert each.where == "page, record 1"


@given(fields=st.dictionaries(st.sampled_from(["id", *FIELDS]), JSON, min_size=1))
def test_anything_in_place_of_a_field(fields: Record) -> None:
    mapper = Mapper(source="dummyjson", currency="USD")
    page = [record(-1), record(-2, **fields), record(-3)]
    products, rejected = sorted_out(mapper, page)
    assert [products[0].key, products[-1].key] == [key(-1), key(-3)]
    assert len(products) + len(rejected) == 3
    fine(products)
    for each in rejected:
        path, colon, problem = each.reason.partition(": ")
        name = path.partition(".")[0].partition("[")[0]
        assert name in {*fields, "price"}
        assert colon
        assert problem
        assert each.key == key(-2) or "id" in fields


@given(things=st.lists(JSON | st.builds(record, st.integers()), max_size=6))
async def test_a_page_of_anything(things: list[object]) -> None:
    """A run over it always ends with a report in which all are counted."""
    ran = await run_of(*things)
    counts = ran.report.counts
    if not ran.report.problem:
        assert counts.fetched == len(things)
        assert counts.created + counts.failed == len(things)
    for outcome in ran.report.failures:
        assert ": " in outcome.reason


@given(variants=JSON | st.lists(st.dictionaries(st.sampled_from(sorted(ONE)), JSON)))
def test_anything_in_place_of_variants(variants: object) -> None:
    try:
        found = product_of(variants=variants).variants
    except InvalidValueError as error:
        assert error.path.startswith("variants")  # noqa: PT017
    else:
        assert found


async def test_empty_text_is_not_there() -> None:
    """It does not cost the product."""
    empty = {
        "description": "",
        "brand": " ",
        "thumbnail": "\t",
        "category": "\n",
        "sku": " ",
        "tags": ["", "red", " "],
        "images": [" ", "https://example.com/1.png", ""],
        "meta": {"barcode": " "},
        "returnPolicy": " ",
    }
    ran = await run_of(record(1, **empty))
    (product,) = ran.products.values()
    assert (product.description, product.brand, product.thumbnail) == (None,) * 3
    assert (product.categories, product.tags) == ((), ("red",))
    assert [image.url for image in product.images or ()] == [
        "https://example.com/1.png"
    ]
    assert "returnPolicy" not in (product.attributes or {})
    (variant,) = product.variants or ()
    assert (variant.sku, variant.barcode) == (None, None)


async def test_stock_below_zero_counts_as_none() -> None:
    ran = await run_of(record(1, stock=-3), record(2, stock=4), record(3, stock=-1))
    stock = [
        product.variants[0].stock[0].quantity  # type: ignore[index,union-attr]
        for product in ran.products.values()
    ]
    assert stock == [0, 4, 0]
    assert ran.report.warnings == (
        "stock below 0 counts as 0: 2 products, for example dummyjson:1",
    )
