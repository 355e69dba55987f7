"""Reading from a refusal which product of a batch caused it.

Medusa refuses a batch as a whole. It names the index of the item, or only a
handle, SKU or barcode, or nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import attrs

from catalogsync.changes import Change
from catalogsync.errors import BatchRefusedError, ConflictError

from .client import MedusaClient, MedusaRefusedError
from .naming import handle

__all__ = ["Refusals"]

_INDEX = re.compile(r"'(?:create|update), (\d+)\b")
_TAKEN = re.compile(
    r"^Product(?: variant)? with (handle|sku|barcode): (.+), already exists\.$",
    re.DOTALL,
)
_LABELS = {"handle": "handle", "sku": "SKU", "barcode": "barcode"}
_FILTERS = {
    "handle": "handle",
    "sku": "variants[sku][]",
    "barcode": "variants[barcode][]",
}


@attrs.frozen
class Refusals:
    """Tells what a refusal of a batch means."""

    client: MedusaClient

    async def explain(
        self, error: MedusaRefusedError, changes: Sequence[Change]
    ) -> Exception:
        """The error for the engine.

        Args:
            error: What Medusa said.
            changes: The batch, in the order in which it was sent.

        Returns:
            A `BatchRefusedError` with the culprits where they can be told, or a
            `ConflictError` where our own product stands there already.
        """
        index = _INDEX.search(error.said)
        if index and int(index[1]) < len(changes):
            culprits = {changes[int(index[1])].key: error.reason}
            return BatchRefusedError(error.reason, said=error.said, culprits=culprits)
        taken = _TAKEN.match(error.said)
        if taken:
            return await self._taken(error, changes, what=taken[1], value=taken[2])
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
        return {handle(change.product)} if change.held is None else set()
    return {getattr(v, what) or None for v in change.product.variants or ()}


def _named(holder: dict[str, Any]) -> str:
    whose = holder.get("external_id")
    what = f"product {holder['id']} ({holder.get('title')!r})"
    return f"{what}, external id {whose}" if whose else f"{what}, which is not ours"
