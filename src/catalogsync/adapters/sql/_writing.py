"""Bringing changes about, inside one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import (
    Column,
    Executable,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.errors import ConflictError
from catalogsync.models import Dimensions, Field, Product, ProductKey, Unset, Variant
from catalogsync.protocols import Action, Change, VariantChange

from ._tables import (
    IDS,
    NewRow,
    has_key,
    image,
    key_parameters,
    price,
    product,
    product_category,
    product_tag,
    stock_level,
    variant,
    variant_option,
)

__all__ = ["write_changes"]


async def write_changes(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Write a batch; who began the transaction ends it.

    Raises:
        ConflictError: A product or variant is no longer there as it was found.
    """
    new = [_product_row(c) for c in changes if c.action is Action.CREATE]
    await _execute(connection, insert(product), new)
    targets = await _find_rows(connection, changes)
    updated = [
        (id_, {**_product_columns(c.product, c.fields), "receipt": c.receipt})
        for id_, c in targets
        if c.action is Action.UPDATE
    ]
    await _update(connection, product, updated)
    lists = _Lists()
    for id_, change in targets:
        _put_product_lists(lists, id_, change)
    await _write_variants(connection, targets, lists)
    await lists.write(connection)


# --- products ---

_PLAIN = frozenset(
    {
        Field.TITLE,
        Field.DESCRIPTION,
        Field.BRAND,
        Field.STATUS,
        Field.THUMBNAIL,
        Field.WEIGHT,
    }
)
_COLUMNS = _PLAIN | {Field.DIMENSIONS, Field.ATTRIBUTES}
_LOCKED = (
    select(product.c.id, product.c.source, product.c.source_id)
    .where(has_key(product))
    .order_by(product.c.id)
    .with_for_update()
)


def _product_row(change: Change) -> NewRow:
    key = {"source": change.key.source, "source_id": change.key.id}
    return {
        **key,
        **_product_columns(change.product, _COLUMNS),
        "receipt": change.receipt,
    }


def _product_columns(wanted: Product, fields: Collection[Field]) -> NewRow:
    """The columns of these fields; what is not supplied is empty."""
    row = {f.value: _given(getattr(wanted, f)) for f in _PLAIN.intersection(fields)}
    if Field.DIMENSIONS in fields:
        size = wanted.dimensions or Dimensions()
        row |= {"length": size.length, "width": size.width, "height": size.height}
    if Field.ATTRIBUTES in fields:
        # A `Mapping` inside is an object.
        text = json.dumps(wanted.attributes or {}, ensure_ascii=False, default=dict)
        row["attributes"] = text if wanted.attributes else None
    return row


def _given(value: Any) -> Any:
    return None if isinstance(value, Unset) else value


async def _find_rows(
    connection: AsyncConnection, changes: Sequence[Change]
) -> list[tuple[int, Change]]:
    """The changes, each with its product's row, which is locked if it can be."""
    keys = key_parameters([change.key for change in changes])
    ids = {
        ProductKey(row.source, row.source_id): row.id
        for row in await connection.execute(_LOCKED, keys)
    }
    for change in changes:
        id_ = ids.get(change.key)
        if id_ is None or (change.held and change.held.native != id_):
            raise ConflictError(f"{change.key} was removed meanwhile")
    return [(ids[change.key], change) for change in changes]


# --- lists ---


@attrs.frozen
class _Lists:
    """What becomes of the rows that are the elements of lists.

    Only rows that were found are removed or replaced: what others added since then
    stays, and what they took the place of is a conflict.
    """

    _gone: Mapping[Table, list[NewRow]] = attrs.field(
        factory=lambda: defaultdict[Table, list[NewRow]](list)
    )
    _new: Mapping[Table, list[NewRow]] = attrs.field(
        factory=lambda: defaultdict[Table, list[NewRow]](list)
    )

    def put(
        self,
        table: Table,
        owner: int,
        found: Iterable[NewRow],
        wanted: Iterable[NewRow],
    ) -> None:
        """Turn the rows of an owner that were found into those that are wanted."""
        owner_column, element = _ELEMENTS[table]
        before = {row[element.name]: row for row in found}
        after = {row[element.name]: row for row in wanted}
        for name, row in before.items():
            if after.get(name) != row:
                self._gone[table].append({"owner": owner, "element": name})
        for name, row in after.items():
            if before.get(name) != row:
                self._new[table].append({owner_column.name: owner, **row})

    async def write(self, connection: AsyncConnection) -> None:
        """Write all of it."""
        for table, (owner, element) in _ELEMENTS.items():
            old = delete(table).where(
                owner == bindparam("owner"),
                element.is_not_distinct_from(bindparam("element")),
            )
            await _execute(connection, old, self._gone[table])
            await _execute(connection, insert(table), self._new[table])


_ELEMENTS: Mapping[Table, tuple[Column[Any], Column[Any]]] = {
    image: (image.c.product_id, image.c.url),
    product_category: (product_category.c.product_id, product_category.c.category_id),
    product_tag: (product_tag.c.product_id, product_tag.c.tag_id),
    variant_option: (variant_option.c.variant_id, variant_option.c.name),
    price: (price.c.variant_id, price.c.currency),
    stock_level: (stock_level.c.variant_id, stock_level.c.location),
}
"""Whose element a row is, and what tells it from the others of the same list."""


