"""Detecting columns that the server left out although they have a value.

Observed on Medusa 2.21.2: the key is absent for a missing shipping profile, for the prices
of a variant without a price set, and for everything that the login's role may not read.
The rows that link to these values are always present and distinguish the cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalogsync.catalog.products import Field

from .mapping import Raw

__all__ = ["left_out"]


def left_out(raw: Raw, fields: frozenset[Field]) -> str | None:
    """A message on a value that the server left out; None if the product is complete.

    Args:
        raw: The product as Medusa sent it.
        fields: The requested fields.
    """
    for path, value, link in _linked(raw, fields):
        if (value is None) is not (link is None):
            what = f"cannot compare product {raw['id']}: the server left out {path}"
            return f"{what}; check that this login may read it"
    return None


def _linked(raw: Raw, fields: frozenset[Field]) -> Iterator[tuple[str, Any, Any]]:
    """Paths, the values there, and the links to these values."""
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
