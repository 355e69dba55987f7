"""A source that wants to take all time and memory: its record is refused, no more."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from tests.security.raw_server import raw_server, reply

from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.catalog.convert import product_from_json, product_to_json
from catalogsync.catalog.products import (
    Category,
    Dimensions,
    Image,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)
from catalogsync.diff.last_applied import digest
from catalogsync.engine.promises import built
from catalogsync.errors import BrokenReplyError, InvalidValueError
from catalogsync.protocols import Page

KEY = ProductKey("shop", "1")
MANY = 1_000_000
LONG = f'"{"x" * 10_000_000}"'
DEEP = f"{'[' * 500}{']' * 500}"
WRONG_OPTIONS = json.dumps({f"o{i}": 1 for i in range(200)})
GOOD = '{"id": 1, "title": "good", "price": 1, "stock": 1}'


def times(item: str, number: int = MANY) -> str:
    """A list of so many of the same."""
    return f"[{','.join([item] * number)}]"


async def read(record: str, categories: bytes = b"[]") -> Page:
    """A page with a good record and this one."""
    page = f'{{"products": [{GOOD}, {record}], "total": 2, "skip": 0}}'

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        is_page = b"/categories" not in request
        writer.write(reply(page.encode() if is_page else categories))

    async with raw_server(answer) as url, DummyJSONSettings(url=url).open() as source:
        return built(await source.read(None))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("price", "1" * MANY, "price: must be 0 or more, is Infinity"),
        ("price", "1e999999999", "price: must be 0 or more, is Infinity"),
        ("price", "-1e999999999", "price: must be 0 or more, is -Infinity"),
        ("price", "1e300", "price: must have at most 30 digits, is 1e+300"),
        ("weight", "1e-300", "weight: must have at most 30 digits, is 1e-300"),
        ("stock", "1" * MANY, "stock: must be a whole number, not a decimal number"),
        ("title", LONG, "title: has 10000000 characters, more than 4194304"),
        ("sku", LONG, "sku: has 10000000 characters"),
        ("brand", LONG, "brand: has 10000000 characters"),
        ("tags", f"[{LONG}]", "tags[0]: has 10000000 characters"),
        ("category", LONG, "category: has 10000000 characters"),
        ("id", LONG, "id: has 10000000 characters"),
        ("images", times('"x"'), "images: has 1000000 entries, more than 10000"),
        ("images", times("1"), "images: has 1000000 entries, more than 10000"),
        ("images", times("1", 10_000), "images[0]: must be text"),
        ("tags", times('"x"'), "tags: has 1000000 entries, more than 10000"),
        ("variants", times("{}"), "variants: has 1000000 entries, more than 10000"),
        (
            "variants",
            times(f'{{"id": 1, "price": 1, "options": {WRONG_OPTIONS}}}', 10_000),
            "variants[0].options",
        ),
        ("dimensions", DEEP, "dimensions: must be an object, not a list"),
        ("rating", DEEP, f"rating{'[0]' * 32}: deeper than 32 levels"),
        ("rating", times("1"), "rating: more than 100000 values"),
        ("rating", times("[[],[],[]]", 50_000), "more than 100000 values"),
        ("rating", "1e999999999", "rating: inf is not a JSON number"),
        ("rating", '"\\ud83d"', "rating: contains half a surrogate pair"),
        ("returnPolicy", LONG, "returnPolicy: has 10000000 characters"),
        (
            "rating",
            f'{{"{"k" * 4_000_000}": {{"{"k" * 4_000_000}": "\\u0000"}}}}',
            "contains a NUL character",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
async def test_a_record_that_is_refused(field: str, value: str, problem: str) -> None:
    """With the path to the bad value; the other record is accepted."""
    fields = {"id": "2", "title": '"bad"', "price": "1", field: value}
    page = await read(
        "{" + ",".join(f'"{name}": {text}' for name, text in fields.items()) + "}"
    )
    assert [product.title for product in page.products] == ["good"]
    (rejected,) = page.rejected
    assert problem in rejected.reason
    assert len(rejected.reason) < 1000


@pytest.mark.parametrize(
    "fields",
    [
        '"price": 0.' + "1" * MANY,
        '"price": 1e-999999999',
        '"price": 1, "price": 2, "title": "x", "title": "bad"',
        f'"price": 1, "rating": {{"{"k" * MANY}": {times("1", 90_000)}}}',
        f'"price": 1, "unknown": {DEEP}',
        f'"price": 1, "unknown": {times("[]")}',
        '"price": 1, "images": ' + json.dumps([str(n) for n in range(10_000)]),
    ],
    ids=lambda text: text[:40],
)
async def test_a_record_that_is_only_odd(fields: str) -> None:
    page = await read(f'{{"id": 2, "title": "bad", {fields}}}')
    assert [product.title for product in page.products] == ["good", "bad"]


@pytest.mark.parametrize(
    "record", ["[" * 100_000 + "]" * 100_000, '{"id": NaN}', '{"id": 1} {}']
)
async def test_a_page_that_is_no_json(record: str) -> None:
    with pytest.raises(BrokenReplyError, match="not JSON"):
        await read(record)


async def test_too_many_categories() -> None:
    with pytest.raises(BrokenReplyError, match="categories: 1000000"):
        await read("{}", times("{}").encode())


async def test_a_page_that_quotes_itself() -> None:
    """What it says instead of a number is not repeated."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        page = f'{{"products": [], "total": 0, "skip": {DEEP}}}'
        writer.write(reply(page.encode() if b"/categories" not in request else b"[]"))

    async with raw_server(answer) as url, DummyJSONSettings(url=url).open() as source:
        with pytest.raises(BrokenReplyError, match=r"`skip` is not 0$"):
            await source.read(None)


