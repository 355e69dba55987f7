"""Variants that get other ids in the source, and unique values that change owners.

Observed on Medusa 2.21.2: an SKU or barcode is on one variant only, at any moment of a
request, and an inventory item has the SKU too. So variants that exchange such values
give them up first. A variant that replaces another one keeps its row, and with it the
carts and the stock that refer to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from catalogsync.catalog.changes import Action, Update, VariantChange
from catalogsync.catalog.products import (
    UNIQUE,
    VARIANT_PLAIN,
    Field,
    Price,
    Unset,
    Variant,
    evolve_unchecked,
)
from catalogsync.diff.last_applied import LastApplied

from .mapping import (
    DEFAULT_OPTIONS,
    VARIANT_ID,
    Raw,
    is_ours,
    raw_of,
    variant_id,
)

__all__ = ["Renamed", "freed", "renamed"]

_FIELDS = {**VARIANT_PLAIN, Field.STOCK: "stock"}


@attrs.frozen
class Renamed:
    """A change whose new variants take over the rows of removed ones.

    Attributes:
        change: The change, with updates instead of additions and removals.
        bodies: The updates that give the rows their new ids.
    """

    change: Update
    bodies: Sequence[Mapping[str, Any]] = ()


def renamed(change: Update) -> Renamed:
    """Let each new variant take over the row of the removed variant that it replaces.

    That is the one with the same options, or else with the same SKU, or else one that
    will have the same options once the product has fewer options and would then block
    the new one.
    """
    pairs = dict(_pairs(change))
    if not pairs:
        return Renamed(change)
    gone = {old.id for old in pairs.values()}
    items = [
        _taking_over(change, item.variant, pairs[item.variant.id])
        if item.action is Action.ADD and item.variant.id in pairs
        else item
        for item in change.variants
        if not (item.action is Action.REMOVE and item.variant.id in gone)
    ]
    ids = {old.id: new for new, old in pairs.items()}
    raw = raw_of(change)
    rows = [_with_id(row, ids.get(variant_id(row))) for row in raw["variants"]]
    existing = attrs.evolve(change.existing, native={**raw, "variants": rows})
    bodies = [
        {"id": row["id"], "metadata": {VARIANT_ID: ids[variant_id(row)]}}
        for row in raw["variants"]
        if variant_id(row) in ids
    ]
    return Renamed(
        attrs.evolve(change, existing=existing, variants=tuple(items)), bodies
    )


def _pairs(change: Update) -> Iterator[tuple[str, Variant]]:
    """Ids of new variants, and the variants whose rows they take over."""
    rows = {variant_id(row) for row in raw_of(change).get("variants") or ()}
    added = [c.variant for c in change.variants if c.action is Action.ADD]
    # A variant that is recreated under its own id needs another row.
    recreated = {variant.id for variant in added}
    removed = {
        c.variant.id: c.variant
        for c in change.variants
        if c.action is Action.REMOVE and c.variant.id in rows - recreated
    }
    for is_same in (_same_options, _same_sku, _fewer_options):
        for new in [*added]:
            old = next((v for v in removed.values() if is_same(new, v)), None)
            if old is not None:
                del removed[old.id]
                added.remove(new)
                yield new.id, old


def _same_options(new: Variant, old: Variant) -> bool:
    return (new.options or DEFAULT_OPTIONS) == (old.options or DEFAULT_OPTIONS)


def _same_sku(new: Variant, old: Variant) -> bool:
    return bool(new.sku) and new.sku == old.sku


def _fewer_options(new: Variant, old: Variant) -> bool:
    return bool(new.options) and new.options.items() <= old.options.items()


def _taking_over(change: Update, new: Variant, old: Variant) -> VariantChange:
    fields = {
        field
        for field, name in _FIELDS.items()
        if (value := getattr(new, name)) is not Unset.UNSET
        and value != getattr(old, name)
    }
    row = next(r for r in raw_of(change)["variants"] if variant_id(r) == old.id)
    # A row that lost its options in an interrupted update lacks even the default.
    if new.options != old.options or row.get("options") == []:
        fields.add(Field.OPTIONS)
    if not isinstance(new.prices, Unset):
        prices = _prices(change, new.prices, old)
        new = evolve_unchecked(new, prices=prices)
        if prices != old.prices:
            fields.add(Field.PRICES)
    return VariantChange(action=Action.UPDATE, variant=new, fields=frozenset(fields))


def _prices(change: Update, new: Iterable[Price], old: Variant) -> tuple[Price, ...]:
    """The new prices, and the prices in other currencies that people added."""
    last_applied = LastApplied.parse(change.existing.last_applied)
    desired = {price.currency: price for price in new}
    theirs = {
        price.currency: price
        for price in old.prices or ()
        if price.currency not in desired
        and not last_applied.wrote_price(old.id, price.currency)
    }
    return tuple({**theirs, **desired}.values())


def _with_id(row: Raw, id_: str | None) -> Raw:
    if id_ is None:
        return row
    return {**row, "metadata": {**(row.get("metadata") or {}), VARIANT_ID: id_}}


def freed(changes: Sequence[Update]) -> list[dict[str, Any]]:
    """Updates that clear unique values which other variants in these changes need."""
    bodies: dict[str, dict[str, Any]] = {}
    for field, name in UNIQUE.items():
        needed = _needed(changes, field, name)
        for row, after in _leaving(changes, field, name):
            value = row.get(name)
            takers = needed.get(value or "", set()) - {row["id"]}
            if value and value != after and takers:
                bodies.setdefault(row["id"], {"id": row["id"]})[name] = None
    return [*bodies.values()]


def _needed(changes: Iterable[Update], field: Field, name: str) -> dict[str, set[str]]:
    """The values that variants will get, with the rows or new variants that get them."""
    needed: dict[str, set[str]] = {}
    for change in changes:
        rows = _rows(change)
        for item in change.variants:
            value = getattr(item.variant, name)
            gets = item.action is Action.ADD or field in item.fields
            if gets and value and item.action is not Action.REMOVE:
                row = rows.get(item.variant.id, {}).get("id", f"new {item.variant.id}")
                needed.setdefault(value, set()).add(row)
    return needed


def _leaving(
    changes: Iterable[Update], field: Field, name: str
) -> Iterator[tuple[Raw, object]]:
    """The rows that lose their value, and their next value."""
    for change in changes:
        rows = _rows(change)
        for item in change.variants:
            row = rows.get(item.variant.id)
            if row is None or not is_ours(row):
                continue
            if item.action is Action.REMOVE:
                yield row, None
            elif item.action is Action.UPDATE and field in item.fields:
                yield row, getattr(item.variant, name)


def _rows(change: Update) -> dict[str, Raw]:
    return {variant_id(row): row for row in raw_of(change).get("variants") or ()}
