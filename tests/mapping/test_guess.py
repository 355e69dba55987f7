"""What is proposed for records, and what is asked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import example, given, strategies as st
from tests.mapping.mappings import mapping, rows

from catalogsync import Product
from catalogsync.catalog.outcomes import Rejected
from catalogsync.mapping import guess, paths_of
from catalogsync.mapping._names import NAMES


def lines(*records: Mapping[str, object]) -> str:
    """The proposed map, without key and title."""
    found = guess(paths_of(records), records)
    return "\n".join(x for x in found.lines if not x.startswith(("key", "title")))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"Preis (EUR)": "1.234,50"},
            'price = { from = "Preis (EUR)", currency = "EUR", decimal = "," }',
        ),
        ({"Price": "12.50 USD"}, 'price = { from = "Price", decimal = "." }'),
        (
            {"Price €": "5", "Price [USD]": "6"},
            'prices.EUR = "Price €"\nprices.USD = "Price [USD]"',
        ),
        ({"price": "5", "currency": "EUR"}, 'currency = "currency"\nprice = "price"'),
        (
            {"Gewicht in kg": "0,25"},
            'weight = { from = "Gewicht in kg", unit = "kg", decimal = "," }',
        ),
        ({"weight": "1.5 oz"}, 'weight = { from = "weight", decimal = "." }'),
        ({"Image 1": "a", "Image 2": "b"}, 'images = { all = ["Image 1", "Image 2"] }'),
        (
            {"images": "https://x/1.jpg, https://x/2.jpg"},
            'images = { from = "images", split = "," }',
        ),
        ({"Warengruppe": "A > B"}, 'categories = "Warengruppe"\ncategory_levels = ">"'),
        ({"tags": "a|b"}, 'tags = { from = "tags", split = "|" }'),
        ({"status": "draft"}, 'status = "status"'),
        (
            {"active": "1"},
            'status = { from = "active", words = { "1" = "published" } }',
        ),
        ({"Qty": "7", "FARBE": "rot"}, 'stock = "Qty"\noptions.Color = "FARBE"'),
        ({"dimensions": {"height": "3 cm"}}, 'height = "dimensions.height"'),
        (
            {"Zolltarifnummer": "6912", "Country of origin": "pt", "material": "Clay"},
            (
                'material = "material"\nhs_code = "Zolltarifnummer"\n'
                'origin_country = "Country of origin"'
            ),
        ),
        ({"discountable": "no"}, 'discountable = "discountable"'),
        ({"Art.Nr.": "1"}, ""),
    ],
)
def test_what_is_proposed(values: Mapping[str, object], expected: str) -> None:
    assert lines({"id": "1", "name": "Cup", **values}) == expected


@pytest.mark.parametrize(
    ("values", "question"),
    [
        (
            {"Price": "1,50"},
            'which currency? for example: price = { from = "Price", curr',
        ),
        ({"Price": "on request"}, 'column "Price" is not a price: "on request" is not'),
        ({"weight": "3"}, 'which unit? for example: weight = { from = "weight", unit'),
        ({"stock": "in stock"}, "how many pieces? for example: stock = { from ="),
        ({"COO": "Italy"}, "which ISO 3166 codes? for example: origin_country = {"),
        ({"discountable": "ja"}, "which mean yes? for example: discountable = { fr"),
        ({"status": "ok"}, "what is published? for example: status = { from ="),
    ],
)
def test_what_is_asked(values: Mapping[str, object], question: str) -> None:
    record = {"id": "1", "name": "Cup", **values}
    found = guess(paths_of([record]), [record])
    assert [each[: len(question)] for each in found.questions] == [question]
    assert lines(record) == ""


def test_the_reasons_and_what_is_left_over() -> None:
    records = [{"group": "A", "name": "Cup", "x": "1"}, {"group": "A", "name": "Cup"}]
    found = guess(paths_of(records), records)
    repeats = "its values repeat: rows with the same one are a product"
    assert found.facts == [
        f'key: column "group" ({repeats})',
        'title: column "name"',
        'not used: "x"',
    ]
    assert guess(["x"], []).missing == ["key", "title"]


def test_columns_that_could_be_keys() -> None:
    records = [
        {"id": str(n), "sku": f"S-{n}", "name": f"Cup {n}", "x": "", "y": "same"}
        for n in range(5)
    ]
    found = guess(paths_of(records), records)
    assert 'different in each record: "id", "sku"' in found.facts


CELLS = (
    st.none() | st.text(max_size=12) | st.integers() | st.lists(st.text(), max_size=2)
)
TITLES = st.sampled_from([name for names in NAMES.values() for name in names])
HINTS = st.sampled_from(["", " (kg)", " [EUR]", " €", "_2", " in cm", " "])


@example([{"price [EUR]": None, "price €": None}])
@example([{}, {"length (kg)": None}])
@given(
    st.lists(st.dictionaries(st.builds(str.__add__, TITLES, HINTS), CELLS), max_size=4)
)
def test_any_proposal_is_a_map(records: list[dict[str, object]]) -> None:
    """What is proposed can be read, and makes products or rejections."""
    records = [{"id": "1", "title": "Cup", **record} for record in records]
    found = guess(paths_of(records) or ("id", "title"), records)
    assert not found.missing
    text = "\n".join(found.lines)
    assert tomllib.loads(text)
    for record in rows(*records):
        assert isinstance(mapping(text).product("s", [record]), Product | Rejected)
