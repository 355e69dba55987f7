"""What the database can hold: nearly all that the model can, and all of it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import attrs

from catalogsync.errors import RefusedError
from catalogsync.models import Dimensions, Product, Unset, Variant

from ._rows import attributes_text

__all__ = ["key_problem", "problem_of", "shape"]

# Indexed text: an entry of PostgreSQL's index has 2704 bytes, and the longest key
# is two texts.
_KEY_BYTES = 1000
_DIGITS = 1000
_QUANTITY = 2**63 - 1


def shape(product: Product) -> Product:
    """The product as `find` gives it back.

    Raises:
        RefusedError: A value of it cannot be kept exactly.
    """
    problem = problem_of(product)
    if problem:
        raise RefusedError(problem)
    if product.dimensions == Dimensions():
        return attrs.evolve(product, dimensions=None)
    return product


def problem_of(product: Product) -> str | None:
    """What of a product cannot be kept, with the path to it; None where all can."""
    return next(_problems(product), None)


def key_problem(path: str, text: str) -> str | None:
    """Why a text cannot be looked up by; None where it can."""
    if len(text) <= _KEY_BYTES // 4 or len(text.encode()) <= _KEY_BYTES:
        return None
    return f"{path}: longer than {_KEY_BYTES} bytes"


def _problems(product: Product) -> Iterator[str]:
    keys = [("key.source", product.key.source), ("key.id", product.key.id)]
    keys += [("categories", category.id) for category in product.categories or ()]
    keys += [("tags", tag) for tag in product.tags or ()]
    yield from _long_keys(keys)
    yield from _long_numbers([("weight", product.weight)])
    if product.dimensions:
        yield from _long_numbers(attrs.asdict(product.dimensions).items())
    if not isinstance(product.attributes, Unset):
        try:
            attributes_text(product.attributes)
        except ValueError as error:
            yield f"attributes: {error}"
    for variant in product.variants or ():
        for problem in _variant_problems(variant):
            yield f"variants.{variant.id[:50]}.{problem}"


def _variant_problems(variant: Variant) -> Iterator[str]:
    levels = variant.stock or ()
    keys = [("id", variant.id)]
    keys += [("options", name) for name in variant.options]
    keys += [("stock", level.location or "") for level in levels]
    yield from _long_keys(keys)
    yield from _long_numbers(
        (f"prices.{price.currency}", price.amount) for price in variant.prices or ()
    )
    for level in levels:
        if level.quantity > _QUANTITY:
            yield f"stock: a quantity of more than {_QUANTITY}"


def _long_keys(keys: list[tuple[str, str]]) -> Iterator[str]:
    for path, text in keys:
        problem = key_problem(path, text)
        if problem:
            yield problem


def _long_numbers(numbers: Iterable[tuple[str, object]]) -> Iterator[str]:
    for path, number in numbers:
        if not isinstance(number, Decimal):
            continue
        if int(number.as_tuple().exponent) < -_DIGITS:
            yield f"{path}: more than {_DIGITS} digits behind the point"
