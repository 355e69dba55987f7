"""From rows to the model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, cast

from sqlalchemy import Column, Row, Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

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
    Variant,
)
from catalogsync.protocols import Ambiguous, Held, Ours

from ._tables import (
    IDS,
    category,
    has_key,
    image,
    key_parameters,
    price,
    product,
    product_category,
    product_tag,
    stock_level,
    tag,
    variant,
    variant_option,
)

__all__ = ["find_products"]

_Parts: TypeAlias = Mapping[Table, Mapping[int, Sequence[Row[Any]]]]
"""Rows by table, and by the id of what they belong to."""

_Fields: TypeAlias = AbstractSet[Field]

_NO_SIZE = Dimensions()


async def find_products(
    connection: AsyncConnection, wanted: Sequence[Product], fields: _Fields
) -> dict[ProductKey, Held]:
    """What the database has under the keys of these."""
    keys = {each.key for each in wanted}
    found = await connection.execute(_PRODUCTS, key_parameters(keys))
    rows = {ProductKey(row.source, row.source_id): row for row in found}
    ids = [row.id for row in rows.values()]
    parts: dict[Table, Mapping[int, Sequence[Row[Any]]]] = {}
    for table, (needed_for, statement) in _PARTS.items():
        of_owner = parts[table] = defaultdict[int, list[Row[Any]]](list)
        if ids and not fields.isdisjoint(needed_for):
            for part in await connection.execute(statement, {"ids": ids}):
                of_owner[part[0]].append(part)
    return {key: _held(row, parts, fields) for key, row in rows.items() if key in keys}


# --- the rows ---


def _tree() -> Select[Any]:
    """The categories of products, and all that contain them."""
    own = (
        select(category)
        .join(product_category)
        .where(product_category.c.product_id.in_(IDS))
        .cte("needed", recursive=True)
    )
    above = select(category).join(own, category.c.id == own.c.parent_id)
    return select(own.union(above))


def _of_products(owner: Column[Any], *columns: Column[Any]) -> Select[Any]:
    return select(owner, *columns).where(owner.in_(IDS))


def _of_variants(table: Table, *columns: Column[Any]) -> Select[Any]:
    of_variant = select(table.c.variant_id, *columns).join(variant)
    return of_variant.where(variant.c.product_id.in_(IDS))


_PRODUCTS = select(product).where(has_key(product))
_IMAGES = _of_products(image.c.product_id, image.c.url)
_CATEGORIES = _of_products(
    product_category.c.product_id, product_category.c.category_id
)
_TAGS = _of_products(product_tag.c.product_id, tag.c.id, tag.c.text).join(tag)
_VARIANTS = _of_products(
    variant.c.product_id,
    variant.c.id,
    variant.c.source_id,
    variant.c.title,
    variant.c.sku,
    variant.c.barcode,
)
_OPTIONS = _of_variants(variant_option, variant_option.c.name, variant_option.c.value)
_PRICES = _of_variants(price, price.c.currency, price.c.amount)
_STOCK = _of_variants(stock_level, stock_level.c.location, stock_level.c.quantity)

_OF_VARIANTS = {
    Field.VARIANTS,
    Field.VARIANT_TITLE,
    Field.SKU,
    Field.BARCODE,
    Field.OPTIONS,
    Field.PRICES,
    Field.STOCK,
}
_PARTS: Mapping[Table, tuple[_Fields, Select[Any]]] = {
    image: ({Field.IMAGES}, _IMAGES.order_by(image.c.position, image.c.id)),
    product_category: (
        {Field.CATEGORIES},
        _CATEGORIES.order_by(product_category.c.category_id),
    ),
    category: ({Field.CATEGORIES}, _tree()),  # by its own id
    product_tag: ({Field.TAGS}, _TAGS.order_by(tag.c.id)),
    variant: (_OF_VARIANTS, _VARIANTS.order_by(variant.c.id)),
    variant_option: (_OF_VARIANTS, _OPTIONS.order_by(variant_option.c.position)),
    price: ({Field.PRICES}, _PRICES),
    stock_level: ({Field.STOCK}, _STOCK.order_by(stock_level.c.id)),
}
"""What belongs to products, and the fields that it is needed for."""


# --- products ---


def _held(row: Row[Any], parts: _Parts, fields: _Fields) -> Held:
    """What the database has in a row of `product`, as far as it is asked for.

    A row that somebody changed by hand, so that no product can be like it, is told
    by its number; it does not hurt the others.
    """
    try:
        found = _product(row, parts, fields)
    except (ValueError, TypeError) as error:
        problem = f"row {row.id} of table product is no product: {error}"
        return Ambiguous(reason=problem)
    references = {
        Field.CATEGORIES: {
            str(each.id): each.name
            for link in parts[product_category][row.id]
            for each in parts[category][link.category_id]
        },
        Field.TAGS: {str(t.id): t.text for t in parts[product_tag][row.id]},
    }
    return Ours(
        product=found,
        receipt=row.receipt,
        references={f: names for f, names in references.items() if f in fields},
        native=row.id,
    )


def _product(row: Row[Any], parts: _Parts, fields: _Fields) -> Product:
    values = {
        field.value: read(row, parts)
        for field, read in _FIELDS.items()
        if field in fields
    }
    variants = [_variant(each, parts, fields) for each in parts[variant][row.id]]
    if variants:
        values["variants"] = variants
    return Product(key=ProductKey(row.source, row.source_id), title=row.title, **values)


def _dimensions(row: Row[Any], _: _Parts) -> Dimensions | None:
    size = Dimensions(
        length=_decimal(row.length),
        width=_decimal(row.width),
        height=_decimal(row.height),
    )
    return None if size == _NO_SIZE else size


def _attributes(row: Row[Any], _: _Parts) -> Mapping[str, Json]:
    tree: object = json.loads(row.attributes) if row.attributes else {}
    if not isinstance(tree, dict):
        raise InvalidValueError("attributes", "must be a JSON object")
    return cast("dict[str, Json]", tree)


def _images(row: Row[Any], parts: _Parts) -> list[Image]:
    # Somebody else may have added the same one at the same time.
    urls = dict.fromkeys(each.url for each in parts[image][row.id])
    return [Image(url=url) for url in urls]


def _categories(row: Row[Any], parts: _Parts) -> list[Category]:
    """Those of the product's own source; others' have no id in it."""
    links = parts[product_category][row.id]
    found = (_category(link.category_id, row.source, parts[category]) for link in links)
    return [each for each in found if each]


def _category(
    id_: int, source: str, tree: Mapping[int, Sequence[Row[Any]]]
) -> Category | None:
    line: dict[int, Row[Any]] = {}  # upwards; ends at others', and in a circle
    above = tree[id_]
    while above and above[0].source == source and above[0].id not in line:
        line[above[0].id] = above[0]
        above = tree[above[0].parent_id]
    found = None
    for row in reversed(line.values()):
        found = Category(id=row.source_id, name=row.name, parent=found)
    return found


_FIELDS: Mapping[Field, Callable[[Row[Any], _Parts], Any]] = {
    Field.DESCRIPTION: lambda row, _: row.description,
    Field.BRAND: lambda row, _: row.brand,
    Field.STATUS: lambda row, _: ProductStatus(row.status) if row.status else UNSET,
    Field.THUMBNAIL: lambda row, _: row.thumbnail,
    Field.WEIGHT: lambda row, _: _decimal(row.weight),
    Field.DIMENSIONS: _dimensions,
    Field.ATTRIBUTES: _attributes,
    Field.IMAGES: _images,
    Field.TAGS: lambda row, parts: [t.text for t in parts[product_tag][row.id]],
    Field.CATEGORIES: _categories,
}


# --- variants ---


def _variant(row: Row[Any], parts: _Parts, fields: _Fields) -> Variant:
    lists: dict[str, Any] = {}
    try:
        if Field.PRICES in fields:
            lists["prices"] = [
                Price(amount=cast("Decimal", _decimal(p.amount)), currency=p.currency)
                for p in parts[price][row.id]
            ]
        if Field.STOCK in fields:
            lists["stock"] = [
                StockLevel(quantity=level.quantity, location=level.location)
                for level in parts[stock_level][row.id]
            ]
        return Variant(
            id=row.source_id,
            title=row.title or UNSET,
            sku=row.sku,
            barcode=row.barcode,
            options={each.name: each.value for each in parts[variant_option][row.id]},
            **lists,
        )
    except InvalidValueError as error:
        raise error.under(f"variants.{row.source_id}") from None


def _decimal(value: Decimal | str | None) -> Decimal | None:
    try:
        return None if value is None else Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
