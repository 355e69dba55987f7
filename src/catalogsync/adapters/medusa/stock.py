"""Inventory items, and their levels: one request for any number of products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from catalogsync.errors import BrokenReplyError
from catalogsync.models import Variant

from .client import MedusaClient
from .naming import in_pieces
from .places import Places
from .reading import Raw, inventory_item, levels, variant_id

__all__ = ["StockLevels", "find_items", "use_of"]

_ITEMS = "/admin/inventory-items"
_LEVELS = f"{_ITEMS}/location-levels/batch"


async def find_items(client: MedusaClient, skus: Iterable[str]) -> list[Raw]:
    """The inventory items that have these SKUs."""
    fields = "fields=id,sku,variants.id,location_levels.id"
    wanted = dict.fromkeys(skus)
    found: list[Raw] = []
    for piece in in_pieces("sku[]", wanted):
        query = f"limit=10000&{fields}&{piece}"
        found += (await client.get(_ITEMS, query))["inventory_items"]
    return [item for item in found if item["sku"] in wanted]


def use_of(item: Raw) -> str | None:
    """What an inventory item is there for; None if nobody would miss it."""
    if item["variants"]:
        return f"of variant {item['variants'][0]['id']}"
    return "with stock levels" if item["location_levels"] else None


@attrs.define
class StockLevels:
    """Collects levels that are to be written, and writes them.

    Medusa has no upsert: a level that is there is updated, another created.
    """

    places: Places
    create: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])
    update: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])

    def add(self, variants: Iterable[Variant], raw_variants: Iterable[Raw]) -> None:
        """Take the levels of variants, as they differ from what is there.

        Args:
            variants: As they will be.
            raw_variants: As they are, with their inventory items.

        Raises:
            BrokenReplyError: One has none, so that its level would be forgotten.
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

    def _add(self, variant: Variant, item: str, held: Mapping[str, int]) -> None:
        for level in variant.stock or ():
            location = level.location or self.places.location
            if held.get(location) == level.quantity:
                continue
            entry = {
                "inventory_item_id": item,
                "location_id": location,
                "stocked_quantity": level.quantity,
            }
            (self.update if location in held else self.create).append(entry)

    async def write(self, client: MedusaClient) -> None:
        """Send them all; all or nothing is written."""
        if self.create or self.update:
            body = {"create": self.create, "update": self.update}
            await client.post(_LEVELS, body, "fields=id")
