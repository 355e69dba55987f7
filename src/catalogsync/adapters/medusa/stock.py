"""Writing stock levels: one request for any number of products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from catalogsync.catalog.products import Variant
from catalogsync.errors import BrokenReplyError, ConflictError

from .client import MedusaClient, MedusaRefusedError
from .handles import in_pieces
from .levels import Level, inventory_item, levels
from .mapping import Raw, variant_id
from .store_context import Places

__all__ = ["StockLevels"]

_ITEMS = "/admin/inventory-items"
_LEVELS = f"{_ITEMS}/location-levels/batch"
_CURRENT = (
    "fields=id,location_levels.location_id,location_levels.stocked_quantity,"
    "location_levels.reserved_quantity"
)


@attrs.frozen
class _Restock:
    """A level that gets another quantity.

    Attributes:
        item: Id of the inventory item.
        location: Id of the stock location.
        quantity: The desired quantity.
        existing: The level that it was compared with.
    """

    item: str
    location: str
    quantity: int
    existing: Level

    def body(self, stocked: int | Decimal) -> Mapping[str, Any]:
        """The update that sets the pieces on hand."""
        whole = int(stocked) if stocked == int(stocked) else float(stocked)
        return _body(self.item, self.location, whole)


@attrs.define
class StockLevels:
    """Collects stock levels and writes them in one request.

    Medusa has no upsert: existing levels are updated, others are created.
    """

    places: Places
    create: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])
    update: list[_Restock] = attrs.field(factory=list[_Restock])

    def add(self, variants: Iterable[Variant], raw_variants: Iterable[Raw]) -> None:
        """Add the levels of variants that differ from the existing levels.

        Args:
            variants: The desired variants.
            raw_variants: The existing variants, with their inventory items.

        Raises:
            BrokenReplyError: A variant has no inventory item to put its level on.
        """
        found = {variant_id(raw): raw for raw in raw_variants}
        for variant in variants:
            if not variant.stock:
                continue
            raw = found.get(variant.id, {})
            item = inventory_item(raw)
            if item is None:
                problem = f"variant {variant.id} has no inventory item"
                raise BrokenReplyError(f"stock levels: {problem}")
            self._add(variant, item["inventory_item_id"], levels(raw))

    def _add(self, variant: Variant, item: str, existing: Mapping[str, Level]) -> None:
        for level in variant.stock or ():
            location = level.location or self.places.location
            found = existing.get(location)
            if found is None:
                self.create.append(_body(item, location, level.quantity))
            elif found.quantity(self.places.counts) != level.quantity:
                self.update.append(_Restock(item, location, level.quantity, found))

    async def write(self, client: MedusaClient) -> None:
        """Write all levels in one transaction.

        Raises:
            ConflictError: Somebody added or removed a level meanwhile.
        """
        if not self.create and not self.update:
            return
        body = {"create": self.create, "update": await self._updates(client)}
        try:
            await client.post(_LEVELS, body, "fields=id")
        except MedusaRefusedError as error:
            raise ConflictError(f"cannot write stock levels: {error.said}") from error

    async def _updates(self, client: MedusaClient) -> list[Mapping[str, Any]]:
        """The updates; those of available pieces follow from the levels read now."""
        if self.places.counts == "on_hand" or not self.update:
            return [one.body(one.quantity) for one in self.update]
        now = await _read_levels(client, [one.item for one in self.update])
        updates: list[Mapping[str, Any]] = []
        for one in self.update:
            level = now.get((one.item, one.location))
            if level is None:
                problem = f"inventory item {one.item} lost its level at {one.location}"
                raise ConflictError(f"cannot write stock levels: {problem}")
            updates.append(one.body(one.existing.restocked(one.quantity, level)))
        return updates


async def _read_levels(
    client: MedusaClient, items: Iterable[str]
) -> dict[tuple[str, str], Level]:
    """The current levels, by inventory item and stock location."""
    ids = list(dict.fromkeys(items))
    found: dict[tuple[str, str], Level] = {}
    for piece in in_pieces("id[]", ids):
        query = f"limit={len(ids)}&{_CURRENT}&{piece}"
        for item in (await client.get(_ITEMS, query))["inventory_items"]:
            for row in item["location_levels"] or ():
                found[item["id"], row["location_id"]] = Level.of(row)
    return found


def _body(item: str, location: str, stocked: float) -> Mapping[str, Any]:
    return {
        "inventory_item_id": item,
        "location_id": location,
        "stocked_quantity": stocked,
    }
