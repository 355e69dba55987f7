"""Inventory items, and the SKUs that they block.

Observed on Medusa 2.21.2: a variant with managed inventory has an inventory item with
its SKU. When the variant gets another SKU the item keeps the old one, which stays taken
forever. When somebody switches the management off, the item loses its link but keeps
its SKU and its levels, and Medusa refuses to switch the management on again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import attrs

from catalogsync._lib.concurrency import each
from catalogsync.catalog.changes import Action, Update
from catalogsync.catalog.products import UNSET, Field
from catalogsync.errors import RefusedError

from .client import MedusaClient, MedusaRefusedError
from .handles import in_pieces
from .mapping import Raw, is_unfinished, raw_of, variant_id

__all__ = ["ITEM_FIELDS", "Items", "find_items", "is_unlinked"]

_ITEMS = "/admin/inventory-items"
_PRODUCTS = "/admin/products"
ITEM_FIELDS = (
    "inventory_items.inventory_item_id",
    "inventory_items.inventory.location_levels.location_id",
    "inventory_items.inventory.location_levels.stocked_quantity",
    "inventory_items.inventory.location_levels.reserved_quantity",
)
"""Columns of a variant's inventory item."""


async def find_items(client: MedusaClient, skus: Iterable[str]) -> list[Raw]:
    """The inventory items with these SKUs, with their variants."""
    fields = (
        "fields=id,sku,variants.id,variants.sku,variants.product_id,location_levels.id"
    )
    desired = dict.fromkeys(skus)
    found: list[Raw] = []
    for piece in in_pieces("sku[]", desired):
        query = f"limit=10000&{fields}&{piece}"
        found += (await client.get(_ITEMS, query))["inventory_items"]
    return [item for item in found if item["sku"] in desired]


def is_unlinked(item: Raw) -> bool:
    """Whether an item has no variant, so that it can be linked to one."""
    return not item["variants"]


@attrs.frozen
class Items:
    """Keeps inventory items in step with their variants."""

    client: MedusaClient

    async def free(self, rows: Iterable[Raw]) -> None:
        """Clear the SKU of the items of variants that give up their SKU."""
        for row in rows:
            for item in _items(row):
                if item["sku"] is not None and item["sku"] == row["sku"]:
                    await self._set_sku(item["id"], None)

    async def follow(self, changes: Sequence[Update]) -> None:
        """Copy the new SKUs of variants to their items."""
        moves = {
            item["id"]: (item["sku"], sku)
            for change in changes
            for row, sku in _new_skus(change)
            for item in _items(row)
            if item["sku"] != sku
        }
        needed = {after for _, after in moves.values()}
        for id_, (before, _) in moves.items():
            if before in needed and before is not None:
                await self._set_sku(id_, None)
        last = [(id_, after) for id_, (_, after) in moves.items()]
        await each(self._move, last, at_once=4)

    async def _move(self, move: tuple[str, str | None]) -> None:
        id_, sku = move
        try:
            await self._set_sku(id_, sku)
        except MedusaRefusedError:
            if sku is None:
                raise
            await self.release(sku)
            try:
                await self._set_sku(id_, sku)
            except MedusaRefusedError:
                # Another item with stock has this SKU; ours works without one.
                await self._set_sku(id_, None)

    async def release(self, sku: str) -> bool:
        """Free an SKU that items hold without need; whether it is free now.

        The item of a managed variant gets that variant's current SKU. An unlinked
        item without levels is deleted.
        """
        items = await find_items(self.client, [sku])
        return all([await self._release(item, sku) for item in items])

    async def _release(self, item: Raw, sku: str) -> bool:
        if is_unlinked(item):
            if item["location_levels"]:
                return False
            try:
                await self.client.delete(f"{_ITEMS}/{item['id']}")
            except RefusedError:
                return False
            return True
        variant = item["variants"][0]
        if variant["sku"] == sku or not await self._is_ours(variant):
            return False
        await self._set_sku(item["id"], None)
        with suppress(MedusaRefusedError):
            await self._set_sku(item["id"], variant["sku"] or None)
        return True

    async def _is_ours(self, variant: Raw) -> bool:
        path = f"{_PRODUCTS}/{variant['product_id']}"
        try:
            found = await self.client.get(path, "fields=id,external_id")
        except MedusaRefusedError:
            return False
        return ":" in (found["product"].get("external_id") or "")

    async def link_found(self, changes: Sequence[Update]) -> None:
        """Link unlinked items to variants that are about to get managed inventory."""
        rows = {sku: (raw, row) for raw, row, sku in _without_item(changes)}
        for item in await find_items(self.client, rows) if rows else ():
            if is_unlinked(item):
                raw, row = rows[item["sku"]]
                await self._link(raw, row, item["id"])

    async def _link(self, raw: Raw, row: Raw, item: str) -> None:
        link = {"inventory_item_id": item, "required_quantity": 1}
        path = f"{_PRODUCTS}/{raw['id']}/variants/{row['id']}/inventory-items"
        with suppress(MedusaRefusedError):  # the update reports the cause
            await self.client.post(path, link, "fields=id")

    async def _set_sku(self, id_: str, sku: str | None) -> None:
        await self.client.post(f"{_ITEMS}/{id_}", {"sku": sku}, "fields=id")


def _items(row: Raw) -> Iterator[dict[str, Any]]:
    """Ids and SKUs of a variant's items, if these columns were read."""
    for link in row.get("inventory_items") or ():
        inventory = link.get("inventory")
        if inventory and "sku" in inventory:
            yield {"id": link["inventory_item_id"], "sku": inventory["sku"]}


def _new_skus(change: Update) -> Iterator[tuple[Raw, str | None]]:
    """Variants that got another SKU, in this update or in an interrupted one."""
    rows = {variant_id(row): row for row in raw_of(change).get("variants") or ()}
    if is_unfinished(change):
        desired = change.desired.variants if change.desired else ()
        ids = {variant.id for variant in desired or () if variant.sku is not UNSET}
        for variant in change.product.variants or ():
            if variant.id in rows.keys() & ids - _added(change):
                yield rows[variant.id], variant.sku or None
        return
    for item in change.variants:
        row = rows.get(item.variant.id)
        if item.action is Action.UPDATE and Field.SKU in item.fields and row:
            yield row, item.variant.sku or None


def _added(change: Update) -> set[str]:
    """The variants that are new or recreated."""
    return {c.variant.id for c in change.variants if c.action is Action.ADD}


def _without_item(changes: Sequence[Update]) -> Iterator[tuple[Raw, Raw, str]]:
    """Variants that get stock but have no item, with their future SKU."""
    for change in changes:
        raw = raw_of(change)
        rows = {variant_id(row): row for row in raw.get("variants") or ()}
        for item in change.variants:
            row = rows.get(item.variant.id)
            gets = item.action is Action.UPDATE and Field.STOCK in item.fields
            if row and gets and not row.get("inventory_items"):
                sku = item.variant.sku or row.get("sku")
                if sku:
                    yield raw, row, sku
