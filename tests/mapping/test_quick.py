"""Plain records are read quickly, and nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests import strategies  # noqa: F401 # pyright: ignore[reportUnusedImport] - settings of Hypothesis

from catalogsync.catalog.products import UNSET, Product
from catalogsync.mapping import Expression, Record, RecordMapping

_COLUMNS = ("sku", "name", "size", "price", "price 2", "money", "stock", "place", "id")
_TEXTS = [
    "",
    " ",
    "A",
    " A ",
    "ä",
    "a\0b",
    "\ud800",
    "EUR",
    "USD",
    "eur",
    "x" * 200_000,
]
_NUMBERS = [
    "1",
    "1.50",
    " 1.5 ",
    "1,50",
    "1.234",
    "-1",
    "1e5",
    "9" * 45,
    "9.99 USD",
    "x",
]
_OTHERS: list[object] = [
    None,
    True,
    0,
    7,
    Decimal("1.5"),
    Decimal("NaN"),
    [],
    ["1"],
    {},
]
_CELLS: st.SearchStrategy[object] = st.one_of(
    st.sampled_from([*_TEXTS, *_NUMBERS]), st.sampled_from(_OTHERS)
)


def _of(name: str, **more: Any) -> Expression:
    return Expression(from_=name, **more)


_MAPPINGS: dict[str, dict[str, Any]] = {
    "plain": {
        "sku": _of("sku"),
        "options": {"Size": _of("size")},
        "price": _of("price", currency="EUR"),
        "stock": _of("stock"),
    },
    "elsewhere": {
        "variant": _of("id"),
        "variant_title": _of("name", empty="clear"),
        "barcode": _of("name", empty="clear"),
        "price": _of("price", divide_by=100, empty="clear"),
        "currency": _of("money"),
        "stock": _of("stock", empty="clear"),
        "stock_location": _of("place"),
        "decimal": ",",
    },
    "several": {
        "sku": Expression(from_=("sku", "id"), default="none"),
        "options": {"Size": _of("size"), "Name": _of("name", words={"a": 1})},
        "prices": {"EUR": _of("price"), "USD": _of("price 2")},
        "price": _of("price", split="+"),
        "stock_at": {"here": _of("stock"), "there": _of("place", blank=("0",))},
    },
    "without": {"price": _of("price"), "images": _of("name")},
    "nothing": {},
}
_ROWS: st.SearchStrategy[list[dict[str, object]]] = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(_COLUMNS, _CELLS)),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", _MAPPINGS)
@given(rows=_ROWS)
def test_plain_records_make_the_same_as_any_others(
    name: str, rows: Sequence[dict[str, object]]
) -> None:
    """A product, or a rejection in the same words."""
    quick = _mapping(_MAPPINGS[name])
    slow = _slow(quick)
    records = [
        Record(where=f"row {number}", values={"key": "1", "title": "T", **row})
        for number, row in enumerate(rows)
    ]
    assert _made(quick, records) == _made(slow, records)


@given(
    found=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("title", "description", "brand", "thumbnail", "tags", "images", "weight"),
            _CELLS,
        ),
    )
)
def test_a_product_is_checked_as_its_class_checks_it(found: dict[str, object]) -> None:
    """Fields that are not supplied need no check; all others do."""
    lines = {name: _of(name) for name in found if name not in {"title", "weight"}}
    weight = _of("weight", unit="g") if "weight" in found else None
    mapping = RecordMapping(
        key=_of("key"),
        title=_of("title"),
        weight=weight,
        **lines,  # type: ignore[arg-type]
    )
    record = Record(where="row 1", values={"key": "1", "title": "T", **found})
    made = mapping.product("shop", [record])
    if isinstance(made, Product):
        values = {
            field.name: getattr(made, field.name) for field in attrs.fields(Product)
        }
        assert Product(**values) == made


def test_plain_records_take_the_quick_way() -> None:
    """The promise above says nothing if none of them does."""
    values = {"sku": "A", "size": "M", "price": "1.50", "stock": "3"}
    parts = _mapping(_MAPPINGS["plain"])._parts.variants  # pyright: ignore[reportPrivateUsage]
    assert parts.quick is not None
    quick = parts.quick([Record(where="row 1", values=values)])
    assert quick is not None
    assert [each.sku for each in quick] == ["A"]
    assert attrs.evolve(quick[0], title=UNSET) == quick[0]  # checks it


def _mapping(more: dict[str, Any]) -> RecordMapping:
    return RecordMapping(key=_of("key"), title=_of("title"), **more)


def _slow(mapping: RecordMapping) -> RecordMapping:
    parts = mapping._parts  # pyright: ignore[reportPrivateUsage]
    slow = attrs.evolve(mapping)
    variants = attrs.evolve(parts.variants, quick=None)
    object.__setattr__(slow, "_parts", attrs.evolve(parts, variants=variants))
    return slow


def _made(mapping: RecordMapping, records: Sequence[Record]) -> str:
    """The product in every detail: equal amounts may have different digits."""
    return repr(mapping.product("shop", records))
