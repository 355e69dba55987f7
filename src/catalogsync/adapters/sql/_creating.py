"""Writing new products into SQLite, whose next ids are known before they are written.

There is one writer at a time, so no id has to be read back, and each table gets all its
rows with one statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.catalog.changes import Create
from catalogsync.catalog.products import (
    DETAILS,
    GROUPS,
    UNSET,
    Field,
    Product,
    Variant,
)

from . import _tables as tables

__all__ = ["attributes_text", "create", "given"]

_Row: TypeAlias = tuple[Any, ...]

_NO_SIDES = (None, None, None)
_NEXT = """
SELECT 1 + max(
    coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = '{0}'), 0),
    coalesce((SELECT max(id) FROM {0}), 0)
)
"""


async def create(connection: AsyncConnection, changes: Sequence[Create]) -> None:
    """Write new products into SQLite, without committing."""
    product = await _next(connection, tables.product)
    variant = await _next(connection, tables.variant)
    rows = _Rows()
    for id_, change in enumerate(changes, product):
        rows.products.append(_product_row(id_, change))
        rows.add_lists(id_, change)
        for each in change.product.variants or ():
            rows.add_variant(variant, id_, each)
            variant += 1
    for table, columns, found in rows.statements():
        if found:
            await connection.exec_driver_sql(_insert(table, columns), found)


async def _next(connection: AsyncConnection, table: sa.Table) -> int:
    """The next id; one that was used before is not used again."""
    found = await connection.exec_driver_sql(_NEXT.format(table.name))
    return int(found.scalar_one())


def _insert(table: sa.Table, columns: Sequence[str]) -> str:
    names = ", ".join(table.c[name].name for name in columns)
    return (
        f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - names of our tables
    )


class _Rows:
    """Rows by table."""

    __slots__ = (
        "categories", "images", "levels", "options", "prices", "products", "tags", "variants"
    )  # fmt: skip

    def __init__(self) -> None:
        self.products: list[_Row] = []
        self.images: list[_Row] = []
        self.categories: list[_Row] = []
        self.tags: list[_Row] = []
        self.variants: list[_Row] = []
        self.options: list[_Row] = []
        self.prices: list[_Row] = []
        self.levels: list[_Row] = []

    def add_lists(self, id_: int, change: Create) -> None:
        """Add images, categories and tags."""
        fields, references = change.fields, change.references
        if Field.IMAGES in fields and change.product.images:
            images = enumerate(change.product.images)
            self.images += [(id_, place, image.url) for place, image in images]
        for field, rows in (
            (Field.CATEGORIES, self.categories),
            (Field.TAGS, self.tags),
        ):
            if field in fields and (found := references.get(field)):
                rows += [(id_, int(each)) for each in dict.fromkeys(found)]

    def add_variant(self, id_: int, product: int, new: Variant) -> None:
        """Add a variant with its lists."""
        self.variants.append(
            (
                id_,
                product,
                new.id,
                given(new.title),
                given(new.sku),
                given(new.barcode),
                _digits(given(new.weight)),
                *_sides(new),
            )
        )
        for place, (name, text) in enumerate(new.options.items()):
            self.options.append((id_, name, text, place))
        for price in new.prices or ():
            self.prices.append((id_, price.currency, _digits(price.amount)))
        for level in new.stock or ():
            self.levels.append((id_, level.location, level.quantity))

    def statements(self) -> Iterator[tuple[sa.Table, Sequence[str], list[_Row]]]:
        """Tables with their columns and rows, owners first."""
        yield tables.product, _PRODUCT, self.products
        yield tables.image, ("product_id", "position", "url"), self.images
        yield tables.product_category, ("product_id", "category_id"), self.categories
        yield tables.product_tag, ("product_id", "tag_id"), self.tags
        yield tables.variant, _VARIANT, self.variants
        option = ("variant_id", "name", "value", "position")
        yield tables.variant_option, option, self.options
        yield tables.price, ("variant_id", "currency", "amount"), self.prices
        yield tables.stock_level, ("variant_id", "location", "quantity"), self.levels


_PRODUCT = (
    *("id", "source", "source_id", "title", "description", "brand", "status"),
    *("thumbnail", "weight", "length", "width", "height", "attributes", "last_applied"),
    *(*DETAILS, *GROUPS, Field.DISCOUNTABLE),
)
_VARIANT = (
    *("id", "product_id", "source_id", "title", "sku", "barcode"),
    *("weight", "length", "width", "height"),
)


def _product_row(id_: int, change: Create) -> _Row:
    new = change.product
    return (
        id_,
        new.key.source,
        new.key.id,
        new.title,
        given(new.description),
        given(new.brand),
        None if new.status is UNSET else new.status.value,
        given(new.thumbnail),
        _digits(given(new.weight)),
        *_sides(new),
        attributes_text(new),
        change.last_applied,
        *(given(getattr(new, field)) for field in (*DETAILS, *GROUPS)),
        given(new.discountable),
    )


def _sides(of: Product | Variant) -> tuple[str | None, ...]:
    """Length, width and height."""
    if not (size := of.dimensions):
        return _NO_SIDES
    return (_digits(size.length), _digits(size.width), _digits(size.height))


def _digits(amount: Decimal | None) -> str | None:
    """A number as the tables have it in SQLite."""
    return None if amount is None else format(amount, "f")


def given(value: Any) -> Any:
    """A value, or None if the source supplies none."""
    return None if value is UNSET else value


def attributes_text(product: Product) -> str | None:
    """The attributes as JSON; None: there are none."""
    if not product.attributes:
        return None
    # `default=dict` is for nested mappings that are not dicts.
    text = json.dumps(product.attributes, ensure_ascii=False, default=dict)
    # An attribute added in the store may contain an unpaired surrogate.
    return text.encode(errors="backslashreplace").decode()
