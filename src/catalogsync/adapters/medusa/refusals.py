"""Reading from a refusal which product of a batch caused it.

Medusa refuses a batch as a whole. It names the index of the item, or only a
handle, SKU or barcode, or nothing at all. An SKU may also be taken by an inventory
item: a server that dies while it makes a product leaves one that nothing is made of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import attrs

from catalogsync.changes import Change
from catalogsync.errors import BatchRefusedError, ConflictError
from catalogsync.models import ProductKey, Unset

from .client import MedusaClient, MedusaRefusedError
from .naming import handle
from .stock import find_items, use_of

__all__ = ["Refusals"]

_INDEX = re.compile(r"'(?:create|update), (\d+)\b")
_TAKEN = re.compile(
    r"^Product(?: variant)? with (handle|sku|barcode): (.+), already exists\.$",
    re.DOTALL,
)
_ITEM_TAKEN = re.compile(
    r"^Inventory item with sku: (.+), already exists\.$", re.DOTALL
)
_OPTIONS_GONE = re.compile(
    r"[Pp]roduct options (?:were not found|are already assigned)"
)
_LABELS = {"handle": "handle", "sku": "SKU", "barcode": "barcode"}
_FILTERS = {
    "handle": "handle",
    "sku": "variants[sku][]",
    "barcode": "variants[barcode][]",
}


@attrs.frozen
class Refusals:
    """Tells what a refusal of a batch means.

    Attributes:
        client: The store.
        items: Takes the inventory items that new variants may adopt, by SKU.
    """

    client: MedusaClient
    items: dict[str, str] = attrs.field(factory=dict[str, str])

    async def explain(
        self, error: MedusaRefusedError, changes: Sequence[Change]
    ) -> Exception:
        """The error for the engine.

        Args:
            error: What Medusa said.
            changes: The batch, in the order in which it was sent.

        Returns:
            A `BatchRefusedError` with the culprits where they can be told, or a
            `ConflictError` where our own product stands there already, or where
            what was left behind by others can be adopted or is gone.
        """
        index = _INDEX.search(error.said)
        if index and int(index[1]) < len(changes):
            culprits = {changes[int(index[1])].key: error.reason}
            return BatchRefusedError(error.reason, said=error.said, culprits=culprits)
        taken = _TAKEN.match(error.said)
        if taken:
            return await self._taken(error, changes, what=taken[1], value=taken[2])
        item = _ITEM_TAKEN.match(error.said)
        if item:
            return await self._item_taken(error, changes, sku=item[1])
        if _OPTIONS_GONE.search(error.said):
            return ConflictError(error.said)
        return BatchRefusedError(error.reason, said=error.said)

    async def _taken(
        self,
        error: MedusaRefusedError,
        changes: Sequence[Change],
        *,
        what: str,
        value: str,
    ) -> Exception:
        wanting = [c for c in changes if value in _values(c, what)]
        holders = await self._holders(what, value)
        keys = {str(change.key): change for change in wanting}
        label = f"{_LABELS[what]} {value}"
        if any(h.get("external_id") in keys and _is_new(keys, h) for h in holders):
            return ConflictError(f"{label} is there by now: {error.said}")
        if holders:
            reason = f"{label} is taken by {_named(holders[0])}"
            culprits = {change.key: reason for change in wanting}
        else:
            reason = f"{label} is wanted by another product of the same batch"
            culprits = {change.key: reason for change in wanting[1:]}
        return BatchRefusedError(error.reason, said=error.said, culprits=culprits)

    async def _item_taken(
        self, error: MedusaRefusedError, changes: Sequence[Change], *, sku: str
    ) -> Exception:
        """Have items adopted that nobody would miss, and blame the others."""
        wanting = {
            wanted: change
            for change in changes
            for wanted in _item_skus(change)
            if change.held is None or wanted == sku
        }
        culprits: dict[ProductKey, str] = {}
        found = await find_items(self.client, wanting)
        for item in found:
            change = wanting[item["sku"]]
            use = use_of(item)
            if use is None and change.held is None:
                self.items[item["sku"]] = item["id"]
            else:
                what = f"SKU {item['sku']} is taken by inventory item {item['id']}"
                culprits[change.key] = f"{what} {use or 'of no variant'}"
        if found and not culprits:
            return ConflictError(f"adopting what has the SKU already: {error.said}")
        return BatchRefusedError(error.reason, said=error.said, culprits=culprits)

    async def _holders(self, what: str, value: str) -> list[dict[str, Any]]:
        name = quote(_FILTERS[what], safe="")
        query = f"limit=5&fields=id,title,external_id&{name}={quote(value, safe='')}"
        try:
            found = await self.client.get("/admin/products", query)
        except MedusaRefusedError:
            return []
        products: list[dict[str, Any]] = found["products"]
        return products


def _is_new(keys: dict[str, Change], holder: dict[str, Any]) -> bool:
    """Whether the holder is a product that this batch wanted to create."""
    return keys[holder["external_id"]].held is None


def _values(change: Change, what: str) -> set[str | None]:
    if what == "handle":
        name = change.handle or handle(change.product)
        return {name} if change.held is None else set()
    return {getattr(v, what) or None for v in change.product.variants or ()}


def _item_skus(change: Change) -> list[str]:
    """The SKUs that Medusa makes an inventory item with."""
    return [
        variant.sku
        for variant in change.product.variants or ()
        if variant.sku and not isinstance(variant.stock, Unset)
    ]


def _named(holder: dict[str, Any]) -> str:
    whose = holder.get("external_id")
    what = f"product {holder['id']} ({holder.get('title')!r})"
    return f"{what}, external id {whose}" if whose else f"{what}, which is not ours"
