"""Incomplete products, as a server leaves them if it crashes during a creation."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ._errors import Row
from ._inventory import Inventory
from ._state import State
from ._variants import Variants

Stage: TypeAlias = Literal["alone", "product", "variants", "items", "links"]
"""What Medusa had created: the product alone; also its sales channels and shipping
profile; also its variants; also their inventory items, which nothing links to but
which occupy the SKUs; also the links to them, but no prices."""


def interrupt(state: State, product: Row, stage: Stage) -> None:
    """Remove the parts of a product that Medusa creates after this stage."""
    variants = list(product["variants"])
    for variant in variants:
        variant.pop("prices", None)
        _empty(state, variant)
        if stage != "links":
            _unlink(state, variant, keep_items=stage == "items")
    if stage == "alone":
        product.pop("shipping_profile", None)
        product["sales_channels"] = []
    if stage in {"alone", "product"}:
        rules = Variants(state, Inventory(state))
        for variant in variants:
            rules.delete(variant["id"], with_items=False)


def _empty(state: State, variant: Row) -> None:
    """Remove the levels, which are written last."""
    for link in variant["inventory_items"]:
        levels = [level["id"] for level in link["inventory"]["location_levels"]]
        Inventory(state).levels({"delete": levels})


def _unlink(state: State, variant: Row, *, keep_items: bool) -> None:
    if not keep_items:
        for link in variant["inventory_items"]:
            Inventory(state).delete(link["inventory_item_id"])
    variant["inventory_items"] = []