def _put_product_lists(lists: _Lists, id_: int, change: Change) -> None:
    held, wanted = change.held, change.product
    if Field.IMAGES in change.fields:
        # Their positions are not known, so all are placed anew.
        before = [{"url": i.url} for i in (held.product.images if held else ()) or ()]
        after = [
            {"url": i.url, "position": n} for n, i in enumerate(wanted.images or ())
        ]
        lists.put(image, id_, before, after)
    for field, table, column in (
        (Field.CATEGORIES, product_category, "category_id"),
        (Field.TAGS, product_tag, "tag_id"),
    ):
        if field in change.fields:
            found = held.references.get(field, ()) if held else ()
            before = [{column: int(each)} for each in found]
            after = [{column: int(each)} for each in change.references.get(field, ())]
            lists.put(table, id_, before, after)


# --- variants ---

_VARIANT_COLUMNS = {
    Field.VARIANT_TITLE: "title",
    Field.SKU: "sku",
    Field.BARCODE: "barcode",
}
_VARIANT_LISTS = {
    Field.OPTIONS: variant_option,
    Field.PRICES: price,
    Field.STOCK: stock_level,
}
_VARIANT_IDS = select(variant.c.product_id, variant.c.source_id, variant.c.id).where(
    variant.c.product_id.in_(IDS)
)
_REMOVE = delete(variant).where(
    variant.c.product_id == bindparam("owner"),
    variant.c.source_id == bindparam("key"),
)


async def _write_variants(
    connection: AsyncConnection, targets: Iterable[tuple[int, Change]], lists: _Lists
) -> None:
    """Write the rows of variants, and collect what becomes of their lists."""
    every = [
        (id_, each, before)
        for id_, change in targets
        for each, before in _variant_changes(change)
    ]
    removed = [
        {"owner": id_, "key": each.variant.id}
        for id_, each, _ in every
        if each.action is Action.REMOVE
    ]
    added = [
        {"product_id": id_, "source_id": each.variant.id, **_variant_columns(each)}
        for id_, each, _ in every
        if each.action is Action.ADD
    ]
    await _execute(connection, _REMOVE, removed)
    await _execute(connection, insert(variant), added)
    kept = [item for item in every if item[1].action is not Action.REMOVE]
    ids = await _variant_ids(connection, [(id_, each.variant) for id_, each, _ in kept])
    updated = [
        (row, _variant_columns(each))
        for row, (_, each, _) in zip(ids, kept, strict=True)
        if each.action is Action.UPDATE
    ]
    await _update(connection, variant, updated)
    for row, (_, each, before) in zip(ids, kept, strict=True):
        _put_variant_lists(lists, row, each, before)


def _variant_changes(
    change: Change,
) -> Iterator[tuple[VariantChange, Variant | None]]:
    """What happens to each variant, and how it was found."""
    if change.held is None:
        for each in change.product.variants or ():
            yield VariantChange(action=Action.ADD, variant=each), None
        return
    before = {each.id: each for each in change.held.product.variants or ()}
    for each in change.variants:
        yield each, before.get(each.variant.id)


def _variant_columns(change: VariantChange) -> NewRow:
    """The columns that change; what is not supplied is empty."""
    is_new = change.action is Action.ADD
    return {
        name: _given(getattr(change.variant, name))
        for field, name in _VARIANT_COLUMNS.items()
        if is_new or field in change.fields
    }


async def _variant_ids(
    connection: AsyncConnection, variants: Sequence[tuple[int, Variant]]
) -> list[int]:
    """The rows of variants, each given with the row of its product."""
    if not variants:
        return []
    products = list({id_ for id_, _ in variants})
    ids = {
        (row.product_id, row.source_id): row.id
        for row in await connection.execute(_VARIANT_IDS, {"ids": products})
    }
    try:
        return [ids[id_, each.id] for id_, each in variants]
    except KeyError as error:
        product_id, name = error.args[0]
        problem = f"variant {name} of row {product_id} was removed meanwhile"
        raise ConflictError(problem) from None


def _put_variant_lists(
    lists: _Lists, id_: int, change: VariantChange, before: Variant | None
) -> None:
    found = _list_rows(before) if before else {}
    wanted = _list_rows(change.variant)
    for field, table in _VARIANT_LISTS.items():
        if change.action is Action.ADD or field in change.fields:
            lists.put(table, id_, found.get(table, ()), wanted[table])


def _list_rows(of: Variant) -> Mapping[Table, Sequence[NewRow]]:
    return {
        variant_option: [
            {"name": name, "value": value, "position": position}
            for position, (name, value) in enumerate(of.options.items())
        ],
        price: [
            {"currency": each.currency, "amount": each.amount}
            for each in of.prices or ()
        ],
        stock_level: [
            {"location": each.location, "quantity": each.quantity}
            for each in of.stock or ()
        ],
    }


# --- statements for many rows ---


async def _execute(
    connection: AsyncConnection, statement: Executable, rows: Sequence[NewRow]
) -> None:
    """Execute a statement for each of the rows."""
    if rows:
        await connection.execute(statement, rows)


async def _update(
    connection: AsyncConnection, table: Table, rows: Iterable[tuple[int, NewRow]]
) -> None:
    """Update rows by id, those with the same columns together."""
    alike: dict[frozenset[str], list[NewRow]] = defaultdict(list)
    for id_, row in rows:
        if row:
            alike[frozenset(row)].append({"row": id_, **row})
    statement = update(table).where(table.c.id == bindparam("row"))
    for group in alike.values():
        await _execute(connection, statement, group)
