"""Categories and tags: found, created once, renamed and moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

from sqlalchemy import Table, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.batching import batched
from catalogsync.errors import ConflictError
from catalogsync.protocols import (
    HeldReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)

from ._tables import IDS, NewRow, category, has_key, key_parameters, tag

__all__ = ["find_references", "write_references"]

_Identity: TypeAlias = tuple[str, ...]

_TAGS = select(tag).where(tag.c.text.in_(IDS))
_CATEGORIES = select(category).where(has_key(category))
_AT_ONCE = 500
_LONGEST = 1000  # bytes; PostgreSQL's index takes a little more


async def find_references(
    connection: AsyncConnection, references: Collection[Reference]
) -> dict[Reference, HeldReference]:
    """Those of the references that the database has."""
    held: dict[_Identity, HeldReference] = {}
    for part in batched(references, _AT_ONCE):
        texts = [each.id for each in part if each.kind is ReferenceKind.TAG]
        for row in await connection.execute(_TAGS, {"ids": texts}):
            held[row.text,] = HeldReference(id=str(row.id), name=row.text)
        categories = [each for each in part if each.kind is ReferenceKind.CATEGORY]
        for row in await connection.execute(_CATEGORIES, key_parameters(categories)):
            parent = None if row.parent_id is None else str(row.parent_id)
            held[row.source, row.source_id] = HeldReference(
                id=str(row.id), name=row.name, parent=parent, ours=True
            )
    return {each: held[id_] for each in references if (id_ := _identity(each)) in held}


async def write_references(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> list[ReferenceOutcome]:
    """Create, rename or move these; who began the transaction ends it.

    Raises:
        ConflictError: A category is no longer there as it was found.
    """
    missing = [c for c in changes if c.held is None and not _is_long(c.reference)]
    created = await _create(connection, missing)
    for change in changes:
        # A tag's text is all of it.
        if change.held and change.reference.kind is ReferenceKind.CATEGORY:
            await _change(connection, change, change.held)
    found = await find_references(connection, [c.reference for c in missing])
    return [
        _outcome(change, found.get(change.reference), created) for change in changes
    ]


def _identity(reference: Reference) -> _Identity:
    """What no other row of its table has; a tag belongs to no source."""
    if reference.kind is ReferenceKind.TAG:
        return (reference.id,)
    return (reference.source, reference.id)


def _is_long(reference: Reference) -> bool:
    return len(reference.id.encode()) > _LONGEST


async def _create(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> set[_Identity]:
    """Insert those that are not there; returns which are new."""
    tags: list[NewRow] = []
    categories: list[NewRow] = []
    for change in changes:
        wanted = change.reference
        if wanted.kind is ReferenceKind.TAG:
            tags.append({"text": wanted.id})
        else:
            key = {"source": wanted.source, "source_id": wanted.id}
            parent = _number(change.parent)
            categories.append({**key, "name": wanted.name, "parent_id": parent})
    new_tags = await _insert(connection, tag, ["text"], tags)
    key_columns = ["source", "source_id"]
    return new_tags | await _insert(connection, category, key_columns, categories)


async def _insert(
    connection: AsyncConnection,
    table: Table,
    identity: Sequence[str],
    rows: Sequence[NewRow],
) -> set[_Identity]:
    if not rows:
        return set()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    columns = [table.c[name] for name in identity]
    absent = dialect.insert(table).on_conflict_do_nothing().returning(*columns)
    return {tuple(row) for row in await connection.execute(absent, rows)}


async def _change(
    connection: AsyncConnection, change: ReferenceChange, held: HeldReference
) -> None:
    wanted = change.reference
    statement = (
        update(category)
        .where(category.c.id == int(held.id), category.c.source == wanted.source)
        .values(name=wanted.name, parent_id=_number(change.parent))
    )
    result = await connection.execute(statement)
    if not result.rowcount:
        raise ConflictError(f"category {wanted.id} was removed meanwhile")


def _outcome(
    change: ReferenceChange,
    found: HeldReference | None,
    created: Collection[_Identity],
) -> ReferenceOutcome:
    wanted, held = change.reference, change.held or found
    if held:
        is_new = _identity(wanted) in created
        return ReferenceOutcome(reference=wanted, id=held.id, created=is_new)
    if not _is_long(wanted):
        raise ConflictError(f"{wanted.kind} {wanted.id} was removed meanwhile")
    reason = f"{wanted.kind}: longer than {_LONGEST} bytes"
    return ReferenceOutcome(reference=wanted, id=None, reason=reason)


def _number(id_: str | None) -> int | None:
    return None if id_ is None else int(id_)
