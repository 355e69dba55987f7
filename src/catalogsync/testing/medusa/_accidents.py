"""What a server leaves behind that dies in the middle of a create."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ._errors import Row
from ._inventory import Inventory
from ._state import State
from ._variants import Variants

Stage: TypeAlias = Literal["product", "variants", "items", "links"]
"""How far Medusa came: the product alone; also its variants; also their inventory
items, which nothing links to but which occupy the SKUs; also the links to them, but
no prices."""


def interrupt(state: State, product: Row, stage: Stage) -> None:
    """Undo what Medusa would not have come to do for a product."""
    variants = list(product["variants"])
    for variant in variants:
        variant.pop("prices", None)
        if stage != "links":
            _unlink(state, variant, keep_items=stage == "items")
    if stage == "product":
        rules = Variants(state, Inventory(state))
        for variant in variants:
            rules.delete(variant["id"], with_items=False)


def _unlink(state: State, variant: Row, *, keep_items: bool) -> None:
    if not keep_items:
        for link in variant["inventory_items"]:
            Inventory(state).delete(link["inventory_item_id"])
    variant["inventory_items"] = []
