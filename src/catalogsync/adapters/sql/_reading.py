"""Reading rows as products."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Set as AbstractSet
from functools import lru_cache
from typing import Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.catalog import lenient
from catalogsync.catalog.changes import Existing, Found
from catalogsync.catalog.products import (
    GROUPS,
    TEXTS,
    UNSET,
    VARIANT_FIELDS,
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
    unchecked,
)
from catalogsync.errors import InvalidValueError

from ._digests import Parts, RowId, digest
from ._tables import (
    IDS,
    Lacking,
    category,
    columns_of,
    has_key,
    image,
    key_parameters,
    lacking,
    price,
    product,
    product_category,
    product_tag,
    stock_level,
    tag,
    variant,
    variant_option,
)

_Fields: TypeAlias = AbstractSet[Field]

_NO_SIZE = Dimensions()
_CACHED = 4096
_LONGEST_CACHED = 40


async def find_products(
    connection: AsyncConnection, desired: Sequence[Product], fields: _Fields
) -> dict[ProductKey, Found]:
    """Find products by key."""
    keys = {each.key for each in desired}
    statement = _with_keys(lacking(connection))
    found = await connection.execute(statement, key_parameters(keys))
    rows = {ProductKey(row.source, row.source_id): row for row in found}
    parts = await read_parts(connection, [row.id for row in rows.values()], fields)
    return {k: existing(row, parts, fields, k) for k, row in rows.items() if k in keys}


async def digests(
    connection: AsyncConnection, keys: Collection[ProductKey], fields: _Fields
) -> dict[ProductKey, str]:
    """Digests of products by key, as `RowId.digest` has them."""
    statement = _with_keys(lacking(connection))
    found = await connection.execute(statement, key_parameters(keys))
    rows = {row.id: row for row in found}
    parts = await read_parts(connection, [*rows], fields)
    by_key = {(row.source, row.source_id): row for row in rows.values()}
    return {
        key: digest(row, parts)
        for key in keys
        if (row := by_key.get((key.source, key.id))) is not None
    }


async def owned_page(
    connection: AsyncConnection, source: str, after: object
) -> Sequence[Existing]:
    """The next products of a source, after the row *after*."""
    page: list[Existing] = []
    while not page:
        found = await connection.execute(_OWNED, {"of": source, "after": after})
        rows: list[Any] = list(found)
        if not rows:
            break
        after = rows[-1].id
        page = [each for row in rows if (each := _owned(row, source))]
    return page


def _owned(row: sa.Row[Any], source: str) -> Existing | None:
    try:
        key = ProductKey(source, row.source_id)
    except InvalidValueError:  # no source can have this key, so it is not ours
        return None
    title = lenient.text(row.title) or row.source_id
    return Existing(
        product=unchecked(Product, key=key, title=title, status=_status(row.status)),
        last_applied=lenient.text(row.receipt),
        native=row.id,
        sink_id=str(row.id),
    )


async def read_parts(
    connection: AsyncConnection, ids: Sequence[int], fields: _Fields
) -> Parts:
    """The rows of other tables that belong to these products, for these fields."""
    parts: dict[sa.Table, Mapping[int, Sequence[sa.Row[Any]]]] = {}
    for table, (needed_for, owner, statement) in _PARTS.items():
        of_owner = parts[table] = defaultdict[int, list[sa.Row[Any]]](list)
        if ids and not fields.isdisjoint(needed_for):
            is_variant = table is variant
            rows = _variants(lacking(connection)) if is_variant else statement
            found = await connection.execute(rows, {"ids": ids})
            for part in found.all():
                of_owner[getattr(part, owner)].append(part)
    return parts


# --- the rows ---


def _tree() -> sa.Select[Any]:
    """The categories of products, with all their ancestors.

    The last-applied column is left out: a table of an earlier version lacks it until
    the first write.
    """
    columns = [column for column in category.c if column.key != "last_applied"]
    own = (
        sa.select(*columns)
        .join(product_category)
        .where(product_category.c.product_id.in_(IDS))
        .cte("needed", recursive=True)
    )
    above = sa.select(*columns).join(own, category.c.id == own.c.parent_id)
    return sa.select(own.union(above))


def _rows_of(table: sa.Table) -> sa.Select[Any]:
    """The rows of a table that belong to products, or to their variants."""
    if "product_id" in table.c:
        return sa.select(table).where(table.c.product_id.in_(IDS))
    return sa.select(table).join(variant).where(variant.c.product_id.in_(IDS))


@lru_cache
def _variants(lacking: Lacking) -> sa.Select[Any]:
    """All variants of products; columns that do not exist yet are NULL."""
    rows = sa.select(*columns_of(variant, lacking))
    return rows.where(variant.c.product_id.in_(IDS)).order_by(variant.c.id)


@lru_cache
def _with_keys(lacking: Lacking) -> sa.Select[Any]:
    return sa.select(*columns_of(product, lacking)).where(has_key(product))


_STATUSES = frozenset(ProductStatus)
_OWNED = (
    sa.select(
        product.c.id,
        product.c.source_id,
        product.c.title,
        product.c.status,
        product.c.last_applied,
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
_OF_VARIANTS = {Field.VARIANTS, Field.OPTIONS, *VARIANT_FIELDS}
_PARTS: Mapping[sa.Table, tuple[_Fields, str, sa.Select[Any]]] = {
    image: (
        {Field.IMAGES},
        "product_id",
        _rows_of(image).order_by(image.c.position, image.c.id),
    ),
    product_category: ({Field.CATEGORIES}, "product_id", _CATEGORIES),
    category: ({Field.CATEGORIES}, "id", _tree()),
    product_tag: ({Field.TAGS}, "product_id", _TAGS),
    variant: (_OF_VARIANTS, "product_id", _variants(frozenset[Field]())),
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
"""By table: the fields that need it, the column of the owner, and the query."""


# --- products ---


def existing(
    row: sa.Row[Any], parts: Parts, fields: _Fields, key: ProductKey
) -> Existing:
    """The product in a row of `product`, with these fields."""
    references = {
        Field.CATEGORIES: {
            str(each.id): str(each.name)
            for link in parts[product_category][row.id]
            for each in parts[category][link.category_id]
        },
        Field.TAGS: {str(t.tag_id): str(t.text) for t in parts[product_tag][row.id]},
        **{f: _group(getattr(row, f.value)) for f in GROUPS},
    }
    return Existing(
        product=_product(row, parts, fields, key),
        last_applied=lenient.text(row.receipt),
        references={f: names for f, names in references.items() if f in fields},
        native=RowId.of(row, parts),
        sink_id=str(row.id),
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
    variants = tuple(_variant(each, parts, fields) for each in parts[variant][row.id])
    if variants:
        values["variants"] = variants
    title = lenient.text(row.title) or ""
    return unchecked(Product, key=key, title=title, **values)


def _group(value: object) -> Mapping[str, str]:
    """A type or collection, whose name is its id."""
    name = lenient.text(value)
    return {} if name is None else {name: name}


def _status(text: str | None) -> ProductStatus | Unset:
    """The status; `UNSET` if people use a status of their own."""
    return ProductStatus(text) if text in _STATUSES else UNSET


def _dimensions(row: sa.Row[Any], _: Parts | None = None) -> Dimensions | None:
    size = unchecked(
        Dimensions,
        length=lenient.amount(row.length),
        width=lenient.amount(row.width),
        height=lenient.amount(row.height),
    )
    return None if size == _NO_SIZE else size


def _attributes(row: sa.Row[Any], _: Parts) -> Mapping[str, Json] | str:
    """The attributes; the text itself if it is not a JSON object."""
    text = lenient.text(row.attributes)
    if text is None:
        return {}
    try:
        tree: object = json.loads(text, parse_constant=str, parse_float=_float)
    except (ValueError, RecursionError):
        return text
    return cast("dict[str, Json]", tree) if isinstance(tree, dict) else text


def _float(text: str) -> float | str:
    """A number; its text if it is infinite as a float."""
    number = float(text)
    return number if math.isfinite(number) else text


def _images(row: sa.Row[Any], parts: Parts) -> tuple[Image, ...]:
    # Someone else may have added the same image at the same time.
    urls = dict.fromkeys(str(each.url) for each in parts[image][row.id])
    return tuple(unchecked(Image, url=url) for url in urls)


def _categories(row: sa.Row[Any], parts: Parts, source: str) -> tuple[Category, ...]:
    """The categories from the product's own source; others have no id in it."""
    links = parts[product_category][row.id]
    found = (_category(link.category_id, source, parts[category]) for link in links)
    return tuple(each for each in found if each)


