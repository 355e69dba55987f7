"""Writing a batch of changes in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.catalog.changes import (
    Action,
    Adopt,
    Change,
    Create,
    Delete,
    Release,
    Removal,
    SellOut,
    Unpublish,
    Update,
    VariantChange,
    Write,
)
from catalogsync.catalog.products import (
    GROUPS,
    PLAIN,
    VARIANT_TEXTS,
    Dimensions,
    Field,
    Product,
    ProductKey,
    ProductStatus,
    Variant,
)
from catalogsync.errors import ConflictError

from . import _tables as tables
from ._creating import attributes_text, create, given
from ._foreign import adopt
from ._tables import NewRow, product, variant
from ._unique import free

_PRODUCT_IDS = (
    sa.select(product.c.id, product.c.source, product.c.source_id)
    .where(tables.has_key(product))
    .order_by(product.c.id)
    .with_for_update()
)
_VARIANT_IDS = sa.select(variant.c.id, variant.c.product_id, variant.c.source_id).where(
    variant.c.product_id.in_(tables.IDS)
)


async def write_changes(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Write a batch, without committing.

    Raises:
        ConflictError: A product or variant has been removed or replaced.
    """
    created = [change for change in changes if isinstance(change, Create)]
    if len(created) == len(changes) and connection.dialect.name == "sqlite":
        await create(connection, created)
    else:
        await _write_any(connection, changes)


