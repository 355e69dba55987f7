"""Updating products: options, variants and fields, in the order that Medusa needs.

Medusa creates no option value by itself, keeps the inventory item of a variant
that an update leaves out, and refuses to create a variant on the options of one
that is deleted in the same request. So values come first, then variants go, then
one request updates all products, then variants come, then unused values go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import attrs

from catalogsync.errors import RefusedError
from catalogsync.models import Field, ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.protocols import Action, Change

from .bodies import new_variant, update_body
from .client import MedusaClient, MedusaRefusedError
from .reading import Raw, variant_id
from .stock import StockLevels

__all__ = ["Updates"]

_BATCH = "/admin/products/batch"
_ITEMS = "variants.id,variants.metadata,variants.inventory_items.inventory_item_id"


@attrs.define
class Updates:
    """One batch of updates on its way."""

    client: MedusaClient
    stock: StockLevels
    refused: dict[ProductKey, Outcome] = attrs.field(factory=dict[ProductKey, Outcome])

    async def before(self, changes: Sequence[Change]) -> None:
        """Add option values and delete variants; products that refuse are noted."""
        for change in changes:
            if change.fields & {Field.VARIANTS, Field.OPTIONS}:
                await self._alone(change, self._prepare)

    async def fields(self, changes: Sequence[Change]) -> bool:
        """Send everything that one request can carry; says whether it was sent.

        Raises:
            MedusaRefusedError: None of it was written.
        """
        bodies = [
            body
            for change in changes
            if change.key not in self.refused
            and len(body := update_body(change, _raw(change))) > 1
        ]
        if not bodies:
            return False
        items = any(
            "manage_inventory" in v for b in bodies for v in b.get("variants", ())
        )
        query = f"fields=id,{_ITEMS}" if items else "fields=id"
        reply = await self.client.post(_BATCH, {"update": bodies}, query)
        found = {raw["id"]: raw for raw in reply.get("updated") or ()}
        for change in changes:
            if Field.STOCK in change.fields and change.key not in self.refused:
                self._restock(change, found.get(_raw(change)["id"], {}))
        return True

    async def after(self, changes: Sequence[Change]) -> None:
        """Create variants and drop option values that nothing uses any more."""
        for change in changes:
            if change.fields & {Field.VARIANTS, Field.OPTIONS}:
                await self._alone(change, self._finish)

    def outcomes(self, changes: Iterable[Change]) -> list[Outcome]:
        """What became of each change."""
        return [self.refused.get(change.key) or change.done() for change in changes]

    async def _alone(
        self, change: Change, work: Callable[[Change], Awaitable[None]]
    ) -> None:
        if change.key in self.refused:
            return
        try:
            await work(change)
        except RefusedError as error:
            self.refused[change.key] = Outcome(
                change.key, OutcomeStatus.FAILED, error.reason, error.said
            )

    def _restock(self, change: Change, updated: Raw) -> None:
        """Note the levels of variants that were there before."""
        raw = _raw(change)
        known: dict[str, Raw] = {v["id"]: v for v in updated.get("variants") or ()}
        variants = [c.variant for c in change.variants if Field.STOCK in c.fields]
        held: Sequence[Raw] = raw.get("variants") or ()
        raw_variants = [
            v if v.get("inventory_items") else known.get(v["id"], v) for v in held
        ]
        self.stock.add(variants, raw_variants)

    async def _prepare(self, change: Change) -> None:
        raw = _raw(change)
        _check_options(change, raw)
        body = _missing_options(change, raw)
        if body:
            await self.client.post(_options_path(raw), body, "fields=id")
        gone = {c.variant.id for c in change.variants if c.action is Action.REMOVE}
        ids = [v["id"] for v in raw.get("variants") or () if variant_id(v) in gone]
        if ids:
            await self._delete(raw, ids)

    async def _delete(self, raw: Raw, ids: Sequence[str]) -> None:
        try:
            await self.client.post(_variants_path(raw), {"delete": ids}, "fields=id")
        except MedusaRefusedError as error:
            if error.status != 404:
                raise

    async def _finish(self, change: Change) -> None:
        raw = _raw(change)
        added = [c.variant for c in change.variants if c.action is Action.ADD]
        if added:
            body = {"create": [new_variant(variant) for variant in added]}
            reply = await self.client.post(
                _variants_path(raw), body, f"fields={_CREATED}"
            )
            self.stock.add(added, reply["created"])
        unused = _unused_values(change, raw)
        if unused:
            await self.client.post(_options_path(raw), {"update": unused}, "fields=id")


_CREATED = "id,metadata,inventory_items.inventory_item_id"


def _raw(change: Change) -> Raw:
    """The product as it was found."""
    if change.held is None:
        raise AssertionError("an update holds what it is based on")
    return cast("Raw", change.held.native)


def _options_path(raw: Raw) -> str:
    return f"/admin/products/{raw['id']}/options/batch"


def _variants_path(raw: Raw) -> str:
    return f"/admin/products/{raw['id']}/variants/batch"


def _check_options(change: Change, raw: Raw) -> None:
    """Medusa takes no option away from a product that has variants on it."""
    known = {option["title"] for option in raw.get("options") or ()}
    for item in change.variants:
        moves = item.action is Action.ADD or Field.OPTIONS in item.fields
        if not moves:
            continue
        lost = known - set(item.variant.options)
        if lost or not item.variant.options:
            what = ", ".join(sorted(lost)) or "its options"
            reason = f"Medusa cannot take {what} away from a product that is there"
            raise RefusedError(f"{reason}; delete it there to have it made anew")


def _missing_options(change: Change, raw: Raw) -> dict[str, Any]:
    """Options and values that variants will have and the product has not."""
    known: dict[str, Raw] = {o["title"]: o for o in raw.get("options") or ()}
    missing: dict[str, dict[str, None]] = {}
    for item in change.variants:
        if item.action is Action.REMOVE:
            continue
        for title, value in item.variant.options.items():
            values = {v["value"] for v in known.get(title, {}).get("values") or ()}
            if value not in values:
                missing.setdefault(title, {})[value] = None
    body: dict[str, Any] = {}
    for title, found in missing.items():
        if title in known:
            add = [{"value": value} for value in found]
            entry = {"product_option_id": known[title]["id"], "add": add}
            body.setdefault("update", []).append(entry)
        else:
            option = {"title": title, "values": [*found], "is_exclusive": True}
            body.setdefault("add", []).append(option)
    return body


def _unused_values(change: Change, raw: Raw) -> list[Mapping[str, Any]]:
    """Values that only variants had which are gone or have others now."""
    before = change.held.product.variants if change.held else ()
    had = {pair for v in before or () for pair in v.options.items()}
    have = {pair for v in change.product.variants or () for pair in v.options.items()}
    unused: list[Mapping[str, Any]] = []
    for option in raw.get("options") or ():
        ids = [
            value["id"]
            for value in option["values"]
            if (option["title"], value["value"]) in had - have
        ]
        if ids:
            unused.append({"product_option_id": option["id"], "remove": ids})
    return unused
