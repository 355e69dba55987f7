"""Categories and tags: found, created once, renamed and moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

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
_CATEGORIES = sa.select(category).where(has_key(category))
_AT_ONCE = 500
_LONGEST = 1000  # bytes; PostgreSQL's index takes a little more


async def find_references(
    connection: AsyncConnection, references: Collection[Reference]
) -> dict[Reference, HeldReference]:
    """Those of the references that the database has."""
    tags = [each for each in references if each.kind is ReferenceKind.TAG]
    categories = [each for each in references if each.kind is ReferenceKind.CATEGORY]
    held: dict[Reference, HeldReference] = {}
    for part in batched(tags, _AT_ONCE):
        rows = await connection.execute(_TAGS, {"ids": [each.id for each in part]})
        texts = {row.text: HeldReference(id=str(row.id), name=row.text) for row in rows}
        held |= {each: texts[each.id] for each in part if each.id in texts}
    for part in batched(categories, _AT_ONCE):
        rows = await connection.execute(_CATEGORIES, key_parameters(part))
        keys = {
            (row.source, row.source_id): HeldReference(
                id=str(row.id),
                name=row.name,
                parent=None if row.parent_id is None else str(row.parent_id),
                ours=True,
            )
            for row in rows
        }
        held |= {e: keys[e.source, e.id] for e in part if (e.source, e.id) in keys}
    return held


async def write_references(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> list[ReferenceOutcome]:
    """Create, rename or move these; who began the transaction ends it.

    Raises:
        ConflictError: A category is no longer there as it was found.
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
        columns = {"name": wanted.name, "parent_id": _number(change.parent)}
        statement = sa.update(category).where(
            category.c.id == int(held.id), category.c.source == wanted.source
        )
        done = await connection.execute(statement.values(columns))
        if not done.rowcount:
            raise ConflictError(f"category {wanted.id} was removed meanwhile")
    return ReferenceOutcome(reference=wanted, id=held.id)


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
        row = NewRow(source=wanted.source, source_id=wanted.id, name=wanted.name)
        table, row = category, {**row, "parent_id": parent}
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
