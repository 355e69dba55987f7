"""Bringing the changes of variants about, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Column, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.errors import ConflictError
from catalogsync.models import Field, Variant
from catalogsync.protocols import Action, Change, VariantChange

from ._rows import (
    Row,
    option_rows,
    price_rows,
    stock_rows,
    variant_columns,
    variant_row,
)
from ._statements import IDS, execute_many, replace_rows, update_rows
from ._tables import price, stock_level, variant, variant_option

__all__ = ["write_variants"]

_ROWS = select(variant.c.product_id, variant.c.source_id, variant.c.id).where(
    variant.c.product_id.in_(IDS)
)
_REMOVE = delete(variant).where(
    variant.c.product_id == bindparam("owner"),
    variant.c.source_id == bindparam("key"),
)
_LISTS: Mapping[Field, tuple[Column[int], Callable[[int, Variant], list[Row]]]] = {
    Field.OPTIONS: (variant_option.c.variant_id, option_rows),
    Field.PRICES: (price.c.variant_id, price_rows),
    Field.STOCK: (stock_level.c.variant_id, stock_rows),
}


async def write_variants(
    connection: AsyncConnection, changes: Iterable[tuple[int, Change]]
) -> None:
    """Write what happens to the variants of these products.

    Args:
        connection: In the transaction of the batch.
        changes: Each with the id of its product's row.

    Raises:
        ConflictError: A variant is no longer there as it was found.
    """
    of_products = [
        (id_, each) for id_, change in changes for each in _variant_changes(change)
    ]
    removed = [
        {"owner": id_, "key": each.variant.id}
        for id_, each in of_products
        if each.action is Action.REMOVE
    ]
    added = [
        variant_row(id_, each.variant)
        for id_, each in of_products
        if each.action is Action.ADD
    ]
    await execute_many(connection, _REMOVE, removed)
    await execute_many(connection, insert(variant), added)
    kept = [pair for pair in of_products if pair[1].action is not Action.REMOVE]
    if kept:
        await _write_parts(connection, await _find_rows(connection, kept))


def _variant_changes(change: Change) -> Iterable[VariantChange]:
    if change.action is not Action.CREATE:
        return change.variants
    variants = change.product.variants or ()
    return [VariantChange(action=Action.ADD, variant=each) for each in variants]


async def _find_rows(
    connection: AsyncConnection, changes: Sequence[tuple[int, VariantChange]]
) -> list[tuple[int, VariantChange]]:
    """The same changes, each with the id of the variant's own row."""
    products = list({id_ for id_, _ in changes})
    ids = {
        (row.product_id, row.source_id): row.id
        for row in await connection.execute(_ROWS, {"ids": products})
    }
    try:
        return [(ids[id_, each.variant.id], each) for id_, each in changes]
    except KeyError as error:
        product_id, name = error.args[0]
        problem = f"variant {name} of row {product_id} was removed meanwhile"
        raise ConflictError(problem) from None


async def _write_parts(
    connection: AsyncConnection, changes: Sequence[tuple[int, VariantChange]]
) -> None:
    """Write the columns of updated variants, and the lists of all."""
    updated = [pair for pair in changes if pair[1].action is Action.UPDATE]
    columns = [(id_, variant_columns(c.variant, c.fields)) for id_, c in updated]
    await update_rows(connection, variant, columns)
    for field, (owner, rows_of) in _LISTS.items():
        emptied = [id_ for id_, each in updated if field in each.fields]
        rows = [
            row
            for id_, each in changes
            if each.action is Action.ADD or field in each.fields
            for row in rows_of(id_, each.variant)
        ]
        await replace_rows(connection, owner, emptied, rows)
