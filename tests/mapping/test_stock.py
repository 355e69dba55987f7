"""Stock: whole pieces, and those that are held back from sale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st
from tests.mapping.mappings import made, mapping, product

from catalogsync import MisconfiguredError, Product, StockLevel
from catalogsync.catalog.outcomes import Rejected
from catalogsync.mapping import RecordMapping

SHELVES = 'categories = "c"\ncategory_levels = ">"\nstock = "s"\n'


def stock(found: Product) -> int:
    assert found.variants
    (variant,) = found.variants
    assert variant.stock
    return variant.stock[0].quantity


@pytest.mark.parametrize(
    ("value", "quantity"),
    [("3", 3), ("1.5", 1), ("0,9", 0), (Decimal("2.999"), 2), ("-0.5", -1), (7, 7)],
)
def test_a_part_of_a_piece_cannot_be_sold(value: object, quantity: int) -> None:
    assert stock(product('stock = "s"', {"s": value})) == quantity
    # The slow way, with a second variant that has no id of its own.
    slow = 'variants = "v"\nvariant = "id"\nstock = "s"'
    assert stock(product(slow, {"v": [{"id": "1", "s": value}]})) == quantity


@pytest.mark.parametrize(
    ("quantity", "left"), [(10, 7), (4, 1), (3, 0), (2, 0), (0, 0), (-2, -2)]
)
def test_a_buffer_is_held_back(quantity: int, left: int) -> None:
    found = product('stock = "s"\nstock_buffer = 3', {"s": quantity})
    assert stock(found) == left


def test_each_location_has_its_buffer() -> None:
    text = 'stock_at.Berlin = "b"\nstock_at.Rome = "r"\nstock_buffer = 2'
    found = product(text, {"b": "5", "r": "1"})
    assert found.variants
    assert found.variants[0].stock == (
        StockLevel(quantity=3, location="Berlin"),
        StockLevel(quantity=0, location="Rome"),
    )


@pytest.mark.parametrize(
    ("category", "left"),
    [
        ("Men > Shirts", 5),  # its own
        ("men>shirts > Long", 5),  # the nearest above
        ("Men", 9),
        ("Women", 8),  # the buffer for all others
        ("", 8),
        ("Outlet", 10),  # 0 is a buffer, too
    ],
)
def test_a_category_has_its_own_buffer(category: str, left: int) -> None:
    table = 'stock_buffer_in = { "Men > Shirts" = 5, Men = 1, Outlet = 0 }'
    found = product(f"{SHELVES}stock_buffer = 2\n{table}", {"s": "10", "c": category})
    assert stock(found) == left


def test_the_largest_buffer_of_several_categories_counts() -> None:
    text = SHELVES.replace('"c"', '{ from = "c", split = "|" }')
    table = "stock_buffer_in = { Men = 1, Outlet = 4 }"
    found = product(text + table, {"s": "10", "c": "Men|Outlet|Women"})
    assert stock(found) == 6


def test_the_buffer_belongs_to_the_category_of_the_shop() -> None:
    text = SHELVES + 'category_map = { Herren = "Men" }\nstock_buffer_in = { Men = 1 }'
    assert stock(product(text, {"s": "10", "c": "Herren"})) == 9


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stock_buffer = 3", "stock_buffer: needs `stock` or `stock_at`"),
        ('stock = "s"\nstock_buffer = -1', "stock_buffer: must be 0 or more, is -1"),
        ('stock = "s"\nstock_buffer_in = { A = 1 }', "needs `categories`"),
        (
            SHELVES + "stock_buffer_in = { A = -1 }",
            "stock_buffer_in.A: must be 0 or more, is -1",
        ),
        ('stock = "s"\nstock_buffer = 1.5', "stock_buffer: must be a whole number"),
    ],
)
def test_a_buffer_is_refused(text: str, problem: str) -> None:
    with pytest.raises(MisconfiguredError, match=problem):
        mapping(f'key = "id"\ntitle = "name"\n{text}')


def test_a_mapping_without_a_buffer_is_not_slower() -> None:
    found = mapping('key = "id"\ntitle = "name"\nstock = "s"')
    assert found._parts.buffer is None  # pyright: ignore[reportPrivateUsage]


def test_the_digest_of_a_mapping_changes_with_its_buffer() -> None:
    text = f'key = "id"\ntitle = "name"\n{SHELVES}'
    more = ("", "stock_buffer = 1", "stock_buffer_in = { A = 1 }")
    found: list[RecordMapping] = [mapping(f"{text}{each}") for each in more]
    assert len({each.digest for each in found}) == 3


@given(st.integers(-5, 50), st.integers(0, 20))
def test_a_buffer_never_sells_and_never_invents(quantity: int, buffer: int) -> None:
    text = f'stock = "s"\nstock_buffer = {buffer}'
    left = stock(product(text, {"s": quantity}))
    assert left == (max(quantity - buffer, 0) if quantity > 0 else quantity)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01 13:00+01:00", NOON),
        (" 20260301T120000-0100 ", NOON + timedelta(hours=1)),
        ("1772366400", NOON),
        (1772366400, NOON),
        (datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1))), NOON),
        ("", None),
    ],
)
def test_a_record_says_when_it_was_counted(
    text: object, moment: datetime | None
) -> None:
    assert product('stock = "s"\nas_of = "t"', {"s": 1, "t": text}).as_of == moment


def test_of_several_records_the_oldest_time_counts() -> None:
    found = product('sku = "k"\nas_of = "t"', *({"k": n, "t": n} for n in (3, 1, 2)))
    assert found.as_of == datetime.fromtimestamp(1, UTC)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("yesterday", '"yesterday" is neither an ISO 8601 time nor seconds since the'),
        ("9" * 30, "is neither an ISO 8601 time nor seconds since the epoch"),
        (
            "2026-03-01 12:00",
            (
                '"2026-03-01 12:00" does not say its offset from UTC; add one with'
                ' `template`, such as "{column}+01:00"'
            ),
        ),
    ],
)
def test_a_time_that_may_mean_two_things_is_refused(text: str, problem: str) -> None:
    found = made('as_of = "t"', {"t": text})
    assert isinstance(found, Rejected)
    assert found.reason.startswith("as_of: ")
    assert problem in found.reason
    fixed = product('as_of = { template = "{t}+01:00" }', {"t": "2026-03-01 13:00"})
    assert fixed.as_of == NOON
