"""Updating products: options, fields and variants, in the order that Medusa needs.

Observed on Medusa 2.21.2: a variant can only have option values that its product
has already. A list of variants in a product update deletes those that it leaves
out and keeps their inventory items, so variants are written apart, by
`variants/batch`, which takes those of any products and touches no others. It
refuses a variant on the options of one that is deleted in the same request, and
undoes creations beside updates in a way that loses prices, so each of the three
goes in a request of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import attrs

from catalogsync.changes import Action, Change
from catalogsync.errors import RefusedError
from catalogsync.models import Field, ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus

from .adopting import claim
from .bodies import new_variant, update_body, variant_updates
from .client import MedusaClient, MedusaRefusedError
from .halfmade import Mending, is_incomplete, missing_links
from .reading import Raw, raw_of, variant_id
from .refusals import Refusals
from .stock import StockLevels

__all__ = ["Updates"]

_BATCH = "/admin/products/batch"
_ITEM = "inventory_items.inventory_item_id"
_RESHAPING = frozenset({Field.VARIANTS, Field.OPTIONS})


@attrs.define
class Updates:
    """One batch of updates on its way.

    Attributes:
        client: The store.
        stock: Takes the levels that are to be written.
        items: Takes the inventory items that new variants may adopt, by SKU.
        refused: Products that were refused by themselves.
    """

    client: MedusaClient
    stock: StockLevels
    items: dict[str, str] = attrs.field(factory=dict[str, str])
    refused: dict[ProductKey, Outcome] = attrs.field(factory=dict[ProductKey, Outcome])

    async def write(self, changes: Sequence[Change]) -> None:
        """Carry them out, all but the stock levels.

        Raises:
            BatchRefusedError: Medusa takes the batch not as it is; sending the rest
                of it again does no harm.
        """
        await claim(self.client, changes)
        changes = await Mending(self.client, self.items).mend(changes)
        reshaped = [change for change in changes if change.fields & _RESHAPING]
        for change in reshaped:
            await self._alone(change, self._add_options)
        await self._delete(reshaped)
        await self._fields([c for c in changes if c.key not in self.refused])
        await self._variants([c for c in changes if c.key not in self.refused])
        for change in reshaped:
            await self._alone(change, self._create)
            await self._alone(change, self._drop_values)

    def outcomes(self, changes: Iterable[Change]) -> list[Outcome]:
        """What became of each change."""
        return [self.refused.get(change.key) or change.done() for change in changes]

    async def _alone(
        self, change: Change, work: Callable[[Change], Awaitable[None]]
    ) -> None:
        """Do what has a request of its own; a refusal is this product's alone."""
        if change.key in self.refused:
            return
        try:
            await work(change)
        except RefusedError as error:
            self.refused[change.key] = Outcome(
                change.key, OutcomeStatus.FAILED, error.reason, error.said
            )

    async def _add_options(self, change: Change) -> None:
        raw = raw_of(change)
        _check_options(change, raw)
        body = _missing_options(change, raw)
        if body:
            await self.client.post(_options_path(raw), body, "fields=id")

    async def _delete(self, changes: Iterable[Change]) -> None:
        ids = [
            raw_variant["id"]
            for change in changes
            if change.key not in self.refused
            for raw_variant in _removed(change)
        ]
        if ids:
            path = _variants_path(raw_of(next(iter(changes))))
            await self.client.post(path, {"delete": ids}, "fields=id")

    async def _fields(self, changes: Sequence[Change]) -> None:
        bodies = [self._body(change) for change in changes]
        if bodies:
            await self._send(_BATCH, bodies, "fields=id", changes)

    def _body(self, change: Change) -> dict[str, Any]:
        body = update_body(change, raw_of(change))
        if is_incomplete(change):
            body |= missing_links(change, self.stock.places)
        return body

    async def _variants(self, changes: Sequence[Change]) -> None:
        owners: list[Change] = []
        bodies: list[dict[str, Any]] = []
        for change in changes:
            found = variant_updates(change, raw_of(change))
            owners += [change] * len(found)
            bodies += found
        updated: dict[str, Raw] = {}
        if bodies:
            new_items = any("manage_inventory" in body for body in bodies)
            query = f"fields=id,{_ITEM}" if new_items else "fields=id"
            path = _variants_path(raw_of(owners[0]))
            reply = await self._send(path, bodies, query, owners)
            updated = {raw["id"]: raw for raw in reply.get("updated") or ()}
        for change in changes:
            self._restock(change, updated)

    async def _send(
        self,
        path: str,
        bodies: Sequence[Raw],
        query: str,
        owners: Sequence[Change],
    ) -> dict[str, Any]:
        """Send updates in one request; *owners* has the change of each."""
        try:
            return await self.client.post(path, {"update": bodies}, query)
        except MedusaRefusedError as error:
            raise await Refusals(self.client).explain(error, owners) from error

    def _restock(self, change: Change, updated: dict[str, Raw]) -> None:
        """Note the levels of variants that were there before."""
        variants = [c.variant for c in change.variants if Field.STOCK in c.fields]
        if variants:
            held: Sequence[Raw] = raw_of(change).get("variants") or ()
            self.stock.add(
                variants,
                [
                    v if v.get("inventory_items") else {**v, **updated.get(v["id"], {})}
                    for v in held
                ],
            )

    async def _create(self, change: Change) -> None:
        added = [c.variant for c in change.variants if c.action is Action.ADD]
        if added:
            body = {"create": [new_variant(variant, self.items) for variant in added]}
            path = _variants_path(raw_of(change))
            reply = await self.client.post(path, body, f"fields=id,metadata,{_ITEM}")
            self.stock.add(added, reply["created"])

    async def _drop_values(self, change: Change) -> None:
        unused = _unused_values(change, raw_of(change))
        if unused:
            path = _options_path(raw_of(change))
            await self.client.post(path, {"update": unused}, "fields=id")


