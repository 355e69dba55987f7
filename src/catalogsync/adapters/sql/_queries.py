"""Reading the rows of many products with a few statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from sqlalchemy import Column, Row, Select, Table, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.models import Field

from ._statements import IDS
from ._tables import (
    category,
    image,
    price,
    product,
    product_category,
    product_tag,
    stock_level,
    tag,
    variant,
    variant_option,
)

__all__ = ["Parts", "Rows", "product_rows", "read_parts"]

Rows: TypeAlias = Mapping[int, Sequence[Row[Any]]]
"""Rows by the id of what they belong to."""

_OF_VARIANTS = frozenset(
    {
        Field.VARIANTS,
        Field.VARIANT_TITLE,
        Field.SKU,
        Field.BARCODE,
        Field.OPTIONS,
        Field.PRICES,
        Field.STOCK,
    }
)


def _of_products(owner: Column[int], *columns: Column[Any]) -> Select[Any]:
    """Columns of what products have, by product."""
    return select(owner, *columns).where(owner.in_(IDS))


def _of_variants(table: Table, *columns: Column[Any]) -> Select[Any]:
    """Columns of what variants have, by variant."""
    return (
        select(table.c.variant_id, *columns)
        .join(variant)
        .where(variant.c.product_id.in_(IDS))
    )


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


_PRODUCTS = select(product).where(
    product.c.source == bindparam("source"), product.c.source_id.in_(IDS)
)
_IMAGES = _of_products(image.c.product_id, image.c.url).order_by(image.c.position)
_LINKS = _of_products(
    product_category.c.product_id, product_category.c.category_id
).order_by(product_category.c.category_id)
_TREE = _tree()
_TAGS = (
    _of_products(product_tag.c.product_id, tag.c.id, tag.c.text)
    .join(tag)
    .order_by(tag.c.id)
)
_VARIANTS = _of_products(
    variant.c.product_id,
    variant.c.id,
    variant.c.source_id,
    variant.c.title,
    variant.c.sku,
    variant.c.barcode,
).order_by(variant.c.id)
_OPTIONS = _of_variants(
    variant_option, variant_option.c.name, variant_option.c.value
).order_by(variant_option.c.position)
_PRICES = _of_variants(price, price.c.currency, price.c.amount)
_STOCK = _of_variants(
    stock_level, stock_level.c.location, stock_level.c.quantity
).order_by(stock_level.c.id)


@attrs.frozen(kw_only=True)
class Parts:
    """What belongs to some products; an empty one where it was not asked for.

    Attributes:
        images: By product.
        links: Ids of categories, by product.
        tree: These categories and all that contain them, by their id.
        tags: By product.
        variants: By product.
        options: By variant.
        prices: By variant.
        stock: By variant.
    """

    images: Rows
    links: Rows
    tree: Mapping[int, Row[Any]]
    tags: Rows
    variants: Rows
    options: Rows
    prices: Rows
    stock: Rows


async def product_rows(
    connection: AsyncConnection, source: str, ids: Sequence[str]
) -> Sequence[Row[Any]]:
    """The rows of one source's products."""
    parameters = {"source": source, "ids": ids}
    return (await connection.execute(_PRODUCTS, parameters)).all()


async def read_parts(
    connection: AsyncConnection, ids: Sequence[int], fields: Collection[Field]
) -> Parts:
    """Read what belongs to these products."""

    async def rows(needed: bool, statement: Select[Any]) -> Sequence[Row[Any]]:
        found: Sequence[Row[Any]] = ()
        if needed:
            found = (await connection.execute(statement, {"ids": ids})).all()
        return found

    categories = Field.CATEGORIES in fields
    variants = not _OF_VARIANTS.isdisjoint(fields)
    return Parts(
        images=_by_owner(await rows(Field.IMAGES in fields, _IMAGES)),
        links=_by_owner(await rows(categories, _LINKS)),
        tree={row.id: row for row in await rows(categories, _TREE)},
        tags=_by_owner(await rows(Field.TAGS in fields, _TAGS)),
        variants=_by_owner(await rows(variants, _VARIANTS)),
        options=_by_owner(await rows(variants, _OPTIONS)),
        prices=_by_owner(await rows(Field.PRICES in fields, _PRICES)),
        stock=_by_owner(await rows(Field.STOCK in fields, _STOCK)),
    )


def _by_owner(rows: Sequence[Row[Any]]) -> Rows:
    owned: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        owned[row[0]].append(row)
    return dict(owned)
