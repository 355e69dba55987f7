"""Variants of plain records, quickly.

Most records are plain: each is a variant of its own with an id, its cells are texts, and
prices and stock repeat from record to record. Those are read here. For anything else the
answer is None, and `_variants` decides, slowly and with messages; both agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from catalogsync.catalog.products import UNSET, Price, StockLevel, Variant, unchecked
from catalogsync.errors import InvalidValueError

from ._expression import Expression
from ._numbers import check_currency, money, number
from ._paths import as_text
from ._record import Record
from ._stock import pieces

if TYPE_CHECKING:
    from ._variants import PriceLine, StockLine, VariantParts

__all__ = ["ONLY", "Quick", "quick_reader"]

T = TypeVar("T")
Values: TypeAlias = Mapping[str, object]
Quick: TypeAlias = Callable[[Sequence[Record]], tuple[Variant, ...] | None]
"""The variants of these records; None: they are not plain."""

ONLY = "default"
"""Id of the only variant of a product, if it has no other."""

_CACHED = 4096
_LONGEST_CACHED = 40
_LONGEST = 100_000
_MOST = 100


class _NotPlainError(Exception):
    """A value is not plain."""


def quick_reader(parts: VariantParts) -> Quick | None:
    """Reads the variants of plain records; None: with this mapping, none are plain."""
    special, options = (parts.nested, parts.only_if, parts.order), parts.options
    if any(each is not None for each in special) or parts.price_columns or parts.sizes:
        return None
    if options.pairs or options.blank:
        return None
    lines = (parts.texts, options.named, parts.prices, parts.stock)
    if any(len(each) > _MOST for each in lines):
        return None
    if not all(name and _is_good(name) for name in options.named):
        return None
    return _reader(parts)


def _reader(parts: VariantParts) -> Quick:
    texts = [(attribute, _text(spec)) for attribute, _, spec in parts.texts]
    options = [(name, _text(spec)) for name, spec in parts.options.named.items()]
    costs_of = _all([_price(line, parts) for line in parts.prices], _distinct)
    levels_of = _all([_stock(line, parts) for line in parts.stock], _levels)
    own_id = None if parts.id is None else _text(parts.id)
    cleared: dict[str, Any] = dict.fromkeys(parts.cleared)
    no_prices: Any = () if parts.clears_prices else UNSET
    no_stock: Any = () if parts.clears_stock else UNSET

    def variant(values: Values, ids: Mapping[str, Variant], *, only: bool) -> Variant:
        found = {name: text for name, read in texts if (text := read(values))}
        chosen = {name: text for name, read in options if (text := read(values))}
        costs, levels = costs_of(values), levels_of(values)
        if own_id is not None:
            id_ = own_id(values)
        else:
            id_ = found.get("sku") or " / ".join(chosen.values())
        id_ = id_ or (ONLY if only and (found or chosen or costs or levels) else "")
        if not id_ or id_ in ids:
            raise _NotPlainError
        return unchecked(
            Variant,
            id=id_,
            options=chosen,
            prices=costs or no_prices,
            stock=levels or no_stock,
            **({**cleared, **found} if cleared else found),
        )

    def variants(records: Sequence[Record]) -> tuple[Variant, ...] | None:
        found: dict[str, Variant] = {}
        only = len(records) == 1
        try:
            for record in records:
                made = variant(record.values, found, only=only)
                found[made.id] = made
        except (_NotPlainError, InvalidValueError):
            return None
        return tuple(found.values())

    return variants


def _is_good(text: str) -> bool:
    """Whether a text needs no further check."""
    if "\0" in text or len(text) > _LONGEST:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw(spec: Expression) -> str | None:
    """The column that has a value as it is; None: it is not that simple."""
    return spec.column if spec.default is None else None


def _text(spec: Expression) -> Callable[[Values], str | None]:
    """Reads a text; None or empty: it is missing."""
    find, name = spec.find, _raw(spec)

    def read(values: Values) -> str | None:
        if name is not None and type(raw := values.get(name)) is str:
            text = raw.strip()
            if text.isascii() and "\0" not in text and len(text) <= _LONGEST:
                return text
        value = find(values)
        if value is None:
            return None
        text = (value if type(value) is str else as_text(value)).strip()
        if not _is_good(text):
            raise _NotPlainError
        return text

    return read


def _all(
    reads: Sequence[Callable[[Values], T | None]],
    checked: Callable[[list[T]], tuple[T, ...]],
) -> Callable[[Values], tuple[T, ...]]:
    """Reads several values, as most mappings have only one."""
    if len(reads) != 1:
        return lambda values: checked([f for read in reads if (f := read(values))])
    (only,) = reads
    return lambda values: () if (found := only(values)) is None else (found,)


def _distinct(prices: list[Price]) -> tuple[Price, ...]:
    if len(prices) > 1 and len({price.currency for price in prices}) < len(prices):
        raise _NotPlainError
    return tuple(prices)


def _levels(levels: list[StockLevel]) -> tuple[StockLevel, ...]:
    if len(levels) > 1 and len({level.location for level in levels}) < len(levels):
        raise _NotPlainError
    return tuple(levels)


def _short(
    name: str | None,
    cached: Callable[[object, str | None], T],
    fixed: str | None,
    otherwise: Callable[[Values], T | None],
) -> Callable[[Values], T | None]:
    """Reads short texts of a column with a cache, and anything else otherwise."""
    if name is None:
        return otherwise

    def read(values: Values) -> T | None:
        if type(raw := values.get(name)) is str:
            if not raw or raw.isspace():
                return None
            if len(raw) <= _LONGEST_CACHED:
                return cached(raw, fixed)
        return otherwise(values)

    return read


def _price(line: PriceLine, parts: VariantParts) -> Callable[[Values], Price | None]:
    """Reads a price; texts that repeat are read once."""
    _, spec, code = line
    find, fixed, mark = spec.find, code or spec.currency, spec.decimal or parts.decimal
    name = _raw(spec) if fixed else None
    elsewhere = None if fixed or parts.currency is None else _text(parts.currency)
    divisor = spec.divide_by

    def price(value: object, currency: str | None) -> Price:
        if elsewhere is not None and currency:
            currency = check_currency(currency)
        amount, found = money(value, currency or None, mark)
        if divisor != 1:
            amount /= divisor
        return Price(amount=amount, currency=found)

    cached = lru_cache(_CACHED)(price)

    def read(values: Values) -> Price | None:
        value = find(values)
        if value is None:
            return None
        currency = fixed if elsewhere is None else elsewhere(values)
        if type(value) is not str:
            return price(_plain_number(value), currency)
        if not value or value.isspace():
            return None
        short = len(value) <= _LONGEST_CACHED
        return cached(value, currency) if short else price(value, currency)

    return _short(name, cached, fixed, read)


def _stock(
    line: StockLine, parts: VariantParts
) -> Callable[[Values], StockLevel | None]:
    """Reads a stock; texts that repeat are read once."""
    _, spec, named = line
    find, mark = spec.find, spec.decimal or parts.decimal
    elsewhere = None if named or parts.place is None else _text(parts.place)
    name = _raw(spec) if elsewhere is None else None

    def level(value: object, place: str | None) -> StockLevel:
        quantity = pieces(number(value, mark))
        return StockLevel(quantity=quantity, location=place)

    cached = lru_cache(_CACHED)(level)

    def read(values: Values) -> StockLevel | None:
        value = find(values)
        if value is None:
            return None
        place = named if elsewhere is None else elsewhere(values) or None
        if type(value) is not str:
            return level(_plain_number(value), place)
        if not value or value.isspace():
            return None
        short = len(value) + len(place or "") <= _LONGEST_CACHED
        return cached(value, place) if short else level(value, place)

    return _short(name, cached, named, read)


def _plain_number(value: object) -> int | Decimal:
    if not isinstance(value, int | Decimal):
        raise _NotPlainError
    return value
