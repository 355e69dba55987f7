"""Products from the records that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import attrs

from catalogsync.catalog.checks import shortened
from catalogsync.catalog.products import (
    GROUPS,
    TEXTS,
    UNSET,
    Dimensions,
    Field,
    Image,
    Json,
    Product,
    ProductKey,
    ProductStatus,
    Unset,
    unchecked,
)
from catalogsync.errors import InvalidValueError

from ._categories import category_reader, is_in, load_table
from ._deleted import yes_or_no
from ._expression import Expression
from ._numbers import LENGTHS, WEIGHTS
from ._paths import as_text
from ._pricing import Pricing
from ._rates import Rates, load_rates
from ._record import BadRecordError, Record, is_empty
from ._sizes import measured
from ._stock import Buffer, counted_at
from ._variants import VariantParts, variants_of

if TYPE_CHECKING:
    from ._mapping import RecordMapping

__all__ = ["Parts", "product_of"]

T = TypeVar("T")
Reader: TypeAlias = Callable[[object], Any]
"""Turns an evaluated value into that of a field; raises `InvalidValueError`."""
Line: TypeAlias = tuple[str, Expression, Reader]
"""A field with its expression and its reader."""

_FIELDS: Sequence[tuple[str, Any, Any]] = [
    (
        field.name,
        field.converter,
        field.validator and partial(field.validator, None, field),
    )
    for field in attrs.fields(Product)
]
"""Name, converter and validator of each field, in the order of the fields."""
_NEVER_EMPTY = frozenset({"status", "discountable"})
_COUNTRY = 2  # letters of an ISO 3166 code
_STATUS: Mapping[object, ProductStatus] = {
    "published": ProductStatus.PUBLISHED,
    "draft": ProductStatus.DRAFT,
    "true": ProductStatus.PUBLISHED,
    "false": ProductStatus.DRAFT,
}


def _status(value: object) -> ProductStatus:
    text = as_text(value)
    if (found := _STATUS.get(text.casefold())) is None:
        problem = f'"{text}" is neither `published` nor `draft`; add it to `words`'
        raise InvalidValueError("", problem)
    return found


def _country(value: object) -> str:
    """A country's code; Medusa's dashboard and some files write it in lower case."""
    text = as_text(value)
    return text.upper() if len(text) == _COUNTRY else text


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if (found := yes_or_no(as_text(value))) is None:
        problem = f'"{shortened(value)}" is neither true nor false; add it to `words`'
        raise InvalidValueError("", problem)
    return found


def _image(value: object) -> Image:
    return Image(url=as_text(value))


def _json(value: object) -> Json:
    """A value for `attributes`; a Decimal stays exact as text."""
    match value:
        case Decimal():
            return as_text(value)
        case list():
            return [_json(item) for item in cast("list[object]", value)]
        case Mapping():
            items = cast("Mapping[str, object]", value).items()
            return {name: _json(item) for name, item in items}
        case _:
            return cast("Json", value)


@attrs.frozen(kw_only=True)
class Parts:
    """A mapping, prepared for many products.

    Attributes:
        title: The line of the title.
        single: Fields with one value.
        lists: Fields with several values.
        sides: Length, width and height.
        attributes: Lines by the name of the attribute.
        variants: What concerns variants.
        categories: The categories.
        table: The shop's categories by the supplier's.
        buffer: Pieces that are held back from sale; None: none.
        rates: The exchange rates.
        pricing: The price rules; None: there are none.
        as_of: When the stock was counted; None: the records do not say so.
    """

    title: Line
    single: Sequence[Line]
    lists: Sequence[Line]
    sides: Sequence[Line]
    attributes: Sequence[Line]
    variants: VariantParts
    categories: Expression | None
    table: Mapping[str, str]
    buffer: Buffer | None
    rates: Rates
    pricing: Pricing | None
    as_of: Expression | None

    def unmapped(self, record: Record) -> list[str]:
        """The supplier's categories in a record that the table does not have."""
        if self.categories is None or not self.table:
            return []
        value = self.categories.evaluate(record)
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        texts = [as_text(item) for item in items if not is_empty(item)]
        return [text for text in texts if not is_in(self.table, text)]

    @classmethod
    def of(cls, mapping: RecordMapping) -> Parts:
        """The parts of a mapping."""
        mark, weight = mapping.mark, mapping.weight
        single: list[Line] = [
            (name, spec, _country if name == Field.ORIGIN_COUNTRY else as_text)
            for name in map(str, (*TEXTS, *GROUPS))
            if (spec := getattr(mapping, name)) is not None
        ]
        if mapping.discountable is not None:
            single.append(("discountable", mapping.discountable, _flag))
        if mapping.status is not None:
            single.append(("status", mapping.status, _status))
        if weight is not None:
            single.append(("weight", weight, measured(weight, WEIGHTS, mark)))
        table = load_table(mapping.category_map, mapping.category_file)
        category = category_reader(
            mapping.category_levels, table, mapping.unmapped_categories
        )
        rates = load_rates(mapping.rates_file)
        readers = {"images": _image, "categories": category, "tags": as_text}
        return cls(
            title=("title", mapping.title, as_text),
            single=single,
            lists=[
                (name, spec, reader)
                for name, reader in readers.items()
                if (spec := getattr(mapping, name)) is not None
            ],
            sides=[
                (name, spec, measured(spec, LENGTHS, mark))
                for name in ("length", "width", "height")
                if (spec := getattr(mapping, name)) is not None
            ],
            attributes=[
                (name, spec, _json) for name, spec in mapping.attributes.items()
            ],
            variants=VariantParts.of(mapping),
            categories=mapping.categories,
            table=table,
            buffer=Buffer.of(mapping),
            rates=rates,
            pricing=Pricing.of(mapping, rates),
            as_of=mapping.as_of,
        )


