"""From rows to the model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.changes import Ambiguous, Held, Ours
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

__all__ = ["Parts", "find_products", "held", "owned_page", "read_parts"]

Parts: TypeAlias = Mapping[sa.Table, Mapping[int, Sequence[sa.Row[Any]]]]
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
    parts = await read_parts(connection, [row.id for row in rows.values()], fields)
    return {k: held(row, parts, fields, k) for k, row in rows.items() if k in keys}


async def owned_page(
    connection: AsyncConnection, source: str, after: object
) -> Sequence[Ours]:
    """The next products of a source, by their rows, after the row *after*."""
    found = await connection.execute(_OWNED, {"of": source, "after": after})
    return [
        Ours(
            product=Product(
                key=ProductKey(source, row.source_id),
                # What somebody typed in by hand must not keep it from being pruned.
                title=row.title or row.source_id,
                status=_status(row.status),
            ),
            receipt=row.receipt,
            native=row.id,
        )
        for row in found
    ]


async def read_parts(
    connection: AsyncConnection, ids: Sequence[int], fields: _Fields
) -> Parts:
    """What belongs to the products in these rows, as far as the fields need it."""
    parts: dict[sa.Table, Mapping[int, Sequence[sa.Row[Any]]]] = {}
    for table, (needed_for, owner, statement) in _PARTS.items():
        of_owner = parts[table] = defaultdict[int, list[sa.Row[Any]]](list)
        if ids and not fields.isdisjoint(needed_for):
            for part in await connection.execute(statement, {"ids": ids}):
                of_owner[getattr(part, owner)].append(part)
    return parts


# --- the rows ---


def _tree() -> sa.Select[Any]:
    """The categories of products, and all that contain them."""
    own = (
        sa.select(category)
        .join(product_category)
        .where(product_category.c.product_id.in_(IDS))
        .cte("needed", recursive=True)
    )
    above = sa.select(category).join(own, category.c.id == own.c.parent_id)
    return sa.select(own.union(above))


def _rows_of(table: sa.Table) -> sa.Select[Any]:
    """The rows of a table that belong to products, or to their variants."""
    if "product_id" in table.c:
        return sa.select(table).where(table.c.product_id.in_(IDS))
    return sa.select(table).join(variant).where(variant.c.product_id.in_(IDS))


_PRODUCTS = sa.select(product).where(has_key(product))
_STATUSES = frozenset(ProductStatus)
_OWNED = (
    sa.select(
        product.c.id,
        product.c.source_id,
        product.c.title,
        product.c.status,
        product.c.receipt,
    )
    .where(
        product.c.source == sa.bindparam("of"),
        product.c.source_id != "",
        product.c.id > sa.bindparam("after"),
    )
    .order_by(product.c.id)
    .limit(1000)
)
_CATEGORIES = _rows_of(product_category).order_by(product_category.c.category_id)
_TAGS = _rows_of(product_tag).add_columns(tag.c.text).join(tag).order_by(tag.c.id)
_OF_VARIANTS = {
    Field.VARIANTS,
    Field.VARIANT_TITLE,
    Field.SKU,
    Field.BARCODE,
    Field.OPTIONS,
    Field.PRICES,
    Field.STOCK,
}
_PARTS: Mapping[sa.Table, tuple[_Fields, str, sa.Select[Any]]] = {
    image: (
        {Field.IMAGES},
        "product_id",
        _rows_of(image).order_by(image.c.position, image.c.id),
    ),
    product_category: ({Field.CATEGORIES}, "product_id", _CATEGORIES),
    category: ({Field.CATEGORIES}, "id", _tree()),
    product_tag: ({Field.TAGS}, "product_id", _TAGS),
    variant: (_OF_VARIANTS, "product_id", _rows_of(variant).order_by(variant.c.id)),
    variant_option: (
        _OF_VARIANTS,
        "variant_id",
        _rows_of(variant_option).order_by(variant_option.c.position),
    ),
    price: ({Field.PRICES}, "variant_id", _rows_of(price)),
    stock_level: (
        {Field.STOCK},
        "variant_id",
        _rows_of(stock_level).order_by(stock_level.c.id),
    ),
}
"""What belongs to products: the fields that need it, whose it is, and its rows."""


# --- products ---


def held(row: sa.Row[Any], parts: Parts, fields: _Fields, key: ProductKey) -> Held:
    """What the database has in a row of `product`, as far as it is asked for.

    A row that somebody changed by hand, so that no product can be like it, is told
    by its number; it does not hurt the others.
    """
    try:
        found = _product(row, parts, fields, key)
    except (ValueError, TypeError) as error:
        problem = f"row {row.id} of table product is no product: {error}"
        return Ambiguous(reason=problem)
    references = {
        Field.CATEGORIES: {
            str(each.id): each.name
            for link in parts[product_category][row.id]
            for each in parts[category][link.category_id]
        },
        Field.TAGS: {str(t.tag_id): t.text for t in parts[product_tag][row.id]},
    }
    return Ours(
        product=found,
        receipt=row.receipt,
        references={f: names for f, names in references.items() if f in fields},
        native=row.id,
    )


def _product(
    row: sa.Row[Any], parts: Parts, fields: _Fields, key: ProductKey
) -> Product:
    values = {
        field.value: read(row, parts)
        for field, read in _FIELDS.items()
        if field in fields
    }
    if Field.CATEGORIES in fields:
        values["categories"] = _categories(row, parts, key.source)
    variants = [_variant(each, parts, fields) for each in parts[variant][row.id]]
    if variants:
        values["variants"] = variants
    return Product(key=key, title=row.title, **values)


def _status(text: str | None) -> ProductStatus | Unset:
    """The status; a word of the shop's own is none of ours to judge."""
    return ProductStatus(text) if text in _STATUSES else UNSET


