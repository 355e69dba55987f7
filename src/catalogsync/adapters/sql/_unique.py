"""Unique SKUs and barcodes, if people have added a unique index.

The sink's own tables have no such index. With one, a variant that loses a value must be
updated before another one gets that value, and the database's refusal names no product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.batching import batched
from catalogsync.catalog.changes import Change, Create, Delete
from catalogsync.catalog.products import UNIQUE, ProductKey
from catalogsync.errors import BatchRefusedError, InvalidValueError

from ._tables import IDS, NewRow, product, variant

_AT_ONCE = 500
_LABELS = {"sku": "SKU", "barcode": "barcode"}


@attrs.frozen
class _Move:
    """A value that a variant gets or loses."""

    key: ProductKey
    id: str
    value: str


async def free(
    connection: AsyncConnection,
    rows: Mapping[ProductKey, int],
    changes: Sequence[Change],
) -> None:
    """Clear values that one variant of a batch loses and another one gets."""
    for name in UNIQUE.values():
        got, lost = _moves(changes, name)
        needed = {move.value for move in got}
        taken = [
            {"owner": rows[move.key], "id_": move.id}
            for move in lost
            if move.value in needed and move.key in rows
        ]
        if taken:
            await connection.execute(_clear(name), taken)


def _clear(name: str) -> sa.Update:
    owner: sa.BindParameter[Any] = sa.bindparam("owner")
    id_: sa.BindParameter[Any] = sa.bindparam("id_")
    of_this = sa.and_(variant.c.product_id == owner, variant.c.source_id == id_)
    return sa.update(variant).where(of_this).values({name: None})


async def named(
    connection: AsyncConnection, error: BatchRefusedError, changes: Sequence[Change]
) -> BatchRefusedError:
    """The refusal with its culprits, if they need values that other variants have."""
    culprits: dict[ProductKey, str] = {}
    holders: dict[ProductKey, ProductKey] = {}
    for name in UNIQUE.values():
        if "unique" not in error.said.lower() or name not in error.said.lower():
            continue
        got, lost = _moves(changes, name)
        owners = {
            row["value"]: (row["owner"], row["key"])
            for row in await _existing(connection, name, {move.value for move in got})
            if _Move(row["key"], row["id"], row["value"]) not in lost
        }
        for move in got:
            if move.value not in owners:
                owners[move.value] = f"{move.key} of the same batch", move.key
                continue
            owner, holder = owners[move.value]
            culprits[move.key] = f"{_LABELS[name]} {move.value} is taken by {owner}"
            if holder is not None and holder != move.key:
                holders[move.key] = holder
    return BatchRefusedError(
        error.reason, said=error.said, culprits=culprits, holders=holders
    )


async def _existing(
    connection: AsyncConnection, name: str, values: Iterable[str]
) -> list[NewRow]:
    """The variants that have one of these values, with their products."""
    column = variant.c[name]
    query = (
        sa.select(
            column.label("value"),
            variant.c.source_id.label("id"),
            product.c.id.label("row"),
            product.c.source,
            product.c.source_id,
        )
        .join(product)
        .where(column.in_(IDS))
    )
    found: list[NewRow] = []
    for part in batched(values, _AT_ONCE):
        for row in await connection.execute(query, {"ids": part}):
            key = _key(row.source, row.source_id)
            owner = f"row {row.row} of table product, which is {key or 'not ours'}"
            found.append({"value": row.value, "id": row.id, "key": key, "owner": owner})
    return found


def _key(source: str | None, id_: str | None) -> ProductKey | None:
    try:
        return ProductKey(source or "", id_ or "")
    except InvalidValueError:
        return None


def _moves(changes: Iterable[Change], name: str) -> tuple[list[_Move], set[_Move]]:
    """The values of this column that variants get, and those that they lose."""
    got: list[_Move] = []
    lost: set[_Move] = set()
    for change in changes:
        existing = (
            () if isinstance(change, Create) else change.existing.product.variants
        )
        left = () if isinstance(change, Delete) else change.product.variants
        before, after = ({v.id: v for v in some or ()} for some in (existing, left))
        for id_ in {**before, **after}:
            old = getattr(before.get(id_), name, None) or None
            new = getattr(after.get(id_), name, None) or None
            if old != new:
                got += [_Move(change.key, id_, new)] if new else []
                lost |= {_Move(change.key, id_, old)} if old else set()
    return got, lost