def _category(
    id_: int, source: str, tree: Mapping[int, Sequence[sa.Row[Any]]]
) -> Category | None:
    # Upwards, until a category of another source or a cycle.
    line: dict[int, sa.Row[Any]] = {}
    above = tree[id_]
    while above and above[0].source == source and above[0].id not in line:
        line[above[0].id] = above[0]
        above = tree[above[0].parent_id]
    found = None
    for row in reversed(line.values()):
        found = unchecked(
            Category, id=str(row.source_id), name=str(row.name), parent=found
        )
    return found


def _text(column: str) -> Callable[[sa.Row[Any], Parts], str | None]:
    return lambda row, _: lenient.text(getattr(row, column))


_FIELDS: Mapping[Field, Callable[[sa.Row[Any], Parts], Any]] = {
    **{field: _text(field.value) for field in (*TEXTS, *GROUPS)},
    Field.STATUS: lambda row, _: _status(row.status),
    Field.DISCOUNTABLE: lambda row, _: (
        UNSET if row.discountable is None else row.discountable
    ),
    Field.WEIGHT: lambda row, _: lenient.amount(row.weight),
    Field.DIMENSIONS: _dimensions,
    Field.ATTRIBUTES: _attributes,
    Field.IMAGES: _images,
    Field.TAGS: lambda row, parts: tuple(
        str(t.text) for t in parts[product_tag][row.id]
    ),
}


