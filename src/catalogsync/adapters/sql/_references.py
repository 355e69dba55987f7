"""Categories and tags: found, created once, renamed and moved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync._trees import ancestors
from catalogsync.batching import batched
from catalogsync.changes import (
    HeldReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.errors import ConflictError

from ._tables import IDS, NewRow, category, has_key, key_parameters, tag

__all__ = ["find_references", "write_references"]

_TAGS = sa.select(tag).where(tag.c.text.in_(IDS))
_PLAIN = [column for column in category.c if column.name != "receipt"]
_CATEGORIES = {
    True: sa.select(category).where(has_key(category)),
    False: sa.select(*_PLAIN, sa.null().label("receipt")).where(has_key(category)),
}
_START = (
    sa.select(category.c.id, category.c.parent_id)
    .where(category.c.id.in_(IDS))
    .cte("line", recursive=True)
)
_LINES = sa.select(
    _START.union(
        sa.select(category.c.id, category.c.parent_id).join(
            _START, category.c.id == _START.c.parent_id
        )
    )
)
_LOCK = sa.text("LOCK TABLE category IN SHARE ROW EXCLUSIVE MODE")
_AT_ONCE = 500
_LONGEST = 1000  # bytes; PostgreSQL's index takes a little more


async def find_references(
    connection: AsyncConnection,
    references: Collection[Reference],
    *,
    has_receipts: bool = True,
) -> dict[Reference, HeldReference]:
    """Those of the references that the database has.

    Args:
        connection: To the database.
        references: Which ones.
        has_receipts: Whether the table has the column for receipts.
    """
    tags = [each for each in references if each.kind is ReferenceKind.TAG]
    categories = [each for each in references if each.kind is ReferenceKind.CATEGORY]
    held: dict[Reference, HeldReference] = {}
    for part in batched(tags, _AT_ONCE):
        rows = await connection.execute(_TAGS, {"ids": [each.id for each in part]})
        texts = {row.text: HeldReference(id=str(row.id), name=row.text) for row in rows}
        held |= {each: texts[each.id] for each in part if each.id in texts}
    for part in batched(categories, _AT_ONCE):
        statement, parameters = _CATEGORIES[has_receipts], key_parameters(part)
        found = list(await connection.execute(statement, parameters))
        parents = await _parents(connection, [row.id for row in found])
        keys = {(row.source, row.source_id): _held(row, parents) for row in found}
        held |= {e: keys[e.source, e.id] for e in part if (e.source, e.id) in keys}
    return held


def _held(row: sa.Row[Any], parents: Mapping[str, str | None]) -> HeldReference:
    return HeldReference(
        id=str(row.id),
        name=row.name,
        parent=parents.get(str(row.id)),
        ours=True,
        above=ancestors(str(row.id), parents),
        receipt=row.receipt,
    )


async def _parents(
    connection: AsyncConnection, ids: Sequence[int]
) -> dict[str, str | None]:
    """The parents of these categories and of all that contain them."""
    rows = await connection.execute(_LINES, {"ids": ids})
    return {
        str(row.id): None if row.parent_id is None else str(row.parent_id)
        for row in rows
    }


async def write_references(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> list[ReferenceOutcome]:
    """Create, rename or move these; who began the transaction ends it.

    Raises:
        ConflictError: A category is no longer there, or what is to contain it lies
            below it by now.
    """
    return [
        await _change(connection, change, change.held)
        if change.held
        else await _create(connection, change)
        for change in changes
    ]


async def _change(
    connection: AsyncConnection, change: ReferenceChange, held: HeldReference
) -> ReferenceOutcome:
    wanted = change.reference
    if wanted.kind is ReferenceKind.CATEGORY:  # a tag's text is all of it
        if change.parent not in {None, held.parent}:
            await _check_place(connection, change, int(str(change.parent)))
        columns = {
            "name": change.name,
            "parent_id": _number(change.parent),
            "receipt": change.receipt or None,
        }
        statement = sa.update(category).where(
            category.c.id == int(held.id), category.c.source == wanted.source
        )
        done = await connection.execute(statement.values(columns))
        if not done.rowcount:
            raise ConflictError(f"category {wanted.id} was removed meanwhile")
    return ReferenceOutcome(reference=wanted, id=held.id)


async def _check_place(
    connection: AsyncConnection, change: ReferenceChange, parent: int
) -> None:
    """See to it that no category comes to lie below itself."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        await connection.execute(_LOCK)
    id_ = change.held.id if change.held else ""
    above = ancestors(str(parent), await _parents(connection, [parent]))
    if id_ in {str(parent), *above}:
        problem = "lies below it by now"
        raise ConflictError(f"category {change.reference.id}: its new parent {problem}")


async def _create(
    connection: AsyncConnection, change: ReferenceChange
) -> ReferenceOutcome:
    wanted = change.reference
    if len(wanted.id.encode()) > _LONGEST:
        reason = f"{wanted.kind}: longer than {_LONGEST} bytes"
        return ReferenceOutcome(reference=wanted, id=None, reason=reason)
    if wanted.kind is ReferenceKind.TAG:
        table, row = tag, NewRow(text=wanted.id)
    else:
        parent = _number(change.parent)
        row = NewRow(source=wanted.source, source_id=wanted.id, name=change.name)
        row |= {"parent_id": parent, "receipt": change.receipt or None}
        table = category
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    absent = dialect.insert(table).on_conflict_do_nothing().returning(table.c.id)
    id_ = await connection.scalar(absent, row)
    if id_ is not None:
        return ReferenceOutcome(reference=wanted, id=str(id_), created=True)
    there = (await find_references(connection, [wanted])).get(wanted)
    if there is None:
        raise ConflictError(f"{wanted.kind} {wanted.id} was removed meanwhile")
    return ReferenceOutcome(reference=wanted, id=there.id)


def _number(id_: str | None) -> int | None:
    return None if id_ is None else int(id_)
