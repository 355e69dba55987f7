"""Incomplete products: their missing parts, and how to repair them.

Observed on Medusa 2.21.2: a product is created step by step, and a server that is killed
rolls nothing back. The steps are the product alone, its shipping profile and sales
channel, its variants, their inventory items, the links to these, and finally the links
to price sets. A variant without a price set accepts no prices and has to be recreated.
An unlinked inventory item blocks its SKU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

import attrs

from catalogsync.catalog.changes import (
    Action,
    Adopt,
    Existing,
    Found,
    Update,
    VariantChange,
)
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
from .mapping import Raw, is_ours, raw_of, variant_id
from .payloads import placeholder
from .queries import check_requested
from .store_context import Places

__all__ = [
    "MissingParts",
    "Repair",
    "is_incomplete",
    "missing_links",
    "read_missing_parts",
]

_PRODUCTS = "/admin/products"
_DETAILS = (
    "id,created_at,updated_at,sales_channels.id,variants.created_at,variants.updated_at"
)


@attrs.frozen
class MissingParts:
    """The missing parts of an incomplete product.

    Attributes:
        variant: Whether it has no variant.
        prices: Ids of the managed variants without a price set.
        items: Ids of the managed variants with managed inventory but no inventory
            item.
        profile: Whether it has no shipping profile.
        channel: Whether it is in no sales channel. This is only read if another part
            is missing; otherwise somebody removed the product from its channels.
    """

    variant: bool
    prices: frozenset[str]
    items: frozenset[str]
    profile: bool
    channel: bool

    @classmethod
    def of(cls, product: Product, raw: Raw, *, whole: bool = True) -> MissingParts:
        """The missing parts, as far as the columns were read.

        Args:
            product: The product as read.
            raw: The product as Medusa sent it.
            whole: Whether its shipping profile was read.
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
            profile=whole and not raw.get("shipping_profile"),
            channel=raw.get("sales_channels") == [],
        )

    def words(self) -> tuple[str, ...]:
        """A description of each missing part."""
        words = ["no variant"] * self.variant
        words += [f"no price set for variant {id_}" for id_ in sorted(self.prices)]
        words += [f"no inventory item for variant {id_}" for id_ in sorted(self.items)]
        words += ["no shipping profile"] * self.profile
        words += ["no sales channel"] * self.channel
        return tuple(words)


def _has_read_prices(variant: Variant | None) -> bool:
    return variant is not None and not isinstance(variant.prices, Unset)


async def read_missing_parts(
    client: MedusaClient, existing: Iterable[Found]
) -> dict[ProductKey, Existing]:
    """The incomplete products among these, with their age and sales channels."""
    incomplete = {
        raw["id"]: (one, raw)
        for one in existing
        if isinstance(one, Existing) and one.missing_parts
        for raw in [cast("Raw", one.native)]
    }
    found: dict[ProductKey, Existing] = {}
    for piece in in_pieces("id[]", incomplete):
        query = f"limit={len(incomplete)}&fields={_DETAILS}&{piece}"
        reply, now = await client.get_dated(_PRODUCTS, query)
        check_requested("id", reply["products"], incomplete)
        for raw in reply["products"]:
            one, native = incomplete[raw["id"]]
            native = {**native, "sales_channels": raw.get("sales_channels")}
            found[one.product.key] = attrs.evolve(
                one,
                native=native,
                missing_parts=MissingParts.of(one.product, native).words(),
                age=_age(raw, now),
            )
    return found


def _age(raw: Raw, now: datetime | None) -> float | None:
    """Seconds since the last change of a product or its variants."""
    if now is None:
        return None
    rows = [raw, *(raw.get("variants") or ())]
    newest = max(
        datetime.fromisoformat(row[name])
        for row in rows
        for name in ("created_at", "updated_at")
    )
    return max((now - newest).total_seconds(), 0.0)


def is_incomplete(change: Update) -> bool:
    """Whether the product of an update may have missing parts."""
    return bool(change.existing.missing_parts) or isinstance(change, Adopt)


def missing_links(change: Update, places: Places) -> dict[str, Any]:
    """The missing shipping profile and sales channel, for the update's body."""
    missing = _missing(change)
    body: dict[str, Any] = {}
    if missing.profile:
        body["shipping_profile_id"] = places.profile
    if missing.channel:
        body["sales_channels"] = [{"id": places.channel}]
    return body


@attrs.frozen
class Repair:
    """Adds the repair of variants to updates.

    Attributes:
        client: The store.
        items: Collects inventory items that new variants may adopt, by SKU.
    """

    client: MedusaClient
    items: dict[str, str] = attrs.field(factory=dict[str, str])

    async def complete(self, changes: Sequence[Update]) -> list[Update]:
        """The changes with the repair of their variants."""
        repaired = {c.key: _repaired(c) for c in changes if is_incomplete(c)}
        skus = {sku for change in repaired.values() for sku in _item_skus(change)}
        for item in await find_items(self.client, skus):
            if is_unlinked(item):
                self.items[item["sku"]] = item["id"]
        return [repaired.get(change.key, change) for change in changes]


def _missing(change: Update) -> MissingParts:
    return MissingParts.of(change.existing.product, raw_of(change))


def _without_item(change: Update) -> frozenset[str]:
    """Variants that need an inventory item but are not recreated."""
    missing = _missing(change)
    return missing.items - missing.prices


def _repaired(change: Update) -> Update:
    """The change, extended by the repair of its variants."""
    after = {variant.id: variant for variant in change.product.variants or ()}
    changed = {item.variant.id: item for item in change.variants}
    for id_ in sorted(_without_item(change) & after.keys()):
        fields = changed[id_].fields if id_ in changed else frozenset[Field]()
        fields |= {Field.STOCK}
        changed[id_] = VariantChange(
            action=Action.UPDATE, variant=after[id_], fields=fields
        )
    added: list[Variant] = []
    for id_ in sorted(_missing(change).prices & after.keys()):
        changed[id_] = VariantChange(action=Action.REMOVE, variant=after[id_])
        added.append(_recreated(after[id_], raw_of(change)))
    if _missing(change).variant and not changed:
        desired = change.desired.variants if change.desired else ()
        added += desired or [placeholder(change)]
    items = [VariantChange(action=Action.ADD, variant=variant) for variant in added]
    return attrs.evolve(
        change,
        fields=change.fields | {Field.VARIANTS},
        variants=(*changed.values(), *items),
    )


def _recreated(variant: Variant, raw: Raw) -> Variant:
    """The variant to create; its inventory is managed only if it was before."""
    was_counted = any(
        found.get("manage_inventory")
        for found in raw["variants"]
        if variant_id(found) == variant.id
    )
    if variant.stock or was_counted:
        return variant
    return evolve_unchecked(variant, stock=UNSET)


def _item_skus(change: Update) -> list[str]:
    """The SKUs for which new variants need an inventory item."""
    return [
        item.variant.sku
        for item in change.variants
        if item.action is Action.ADD
        and item.variant.sku
        and not isinstance(item.variant.stock, Unset)
    ]
