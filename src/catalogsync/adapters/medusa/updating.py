"""Updating products: fields, options and variants, in the order that Medusa needs.

Observed on Medusa 2.21.2: a variant can only have existing option values of its
product. A list of variants in a product update deletes the variants that it omits and
keeps their inventory items, so variants are written separately, by `variants/batch`,
which accepts variants of any products and affects no others. An update of nothing but
stock writes levels only: the product stays as it is, with its `updated_at`. It refuses a variant with
the options of one that is deleted in the same request, and when it rolls back creations
beside updates it loses prices, so creations, updates and deletions are separate
requests. Variants are deleted last, when their replacements can be bought. Until the
update is complete, the product has an interim last-applied state.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import attrs

from catalogsync.catalog.changes import Action, Update
from catalogsync.catalog.outcomes import Again, Outcome, OutcomeStatus
from catalogsync.catalog.products import Field, ProductKey, evolve_unchecked
from catalogsync.diff.last_applied import LastApplied, interim_last_applied
from catalogsync.errors import BatchRefusedError, ConflictError, RefusedError

from .adoption import claim
from .choosing import chosen_note
from .client import MedusaClient, MedusaRefusedError
from .errors import Refusals
from .inventory import ITEM_FIELDS, Items
from .mapping import LAST_APPLIED, Raw, cleaned, is_unfinished, raw_of, variant_id
from .payloads import new_variant, update_body, variant_updates
from .repair import Repair, is_incomplete, missing_links
from .replacing import freed, renamed
from .reshaping import Reshaping, unused_values, with_options
from .stock import StockLevels

__all__ = ["Updates"]

_PRODUCTS = "/admin/products"
_BATCH = f"{_PRODUCTS}/batch"
_ITEM = ",".join(ITEM_FIELDS)
_SHAPE = (
    "id,options.id,options.title,options.values.id,options.values.value,"
    "variants.id,variants.metadata,"
    "variants.options.value,variants.options.option.title"
)
_STOCK = frozenset({Field.STOCK})
_RESHAPING = frozenset({Field.VARIANTS, Field.OPTIONS})


@attrs.define
class Updates:
    """One batch of updates.

    Attributes:
        client: The store.
        stock: Collects the stock levels to write.
        default_option: Returns the option that products without options share.
        items: The inventory items that new variants may adopt, by SKU.
        shapes: The options of products that get other options or new variants.
        refused: Outcomes of products that failed alone, or need a new plan.
    """

    client: MedusaClient
    stock: StockLevels
    default_option: Callable[[], Awaitable[Raw]]
    items: dict[str, str] = attrs.field(factory=dict[str, str])
    shapes: dict[ProductKey, Reshaping] = attrs.field(
        factory=dict[ProductKey, Reshaping]
    )
    refused: dict[ProductKey, Outcome | Again] = attrs.field(
        factory=dict[ProductKey, "Outcome | Again"]
    )

    async def write(self, changes: Sequence[Update]) -> None:
        """Write the batch.

        Raises:
            BatchRefusedError: Medusa refused the batch; the rest of it can safely be
                sent again.
        """
        await claim(self.client, changes)
        changes = await Repair(self.client, self.items).complete(changes)
        changes = [with_options(change) for change in changes]
        await self._fields(changes)
        changes = await self._rename(changes)
        reshaped = [change for change in changes if change.fields & _RESHAPING]
        await self._delete(reshaped, recreated=True)
        await self._free(changes)
        for change in reshaped:
            await self._separately(change, self._reshape)
        await self._variants([c for c in changes if c.key not in self.refused])
        for change in reshaped:
            await self._separately(change, self._create)
        await self.stock.write(self.client)
        await self._delete(reshaped, recreated=False)
        for change in reshaped:
            await self._separately(change, self._drop_values)
        await self._confirm(changes)

    def outcomes(self, changes: Iterable[Update]) -> list[Outcome | Again]:
        """The outcome of each change."""
        return [self.refused.get(c.key) or c.done(self._note(c)) for c in changes]

    def _note(self, change: Update) -> str:
        shape = self.shapes.get(change.key)
        return chosen_note(shape.chosen) if shape else ""

    async def _separately(
        self, change: Update, work: Callable[[Update], Awaitable[None]]
    ) -> None:
        """Run a step that has its own request; only this product fails if it is refused."""
        if change.key in self.refused:
            return
        try:
            await work(change)
        except RefusedError as error:
            self.refused[change.key] = _failed(change.key, error)

    async def _fields(self, changes: Sequence[Update]) -> None:
        owners = [change for change in changes if not _is_stock_only(change)]
        if owners:
            bodies = [self._body(change) for change in owners]
            await self._send(_BATCH, bodies, "fields=id", owners)

    def _body(self, change: Update) -> dict[str, Any]:
        body = update_body(change, raw_of(change))
        if _needs_more_requests(change):
            body["metadata"][LAST_APPLIED] = interim_last_applied(change)
        if is_incomplete(change):
            body |= missing_links(change, self.stock.places)
        return body

    async def _confirm(self, changes: Iterable[Update]) -> None:
        """Replace the interim last-applied states of complete updates by the final ones."""
        bodies = [
            {
                "id": raw_of(change)["id"],
                "metadata": {LAST_APPLIED: change.last_applied},
            }
            for change in changes
            if _needs_more_requests(change) and change.key not in self.refused
        ]
        if bodies:
            await self.client.post(_BATCH, {"update": bodies}, "fields=id")

    async def _rename(self, changes: Sequence[Update]) -> list[Update]:
        """Let new variants take over the rows of the variants that they replace."""
        found = [renamed(change) for change in changes]
        bodies = [body for one in found for body in one.bodies]
        if bodies:
            path = _variants_path(raw_of(changes[0]))
            await self.client.post(path, {"update": bodies}, "fields=id")
        return [one.change for one in found]

    async def _free(self, changes: Sequence[Update]) -> None:
        """Clear unique values that other variants of the batch get."""
        bodies = freed([c for c in changes if c.key not in self.refused])
        if not bodies:
            return
        path = _variants_path(raw_of(changes[0]))
        await self.client.post(path, {"update": bodies}, "fields=id")
        ids = {body["id"] for body in bodies if "sku" in body}
        rows = [row for c in changes for row in raw_of(c).get("variants") or ()]
        await Items(self.client).free([row for row in rows if row["id"] in ids])

    async def _reshape(self, change: Update) -> None:
        raw = raw_of(change)
        fresh = await self._fresh(raw)
        shape = self.shapes[change.key] = Reshaping.of(change, fresh)
        if body := shape.missing(await self.default_option()):
            await self.client.post(_options_path(raw), body, "fields=id")
            fresh = await self._fresh(raw)
        if shape.is_needed:
            update = {"update": [shape.body(fresh)]}
            await self.client.post(_BATCH, update, "fields=id")

    async def _fresh(self, raw: Raw) -> Raw:
        """The product's current options and variants.

        Raises:
            ConflictError: Somebody added a variant since the product was read.
        """
        path = f"{_PRODUCTS}/{raw['id']}"
        reply = await self.client.get(path, f"fields={_SHAPE}")
        fresh = cleaned(reply["product"])
        current = {row["id"] for row in fresh.get("variants") or ()}
        added = current - {row["id"] for row in raw.get("variants") or ()}
        if added:
            raise ConflictError(f"somebody added a variant to product {raw['id']}")
        return fresh

    async def _variants(self, changes: Sequence[Update]) -> None:
        await Items(self.client).link_found(changes)
        owners: list[Update] = []
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
        await Items(self.client).follow(changes)
        for change in changes:
            self._restock(change, updated)

    async def _send(
        self,
        path: str,
        bodies: Sequence[Raw],
        query: str,
        owners: Sequence[Update],
    ) -> dict[str, Any]:
        """Send updates in one request; *owners* has the change of each body."""
        try:
            return await self.client.post(path, {"update": bodies}, query)
        except MedusaRefusedError as error:
            raise await Refusals(self.client).explain(error, owners) from error

    def _restock(self, change: Update, updated: dict[str, Raw]) -> None:
        """Collect the levels of existing variants."""
        variants = [
            item.variant
            for item in change.variants
            if item.action is Action.UPDATE and Field.STOCK in item.fields
        ]
        existing: Sequence[Raw] = raw_of(change).get("variants") or ()
        rows = [
            row if row.get("inventory_items") else {**row, **updated.get(row["id"], {})}
            for row in existing
        ]
        self.stock.add(variants, rows)

    async def _create(self, change: Update) -> None:
        added = [c.variant for c in change.variants if c.action is Action.ADD]
        if not added:
            return
        shape = self.shapes[change.key]
        if other := shape.blocking_variant([variant.id for variant in added]):
            # The product has fewer options now, so a new plan takes this into account.
            problem = f"variant {other} now has the options of a new variant"
            error = ConflictError(problem, retry_after=0)
            self.refused[change.key] = change.again(error)
            return
        new = [
            new_variant(evolve_unchecked(v, options=shape.after[v.id]), self.items)
            for v in added
        ]
        body, path = {"create": new}, _variants_path(raw_of(change))
        try:
            reply = await self.client.post(path, body, f"fields=id,metadata,{_ITEM}")
        except MedusaRefusedError as error:
            raise await Refusals(self.client, self.items).explain(
                error, [change]
            ) from error
        for variant in added:
            self.items.pop(variant.sku or "", None)
        self.stock.add(added, reply["created"])

    async def _delete(self, changes: Sequence[Update], *, recreated: bool) -> None:
        """Delete the variants to recreate (before the others) or the removed ones (last)."""
        ids = [
            row["id"]
            for change in changes
            if change.key not in self.refused
            for row in _removed(change, recreated=recreated)
        ]
        if ids:
            path = _variants_path(raw_of(changes[0]))
            await self.client.post(path, {"delete": ids}, "fields=id")

    async def _drop_values(self, change: Update) -> None:
        unused = unused_values(change, self.shapes[change.key])
        if unused:
            path = _options_path(raw_of(change))
            await self.client.post(path, {"update": unused}, "fields=id")


def _is_stock_only(change: Update) -> bool:
    """Whether an update leaves the product itself as it is, with what we wrote to it.

    Stock is not part of the last-applied state, and an interrupted update of it leaves
    a difference that the next run writes like any other.
    """
    before = LastApplied.parse(change.existing.last_applied)
    return (
        change.fields == _STOCK
        and not is_incomplete(change)
        and LastApplied.parse(change.last_applied) == before
    )


def _needs_more_requests(change: Update) -> bool:
    """Whether an update needs an interim last-applied state."""
    if _is_stock_only(change):
        return False
    return bool(change.variants) or is_incomplete(change) or is_unfinished(change)


def _failed(key: ProductKey, error: RefusedError) -> Outcome:
    reason, holder = error.reason, None
    if isinstance(error, BatchRefusedError):
        reason = error.culprits.get(key, reason)
        holder = error.holders.get(key)
    return Outcome(key, OutcomeStatus.FAILED, reason, error.said, holder)


def _options_path(raw: Raw) -> str:
    return f"{_PRODUCTS}/{raw['id']}/options/batch"


def _variants_path(raw: Raw) -> str:
    """The batch route; it accepts variants of any products."""
    return f"{_PRODUCTS}/{raw['id']}/variants/batch"


def _removed(change: Update, *, recreated: bool) -> list[Raw]:
    added = {c.variant.id for c in change.variants if c.action is Action.ADD}
    gone = {c.variant.id for c in change.variants if c.action is Action.REMOVE}
    gone = gone & added if recreated else gone - added
    existing: Sequence[Raw] = raw_of(change).get("variants") or ()
    return [raw for raw in existing if variant_id(raw) in gone]
