"""Products as a store returns them, so that they compare equal once written."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs

from catalogsync.catalog.products import (
    Dimensions,
    Json,
    Price,
    Product,
    StockLevel,
    Unset,
    Variant,
)
from catalogsync.errors import RefusedError

from .mapping import BRAND, DEFAULT_OPTIONS, LAST_APPLIED, LOST, js_value
from .store_context import Places

__all__ = ["float4", "shape"]

_LONGEST = 1000
_MOST_BYTES = 2600
"""Largest text that fits into a PostgreSQL index, even if it does not compress."""
_NO_TIES = 7
"""Powers of ten below which no number of so few digits is between two floats."""
_EXACT_DIGITS = 6
_INFINITY = 0x7F800000
_LARGEST_EXACT = 2**53
_LARGEST_SIZE = 2**31 - 128
"""Medusa 2.21.2 answers the creation of a larger variant with a 500."""
_LEAST_PRICE = Decimal("0.0001")
"""Medusa returns this price, and any lower one, as 0."""


def shape(product: Product, places: Places) -> Product:
    """The product as the store will return it.

    A product without a thumbnail gets its first image as one.

    Raises:
        RefusedError: This store cannot hold the product.
    """
    _check(product)
    for variant in product.variants or ():
        _check_sizes(variant)
    changed: dict[str, Any] = {}
    for name in ("weight", "dimensions", "attributes"):
        value = getattr(product, name)
        shaped = _SHAPERS[name](value) if value else value
        if shaped is not value:
            changed[name] = shaped
    if product.thumbnail is None and product.images:
        changed["thumbnail"] = product.images[0].url
    if product.variants:
        variants = tuple(_variant(v, places) for v in product.variants)
        if all(v.options == DEFAULT_OPTIONS for v in variants):
            variants = tuple(attrs.evolve(v, options={}) for v in variants)
        if variants != product.variants:
            changed["variants"] = variants
    return attrs.evolve(product, **changed) if changed else product


def _check(product: Product) -> None:
    for what, text in (
        ("id", product.key.id),
        *(("category", category.id) for category in product.categories or ()),
        *(("tag", tag) for tag in product.tags or ()),
        ("type", product.type or ""),
        ("collection", product.collection or ""),
    ):
        if len(text) > _LONGEST:
            raise RefusedError(
                f"{what} too long: {len(text)} characters, at most {_LONGEST}"
            )
    for what, text in _indexed(product):
        if len(text) > _MOST_BYTES // 4 and len(text.encode()) > _MOST_BYTES:
            raise RefusedError(f"{what} too long: more than {_MOST_BYTES} bytes")
    if any(LOST in variant.options for variant in product.variants or ()):
        raise RefusedError(f"Medusa cannot store an option named {LOST}")
    for name in (BRAND, LAST_APPLIED):
        if name in (product.attributes or {}):
            raise RefusedError(f"attribute name {name!r} is reserved")


def _check_sizes(variant: Variant) -> None:
    of = variant.dimensions or Dimensions()
    for size in (variant.weight, of.length, of.width, of.height):
        if size and size > _LARGEST_SIZE:
            what = "weight or dimension of a variant"
            raise RefusedError(f"{what} too large: {size}, at most {_LARGEST_SIZE}")


def _indexed(product: Product) -> Iterator[tuple[str, str]]:
    """Texts that Medusa keeps in an index."""
    for tag in product.tags or ():
        yield "tag", tag
    yield "type", product.type or ""
    for variant in product.variants or ():
        yield "SKU", variant.sku or ""
        yield "barcode", variant.barcode or ""
        for option in variant.options.items():
            yield from zip(("option", "option value"), option, strict=True)


def _variant(variant: Variant, places: Places) -> Variant:
    changed: dict[str, Any] = {}
    for name in ("weight", "dimensions"):
        value = getattr(variant, name)
        shaped = _SHAPERS[name](value) if value else value
        if shaped is not value:
            changed[name] = shaped
    if variant.prices:
        prices = tuple(_price(price, places) for price in variant.prices)
        if prices != variant.prices:
            changed["prices"] = prices
    if variant.stock:
        stock = tuple(_level(level, places) for level in variant.stock)
        if stock != variant.stock:
            changed["stock"] = stock
    return attrs.evolve(variant, **changed) if changed else variant


def _price(price: Price, places: Places) -> Price:
    if price.currency not in places.currencies:
        known = ", ".join(sorted(places.currencies)) or "none"
        problem = f"the store does not sell in {price.currency}, only in {known}"
        raise RefusedError(f"{problem}; add the currency in Medusa's settings")
    amount = Decimal(repr(float(price.amount)))
    if amount <= _LEAST_PRICE:
        amount = Decimal(0)
    return price if amount == price.amount else attrs.evolve(price, amount=amount)


def _level(level: StockLevel, places: Places) -> StockLevel:
    if level.quantity > _LARGEST_EXACT:
        quantity = int(Decimal(repr(float(level.quantity))))
        level = attrs.evolve(level, quantity=quantity)
    if level.location is None:
        return level
    id_ = places.locations.get(level.location)
    if id_ is None:
        raise RefusedError(f"the store has no stock location {level.location!r}")
    return attrs.evolve(level, location=None if id_ == places.location else id_)


def _dimensions(size: Dimensions | Unset | None) -> Dimensions | Unset | None:
    if not size:
        return size
    before = (size.length, size.width, size.height)
    after = tuple(value if value is None else float4(value) for value in before)
    if after == (None, None, None):
        return None
    if after == before:
        return size
    return Dimensions(length=after[0], width=after[1], height=after[2])


def float4(value: Decimal) -> Decimal:
    """The nearest 4-byte float in its shortest form, as PostgreSQL returns it."""
    few = len(value.as_tuple().digits) <= _EXACT_DIGITS
    if few and -30 < value.adjusted() < _NO_TIES:
        return value
    sent = Decimal(repr(float(value)))
    (near,) = struct.unpack("i", struct.pack("f", float(value)))
    if not near:
        return Decimal()
    around = [(bits, Decimal(_single(bits))) for bits in range(near - 2, near + 3)]
    bits, single = min(around, key=lambda each: (abs(each[1] - sent), each[0] & 1))
    room = min(abs(Decimal(_single(bits + step)) - single) for step in (-1, 1)) / 2
    texts = (Decimal(format(single, f".{digits}g")) for digits in range(1, 10))
    # PostgreSQL takes no number that lies in the middle between two.
    return next(text for text in texts if abs(text - single) < room)


def _single(bits: int) -> float:
    """The 4-byte float of these bits; beyond the last one, the same distance again."""
    if bits < _INFINITY:
        (found,) = struct.unpack("f", struct.pack("i", max(bits, 0)))
        return float(found)
    return 2.0**128 + (bits - _INFINITY) * 2.0**104


def _attributes(attributes: Mapping[str, Json]) -> Mapping[str, Json]:
    """Without empty texts, which make Medusa remove the key."""
    shaped = {
        name: js_value(value)
        for name, value in attributes.items()
        if name != LOST and value != ""
    }
    return attributes if shaped == attributes else shaped


def _weight(value: Decimal) -> Decimal:
    shaped = float4(value)
    return value if shaped == value else shaped


_SHAPERS: dict[str, Any] = {
    "weight": _weight,
    "dimensions": _dimensions,
    "attributes": _attributes,
}