def product_of(parts: Parts, key: ProductKey, records: Sequence[Record]) -> Product:
    """The product of these records.

    Raises:
        BadRecordError: A record has a value that is not valid.
        InvalidValueError: The records together make no valid product.
    """
    title = _first(parts.title, records, "title")
    if not isinstance(title, str):
        raise InvalidValueError("title", "is missing")
    found: dict[str, Any] = {"key": key, "title": title}
    for line in parts.single:
        found[line[0]] = _single(line, records)
    for line in parts.lists:
        found[line[0]] = _together(line, records)
    if parts.sides:
        found["dimensions"] = _dimensions(parts.sides, records)
    if parts.attributes:
        found["attributes"] = _attributes(parts.attributes, records)
    variants = variants_of(parts.variants, records)
    if parts.buffer is not None:
        categories = found.get("categories") or ()
        variants = variants and parts.buffer.applied(variants, categories)
    if parts.pricing is not None:
        variants = variants and parts.pricing.applied(variants)
    found["variants"] = variants
    found["as_of"] = counted_at(parts.as_of, records)
    return _checked(
        {name: value for name, value in found.items() if value is not UNSET}
    )


def _single(line: Line, records: Sequence[Record]) -> Any:
    value = _first(line, records, line[0])
    return UNSET if value is None and line[0] in _NEVER_EMPTY else value


def _checked(found: dict[str, Any]) -> Product:
    """The product with these fields; `Product` itself would check the others, too."""
    for name, convert, _ in _FIELDS:
        if convert is not None and name in found:
            found[name] = convert(found[name])
    for name, _, check in _FIELDS:
        if check is not None and name in found:
            check(found[name])
    return unchecked(Product, **found)


def _first(line: Line, records: Iterable[Record], path: str) -> Any:
    """The value in the first record that has one; UNSET or None if there is none."""
    _, spec, reader = line
    find = spec.find
    for record in records:
        try:
            value = find(record.values)
            if value is not None and not is_empty(value):
                return reader(value)
        except InvalidValueError as error:
            raise BadRecordError(record.where, error.under(path)) from None
    return None if spec.clears else UNSET


def _together(line: Line, records: Iterable[Record]) -> tuple[Any, ...] | Unset:
    """The values of all records, without duplicates."""
    name, spec, reader = line
    found: dict[object, Any] = {}
    before: object = None
    find = spec.find
    for record in records:
        try:
            value = find(record.values)
            if value is before or value == before:
                continue
            before = value
            for item in (
                cast("list[object]", value) if isinstance(value, list) else [value]
            ):
                if not is_empty(item):
                    each = reader(item)
                    if each is not None:
                        found.setdefault(each, each)
        except InvalidValueError as error:
            raise BadRecordError(record.where, error.under(name)) from None
    return tuple(found.values()) if found or spec.clears else UNSET


def _dimensions(sides: Sequence[Line], records: Sequence[Record]) -> Any:
    found = {name: _first((name, s, r), records, name) for name, s, r in sides}
    known = {name: value for name, value in found.items() if isinstance(value, Decimal)}
    if known:
        return Dimensions(**known)
    return None if None in found.values() else UNSET


def _attributes(lines: Sequence[Line], records: Sequence[Record]) -> Any:
    found = {line[0]: _first(line, records, f"attributes.{line[0]}") for line in lines}
    known = {name: value for name, value in found.items() if value is not UNSET}
    return known or UNSET