def _dimensions(row: sa.Row[Any], _: Parts) -> Dimensions | None:
    size = Dimensions(
        length=_decimal(row.length),
        width=_decimal(row.width),
        height=_decimal(row.height),
    )
    return None if size == _NO_SIZE else size


def _attributes(row: sa.Row[Any], _: Parts) -> Mapping[str, Json]:
    tree: object = json.loads(row.attributes) if row.attributes else {}
    if not isinstance(tree, dict):
        raise InvalidValueError("attributes", "must be a JSON object")
    return cast("dict[str, Json]", tree)


def _images(row: sa.Row[Any], parts: Parts) -> list[Image]:
    # Somebody else may have added the same one at the same time.
    urls = dict.fromkeys(each.url for each in parts[image][row.id])
    return [Image(url=url) for url in urls]


def _categories(row: sa.Row[Any], parts: Parts, source: str) -> list[Category]:
    """Those of the product's own source; others' have no id in it."""
    links = parts[product_category][row.id]
    found = (_category(link.category_id, source, parts[category]) for link in links)
    return [each for each in found if each]


def _category(
    id_: int, source: str, tree: Mapping[int, Sequence[sa.Row[Any]]]
) -> Category | None:
    line: dict[int, sa.Row[Any]] = {}  # upwards; ends at others', and in a circle
    above = tree[id_]
    while above and above[0].source == source and above[0].id not in line:
        line[above[0].id] = above[0]
        above = tree[above[0].parent_id]
    found = None
    for row in reversed(line.values()):
        found = Category(id=row.source_id, name=row.name, parent=found)
    return found


_FIELDS: Mapping[Field, Callable[[sa.Row[Any], Parts], Any]] = {
    Field.DESCRIPTION: lambda row, _: row.description,
    Field.BRAND: lambda row, _: row.brand,
    Field.STATUS: lambda row, _: _status(row.status),
    Field.THUMBNAIL: lambda row, _: row.thumbnail,
    Field.WEIGHT: lambda row, _: _decimal(row.weight),
    Field.DIMENSIONS: _dimensions,
    Field.ATTRIBUTES: _attributes,
    Field.IMAGES: _images,
    Field.TAGS: lambda row, parts: [t.text for t in parts[product_tag][row.id]],
}


# --- variants ---


def _variant(row: sa.Row[Any], parts: Parts, fields: _Fields) -> Variant:
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
