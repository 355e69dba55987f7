"""The rules of a mapping as text: which of them make a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

from catalogsync.catalog.products import Field

from ._expression import Expression
from ._mapping import RecordMapping
from ._pricing import PriceRule

__all__ = ["rules_of"]

_BARE = re.compile("[A-Za-z0-9_-]+")
_BY_NAME: Mapping[Field, str] = {
    Field.ATTRIBUTES: "attributes",
    Field.PRICES: "prices",
    Field.STOCK: "stock_at",
    Field.OPTIONS: "options",
}
"""Tables of a mapping with one rule for each name."""
_OTHERS: Mapping[Field, tuple[str, ...]] = {
    Field.DIMENSIONS: ("length", "width", "height"),
    Field.PRICES: ("price", "price_columns", "currency"),
    Field.STOCK: (
        *("stock", "stock_location", "stock_buffer", "stock_buffer_in", "as_of"),
    ),
    Field.OPTIONS: ("option_pairs", "option_list"),
    Field.CATEGORIES: (
        *("categories", "category_levels", "category_map", "category_file"),
    ),
}


def rules_of(mapping: RecordMapping, field: Field, name: str = "") -> list[str]:
    """The rules that make a value, as they could stand in TOML.

    Args:
        mapping: The mapping.
        field: The field of the value.
        name: The name of an attribute or option, the currency of a price, or the
            location of a stock; empty: there is none.
    """
    if field is not Field.PRICES or name not in mapping.price_rules:
        return _rules(mapping, field, name)
    rule = mapping.price_rules[name]
    lines = [f"price_rules.{_key(name)} = {_toml(rule)}"]
    if rule.from_ is not None:
        lines.append(f"rates_file = {_toml(mapping.rates_file)}")
    return [*_rules(mapping, field, rule.from_ or name), *lines]


def _rules(mapping: RecordMapping, field: Field, name: str) -> list[str]:
    table: Mapping[str, object] = getattr(mapping, _BY_NAME.get(field, ""), {})
    if name in table:
        return [f"{_BY_NAME[field]}.{_key(name)} = {_toml(table[name])}"]
    names = _OTHERS.get(field, (field.value,))
    return [
        f"{name} = {_toml(value)}"
        for name, value in _settings(mapping)
        if name in names
    ]


def _settings(settings: object) -> Iterator[tuple[str, object]]:
    """The settings that differ from their defaults, by their names in TOML."""
    cls: type[Any] = type(settings)
    for field in attrs.fields(cls):
        value = getattr(settings, field.name)
        if not field.init or value is None or value in (field.default, (), {}):
            continue
        yield str(field.metadata.get("name", field.name)), value


def _toml(value: object) -> str:
    match value:
        case PriceRule():
            return _table(dict(_settings(value)))
        case Expression():
            parts = dict(_settings(value))
            text = _toml(parts.get("from"))
            # In TOML, one column or path is short for `from`.
            is_short = parts.keys() == {"from"} and text.startswith('"')
            return text if is_short else _table(parts)
        case Mapping():
            return _table(cast("Mapping[str, object]", value))
        case tuple() | list():
            items = cast("tuple[object, ...]", value)
            texts = [_toml(item) for item in items]
            return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def _table(values: Mapping[str, object]) -> str:
    parts = (f"{_key(name)} = {_toml(value)}" for name, value in values.items())
    return f"{{ {', '.join(parts)} }}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
