"""Products that are half made: what they lack, and how they get it.

Observed on Medusa 2.21.2: a product is made step by step, and a server that is
killed undoes nothing. First there is the product alone, then its shipping profile
and sales channel, its variants, their inventory items, the links to these, and last
the links to price sets. A variant without a price set takes no prices and can only
be made anew. An inventory item that nothing links to keeps its SKU from others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

import attrs

from catalogsync.catalog.changes import Action, Change, Existing, Found, VariantChange
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Product,
    ProductKey,
    Unset,
    Variant,
    evolve_unchecked,
)

from .client import MedusaClient
from .handles import in_pieces
from .inventory import find_items, is_unlinked
from .mapping import Raw, existing_of, is_ours, raw_of, variant_id
from .payloads import stand_in
from .queries import check_asked_for
from .store_context import Places

__all__ = ["MissingParts", "Repair", "is_incomplete", "look_closer", "missing_links"]

_PRODUCTS = "/admin/products"
_CLOSER = (
    "id,created_at,updated_at,sales_channels.id,variants.created_at,variants.updated_at"
)


@attrs.frozen
class MissingParts:
    """What a product lacks.

    Attributes:
        variant: Whether it has none.
        prices: Ids of our variants that have no price set.
        items: Ids of our variants whose stock is counted, on no inventory item.
        profile: Whether it has no shipping profile.
        channel: Whether it is in no sales channel. It is asked for only where
            something else lacks: else, somebody wants it so.
    """

    variant: bool
    prices: frozenset[str]
    items: frozenset[str]
    profile: bool
    channel: bool

    @classmethod
    def of(cls, product: Product, raw: Raw) -> MissingParts:
        """Look at a product, as far as it was asked for.

        Args:
            product: As it was read.
            raw: The same, as it came.
        """
        known = {variant.id: variant for variant in product.variants or ()}
        variants: Sequence[Raw] = raw.get("variants") or ()
        ours = {variant_id(v): v for v in variants if is_ours(v)}
        return cls(
            variant=not variants,
            prices=frozenset(
                id_
                for id_, v in ours.items()
                if v.get("prices") is None and _has_read_prices(known.get(id_))
            ),
            items=frozenset(
                id_
                for id_, v in ours.items()
                if v.get("manage_inventory") and not v.get("inventory_items")
            ),
            profile=not raw.get("shipping_profile"),
            channel=raw.get("sales_channels") == [],
        )

    def words(self) -> tuple[str, ...]:
        """The gaps, for people."""
        words = ["no variant"] * self.variant
        words += [f"no price set of variant {id_}" for id_ in sorted(self.prices)]
        words += [f"no inventory item of variant {id_}" for id_ in sorted(self.items)]
        words += ["no shipping profile"] * self.profile
        words += ["no sales channel"] * self.channel
        return tuple(words)


def _has_read_prices(variant: Variant | None) -> bool:
    return variant is not None and not isinstance(variant.prices, Unset)


async def look_closer(
    client: MedusaClient, existing: Iterable[Found]
) -> dict[ProductKey, Existing]:
    """Those that are half made, with their age and whether they are in a channel."""
    half = {
        raw["id"]: (one, raw)
        for one in existing
        if isinstance(one, Existing) and one.missing_parts
        for raw in [cast("Raw", one.native)]
    }
    found: dict[ProductKey, Existing] = {}
    for piece in in_pieces("id[]", half):
        query = f"limit={len(half)}&fields={_CLOSER}&{piece}"
        reply, now = await client.get_dated(_PRODUCTS, query)
        check_asked_for("id", reply["products"], half)
        for raw in reply["products"]:
            one, native = half[raw["id"]]
            native = {**native, "sales_channels": raw.get("sales_channels")}
            found[one.product.key] = attrs.evolve(
                one,
                native=native,
                missing_parts=MissingParts.of(one.product, native).words(),
                age=_age(raw, now),
            )
    return found


def _age(raw: Raw, now: datetime | None) -> float | None:
    """Seconds since anything of a product was changed."""
    if now is None:
        return None
    rows = [raw, *(raw.get("variants") or ())]
    newest = max(
        datetime.fromisoformat(row[name])
        for row in rows
        for name in ("created_at", "updated_at")
    )
    return max((now - newest).total_seconds(), 0.0)


def is_incomplete(change: Change) -> bool:
    """Whether the product of an update may lack something."""
    existing = existing_of(change)
    return bool(existing.missing_parts) or existing.foreign


def missing_links(change: Change, places: Places) -> dict[str, Any]:
    """What the update of such a product says besides."""
    lacks = _lacks(change)
    body: dict[str, Any] = {}
    if lacks.profile:
        body["shipping_profile_id"] = places.profile
    if lacks.channel:
        body["sales_channels"] = [{"id": places.channel}]
    return body


@attrs.frozen
class Repair:
    """Adds to updates what variants lack.

    Attributes:
        client: The store.
        items: Takes the inventory items that new variants may adopt, by SKU.
    """

    client: MedusaClient
    items: dict[str, str] = attrs.field(factory=dict[str, str])

    async def mend(self, changes: Sequence[Change]) -> list[Change]:
        """The changes, with all that has to be done to variants."""
        mended = {c.key: _mended(c) for c in changes if is_incomplete(c)}
        skus = {sku for change in mended.values() for sku in _item_skus(change)}
        for item in await find_items(self.client, skus):
            if is_unlinked(item):
                self.items[item["sku"]] = item["id"]
        return [mended.get(change.key, change) for change in changes]


def _lacks(change: Change) -> MissingParts:
    return MissingParts.of(existing_of(change).product, raw_of(change))


def _equipped(change: Change) -> frozenset[str]:
    """The variants that get an inventory item and stay what they are."""
    lacks = _lacks(change)
    return lacks.items - lacks.prices


def _mended(change: Change) -> Change:
    """The change with what its variants lack, however little of them differs."""
    after = {variant.id: variant for variant in change.product.variants or ()}
    told = {item.variant.id: item for item in change.variants}
    for id_ in sorted(_equipped(change) & after.keys()):
        fields = told[id_].fields if id_ in told else frozenset[Field]()
        fields |= {Field.STOCK}
        told[id_] = VariantChange(
            action=Action.UPDATE, variant=after[id_], fields=fields
        )
    added: list[Variant] = []
    for id_ in sorted(_lacks(change).prices & after.keys()):
        told[id_] = VariantChange(action=Action.REMOVE, variant=after[id_])
        added.append(_anew(after[id_], raw_of(change)))
    if _lacks(change).variant and not told:
        desired = change.desired.variants if change.desired else ()
        added += desired or [stand_in(change)]
    items = [VariantChange(action=Action.ADD, variant=variant) for variant in added]
    return attrs.evolve(
        change,
        fields=change.fields | {Field.VARIANTS},
        variants=(*told.values(), *items),
    )


def _anew(variant: Variant, raw: Raw) -> Variant:
    """A variant whose stock is counted if it was before."""
    was_counted = any(
        found.get("manage_inventory")
        for found in raw["variants"]
        if variant_id(found) == variant.id
    )
    if variant.stock or was_counted:
        return variant
    return evolve_unchecked(variant, stock=UNSET)


def _item_skus(change: Change) -> list[str]:
    """The SKUs that new variants will need an inventory item with."""
    return [
        item.variant.sku
        for item in change.variants
        if item.action is Action.ADD
        and item.variant.sku
        and not isinstance(item.variant.stock, Unset)
    ]