def _options_path(raw: Raw) -> str:
    return f"/admin/products/{raw['id']}/options/batch"


def _variants_path(raw: Raw) -> str:
    """For updates and deletions, of the variants of any products."""
    return f"/admin/products/{raw['id']}/variants/batch"


def _removed(change: Change) -> list[Raw]:
    gone = {c.variant.id for c in change.variants if c.action is Action.REMOVE}
    held: Sequence[Raw] = raw_of(change).get("variants") or ()
    return [raw for raw in held if variant_id(raw) in gone]


def _takes_options(change: Change) -> list[dict[str, str]]:
    """The options of each variant that gets new ones."""
    return [
        dict(item.variant.options)
        for item in change.variants
        if item.action is Action.ADD or Field.OPTIONS in item.fields
    ]


def _check_options(change: Change, raw: Raw) -> None:
    """Medusa takes no option away from a product that has variants on it."""
    known = {option["title"] for option in raw.get("options") or ()}
    for options in _takes_options(change):
        lost = known - set(options)
        if lost or not (options or is_incomplete(change)):
            what = ", ".join(sorted(lost)) or "its options"
            reason = f"Medusa cannot take {what} away from a product that is there"
            raise RefusedError(f"{reason}; delete it there to have it made anew")


def _missing_options(change: Change, raw: Raw) -> dict[str, Any]:
    """Options and values that variants will have and the product has not."""
    known: dict[str, Raw] = {o["title"]: o for o in raw.get("options") or ()}
    missing: dict[str, dict[str, None]] = {}
    for options in _takes_options(change):
        for title, value in options.items():
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


def _unused_values(change: Change, raw: Raw) -> list[dict[str, Any]]:
    """Values that only variants had which are gone or have others now."""
    before = change.held.product.variants if change.held else ()
    had = {pair for v in before or () for pair in v.options.items()}
    have = {pair for v in change.product.variants or () for pair in v.options.items()}
    unused: list[dict[str, Any]] = []
    for option in raw.get("options") or ():
        ids = [
            value["id"]
            for value in option["values"]
            if (option["title"], value["value"]) in had - have
        ]
        if ids:
            unused.append({"product_option_id": option["id"], "remove": ids})
    return unused
