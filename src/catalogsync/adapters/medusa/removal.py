"""Listing managed products; unpublishing, selling out, deleting and releasing them.

Observed on Medusa 2.21.2: no filter finds external ids by prefix, so all products of the
store are listed. `variants/batch` accepts variants of any products and merges metadata,
where "" removes a key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import attrs

from catalogsync.catalog.changes import (
    Delete,
    Existing,
    Release,
    Removal,
    SellOut,
    Unpublish,
)
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import Field, ProductKey, ProductStatus
from catalogsync.errors import BrokenReplyError, InvalidValueError

from .client import MedusaClient
from .handles import in_pieces
from .mapping import (
    LAST_APPLIED,
    VARIANT_ID,
    Raw,
    is_ours,
    last_applied_of,
    product_of,
    raw_of,
)
from .stock import StockLevels
from .store_context import Places

__all__ = ["Removals", "all_products", "owned"]

_PRODUCTS = "/admin/products"
_BATCH = f"{_PRODUCTS}/batch"
_PAGE = 500
_MAX_STEPS_BACK = 100
_OWNED = "id,external_id,handle,title,status,metadata"
_VARIANTS = "variants.id,variants.metadata"


async def all_products(client: MedusaClient, fields: str) -> AsyncGenerator[list[Raw]]:
    """All products of a store, page by page.

    When products are removed meanwhile, later ones move up. So each page begins with
    the last product of the previous page; if it does not, reading goes back one page.
    """
    offset, last, steps_back = 0, "", 0
    while True:
        query = f"limit={_PAGE}&offset={offset}&order=id&fields={fields}"
        reply = await client.get(_PRODUCTS, query)
        products, count = reply["products"], reply["count"]
        if offset and (not products or products[0]["id"] > last):
            offset, steps_back = max(0, offset - _PAGE), steps_back + 1
            if steps_back > _MAX_STEPS_BACK:
                problem = "the product list kept changing while it was read"
                raise BrokenReplyError(f"GET {_PRODUCTS}: {problem}")
            continue
        new = [raw for raw in products if raw["id"] > last]
        if new:
            last, steps_back = new[-1]["id"], 0
            yield new
        if offset + len(products) >= count:
            return
        if not new:
            problem = f"{len(products)} rows at {offset} of {count}, none of them new"
            raise BrokenReplyError(f"GET {_PRODUCTS}: {problem}")
        offset += len(products) - 1


async def owned(client: MedusaClient, source: str) -> AsyncGenerator[list[Existing]]:
    """All products under keys of a source, page by page."""
    async for page in all_products(client, _OWNED):
        found = [existing for raw in page if (existing := _owned(raw, source))]
        if found:
            yield found


def _owned(raw: Raw, source: str) -> Existing | None:
    external_id = raw.get("external_id") or ""
    if not external_id.startswith(f"{source}:"):
        return None
    try:
        key = ProductKey.parse(external_id)
    except InvalidValueError:
        return None
    product = product_of(raw, key, frozenset({Field.STATUS}), "")
    return Existing(
        product=product,
        last_applied=last_applied_of(raw),
        native=raw,
        sink_id=raw["id"],
        handle=raw.get("handle") or "",
    )


@attrs.frozen
class Removals:
    """Unpublishes, sells out, deletes and releases products.

    Products that no longer exist, or no longer have our key, are left alone and count
    as removed.
    """

    client: MedusaClient
    places: Places

    async def write(self, changes: Sequence[Removal]) -> Sequence[Outcome]:
        """Write changes that all have the same action."""
        fields = "id,external_id"
        if isinstance(changes[0], Release):
            fields += f",{_VARIANTS}"
        found = await self._read([raw_of(change)["id"] for change in changes], fields)
        present = [
            change
            for change in changes
            if found.get(raw_of(change)["id"], {}).get("external_id") == str(change.key)
        ]
        match changes[0]:
            case Unpublish():
                hidden = [_unpublished(c) for c in present if isinstance(c, Unpublish)]
                await self._send(_BATCH, "update", hidden)
            case SellOut():
                await self._sell_out([c for c in present if isinstance(c, SellOut)])
            case Delete():
                ids = [raw_of(change)["id"] for change in present]
                await self._send(_BATCH, "delete", ids)
            case Release():
                await self._release([found[raw_of(change)["id"]] for change in present])
        return [change.done() for change in changes]

    async def _read(self, ids: Sequence[str], fields: str) -> dict[str, Raw]:
        found: dict[str, Raw] = {}
        for piece in in_pieces("id[]", ids):
            query = f"limit={len(ids)}&fields={fields}&{piece}"
            products = (await self.client.get(_PRODUCTS, query))["products"]
            found |= {raw["id"]: raw for raw in products}
        return found

    async def _sell_out(self, changes: Sequence[SellOut]) -> None:
        """The last-applied state follows the stock, so an interruption is repeated."""
        stock = StockLevels(self.places)
        for change in changes:
            variants = [item.variant for item in change.variants]
            stock.add(variants, raw_of(change).get("variants") or ())
        await stock.write(self.client)
        bodies = [
            {
                "id": raw_of(change)["id"],
                "metadata": {LAST_APPLIED: change.last_applied},
            }
            for change in changes
        ]
        await self._send(_BATCH, "update", bodies)

    async def _release(self, products: Sequence[Raw]) -> None:
        """The key is removed last: until then an interrupted release can be repeated."""
        variants = [
            {"id": variant["id"], "metadata": {VARIANT_ID: ""}}
            for raw in products
            for variant in raw.get("variants") or ()
            if is_ours(variant)
        ]
        if variants:
            path = f"{_PRODUCTS}/{products[0]['id']}/variants/batch"
            await self._send(path, "update", variants)
        no_key = {"external_id": None, "metadata": {LAST_APPLIED: ""}}
        await self._send(
            _BATCH, "update", [{"id": raw["id"], **no_key} for raw in products]
        )

    async def _send(self, path: str, what: str, items: Sequence[Any]) -> None:
        if items:
            await self.client.post(path, {what: items}, "fields=id")


def _unpublished(change: Unpublish) -> dict[str, Any]:
    status = ProductStatus.DRAFT.value
    metadata = {LAST_APPLIED: change.last_applied}
    return {"id": raw_of(change)["id"], "status": status, "metadata": metadata}
