"""Categories and tags: found, created once, renamed and moved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table, bindparam, select, update
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

from ._limits import key_problem
from ._rows import Row
from ._statements import AT_ONCE, IDS
from ._tables import category, tag

__all__ = ["find_references", "write_references"]

_TAGS = select(tag).where(tag.c.text.in_(IDS))
_CATEGORIES = select(category).where(
    category.c.source == bindparam("of"), category.c.source_id.in_(IDS)
)


async def find_references(
    connection: AsyncConnection, references: Collection[Reference]
) -> dict[Reference, HeldReference]:
    """Those of the references that the database has."""
    held: dict[Reference, HeldReference] = {}
    sources = {(reference.kind, reference.source) for reference in references}
    for kind, source in sources:
        alike = [r for r in references if r.kind is kind and r.source == source]
        read = _held_tags if kind is ReferenceKind.TAG else _held_categories
        for part in batched(alike, AT_ONCE):
            found = await read(connection, source, [r.id for r in part])
            held.update((r, found[r.id]) for r in part if r.id in found)
    return held


async def _held_tags(
    connection: AsyncConnection, _: str, texts: Sequence[str]
) -> dict[str, HeldReference]:
    rows = await connection.execute(_TAGS, {"ids": texts})
    return {row.text: HeldReference(id=str(row.id), name=row.text) for row in rows}


async def _held_categories(
    connection: AsyncConnection, source: str, ids: Sequence[str]
) -> dict[str, HeldReference]:
    rows = await connection.execute(_CATEGORIES, {"of": source, "ids": ids})
    return {
        row.source_id: HeldReference(
            id=str(row.id), name=row.name, parent=_text(row.parent_id), ours=True
        )
        for row in rows
    }


async def write_references(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> list[ReferenceOutcome]:
    """Create, rename or move these; who began the transaction ends it.

    Raises:
        ConflictError: A category is no longer there as it was found.
    """
    missing = [c for c in changes if c.held is None and _problem(c.reference) is None]
    made = await _create(connection, missing)
    for change in changes:
        if change.held and change.held.ours:
            await _change(connection, change, change.held)
    found = await find_references(connection, [c.reference for c in missing])
    return [_outcome(change, found, made) for change in changes]


def _problem(reference: Reference) -> str | None:
    return key_problem(reference.kind, reference.id)


async def _create(
    connection: AsyncConnection, changes: Sequence[ReferenceChange]
) -> set[tuple[str, ...]]:
    """Insert those that are not there; returns what identifies the new ones."""
    tags: list[Row] = []
    categories: list[Row] = []
    for change in changes:
        wanted = change.reference
        if wanted.kind is ReferenceKind.TAG:
            tags.append({"text": wanted.id})
        else:
            key = {"source": wanted.source, "source_id": wanted.id}
            parent = _number(change.parent)
            categories.append({**key, "name": wanted.name, "parent_id": parent})
    new_tags = await _insert(connection, tag, [tag.c.text], tags)
    identity = [category.c.source, category.c.source_id]
    return new_tags | await _insert(connection, category, identity, categories)


async def _insert(
    connection: AsyncConnection,
    table: Table,
    identity: Sequence[Column[Any]],
    rows: Sequence[Row],
) -> set[tuple[str, ...]]:
    if not rows:
        return set()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    absent = dialect.insert(table).on_conflict_do_nothing().returning(*identity)
    return {tuple(row) for row in await connection.execute(absent, rows)}


async def _change(
    connection: AsyncConnection, change: ReferenceChange, held: HeldReference
) -> None:
    wanted = change.reference
    if wanted.kind is ReferenceKind.TAG:
        return  # its text is all of it
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
    found: Mapping[Reference, HeldReference],
    made: Collection[tuple[str, ...]],
) -> ReferenceOutcome:
    wanted = change.reference
    if change.held:
        return ReferenceOutcome(reference=wanted, id=change.held.id)
    problem = _problem(wanted)
    if problem:
        return ReferenceOutcome(reference=wanted, id=None, reason=problem)
    if wanted not in found:
        raise ConflictError(f"{wanted.kind} {wanted.id} was removed meanwhile")
    is_tag = wanted.kind is ReferenceKind.TAG
    identity = (wanted.id,) if is_tag else (wanted.source, wanted.id)
    return ReferenceOutcome(
        reference=wanted, id=found[wanted].id, created=identity in made
    )


def _number(id_: str | None) -> int | None:
    return None if id_ is None else int(id_)


def _text(id_: int | None) -> str | None:
    return None if id_ is None else str(id_)
