"""Products for the tests of the SQL sink, and bringing them about."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs

from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.changes import (
    Change,
    Existing,
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceKind,
)
from catalogsync.catalog.products import (
    GROUPS,
    PLAIN,
    UNSET,
    Category,
    Dimensions,
    Field,
    Image,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Unset,
    Variant,
)
from catalogsync.diff.compare import References, own_references, plan

ALL = frozenset(Field)
KEY = ProductKey("shop", "1")


def variant(id_: str = "default", **values: Any) -> Variant:
    """A variant that has everything."""
    defaults: dict[str, Any] = {
        "title": id_,
        "sku": f"SKU-{id_}",
        "barcode": "4006381333931",
        "weight": Decimal("0.20"),
        "dimensions": Dimensions(length=Decimal("9.5"), height=Decimal(2)),
        "options": {"Size": id_},
        "prices": [price("9.99")],
        "stock": [StockLevel(quantity=3), StockLevel(quantity=4, location="Berlin")],
    }
    return Variant(id=id_, **{**defaults, **values})


def price(amount: str, currency: str = "USD") -> Price:
    """A price."""
    return Price(amount=Decimal(amount), currency=currency)


def product(id_: str = "1", **values: Any) -> Product:
    """A product that has everything."""
    beauty = Category(id="beauty", name="Beauty")
    defaults: dict[str, Any] = {
        "title": "Mascara",
        "description": "Black",
        "brand": "Essence",
        "status": ProductStatus.PUBLISHED,
        "thumbnail": "https://example.com/small.webp",
        "images": [Image(url=f"https://example.com/{n}.webp") for n in (2, 1)],
        "categories": [beauty, Category(id="eyes", name="Eyes", parent=beauty)],
        "tags": ["black", "new"],
        "weight": Decimal("0.25"),
        "dimensions": Dimensions(length=Decimal("9.5"), width=Decimal(1)),
        "subtitle": "For tea",
        "material": "Clay",
        "hs_code": "6912.00",
        "origin_country": "PT",
        "mid_code": "PTCUP42LIS",
        "discountable": False,
        "type": "Mascaras",
        "collection": "Summer",
        "attributes": {"rating": 4.5, "returns": ["30 days", None, True]},
        "variants": [variant()],
    }
    return Product(key=ProductKey("shop", id_), **{**defaults, **values})


def creation(id_: str = "1", **values: Any) -> Change:
    """A change that makes a product, without its references."""
    change = plan(product(id_, **values), None, {})
    assert change
    return change


# --- what the engine does, for one batch ---


async def apply(sink: SQLSink, *products: Product) -> Sequence[Change]:
    """Find, plan and write; returns the changes that were needed."""
    changes = await planned(sink, *products)
    await sink.write(changes)
    return changes


async def planned(sink: SQLSink, *products: Product) -> list[Change]:
    """The changes that these products need; the references are written."""
    desired = [sink.shape(each) for each in products]
    existing = await sink.find(desired, fields=ALL)
    changes: list[Change] = []
    for each in desired:
        there = existing.get(each.key)
        assert there is None or isinstance(there, Existing)
        change = plan(each, there, await _references(sink, each))
        if change:
            changes.append(change)
    return changes


async def found(sink: SQLSink, key: ProductKey = KEY) -> Existing:
    """What the sink has of ours under a key."""
    there = await find_one(sink, key)
    assert isinstance(there, Existing)
    return there


async def find_one(
    sink: SQLSink, key: ProductKey = KEY, fields: frozenset[Field] = ALL
) -> Found | None:
    """What the sink has under a key."""
    desired = Product(key=key, title="desired")
    return (await sink.find([desired], fields=fields)).get(key)


def category_reference(category: Category, source: str) -> Reference:
    """A category as a reference."""
    above = category.parent
    return Reference(
        kind=ReferenceKind.CATEGORY,
        source=source,
        id=category.id,
        name=category.name,
        parent=category_reference(above, source) if above else None,
    )


def tag_reference(tag: str, source: str = "shop") -> Reference:
    """A tag as a reference."""
    return Reference(kind=ReferenceKind.TAG, source=source, id=tag, name=tag)


async def write_reference(sink: SQLSink, desired: Reference) -> str:
    """Create a reference and all that contain it, or put them right."""
    above = await write_reference(sink, desired.parent) if desired.parent else None
    existing = (await sink.find_references(frozenset({desired}))).get(desired)
    if existing and _is_right(desired, existing, above):
        return existing.id
    change = ReferenceChange(reference=desired, parent=above, existing=existing)
    (outcome,) = await sink.write_references([change])
    assert outcome.id
    return outcome.id


def _is_right(
    desired: Reference, existing: ExistingReference, parent: str | None
) -> bool:
    return (existing.name, existing.parent) == (
        desired.name,
        parent,
    ) or not existing.ours


async def _references(sink: SQLSink, desired: Product) -> References:
    source = desired.key.source
    categories = [category_reference(c, source) for c in desired.categories or ()]
    tags = [tag_reference(tag, source) for tag in desired.tags or ()]
    ids: dict[Field, tuple[str, ...]] = {}
    for field, kind in ((Field.CATEGORIES, categories), (Field.TAGS, tags)):
        if getattr(desired, field) is not UNSET:
            ids[field] = tuple([await write_reference(sink, each) for each in kind])
    names = own_references(desired)
    return ids | {field: names[field] for field in GROUPS if field in names}


# --- what a product looks like when it is found again ---

_NOTHING: dict[str, Any] = {
    **{f.value: None for f in PLAIN if f not in {Field.TITLE, Field.DISCOUNTABLE}},
    **{f.value: None for f in GROUPS},
    **dict.fromkeys(("images", "categories", "tags"), ()),
    "attributes": {},
}


def as_found(desired: Product) -> Product:
    """The product with nothing in place of what is not supplied."""
    values: dict[str, Any] = {
        name: nothing
        for name, nothing in _NOTHING.items()
        if getattr(desired, name) is UNSET
    }
    if not isinstance(desired.variants, Unset):
        values["variants"] = tuple(_variant_as_found(v) for v in desired.variants)
    return attrs.evolve(desired, **values)


def _variant_as_found(desired: Variant) -> Variant:
    values: dict[str, Any] = {
        "weight": None if desired.weight is UNSET else desired.weight,
        "dimensions": desired.dimensions or None,
        "prices": desired.prices or (),
        "stock": desired.stock or (),
    }
    sku, barcode = desired.sku or None, desired.barcode or None
    return attrs.evolve(desired, sku=sku, barcode=barcode, **values)


def unordered(desired: Product) -> Product:
    """The product with what has no order in a certain one."""
    values: dict[str, Any] = {
        "categories": sorted(desired.categories or (), key=lambda each: each.id),
        "tags": sorted(desired.tags or ()),
    }
    if not isinstance(desired.variants, Unset):
        values["variants"] = tuple(_unordered_prices(v) for v in desired.variants)
    return attrs.evolve(desired, **values)


def _unordered_prices(desired: Variant) -> Variant:
    prices: Any = sorted(desired.prices or (), key=lambda each: each.currency)
    return attrs.evolve(desired, prices=prices)
