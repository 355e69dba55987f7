"""Variants from the records of a product."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from catalogsync.catalog.products import UNSET, Price, StockLevel, Unset, Variant
from catalogsync.errors import InvalidValueError

from ._expression import Expression
from ._numbers import DecimalMark, check_currency, money, number
from ._options import OptionNames, OptionParts
from ._paths import as_text
from ._quick import ONLY, Quick, quick_reader
from ._record import BadRecordError, Record, is_empty
from ._sizes import SizeLine, size_lines, sizes_in, sizes_of
from ._stock import pieces

if TYPE_CHECKING:
    from ._mapping import RecordMapping

__all__ = ["VariantParts", "variants_of"]

PriceLine: TypeAlias = tuple[str, Expression, str | None]
"""Path, expression and currency of a price."""
StockLine: TypeAlias = tuple[str, Expression, str | None]
"""Path, expression and location of a stock."""

_FALSE = frozenset({"false", "no", "0"})


@attrs.frozen(kw_only=True)
class VariantParts:
    """What a mapping says about variants, prepared for many products.

    Attributes:
        nested: Path to the variants within a record; None: the records are variants.
        id: Id of a variant.
        only_if: Whether a record is a variant.
        order: Number by which variants are sorted.
        texts: Title, SKU and barcode, by the name in `Variant`.
        sizes: Weight, length, width and height.
        options: The options.
        prices: The prices.
        price_columns: What columns with a price for each currency look like.
        currency: Currency of prices, elsewhere in the record.
        stock: The stock.
        place: Location of the stock, in the record.
        decimal: The decimal mark of all numbers.
        cleared: Texts that are empty if they are missing.
        clears_prices: Whether missing prices empty the field.
        clears_stock: Whether a missing stock empties the field.
        quick: Reads the variants of plain records; None: there are none.
    """

    nested: Expression | None
    id: Expression | None
    only_if: Expression | None
    order: Expression | None
    texts: Sequence[tuple[str, str, Expression]]
    sizes: Sequence[SizeLine]
    options: OptionParts
    prices: Sequence[PriceLine]
    price_columns: Sequence[re.Pattern[str]]
    currency: Expression | None
    stock: Sequence[StockLine]
    place: Expression | None
    decimal: DecimalMark | None
    cleared: Sequence[str]
    clears_prices: bool
    clears_stock: bool
    quick: Quick | None = attrs.field(
        eq=False, repr=False, default=attrs.Factory(quick_reader, takes_self=True)
    )

    @classmethod
    def of(cls, mapping: RecordMapping) -> VariantParts:
        """The parts of a mapping."""
        names = {"title": "variant_title", "sku": "sku", "barcode": "barcode"}
        prices: list[PriceLine] = [
            (f"prices.{code}", spec, code) for code, spec in mapping.prices.items()
        ]
        if mapping.price is not None:
            prices.append(("price", mapping.price, None))
        stock: list[StockLine] = [
            (f"stock_at.{place}", spec, place)
            for place, spec in mapping.stock_at.items()
        ]
        if mapping.stock is not None:
            stock.append(("stock", mapping.stock, None))
        texts = [
            (attribute, name, spec)
            for attribute, name in names.items()
            if (spec := getattr(mapping, name)) is not None
        ]
        return cls(
            nested=mapping.variants,
            id=mapping.variant,
            only_if=mapping.variant_if,
            order=mapping.variant_order,
            texts=texts,
            sizes=size_lines(mapping),
            options=OptionParts.of(
                mapping.options,
                mapping.option_pairs,
                mapping.option_list,
                mapping.option_blank,
            ),
            prices=prices,
            price_columns=[_currency_column(n) for n in mapping.price_columns],
            currency=mapping.currency,
            stock=stock,
            place=mapping.stock_location,
            decimal=mapping.mark,
            cleared=[a for a, _, spec in texts if spec.clears and a != "title"],
            clears_prices=any(spec.clears for _, spec, _ in prices),
            clears_stock=any(spec.clears for _, spec, _ in stock),
        )

    @property
    def supplied(self) -> bool:
        """Whether the mapping says anything about variants."""
        return bool(self.texts or self.options or self.prices or self.stock) or bool(
            self.id or self.nested or self.price_columns
        )


@attrs.define(kw_only=True)
class _Draft:
    """One variant, collected from its records."""

    where: str
    texts: dict[str, str] = attrs.field(factory=dict[str, str])
    sizes: dict[str, Decimal] = attrs.field(factory=dict[str, Decimal])
    options: dict[str, str] = attrs.field(factory=dict[str, str])
    prices: dict[str, Price] = attrs.field(factory=dict[str, Price])
    stock: dict[str | None, StockLevel] = attrs.field(
        factory=dict["str | None", StockLevel]
    )
    id: str = ""
    own: bool = True
    order: Decimal | None = None

    @property
    def empty(self) -> bool:
        return not (self.texts or self.options or self.prices or self.stock or self.id)

    def add(self, other: _Draft) -> None:
        """Add what another record says about the same variant."""
        for name, text in other.texts.items():
            self.texts.setdefault(name, text)
        self.sizes = {**other.sizes, **self.sizes}
        for name, text in other.options.items():
            self.options.setdefault(name, text)
        for code, price in other.prices.items():
            if (one := self.prices.setdefault(code, price)) != price:
                problem = f"is {one.amount} and {price.amount} for one variant"
                error = InvalidValueError(f"prices.{code}", problem)
                raise BadRecordError(other.where, error)
        for place, level in other.stock.items():
            if (has := self.stock.setdefault(place, level)) != level:
                problem = f"is {has.quantity} and {level.quantity} for one variant"
                raise BadRecordError(other.where, InvalidValueError("stock", problem))


def variants_of(
    parts: VariantParts, records: Sequence[Record]
) -> tuple[Variant, ...] | Unset:
    """The variants of a product.

    Raises:
        BadRecordError: A record has a value that is not valid.
        InvalidValueError: The records together make no valid variants.
    """
    if parts.quick is not None and (quick := parts.quick(records)) is not None:
        return quick
    if not parts.supplied:
        return UNSET
    drafts: list[_Draft] = []
    names: OptionNames = {}
    for record in _rows(parts, records):
        try:
            draft = _draft(parts, record, names)
        except InvalidValueError as error:
            raise BadRecordError(record.where, error) from None
        if not draft.empty:
            drafts.append(draft)
    chosen = _merged(drafts)
    if parts.order is not None:
        chosen.sort(key=lambda each: (each.order is None, each.order or Decimal(0)))
    return tuple(_variant(parts, draft) for draft in chosen) or UNSET


def _rows(parts: VariantParts, records: Sequence[Record]) -> Iterable[Record]:
    """The records of variants."""
    if parts.nested is None:
        return records
    return [row for record in records for row in _nested(parts.nested, record)]


def _nested(spec: Expression, record: Record) -> Iterator[Record]:
    try:
        found = spec.evaluate(record)
        if found is None:
            return
        items = cast("list[object]", found) if isinstance(found, list) else [found]
        for index, item in enumerate(items):
            values = {"product": record.values, **_object(item, index)}
            yield Record(where=f"{record.where}, variant {index + 1}", values=values)
    except InvalidValueError as error:
        raise BadRecordError(record.where, error.under("variants")) from None


def _object(item: object, index: int) -> Mapping[str, object]:
    if not isinstance(item, Mapping):
        raise InvalidValueError(f"[{index}]", "is not an object")
    return cast("Mapping[str, object]", item)


def _draft(parts: VariantParts, record: Record, names: OptionNames) -> _Draft:
    """What one record says; *names* are the option names seen so far, by pair."""
    draft = _Draft(where=record.where)
    for attribute, path, spec in parts.texts:
        if (text := _text(spec, record, path)) is not None:
            draft.texts[attribute] = text
    draft.sizes = sizes_in(record, parts.sizes)
    draft.options.update(parts.options.find(record, names))
    _add_prices(draft, parts, record)
    _add_price_columns(draft, parts, record)
    _add_stock(draft, parts, record)
    if draft.empty and parts.id is None:
        return draft
    draft.id = _id(parts, record, draft)
    if parts.only_if is not None:
        draft.own = _is_true(_value(parts.only_if, record, "variant_if"))
    if parts.order is not None:
        value = _value(parts.order, record, "variant_order")
        if not is_empty(value):
            draft.order = _number(value, parts.order, parts.decimal, "variant_order")
    return draft


def _value(spec: Expression, record: Record, path: str) -> object:
    try:
        return spec.find(record.values)
    except InvalidValueError as error:
        raise error.under(path) from None


def _text(spec: Expression, record: Record, path: str) -> str | None:
    try:
        value = spec.find(record.values)
        if value is None:
            return None
        return None if is_empty(value) else as_text(value).strip()
    except InvalidValueError as error:
        raise error.under(path) from None


def _is_true(value: object) -> bool:
    return not is_empty(value) and as_text(value).casefold() not in _FALSE


def _id(parts: VariantParts, record: Record, draft: _Draft) -> str:
    if parts.id is not None:
        return _text(parts.id, record, "variant") or ""
    return draft.texts.get("sku") or " / ".join(draft.options.values())


def _currency_column(name: str) -> re.Pattern[str]:
    before, _, after = name.partition("*")
    return re.compile(f"{re.escape(before)}([A-Z]{{3}}){re.escape(after)}")


def _add_price_columns(draft: _Draft, parts: VariantParts, record: Record) -> None:
    for pattern in parts.price_columns:
        for column, value in record.values.items():
            found = pattern.fullmatch(column)
            if found is None or is_empty(value):
                continue
            try:
                amount, code = money(value, check_currency(found[1]), parts.decimal)
                draft.prices.setdefault(code, Price(amount=amount, currency=code))
            except InvalidValueError as error:
                raise InvalidValueError(column, error.problem) from None


def _add_prices(draft: _Draft, parts: VariantParts, record: Record) -> None:
    for path, spec, code in parts.prices:
        value = _value(spec, record, path)
        if value is None:
            continue
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        for item in items:
            if is_empty(item):
                continue
            currency = code or spec.currency or _currency(parts, record)
            try:
                mark = spec.decimal or parts.decimal
                amount, found = money(item, currency, mark)
                if spec.divide_by != 1:
                    amount /= spec.divide_by
                price = Price(amount=amount, currency=found)
            except InvalidValueError as error:
                raise InvalidValueError(path, error.problem) from None
            if draft.prices.setdefault(found, price) != price:
                raise InvalidValueError(path, f"has two amounts in {found}")


def _currency(parts: VariantParts, record: Record) -> str | None:
    if parts.currency is None:
        return None
    code = _text(parts.currency, record, "currency")
    if code is None:
        return None
    try:
        return check_currency(code)
    except InvalidValueError as error:
        raise InvalidValueError("currency", f'"{code}" {error.problem}') from None


def _add_stock(draft: _Draft, parts: VariantParts, record: Record) -> None:
    for path, spec, named in parts.stock:
        place = named
        value = _value(spec, record, path)
        if is_empty(value):
            continue
        try:
            quantity = pieces(number(value, spec.decimal or parts.decimal))
        except InvalidValueError as error:
            raise error.under(path) from None
        if place is None and parts.place is not None:
            place = _text(parts.place, record, "stock_location")
        draft.stock[place] = StockLevel(quantity=quantity, location=place)


def _number(
    value: object, spec: Expression, decimal: DecimalMark | None, path: str
) -> Decimal:
    try:
        return number(value, spec.decimal or decimal)
    except InvalidValueError as error:
        raise error.under(path) from None


def _merged(drafts: Sequence[_Draft]) -> list[_Draft]:
    """One draft for each variant."""
    own = [draft for draft in drafts if draft.own] or list(drafts)
    ids = {draft.id for draft in own}
    if len(own) > 1 and "" in ids:
        where = next(draft.where for draft in own if not draft.id)
        problem = (
            "cannot be told from the other variants: set `variant` to a column that "
            "differs, or `variant_if` if this is not a variant"
        )
        raise BadRecordError(where, InvalidValueError("variant", problem))
    found: dict[str, _Draft] = {}
    for draft in own:
        if draft.id in found:
            found[draft.id].add(draft)
        else:
            found[draft.id] = draft
    if len(own) < len(drafts):
        for draft in drafts:
            if not draft.own and draft.id and draft.id in found:
                found[draft.id].add(draft)
    return list(found.values())


def _variant(parts: VariantParts, draft: _Draft) -> Variant:
    texts: dict[str, Any] = dict(draft.texts)
    if parts.sizes:
        cleared = frozenset(name for name, _, spec, _ in parts.sizes if spec.clears)
        texts |= sizes_of(draft.sizes, cleared)
    for attribute in parts.cleared:
        texts.setdefault(attribute, None)
    prices, stock = tuple(draft.prices.values()), tuple(draft.stock.values())
    try:
        return Variant(
            id=draft.id or ONLY,
            options=draft.options,
            prices=prices if prices or parts.clears_prices else UNSET,
            stock=stock if stock or parts.clears_stock else UNSET,
            **texts,
        )
    except InvalidValueError as error:
        raise BadRecordError(draft.where, error) from None