def nested(value: Any, depth: int) -> Any:
    """The value within so many lists."""
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("cls", "values", "path"),
    [
        (Price, {"amount": Decimal("0." + "1" * MANY), "currency": "EUR"}, "amount"),
        (Price, {"amount": Decimal("1e999999999"), "currency": "EUR"}, "amount"),
        (Price, {"amount": Decimal("0e-999999999"), "currency": "EUR"}, "amount"),
        (Price, {"amount": -Decimal("1" * MANY), "currency": "EUR"}, "amount"),
        (Price, {"amount": Decimal(1), "currency": "E" * MANY}, "currency"),
        (Dimensions, {"width": Decimal("0." + "3" * 81)}, "width"),
        (StockLevel, {"quantity": 10**100_000}, "quantity"),
        (StockLevel, {"quantity": -(10**100_000)}, "quantity"),
        (Image, {"url": "x" * 10 * MANY}, "url"),
        (Category, {"id": "x" * 10 * MANY, "name": "x"}, "id"),
        (ProductKey, {"source": "ü" * MANY, "id": "1"}, "source"),
        (Variant, {"id": "v", "options": dict.fromkeys(range(MANY), "x")}, "options"),
        (Variant, {"id": "v", "options": {"k" * MANY: ""}}, f"options.{'k' * 100}…"),
        (Product, {"key": KEY, "title": "t", "tags": ["x"] * MANY}, "tags"),
        (
            Product,
            {"key": KEY, "title": "t", "attributes": {"a": nested(1, 100_000)}},
            "attributes.a" + "[0]" * 32,
        ),
        (
            Product,
            {"key": KEY, "title": "t", "attributes": {"a": 10**100_000}},
            "attributes.a",
        ),
    ],
)
def test_what_no_product_can_have(cls: Any, values: dict[str, Any], path: str) -> None:
    """Also where it comes from another source: the model refuses it by itself."""
    with pytest.raises(InvalidValueError) as caught:
        cls(**values)
    assert caught.value.path == path
    assert len(str(caught.value)) < 500


def test_what_a_source_may_well_have() -> None:
    """The bounds are far beyond what a catalog holds."""
    variants = [
        Variant(
            id=f"{n}",
            options={"Size": f"{n}"},
            prices=[Price(amount=Decimal(1) / 3, currency="EUR")],
            stock=[StockLevel(quantity=10**12)],
        )
        for n in range(2048)
    ]
    product = Product(
        key=KEY,
        title="t" * 1000,
        description="<p>" * 500_000,
        images=[Image(url=f"data:image/png;base64,{n}{'A' * 1000}") for n in range(99)],
        attributes={f"a{n}": [{"name": "x", "value": n}] * 9 for n in range(1000)},
        variants=variants,
    )
    assert product.variants
    assert len(product.variants) == 2048


def below(levels: int) -> Category:
    """A category with so many above it."""
    category = Category(id="0", name="0")
    for level in range(1, levels + 1):
        category = Category(id=f"{level}", name="x", parent=category)
    return category


def test_categories_without_an_end() -> None:
    with pytest.raises(InvalidValueError, match=r"^parent: more than 50 levels$"):
        below(100_000)
    product = Product(key=KEY, title="t", categories=[below(50)])
    assert product_from_json(json.loads(json.dumps(product_to_json(product))))


def test_a_payload_without_an_end() -> None:
    """From a manipulated state store or plan file."""
    category: dict[str, Any] = {"id": "0", "name": "0"}
    for _ in range(10_000):
        category = {"id": "0", "name": "0", "parent": category}
    key = {"source": "shop", "id": "1"}
    with pytest.raises(InvalidValueError):
        product_from_json({"key": key, "title": "t", "categories": [category]})


def test_a_last_applied_of_quotes_within_lists() -> None:
    """Each level used to double what the levels within it took."""
    value = nested("\"'", 30)
    tracemalloc.start()
    assert digest(value) != digest(nested("''", 30))
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_a_refusal_takes_little_memory() -> None:
    """Only one of ten thousand wrong tags is reported."""
    from catalogsync.adapters.dummyjson._records import Mapper

    record = {"id": 1, "title": "t", "price": 1, "tags": [1] * 10_000}
    mapper = Mapper(source="shop", currency="EUR")
    with pytest.raises(InvalidValueError):
        mapper.product(KEY, record)
    tracemalloc.start()
    with pytest.raises(InvalidValueError, match=r"^tags\[0\]: must be text"):
        mapper.product(KEY, record)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
