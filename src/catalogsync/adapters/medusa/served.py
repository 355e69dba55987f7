"""Whether the server gave what it has, where an absent key can also mean: there is none.

Observed on Medusa 2.21.2: the key is absent of a shipping profile that is not there, of
the prices of a variant without a price set, and of all that the login's role may not
read. The rows that link to them are always given, and tell the one from the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalogsync.catalog.products import Field

from .mapping import Raw

__all__ = ["left_out"]


def left_out(raw: Raw, fields: frozenset[Field]) -> str | None:
    """What a product has, but the server left out; None if all is there.

    Args:
        raw: The product, as it came.
        fields: What was asked for.
    """
    for path, value, link in _linked(raw, fields):
        if (value is None) is not (link is None):
            what = f"product {raw['id']} cannot be compared: {path}"
            return f"{what}: the server left it out; may this login read it?"
    return None


def _linked(raw: Raw, fields: frozenset[Field]) -> Iterator[tuple[str, Any, Any]]:
    """Paths, what stands there, and what links to it."""
    link = raw.get("shipping_profiles_link")
    yield "shipping_profile", raw.get("shipping_profile"), link
    variants: list[Raw] = raw.get("variants") or []
    for index, variant in enumerate(variants):
        path = f"variants[{index}]"
        if Field.PRICES in fields:
            prices, link = variant.get("prices"), variant.get("price_set_link")
            yield f"{path}.prices", prices, link
        if Field.STOCK in fields:
            items: list[Raw | None] = variant["inventory_items"] or []
            for item in filter(None, items):
                yield f"{path}.inventory_items.inventory", item.get("inventory"), item
