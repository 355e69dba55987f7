"""Digests of changes and of everything that they were planned from."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, cast

from catalogsync.catalog.changes import (
    Change,
    Create,
    Delete,
    ReferenceChange,
    Removal,
    SellOut,
)
from catalogsync.catalog.convert import (
    product_to_json,
)
from catalogsync.catalog.products import Product
from catalogsync.diff.describe import diff
from catalogsync.diff.last_applied import digest

__all__ = ["fingerprint"]

_UNORDERED = frozenset({"categories", "tags"})


def fingerprint(change: Change | ReferenceChange) -> str:
    """A digest of a change and of everything that it was planned from.

    Two changes have the same fingerprint only if they do the same to a product,
    category or tag that was found in the same state, as far as the change concerns it.
    """
    if isinstance(change, ReferenceChange):
        return digest(_reference_basis(change))
    # A piece that is sold after the plan was made must not keep the rest on sale.
    shown = () if isinstance(change, SellOut) else diff(change)
    differences = [
        [item.path, *(_in_order(item.path, v) for v in (item.old, item.new))]
        for item in shown
    ]
    found: list[object] = [None]
    if not isinstance(change, Create):
        product = change.existing.product
        found = [
            change.existing.last_applied,
            list(change.existing.missing_parts),
            change.existing.foreign,
        ]
        if isinstance(change, Delete):
            found.append(_whole(product))
        elif isinstance(change, Removal):
            found += [product.title, str(product.status or "")]
    text = json.dumps([change.action.value, differences, found], sort_keys=True)
    return digest(text)


def _whole(product: Product) -> dict[str, Any]:
    """Everything that people may have changed, without the stock."""
    whole: dict[str, Any] = {**product_to_json(product)}
    for name in _UNORDERED:
        whole[name] = _sorted(whole.get(name))
    whole["variants"] = _sorted(
        [
            {**variant, "stock": None, "prices": _sorted(variant.get("prices"))}
            for variant in whole.get("variants") or ()
        ]
    )
    return whole


def _sorted(items: list[Any] | None) -> list[Any]:
    return sorted(items or (), key=partial(json.dumps, sort_keys=True))


def _reference_basis(change: ReferenceChange) -> list[object]:
    reference, existing = change.reference, change.existing
    parent = reference.parent.id if reference.parent else None
    found = [existing.id, existing.name, existing.parent] if existing else None
    return [change.name, parent, change.moves, found]


def _in_order(path: str, value: object) -> object:
    if path in _UNORDERED and isinstance(value, list):
        return sorted(cast("list[str]", value))
    return value
