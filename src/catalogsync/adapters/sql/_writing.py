"""Bringing changes about, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from sqlalchemy import Column, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.errors import ConflictError
from catalogsync.models import Field, ProductKey
from catalogsync.protocols import Action, Change

from ._rows import Row, image_rows, product_columns, product_row
from ._statements import IDS, by_source, execute_many, replace_rows, update_rows
from ._tables import image, product, product_category, product_tag
from ._variants import write_variants

__all__ = ["write_changes"]

_LOCKED = (
    select(product.c.id, product.c.source_id)
    .where(
        product.c.source == bindparam("source"),
        product.c.source_id.in_(IDS),
    )
    .order_by(product.c.id)
    .with_for_update()
)


@attrs.frozen
class _Target:
    """A change, and the row of the product that it changes."""

    id: int
    change: Change

    @property
    def is_new(self) -> bool:
        return self.change.action is Action.CREATE


async def write_changes(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Write a batch; who began the transaction ends it.

    Raises:
        ConflictError: A product is no longer there as it was found.
    """
    new = [product_row(c) for c in changes if c.action is Action.CREATE]
    await execute_many(connection, insert(product), new)
    targets = await _find_targets(connection, changes)
    await update_rows(
        connection, product, [_updated_row(t) for t in targets if not t.is_new]
    )
    for field, (owner, rows_of) in _LISTS.items():
        touched = [t for t in targets if field in t.change.fields]
        emptied = [t.id for t in touched if not t.is_new]
        rows = [row for t in touched for row in rows_of(t)]
        await replace_rows(connection, owner, emptied, rows)
    await write_variants(connection, [(t.id, t.change) for t in targets])


async def _find_targets(
    connection: AsyncConnection, changes: Sequence[Change]
) -> list[_Target]:
    """The rows of the products, locked where the database can lock rows."""
    ids: dict[ProductKey, int] = {}
    for source, source_ids in by_source(change.key for change in changes).items():
        parameters = {"source": source, "ids": source_ids}
        for row in await connection.execute(_LOCKED, parameters):
            ids[ProductKey(source, row.source_id)] = row.id
    return [_Target(_id_of(change, ids), change) for change in changes]


def _id_of(change: Change, ids: Mapping[ProductKey, int]) -> int:
    id_ = ids.get(change.key)
    if id_ is None or (change.held and change.held.native != id_):
        raise ConflictError(f"{change.key} was removed meanwhile")
    return id_


def _updated_row(target: _Target) -> tuple[int, Row]:
    change = target.change
    columns = product_columns(change.product, change.fields)
    return target.id, {**columns, "receipt": change.receipt}


def _images(target: _Target) -> list[Row]:
    return image_rows(target.id, target.change.product)


def _links(field: Field, column: str) -> Callable[[_Target], list[Row]]:
    def rows_of(target: _Target) -> list[Row]:
        ids = target.change.references.get(field, ())
        return [{"product_id": target.id, column: int(id_)} for id_ in ids]

    return rows_of


_LISTS: Mapping[Field, tuple[Column[int], Callable[[_Target], list[Row]]]] = {
    Field.IMAGES: (image.c.product_id, _images),
    Field.CATEGORIES: (
        product_category.c.product_id,
        _links(Field.CATEGORIES, "category_id"),
    ),
    Field.TAGS: (product_tag.c.product_id, _links(Field.TAGS, "tag_id")),
}