async def _write_any(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Write changes of any kind, reading back the ids of new products."""
    rows = _Rows()
    for change in changes:
        if isinstance(change, Create):
            rows.add(_insert, product, _new_product(change))
    await rows.write(connection)
    await adopt(connection, changes)
    ids = await _product_ids(connection, changes)
    there = [(ids[each.key], each) for each in changes if each.key in ids]
    for id_, change in there:
        match change:
            case Delete():
                rows.add(_delete, product, {"id": id_})
            case Unpublish() | SellOut() | Release() | Update():
                rows.add(_update, product, {"row": id_, **_changed_columns(change)})
            case Create():
                pass
        if not isinstance(change, Removal):
            _put_product_lists(rows, id_, change)
    await free(connection, ids, changes)
    await _write_variants(connection, rows, there)


async def _write_variants(
    connection: AsyncConnection, rows: _Rows, changes: Iterable[tuple[int, Change]]
) -> None:
    kept: list[tuple[int, VariantChange, Variant | None]] = []
    for product_id, change in changes:
        for each, before in _variant_changes(change):
            key = {"product_id": product_id, "source_id": each.variant.id}
            if each.action is Action.REMOVE:
                rows.add(_delete, variant, key)
                continue
            if each.action is Action.ADD:
                rows.add(_insert, variant, {**key, **_variant_columns(each)})
            kept.append((product_id, each, before))
    await rows.write(connection)
    ids = await _variant_ids(connection, {product_id for product_id, _, _ in kept})
    for product_id, each, before in kept:
        id_ = ids.get((product_id, each.variant.id))
        if id_ is None:
            raise ConflictError(f"variant {each.variant.id} has been removed")
        columns = _variant_columns(each)
        if each.action is Action.UPDATE and columns:
            rows.add(_update, variant, {"row": id_, **columns})
        _put_variant_lists(rows, id_, each, before)
    await rows.write(connection)


async def _product_ids(
    connection: AsyncConnection, changes: Sequence[Change]
) -> Mapping[ProductKey, int]:
    """The ids of the products' rows; locks them if the database has row locks."""
    keys = tables.key_parameters([change.key for change in changes])
    ids = {
        ProductKey(row.source, row.source_id): row.id
        for row in await connection.execute(_PRODUCT_IDS, keys)
    }
    for change in changes:
        id_ = ids.get(change.key)
        if not _is_as_found(change, id_):
            raise ConflictError(f"{change.key} has been removed")
    return ids


def _is_as_found(change: Change, id_: int | None) -> bool:
    """Whether the key still belongs to the row that the change was planned for."""
    if id_ is None:
        return isinstance(change, Delete)
    return isinstance(change, Create | Adopt) or change.existing.native == id_


async def _variant_ids(
    connection: AsyncConnection, products: Collection[int]
) -> Mapping[tuple[int, str], int]:
    """The ids of all variants of these products."""
    if not products:
        return {}
    found = await connection.execute(_VARIANT_IDS, {"ids": list(products)})
    return {(row.product_id, row.source_id): row.id for row in found}


def _variant_changes(change: Change) -> Iterator[tuple[VariantChange, Variant | None]]:
    """The change of each variant, and the variant that was found."""
    if isinstance(change, Create):
        for each in change.product.variants or ():
            yield VariantChange(action=Action.ADD, variant=each), None
    elif isinstance(change, Update | SellOut):
        before = {each.id: each for each in change.existing.product.variants or ()}
        for what in change.variants:
            yield what, before.get(what.variant.id)


# --- columns ---

_PLAIN = [f.value for f in (*PLAIN, *GROUPS, Field.STATUS) if f is not Field.DIMENSIONS]


def _new_product(change: Create) -> NewRow:
    columns = _product_columns(change.product, frozenset(Field))
    key = {"source": change.key.source, "source_id": change.key.id}
    return {**key, **columns, "last_applied": change.last_applied}


def _changed_columns(change: Unpublish | SellOut | Release | Update) -> NewRow:
    """The columns to write to an existing product."""
    match change:
        case Unpublish():
            return {"last_applied": change.last_applied, "status": ProductStatus.DRAFT}
        case SellOut():
            return {"last_applied": change.last_applied}
        case Release():
            return dict.fromkeys(("source", "source_id", "last_applied"))
        case Update():
            columns = _product_columns(change.product, change.fields)
            return {"last_applied": change.last_applied, **columns}


def _product_columns(desired: Product, fields: frozenset[Field]) -> NewRow:
    """The columns of these fields; NULL if the source supplies no value."""
    row = {name: given(getattr(desired, name)) for name in _PLAIN if name in fields}
    if Field.DIMENSIONS in fields:
        row |= _sides(desired)
    if Field.ATTRIBUTES in fields:
        row["attributes"] = attributes_text(desired)
    return row


def _variant_columns(change: VariantChange) -> NewRow:
    """The columns that change; for a new variant, all of them."""
    is_new = change.action is Action.ADD
    row = {
        name: given(getattr(change.variant, name))
        for field, name in (*VARIANT_TEXTS.items(), (Field.VARIANT_WEIGHT, "weight"))
        if is_new or field in change.fields
    }
    if is_new or Field.VARIANT_DIMENSIONS in change.fields:
        row |= _sides(change.variant)
    return row


def _sides(of: Product | Variant) -> NewRow:
    size = of.dimensions or Dimensions()
    return {"length": size.length, "width": size.width, "height": size.height}


# --- lists ---

_VARIANT_LISTS = {
    Field.OPTIONS: tables.variant_option,
    Field.PRICES: tables.price,
    Field.STOCK: tables.stock_level,
}


def _put_product_lists(rows: _Rows, id_: int, change: Write) -> None:
    existing = None if isinstance(change, Create) else change.existing
    desired = change.product
    if Field.IMAGES in change.fields:
        # The positions of existing images are unknown, so all images get new ones.
        before = [
            {"url": i.url} for i in (existing.product.images if existing else ()) or ()
        ]
        images = enumerate(desired.images or ())
        after = [{"url": image.url, "position": n} for n, image in images]
        rows.put_list(tables.image, id_, before, after)
    for field, table, column in (
        (Field.CATEGORIES, tables.product_category, "category_id"),
        (Field.TAGS, tables.product_tag, "tag_id"),
    ):
        if field in change.fields:
            found = existing.references.get(field, ()) if existing else ()
            ids = change.references.get(field, ())
            rows.put_list(
                table,
                id_,
                [{column: int(each)} for each in found],
                [{column: int(each)} for each in ids],
            )


def _put_variant_lists(
    rows: _Rows, id_: int, change: VariantChange, before: Variant | None
) -> None:
    for field, table in _VARIANT_LISTS.items():
        if change.action is Action.ADD or field in change.fields:
            found = _list_rows(before, field) if before else ()
            rows.put_list(table, id_, found, _list_rows(change.variant, field))


def _list_rows(of: Variant, field: Field) -> Sequence[NewRow]:
    if field is Field.OPTIONS:
        options = enumerate(of.options.items())
        return [{"name": n, "value": v, "position": i} for i, (n, v) in options]
    if field is Field.PRICES:
        prices = of.prices or ()
        return [{"currency": each.currency, "amount": each.amount} for each in prices]
    stock = of.stock or ()
    return [{"location": each.location, "quantity": each.quantity} for each in stock]


# --- rows ---

_ELEMENTS = {
    tables.image: ("product_id", "url"),
    tables.product_category: ("product_id", "category_id"),
    tables.product_tag: ("product_id", "tag_id"),
    tables.variant_option: ("variant_id", "name"),
    tables.price: ("variant_id", "currency"),
    tables.stock_level: ("variant_id", "location"),
}
"""By table of a list: the columns of the owner and of the element's identity."""


_Columns: TypeAlias = tuple[str, ...]
_Statement: TypeAlias = Callable[[sa.Table, _Columns], sa.Executable]
_Alike: TypeAlias = dict[tuple[_Statement, sa.Table, _Columns], list[NewRow]]


@attrs.frozen
class _Rows:
    """Collects rows to write, so that one statement writes many of them."""

    _alike: _Alike = attrs.field(factory=lambda: defaultdict(list))

    def add(self, statement: _Statement, table: sa.Table, row: NewRow) -> None:
        """Add a row for a statement."""
        self._alike[statement, table, tuple(row)].append(row)

    def put_list(
        self,
        table: sa.Table,
        owner: int,
        found: Iterable[NewRow],
        desired: Iterable[NewRow],
    ) -> None:
        """Replace the elements that were found with the desired ones.

        Elements that were added since then stay; if one is also desired, the insert
        raises a conflict.
        """
        owner_name, name = _ELEMENTS[table]
        before, after = _by(name, found), _by(name, desired)
        for element, rows in before.items():
            if after.get(element) != rows:
                self.add(_delete, table, {owner_name: owner, name: element})
        for element, rows in after.items():
            if before.get(element) != rows:
                for row in rows:
                    self.add(_insert, table, {owner_name: owner, **row})

    async def write(self, connection: AsyncConnection) -> None:
        """Execute all statements, deletions first, and clear the collection."""
        for step in (_delete, _update, _insert):
            for (statement, table, columns), rows in self._alike.items():
                if statement is step:
                    await connection.execute(statement(table, columns), rows)
        self._alike.clear()


def _by(name: str, rows: Iterable[NewRow]) -> dict[Any, list[NewRow]]:
    """The rows by one column; several stock levels may have no location."""
    found: dict[Any, list[NewRow]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found


def _delete(table: sa.Table, columns: _Columns) -> sa.Executable:
    return sa.delete(table).where(*(_is_given(table.c[name]) for name in columns))


def _is_given(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    value: sa.BindParameter[Any] = sa.bindparam(column.name)
    return column.is_not_distinct_from(value) if column.nullable else column == value


def _update(table: sa.Table, _: _Columns) -> sa.Executable:
    return sa.update(table).where(table.c.id == sa.bindparam("row"))


def _insert(table: sa.Table, _: _Columns) -> sa.Executable:
    return sa.insert(table)
