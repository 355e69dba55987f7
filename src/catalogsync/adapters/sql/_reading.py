"""From rows to the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, cast

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.batching import batched
from catalogsync.errors import InvalidValueError
from catalogsync.models import (
    UNSET,
    Category,
    Dimensions,
    Field,
    Image,
    Json,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Unset,
    Variant,
)
from catalogsync.protocols import Ambiguous, Held, Ours

from ._queries import Parts, product_rows, read_parts
from ._statements import AT_ONCE, by_source

__all__ = ["find_products"]


async def find_products(
    connection: AsyncConnection,
    keys: Iterable[ProductKey],
    fields: Collection[Field],
) -> dict[ProductKey, Held]:
    """What the database has under these keys."""
    held: dict[ProductKey, Held] = {}
    for source, ids in by_source(keys).items():
        for part in batched(ids, AT_ONCE):
            rows = await product_rows(connection, source, part)
            parts = await read_parts(connection, [row.id for row in rows], fields)
            for row in rows:
                held[ProductKey(source, row.source_id)] = _held(row, parts, fields)
    return held


def _held(row: Row[Any], parts: Parts, fields: Collection[Field]) -> Held:
    """What the database has in a row of `product`, as far as it is asked for.

    A row that somebody changed by hand, so that no product can be like it, is told
    by its number; it does not hurt the others.
    """
    try:
        found = _product(row, parts, fields)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        problem = f"row {row.id} of table product is no product: {error}"
        return Ambiguous(reason=problem)
    references = _references(row, parts, fields)
    return Ours(
        product=found, receipt=row.receipt, references=references, native=row.id
    )


def _references(
    row: Row[Any], parts: Parts, fields: Collection[Field]
) -> dict[Field, dict[str, str]]:
    """The ids of categories and tags, with others' among them."""
    links = (parts.tree.get(each.category_id) for each in parts.links.get(row.id, ()))
    found = {
        Field.CATEGORIES: {str(link.id): link.name for link in links if link},
        Field.TAGS: {str(tag.id): tag.text for tag in parts.tags.get(row.id, ())},
    }
    return {field: names for field, names in found.items() if field in fields}


# --- the fields of a product ---


def _product(row: Row[Any], parts: Parts, fields: Collection[Field]) -> Product:
    values = {
        field.value: read(row, parts)
        for field, read in _FIELDS.items()
        if field in fields
    }
    variants = [
        _variant(each, parts, fields) for each in parts.variants.get(row.id, ())
    ]
    if variants:
        values["variants"] = variants
    return Product(key=ProductKey(row.source, row.source_id), title=row.title, **values)


def _status(row: Row[Any], _: Parts) -> ProductStatus | Unset:
    return ProductStatus(row.status) if row.status else UNSET


def _weight(row: Row[Any], _: Parts) -> Decimal | None:
    weight: Decimal | None = _number("weight", row.weight)
    return weight


def _dimensions(row: Row[Any], _: Parts) -> Dimensions | None:
    size = Dimensions(
        length=_number("length", row.length),
        width=_number("width", row.width),
        height=_number("height", row.height),
    )
    return None if size == Dimensions() else size


def _attributes(row: Row[Any], _: Parts) -> Mapping[str, Json]:
    tree: object = json.loads(row.attributes) if row.attributes else {}
    if not isinstance(tree, dict):
        raise InvalidValueError("attributes", "must be a JSON object")
    return cast("dict[str, Json]", tree)


def _images(row: Row[Any], parts: Parts) -> tuple[Image, ...]:
    return tuple(Image(url=image.url) for image in parts.images.get(row.id, ()))


def _tags(row: Row[Any], parts: Parts) -> tuple[str, ...]:
    return tuple(tag.text for tag in parts.tags.get(row.id, ()))


def _categories(row: Row[Any], parts: Parts) -> tuple[Category, ...]:
    """Those of the product's own source; others' have no id in it."""
    found = (
        _category(link.category_id, row.source, parts.tree)
        for link in parts.links.get(row.id, ())
    )
    return tuple(category for category in found if category)


def _category(id_: int, source: str, tree: Mapping[int, Row[Any]]) -> Category | None:
    line: dict[int, Row[Any]] = {}  # upwards; ends at others', and in a circle
    row = tree.get(id_)
    while row and row.source == source and row.id not in line:
        line[row.id] = row
        row = tree.get(row.parent_id)
    category = None
    for row in reversed(line.values()):
        category = Category(id=row.source_id, name=row.name, parent=category)
    return category


_Read: TypeAlias = Callable[[Row[Any], Parts], Any]
_FIELDS: Mapping[Field, _Read] = {
    Field.DESCRIPTION: lambda row, _: row.description,
    Field.BRAND: lambda row, _: row.brand,
    Field.STATUS: _status,
    Field.THUMBNAIL: lambda row, _: row.thumbnail,
    Field.WEIGHT: _weight,
    Field.DIMENSIONS: _dimensions,
    Field.ATTRIBUTES: _attributes,
    Field.IMAGES: _images,
    Field.TAGS: _tags,
    Field.CATEGORIES: _categories,
}


# --- variants ---


def _variant(row: Row[Any], parts: Parts, fields: Collection[Field]) -> Variant:
    lists: dict[str, Any] = {}
    try:
        if Field.PRICES in fields:
            lists["prices"] = _prices(row, parts)
        if Field.STOCK in fields:
            lists["stock"] = _stock(row, parts)
        return Variant(
            id=row.source_id,
            title=row.title or UNSET,
            sku=row.sku,
            barcode=row.barcode,
            options={each.name: each.value for each in parts.options.get(row.id, ())},
            **lists,
        )
    except InvalidValueError as error:
        raise error.under(f"variants.{row.source_id}") from None


def _prices(row: Row[Any], parts: Parts) -> tuple[Price, ...]:
    return tuple(
        Price(amount=_number("amount", each.amount), currency=each.currency)
        for each in parts.prices.get(row.id, ())
    )


def _stock(row: Row[Any], parts: Parts) -> tuple[StockLevel, ...]:
    return tuple(
        StockLevel(quantity=each.quantity, location=each.location)
        for each in parts.stock.get(row.id, ())
    )


def _number(path: str, value: Any) -> Any:
    try:
        return None if value is None else Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        raise InvalidValueError(path, f"must be a number, is {value!r}") from None
