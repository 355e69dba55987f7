"""The rules that `explain` shows are TOML that means the same."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, strategies as st

from catalogsync.catalog.products import Field
from catalogsync.config._structure import make_converter, read_settings
from catalogsync.mapping import RecordMapping, rules_of

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text == text.strip() and "*" not in text and "${" not in text
)


def mapping_of(table: dict[str, Any]) -> RecordMapping:
    table = {"key": "id", "title": "name", **table}
    return read_settings(make_converter(), table, RecordMapping)


@pytest.mark.parametrize(
    ("field", "name", "lines"),
    [
        (Field.TITLE, "", 'title = "name"'),
        (Field.DESCRIPTION, "", 'description = { from = ["long", "short"] }'),
        (Field.BRAND, "", 'brand = { from = "maker", default = "ACME" }'),
        (Field.TAGS, "", 'tags = { from = "words", split = "," }'),
        (Field.STATUS, "", 'status = { from = "on", words = { 0 = "draft" } }'),
        (Field.DIMENSIONS, "", 'length = { from = "l", unit = "in" }\nwidth = "w"'),
        (Field.CATEGORIES, "", 'categories = "group"\ncategory_levels = " > "'),
        (Field.ATTRIBUTES, "Füße", 'attributes."Füße" = "feet"'),
        (Field.ATTRIBUTES, "a.b", 'attributes."a.b" = { value = true }'),
        (Field.SKU, "", 'sku = "sku"'),
        (Field.PRICES, "EUR", 'prices.EUR = { from = "p", divide_by = 100 }'),
        (Field.PRICES, "EUR", 'price = { from = "price", currency = "EUR" }'),
        (Field.STOCK, "store", 'stock_at.store = "pieces"'),
        (Field.STOCK, "default", 'stock = "pieces"'),
        (Field.OPTIONS, "Size", 'options.Size = "size"'),
    ],
)
def test_a_rule_reads_as_it_was_written(field: Field, name: str, lines: str) -> None:
    rules = rules_of(mapping_of(tomllib.loads(lines)), field, name)
    assert rules == lines.split("\n")


def test_a_field_without_a_rule() -> None:
    mapping = mapping_of({})
    assert rules_of(mapping, Field.BRAND) == []
    assert rules_of(mapping, Field.PRICES, "EUR") == []


@given(NAMES, NAMES, NAMES)
def test_rules_read_back_are_the_same(name: str, column: str, other: str) -> None:
    table = {"attributes": {name: {"all": [column, other], "join": other}}}
    mapping = mapping_of(table)
    (rule,) = rules_of(mapping, Field.ATTRIBUTES, name)
    assert mapping_of(tomllib.loads(rule)) == mapping
