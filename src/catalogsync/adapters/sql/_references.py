"""Finding and writing categories and tags."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync._lib.trees import ancestors
from catalogsync.batching import batched
from catalogsync.catalog import lenient
from catalogsync.catalog.changes import (
    ExistingReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.errors import ConflictError

from ._tables import IDS, NewRow, category, has_key, key_parameters, tag

_TAGS = sa.select(tag).where(tag.c.text.in_(IDS))
_PLAIN = [column for column in category.c if column.key != "last_applied"]
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
_LONGEST = 1000  # bytes; the limit of PostgreSQL's index is a little higher


async def find_references(
    connection: AsyncConnection,
    references: Collection[Reference],
    *,
    has_last_applied: bool = True,
) -> dict[Reference, ExistingReference]:
    """Find categories and tags; the table may lack the last-applied column."""
    tags = [each for each in references if each.kind is ReferenceKind.TAG]
    categories = [each for each in references if each.kind is ReferenceKind.CATEGORY]
    existing = groups(references)
    for part in batched(tags, _AT_ONCE):
        rows = await connection.execute(_TAGS, {"ids": [each.id for each in part]})
        texts = {
            row.text: ExistingReference(id=str(row.id), name=row.text) for row in rows
        }
        existing |= {each: texts[each.id] for each in part if each.id in texts}
    for part in batched(categories, _AT_ONCE):
        statement, parameters = _CATEGORIES[has_last_applied], key_parameters(part)
        found = list(await connection.execute(statement, parameters))
        parents = await _parents(connection, [row.id for row in found])
        keys = {(row.source, row.source_id): _existing(row, parents) for row in found}
        existing |= {e: keys[e.source, e.id] for e in part if (e.source, e.id) in keys}
    return existing


def groups(references: Collection[Reference]) -> dict[Reference, ExistingReference]:
    """Types and collections, which always exist: a product has just their names."""
    return {
        each: ExistingReference(id=each.id, name=each.name)
        for each in references
        if each.kind in {ReferenceKind.TYPE, ReferenceKind.COLLECTION}
    }


def _existing(row: sa.Row[Any], parents: Mapping[str, str | None]) -> ExistingReference:
    return ExistingReference(
        id=str(row.id),
        name=row.name,
        parent=parents.get(str(row.id)),
        ours=True,
        above=ancestors(str(row.id), parents),
        last_applied=lenient.text(row.receipt),
    )


async def _parents(
    connection: AsyncConnection, ids: Sequence[int]
) -> dict[str, str | None]:
    """The parents of these categories and of all their ancestors."""
    rows = await connection.execute(_LINES, {"ids": ids})
    return {
        str(row.id): None if row.parent_id is None else str(row.parent_id)
        for row in rows
    }


async def write_references(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> list[ReferenceOutcome]:
    """Create, rename or move categories and tags, without committing.

    Raises:
        ConflictError: A category has been removed, or its new parent lies below it.
    """
    return [
        await _change(connection, change, change.existing)
        if change.existing
        else await _create(connection, change)
        for change in changes
    ]


async def _change(
    connection: AsyncConnection, change: ReferenceChange, existing: ExistingReference
) -> ReferenceOutcome:
    desired = change.reference
    if desired.kind is ReferenceKind.CATEGORY:  # a tag has only its text
        if change.parent not in {None, existing.parent}:
            await _check_parent(connection, change, int(str(change.parent)))
        columns = {
            "name": change.name,
            "parent_id": _number(change.parent),
            "last_applied": change.last_applied or None,
        }
        statement = sa.update(category).where(
            category.c.id == int(existing.id), category.c.source == desired.source
        )
        done = await connection.execute(statement.values(columns))
        if not done.rowcount:
            raise ConflictError(f"category {desired.id} has been removed")
    return ReferenceOutcome(reference=desired, id=existing.id)


async def _check_parent(
    connection: AsyncConnection, change: ReferenceChange, parent: int
) -> None:
    """Make sure that the move does not put a category below itself."""
    if connection.dialect.name == "postgresql":  # SQLite allows only one writer
        await connection.execute(_LOCK)
    id_ = change.existing.id if change.existing else ""
    above = ancestors(str(parent), await _parents(connection, [parent]))
    if id_ in {str(parent), *above}:
        problem = "its new parent has become one of its descendants"
        raise ConflictError(f"category {change.reference.id}: {problem}")


async def _create(
    connection: AsyncConnection, change: ReferenceChange
) -> ReferenceOutcome:
    desired = change.reference
    if len(desired.id.encode()) > _LONGEST:
        reason = f"{desired.kind}: longer than {_LONGEST} bytes"
        return ReferenceOutcome(reference=desired, id=None, reason=reason)
    if desired.kind is ReferenceKind.TAG:
        table, row = tag, NewRow(text=desired.id)
    else:
        parent = _number(change.parent)
        row = NewRow(source=desired.source, source_id=desired.id, name=change.name)
        row |= {"parent_id": parent, "last_applied": change.last_applied or None}
        table = category
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    absent = dialect.insert(table).on_conflict_do_nothing().returning(table.c.id)
    id_ = await connection.scalar(absent, row)
    if id_ is not None:
        return ReferenceOutcome(reference=desired, id=str(id_), created=True)
    there = (await find_references(connection, [desired])).get(desired)
    if there is None:
        raise ConflictError(f"{desired.kind} {desired.id} has been removed")
    return ReferenceOutcome(reference=desired, id=there.id)


def _number(id_: str | None) -> int | None:
    return None if id_ is None else int(id_)
