"""Stock levels: one request for any number of products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from catalogsync.catalog.products import Variant
from catalogsync.errors import BrokenReplyError, ConflictError

from .client import MedusaClient, MedusaRefusedError
from .mapping import Raw, inventory_item, levels, variant_id
from .store_context import Places

__all__ = ["StockLevels"]

_LEVELS = "/admin/inventory-items/location-levels/batch"


@attrs.define
class StockLevels:
    """Collects stock levels and writes them in one request.

    Medusa has no upsert: existing levels are updated, others are created.
    """

    places: Places
    create: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])
    update: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])

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

    def _add(self, variant: Variant, item: str, existing: Mapping[str, int]) -> None:
        for level in variant.stock or ():
            location = level.location or self.places.location
            if existing.get(location) == level.quantity:
                continue
            entry = {
                "inventory_item_id": item,
                "location_id": location,
                "stocked_quantity": level.quantity,
            }
            (self.update if location in existing else self.create).append(entry)

    async def write(self, client: MedusaClient) -> None:
        """Write all levels in one transaction.

        Raises:
            ConflictError: Somebody added or removed a level meanwhile.
        """
        if not self.create and not self.update:
            return
        body = {"create": self.create, "update": self.update}
        try:
            await client.post(_LEVELS, body, "fields=id")
        except MedusaRefusedError as error:
            raise ConflictError(f"cannot write stock levels: {error.said}") from error
