"""Stock: whole pieces, pieces that are held back, and when they were counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

import attrs

from catalogsync.catalog.checks import shortened
from catalogsync.catalog.products import (
    Category,
    StockLevel,
    Unset,
    Variant,
    evolve_unchecked,
)
from catalogsync.errors import InvalidValueError

from ._categories import path_key
from ._expression import Expression
from ._paths import as_text
from ._record import BadRecordError, Record, is_empty

if TYPE_CHECKING:
    from ._mapping import RecordMapping

__all__ = ["Buffer", "counted_at", "pieces"]


def pieces(number: Decimal) -> int:
    """Whole pieces, rounded down: a part of a piece cannot be sold.

    Raises:
        InvalidValueError: It is infinite or no number.
    """
    if not number.is_finite():
        raise InvalidValueError("", f"must be a number of pieces, is {number}")
    return int(number.to_integral_value(ROUND_FLOOR))


def counted_at(spec: Expression | None, records: Iterable[Record]) -> datetime | None:
    """When the stock of these records was counted: the oldest time in them.

    Raises:
        BadRecordError: A value is not a time that is the same everywhere.
    """
    if spec is None:
        return None
    found: list[datetime] = []
    for record in records:
        try:
            value = spec.evaluate(record)
            if not is_empty(value):
                found.append(_moment(value))
        except InvalidValueError as error:
            raise BadRecordError(record.where, error.under("as_of")) from None
    return min(found, default=None)


def _moment(value: object) -> datetime:
    text = value.isoformat() if isinstance(value, datetime) else as_text(value)
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
    except (OSError, OverflowError, ValueError):
        problem = f'"{shortened(text)}" is neither an ISO 8601 time nor seconds'
        raise InvalidValueError("", f"{problem} since the epoch") from None
    if moment.tzinfo is None:
        problem = f'"{text}" does not say its offset from UTC; add one with `template`'
        raise InvalidValueError("", f'{problem}, such as "{{column}}+01:00"')
    return moment


@attrs.frozen
class Buffer:
    """How many pieces of each variant and location are held back.

    Attributes:
        overall: Pieces for products in none of the categories.
        by_category: Pieces by the key of a category.
    """

    overall: int
    by_category: Mapping[str, int]

    @classmethod
    def of(cls, mapping: RecordMapping) -> Buffer | None:
        """The buffer of a mapping; None: nothing is held back.

        Raises:
            InvalidValueError: A buffer is below 0, or the mapping lacks what it needs.
        """
        table = mapping.stock_buffer_in
        if not mapping.stock_buffer and not table:
            return None
        name = "stock_buffer" if mapping.stock_buffer else "stock_buffer_in"
        if mapping.stock is None and not mapping.stock_at:
            raise InvalidValueError(name, "needs `stock` or `stock_at`")
        if table and mapping.categories is None:
            raise InvalidValueError("stock_buffer_in", "needs `categories`")
        for category, held_back in table.items():
            if held_back < 0:
                problem = f"must be 0 or more, is {held_back}"
                raise InvalidValueError(f"stock_buffer_in.{category}", problem)
        keys = {path_key(category): number for category, number in table.items()}
        return cls(mapping.stock_buffer, keys)

    def applied(
        self, variants: Iterable[Variant], categories: Iterable[Category]
    ) -> tuple[Variant, ...]:
        """The variants with what is left for sale.

        Args:
            variants: The variants of a product.
            categories: Its categories.
        """
        held_back = self._of(categories)
        if not held_back:
            return tuple(variants)
        return tuple(_without(variant, held_back) for variant in variants)

    def _of(self, categories: Iterable[Category]) -> int:
        """The largest buffer of the categories, each its own or the nearest above."""
        found = [self._nearest(category) for category in categories]
        known = [number for number in found if number is not None]
        return max(known, default=self.overall)

    def _nearest(self, category: Category) -> int | None:
        here: Category | None = category
        while here is not None:
            if (number := self.by_category.get(path_key(here.id))) is not None:
                return number
            here = here.parent
        return None


def _without(variant: Variant, held_back: int) -> Variant:
    if isinstance(variant.stock, Unset):
        return variant
    levels = tuple(_less(level, held_back) for level in variant.stock)
    return evolve_unchecked(variant, stock=levels)


def _less(level: StockLevel, held_back: int) -> StockLevel:
    """The level without the buffer; one below 0 stays, so that the run warns of it."""
    if level.quantity <= 0:
        return level
    return evolve_unchecked(level, quantity=max(level.quantity - held_back, 0))
