"""Catalogs in which unique values move between variants, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import TypeAlias

from catalogsync import UNSET, Product, ProductKey, StockLevel, Variant

NAMES = ("sku", "barcode")
SIZES = ("S", "M")

Values: TypeAlias = Mapping[tuple[str, str, str], object]
"""What a variant has: by product, variant, and name of the value."""


def product(id_: str, values: Values) -> Product:
    """A product with two variants that have these values, where it has some.

    One of them has stock, so that some sinks make an item with its SKU.
    """
    variants = [
        Variant(
            id=size,
            options={"Size": size},
            stock=[StockLevel(quantity=3)] if size == "S" else UNSET,
            **{name: values.get((id_, size, name), UNSET) for name in NAMES},  # type: ignore[arg-type]
        )
        for size in SIZES
    ]
    return Product(key=ProductKey("shop", id_), title=f"Thing {id_}", variants=variants)


def products(ids: Iterable[str], values: Values) -> list[Product]:
    return [product(id_, values) for id_ in ids]


def values_of(found: Iterable[Product]) -> dict[tuple[str, str, str], object]:
    """What the variants of these have; nothing for what they lack."""
    return {
        (each.key.id, variant.id, name): value
        for each in found
        for variant in each.variants or ()
        for name in NAMES
        if (value := getattr(variant, name))
    }


def beginning(ids: Sequence[str]) -> dict[tuple[str, str, str], object]:
    """Each variant has values of its own."""
    return {
        (id_, size, name): f"{name}-{id_}{size}"
        for id_ in ids
        for size in SIZES
        for name in NAMES
    }


def moved(
    random: Random, before: Values, ids: Sequence[str]
) -> dict[tuple[str, str, str], object]:
    """What the source supplies later: each value on another variant, or on none."""
    after: dict[tuple[str, str, str], object] = {}
    for name in NAMES:
        places = [(id_, size, name) for id_ in ids for size in SIZES]
        values = [value for place, value in before.items() if place[2] == name]
        values += [f"{name}-new{n}" for n in range(len(places) - len(values))]
        random.shuffle(values)
        given = random.random()
        after |= {
            place: value
            for place, value in zip(places, values, strict=True)
            if random.random() < given
        }
    return after


def expected(before: Values, after: Values) -> dict[tuple[str, str, str], object]:
    """What the source says no more stays, unless another variant needs it."""
    needed = {*after.values()}
    stays = {p: v for p, v in before.items() if p not in after and v not in needed}
    return {**stays, **after}
