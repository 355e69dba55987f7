"""What a change does to a product that a person might regret."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from catalogsync.catalog.changes import Change, Create, Removal, Update
from catalogsync.catalog.products import Field, Product, Variant

__all__ = ["Harm", "harms_of"]

_JUMP = 10


class Harm(enum.StrEnum):
    """A kind of harm; the value is the name of its budget."""

    PRICES = "prices"
    PRICE_JUMPS = "price_jumps"
    CURRENCIES = "currencies"
    SOLD_OUT = "sold_out"
    TITLES = "titles"
    CLEARED = "cleared"
    CATEGORIES = "categories"
    REMOVED = "removed"
    CREATED = "created"


Found: TypeAlias = tuple[Harm, float, str]
"""A harm, how bad it is (to sort them), and what changes, for people."""


def harms_of(change: Change, price_change: float) -> Iterator[Found]:
    """The harms of a change.

    Args:
        change: The change.
        price_change: Relative change of a price that counts.
    """
    if isinstance(change, Removal):
        yield Harm.REMOVED, 1.0, f"{change.action.value}: {change.product.title}"
    elif isinstance(change, Create):
        yield Harm.CREATED, 1.0, f"create: {change.product.title}"
    else:
        before, after = change.existing.product, change.product
        yield from _of_prices(before, after, price_change)
        yield from _of_stock(before, after)
        yield from _of_texts(before, after)
        yield from _of_categories(change)


def _of_prices(before: Product, after: Product, least: float) -> Iterator[Found]:
    new = {variant.id: variant for variant in after.variants or ()}
    for old in before.variants or ():
        if old.id in new:
            yield from _of_variant(old, new[old.id], least)


def _of_variant(old: Variant, new: Variant, least: float) -> Iterator[Found]:
    was, now = _amounts(old), _amounts(new)
    if gone := was.keys() - now.keys():
        added = now.keys() - was.keys()
        if added:
            text = f"{', '.join(sorted(gone))} -> {', '.join(sorted(added))}"
            yield Harm.CURRENCIES, 1.0, f"{old.id}: {text}"
    for code in was.keys() & now.keys():
        before, after = was[code], now[code]
        if before == after:
            continue
        text = f"{old.id}: {before} -> {after} {code}"
        factor = _factor(before, after)
        if factor >= _JUMP:
            yield Harm.PRICE_JUMPS, factor, text
        if abs(after - before) > before * Decimal(str(least)):
            yield Harm.PRICES, factor, text


def _factor(before: Decimal, after: Decimal) -> float:
    """How many times higher or lower a price gets; infinite from or to 0."""
    low, high = sorted((before, after))
    if not before:
        return 1.0 + float(after > 0)  # it was free before: a price is not a jump
    return float(high / low) if low else float("inf")


def _amounts(variant: Variant) -> Mapping[str, Decimal]:
    return {price.currency: price.amount for price in variant.prices or ()}


def _of_stock(before: Product, after: Product) -> Iterator[Found]:
    new = {variant.id: variant for variant in after.variants or ()}
    was = now = 0
    for old in before.variants or ():
        was += _pieces(old)
        now += _pieces(new.get(old.id, old))
    if was > 0 and now <= 0:
        yield Harm.SOLD_OUT, float(was), f"stock: {was} -> 0"


def _pieces(variant: Variant) -> int:
    return sum(max(0, level.quantity) for level in variant.stock or ())


def _of_texts(before: Product, after: Product) -> Iterator[Found]:
    if before.title != after.title:
        yield Harm.TITLES, 1.0, f"title: {before.title!r} -> {after.title!r}"
    if before.description and after.description is None:
        yield Harm.CLEARED, 1.0, "description: cleared"
    if before.images and after.images == ():
        yield Harm.CLEARED, 1.0, "images: cleared"


def _of_categories(change: Update) -> Iterator[Found]:
    if Field.CATEGORIES not in change.fields:
        return
    was, now = _categories(change)
    if was and was != now:
        gone, added = sorted(was - now), sorted(now - was)
        text = f"categories: {', '.join(gone) or '-'} -> {', '.join(added) or '-'}"
        yield Harm.CATEGORIES, 1.0, text


def _categories(change: Update) -> tuple[set[str], set[str]]:
    """Categories before and after: ids of the sink if it has its own, or the source's."""
    if Field.CATEGORIES in change.references:
        names = change.existing.references.get(Field.CATEGORIES, {})
        return set(names), set(change.references[Field.CATEGORIES])
    before, after = change.existing.product, change.product
    return {c.id for c in before.categories or ()}, {
        c.id for c in after.categories or ()
    }
