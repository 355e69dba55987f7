"""Finding the product that caused Medusa to refuse a batch.

Medusa refuses a batch as a whole. It names the index of the item, or only a handle, SKU
or barcode, or nothing at all. An SKU may also be taken by an inventory item without a
variant, left by a server that was killed while it created a product.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import attrs

from catalogsync.catalog.changes import Create, Write
from catalogsync.catalog.products import ProductKey, ProductStatus, Unset
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import BatchRefusedError, ConflictError, InvalidValueError

from .client import MedusaClient, MedusaRefusedError
from .handles import handle
from .inventory import Items, find_items, is_unlinked
from .mapping import Raw, last_applied_of

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
    """Translates refusals of a batch into errors for the engine.

    Attributes:
        client: The store.
        items: Collects inventory items that new variants may adopt, by SKU.
    """

    client: MedusaClient
    items: dict[str, str] = attrs.field(factory=dict[str, str])

    async def explain(
        self, error: MedusaRefusedError, changes: Sequence[Write]
    ) -> Exception:
        """The error for the engine.

        Args:
            error: The refusal.
            changes: The batch, in the order in which it was sent.

        Returns:
            A `BatchRefusedError`, with the culprits if they are known. A
            `ConflictError` if our own product already exists, or if the obstacle can
            be adopted or is gone, so that a new plan can succeed.
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
        changes: Sequence[Write],
        *,
        what: str,
        value: str,
    ) -> Exception:
        distinct = {change.key: change for change in changes}.values()
        values = {v for c in distinct for v in _values(c, what) if v}
        holders: list[dict[str, Any]] = []
        for full in sorted(v for v in values if _reported(v) == value):
            value = full
            if holders := await self._holders(what, value):
                break
        claiming = [c for c in distinct if value in _values(c, what)]
        keys = {str(change.key): change for change in claiming}
        label = f"{_LABELS[what]} {value}"
        if any(h.get("external_id") in keys and _is_new(keys, h) for h in holders):
            return ConflictError(f"{label} now exists: {error.said}")
        if holders:
            reason = f"{label} is taken by {_named(holders[0])}"
            holder = _key(holders[0])
            # An update of the holder keeps the value and is not a culprit.
            others = [change.key for change in claiming if change.key != holder]
            culprits = dict.fromkeys(others or [c.key for c in claiming], reason)
            names = {} if holder is None else dict.fromkeys(culprits, holder)
        elif len(claiming) > 1:
            reason = f"{label} is also used by another product in the same batch"
            culprits, names = {change.key: reason for change in claiming[1:]}, {}
        elif twice := [c.key for c in claiming if _has_twice(c, what, value)]:
            reason = f"{label} is used by several of its variants"
            culprits, names = dict.fromkeys(twice, reason), {}
        else:
            return ConflictError(f"{label} is no longer taken: {error.said}")
        return BatchRefusedError(
            error.reason, said=error.said, culprits=culprits, holders=names
        )

    async def _item_taken(
        self, error: MedusaRefusedError, changes: Sequence[Write], *, sku: str
    ) -> Exception:
        """Offer unlinked items for adoption; variants of linked ones are culprits."""
        claiming = {
            desired: change
            for change in changes
            for desired in _item_skus(change)
            if isinstance(change, Create) or _reported(desired) == sku
        }
        culprits: dict[ProductKey, str] = {}
        found = await find_items(self.client, claiming)
        for item in found:
            if is_unlinked(item):
                self.items[item["sku"]] = item["id"]
            elif (
                item["sku"] == item["variants"][0]["sku"]
                and _reported(item["sku"]) == sku
            ):
                return await self._taken(error, changes, what="sku", value=sku)
            elif not await Items(self.client).release(item["sku"]):
                what = f"SKU {item['sku']} is taken by inventory item {item['id']}"
                holder = f"of variant {item['variants'][0]['id']}"
                culprits[claiming[item["sku"]].key] = f"{what} {holder}"
        if not culprits and sku in map(_reported, claiming):
            return ConflictError(f"SKU {sku} is no longer taken: {error.said}")
        return BatchRefusedError(error.reason, said=error.said, culprits=culprits)

    async def _holders(self, what: str, value: str) -> list[dict[str, Any]]:
        name = quote(_FILTERS[what], safe="")
        columns = "id,title,status,external_id,metadata"
        query = f"limit=5&fields={columns}&{name}={quote(value, safe='')}"
        try:
            found = await self.client.get("/admin/products", query)
        except MedusaRefusedError:
            return []
        products: list[dict[str, Any]] = found["products"]
        return products


def _reported(value: str) -> str:
    """The part of a value that Medusa's message names: it ends at the first comma."""
    return value.partition(",")[0].strip()


def _is_new(keys: dict[str, Write], holder: dict[str, Any]) -> bool:
    """Whether the holder is a product that this batch creates."""
    return isinstance(keys[holder["external_id"]], Create)


def _values(change: Write, what: str) -> set[str | None]:
    if what == "handle":
        if not isinstance(change, Create):
            return set()
        return {change.handle or handle(change.product)}
    return {getattr(v, what) or None for v in change.product.variants or ()}


def _has_twice(change: Write, what: str, value: str) -> bool:
    """Whether several variants of one product have the same value."""
    found = [getattr(v, what, None) for v in change.product.variants or ()]
    return found.count(value) > 1


def _item_skus(change: Write) -> list[str]:
    """The SKUs that Medusa creates an inventory item for."""
    return [
        variant.sku
        for variant in change.product.variants or ()
        if variant.sku and not isinstance(variant.stock, Unset)
    ]


def _key(holder: Raw) -> ProductKey | None:
    """The key of a managed product; None for other people's products."""
    try:
        return ProductKey.parse(holder.get("external_id") or "")
    except InvalidValueError:
        return None


def _named(holder: Raw) -> str:
    key = _key(holder)
    what = f"product {holder['id']} ({holder.get('title')!r})"
    if key is None:
        return f"{what}, which is not ours"
    is_published = holder.get("status") == ProductStatus.PUBLISHED
    if LastApplied.parse(last_applied_of(holder)).unpublished and not is_published:
        return f"{what}, which is {key} and was unpublished when it left the source"
    return f"{what}, which is {key}"
