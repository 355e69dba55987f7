"""Describing changes for people: the values before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from catalogsync.catalog.changes import (
    Action,
    Change,
    Create,
    FieldDiff,
    Removal,
    SellOut,
    Write,
    by_name,
    for_display,
)
from catalogsync.catalog.products import (
    DETAILS,
    GROUPS,
    PLAIN,
    UNSET,
    VARIANT_PLAIN,
    VARIANT_SIZES,
    Field,
    Json,
    Product,
    Unset,
    Variant,
)

__all__ = ["diff"]

_SIMPLE = (
    Field.TITLE,
    Field.DESCRIPTION,
    Field.BRAND,
    Field.STATUS,
    Field.THUMBNAIL,
    Field.WEIGHT,
    Field.DIMENSIONS,
    *DETAILS,
    Field.DISCOUNTABLE,
    *GROUPS,
    Field.IMAGES,
    Field.CATEGORIES,
    Field.TAGS,
)
_NORMALISED = tuple(field for field in PLAIN if field is not Field.THUMBNAIL)


def diff(change: Change) -> tuple[FieldDiff, ...]:
    """The values that a change replaces, for people."""
    if isinstance(change, SellOut):
        return tuple(_variant_diffs(change))
    if isinstance(change, Removal):
        return ()
    before = None if isinstance(change, Create) else change.existing.product
    found = [
        FieldDiff(
            path=field.value,
            old=for_display(getattr(before, field, None)),
            new=for_display(getattr(change.product, field)),
        )
        for field in _SIMPLE
        if field in change.fields and field not in _listed(change)
    ]
    found += _reference_diffs(change)
    if Field.ATTRIBUTES in change.fields:
        old = _attributes(before)
        if before and before.attributes and not old:  # text that is not a JSON object
            was = for_display(before.attributes)
            found.append(FieldDiff(path="attributes", old=was, new=None))
        found += _entries("attributes", old, _attributes(change.product))
    found += _variant_diffs(change)
    return tuple(found)


def normalized(before: Product, after: Product) -> Iterator[FieldDiff]:
    """The values that a sink keeps differently from the source.

    Fields that it cannot keep at all (`UNSET`) are not among them.

    Args:
        before: The product of the source.
        after: The product as the sink will return it.
    """
    for field in _NORMALISED:
        old, new = getattr(before, field), getattr(after, field)
        if old != new and for_display(old) and new is not UNSET:
            yield FieldDiff(
                path=field.value, old=for_display(old), new=for_display(new)
            )
    old, new = before.attributes, after.attributes
    if old and not isinstance(new, Unset) and old != new:
        # A sink that drops an empty text loses nothing.
        said = {name: value for name, value in old.items() if value != ""}
        yield from _entries("attributes", said, new)
    for one, other in zip(before.variants or (), after.variants or (), strict=False):
        if one != other:
            yield from _of_variant(one, other)


def _of_variant(before: Variant, after: Variant) -> Iterator[FieldDiff]:
    path = f"variants.{before.id}"
    amounts = {price.currency: price.amount for price in after.prices or ()}
    for price in before.prices or ():
        new = amounts.get(price.currency, price.amount)
        if new != price.amount:
            where = f"{path}.prices.{price.currency}"
            yield FieldDiff(path=where, old=str(price.amount), new=str(new))
    for name in VARIANT_SIZES.values():
        old, size = getattr(before, name), getattr(after, name)
        if old != size and for_display(old) and size is not UNSET:
            where = f"{path}.{name}"
            yield FieldDiff(path=where, old=for_display(old), new=for_display(size))
    for one, other in zip(before.stock or (), after.stock or (), strict=False):
        if one.quantity != other.quantity:
            yield FieldDiff(path=f"{path}.stock", old=one.quantity, new=other.quantity)


def _attributes(product: Product | None) -> Mapping[str, Json]:
    return by_name(product.attributes) if product else {}


def _entries(
    path: str, old: Mapping[str, Json], new: Mapping[str, Json]
) -> Iterator[FieldDiff]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield FieldDiff(path=f"{path}.{name}", old=old.get(name), new=new.get(name))


def _listed(change: Write) -> Mapping[Field, tuple[str, ...]]:
    """The sink's ids of categories and tags."""
    return {f: ids for f, ids in change.references.items() if f not in GROUPS}


def _reference_diffs(change: Write) -> Iterator[FieldDiff]:
    for field, target in _listed(change).items():
        existing: Mapping[str, str] = {}
        if not isinstance(change, Create):
            existing = change.existing.references.get(field, existing)
        desired = for_display(getattr(change.product, field))
        theirs = [name for id_, name in existing.items() if id_ in target]
        new = list(dict.fromkeys((*theirs, *(desired or ()))))
        yield FieldDiff(path=field.value, old=list(existing.values()) or None, new=new)


def _variant_diffs(change: Write | SellOut) -> Iterator[FieldDiff]:
    if isinstance(change, Create):
        for variant in change.product.variants or ():
            yield from _entries(f"variants.{variant.id}", {}, _facts(variant))
        return
    existing = {v.id: v for v in change.existing.product.variants or ()}
    for item in change.variants:
        path = f"variants.{item.variant.id}"
        match item.action:
            case Action.ADD:
                yield from _entries(path, {}, _facts(item.variant))
            case Action.REMOVE:
                yield from _entries(path, _facts(item.variant), {})
            case _:
                before = _facts(existing[item.variant.id])
                yield from _entries(path, before, _facts(item.variant))


def _facts(variant: Variant) -> dict[str, Json]:
    facts: dict[str, Json] = {
        name: for_display(getattr(variant, name)) for name in VARIANT_PLAIN.values()
    }
    facts |= {f"options.{name}": value for name, value in variant.options.items()}
    for price in variant.prices or ():
        facts[f"prices.{price.currency}"] = str(price.amount)
    for level in variant.stock or ():
        facts[f"stock.{level.location or 'default'}"] = level.quantity
    return facts
