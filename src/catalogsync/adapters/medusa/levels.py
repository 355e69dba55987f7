"""Stock levels as Medusa returns them, and what a quantity means.

Observed on Medusa 2.21.2: a placed order reserves its pieces, which stay in
`stocked_quantity` until they are shipped; then both numbers fall. Shoppers can buy
`stocked_quantity` less `reserved_quantity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import attrs

from catalogsync.catalog import lenient

__all__ = ["RESERVED", "Level", "Stock", "inventory_item", "levels"]

_Row: TypeAlias = Mapping[str, Any]

Stock: TypeAlias = Literal["on_hand", "available"]
"""What the source's quantities count."""

RESERVED = "variants.inventory_items.inventory.location_levels.reserved_quantity"
"""The column that only `available` needs."""

_Number: TypeAlias = int | Decimal


@attrs.frozen
class Level:
    """The stock of a variant at one location.

    Attributes:
        stocked: Pieces on hand, including reserved ones.
        reserved: Pieces reserved for orders; 0 if the column was not read.
    """

    stocked: _Number
    reserved: _Number

    @classmethod
    def of(cls, raw: _Row) -> Level:
        """The level in a row."""
        reserved = _number(raw.get("reserved_quantity") or 0)
        return cls(_number(raw["stocked_quantity"]), reserved)

    def quantity(self, counts: Stock) -> Any:
        """The quantity to compare; text where it is not a whole number."""
        if counts == "on_hand":
            return lenient.quantity(self.stocked)
        return lenient.quantity(self.stocked - self.reserved)

    def restocked(self, available: int, now: Level) -> _Number:
        """The pieces on hand that make this many available.

        This level is the one that the quantity was compared with. What was reserved
        since then is not added: the source does not know of these orders yet. What was
        shipped since then has left the shelf.

        Args:
            available: The desired number of pieces that can still be sold.
            now: The level right before it is written.
        """
        change = available - (self.stocked - self.reserved)
        return max(min(self.stocked, now.stocked) + change, 0)


def inventory_item(raw_variant: _Row) -> _Row | None:
    """The inventory item that counts the stock of a variant."""
    items: Sequence[_Row] = raw_variant.get("inventory_items") or ()
    return items[0] if items else None


def levels(raw_variant: _Row) -> dict[str, Level]:
    """The levels of a variant by the id of their stock location."""
    item: _Row = inventory_item(raw_variant) or {}
    inventory: _Row = item.get("inventory") or {}
    found: Sequence[_Row] = inventory.get("location_levels") or ()
    return {row["location_id"]: Level.of(row) for row in found if row}


def _number(value: float) -> _Number:
    """The number without an error in binary."""
    return value if isinstance(value, int) else Decimal(repr(value))