# --- variants ---


def _variant(row: sa.Row[Any], parts: Parts, fields: _Fields) -> Variant:
    lists: dict[str, Any] = {}
    if Field.PRICES in fields:
        lists["prices"] = tuple(map(_price, parts[price][row.id]))
    if Field.STOCK in fields:
        lists["stock"] = tuple(map(_level, parts[stock_level][row.id]))
    return unchecked(
        Variant,
        id=str(row.source_id),
        title=lenient.text(row.title) or UNSET,
        sku=lenient.text(row.sku),
        barcode=lenient.text(row.barcode),
        weight=lenient.amount(row.weight),
        dimensions=_dimensions(row),
        options={str(o.name): str(o.value) for o in parts[variant_option][row.id]},
        **lists,
    )


def _price(row: sa.Row[Any]) -> Price:
    amount, currency = row.amount, row.currency
    if (
        type(amount) is type(currency) is str
        and len(amount) + len(currency) <= _LONGEST_CACHED
    ):
        return _cached_price(amount, currency)
    return unchecked(Price, amount=lenient.amount(amount), currency=str(currency))


@lru_cache(_CACHED)
def _cached_price(amount: str, currency: str) -> Price:
    return unchecked(Price, amount=lenient.amount(amount), currency=str(currency))


def _level(row: sa.Row[Any]) -> StockLevel:
    quantity, location = row.quantity, row.location
    if type(quantity) is int and location is None:
        return _cached_level(quantity)
    return unchecked(
        StockLevel,
        quantity=lenient.quantity(quantity),
        location=lenient.text(location),
    )


@lru_cache(_CACHED)
def _cached_level(quantity: int) -> StockLevel:
    return unchecked(StockLevel, quantity=lenient.quantity(quantity), location=None)
