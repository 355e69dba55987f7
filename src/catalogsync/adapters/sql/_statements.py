"""Statements for many rows at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Executable,
    Table,
    bindparam,
    delete,
    insert,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.models import ProductKey

from ._rows import Row

__all__ = ["AT_ONCE", "IDS", "by_source", "execute_many", "replace_rows", "update_rows"]

AT_ONCE = 500
"""Values of `IDS` in one statement, at most."""

IDS: BindParameter[Any] = bindparam("ids", expanding=True)
"""A parameter that stands for a list."""


def by_source(keys: Iterable[ProductKey]) -> dict[str, list[str]]:
    """The ids of each source."""
    ids: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        ids[key.source].append(key.id)
    return ids


async def execute_many(
    connection: AsyncConnection, statement: Executable, rows: Sequence[Row]
) -> None:
    """Execute a statement for each of the rows."""
    if rows:
        await connection.execute(statement, rows)


async def replace_rows(
    connection: AsyncConnection,
    owner: Column[Any],
    emptied: Iterable[int],
    rows: Sequence[Row],
) -> None:
    """Put rows into a table, in place of those of the emptied owners."""
    old = delete(owner.table).where(owner == bindparam("owner"))
    await execute_many(connection, old, [{"owner": id_} for id_ in emptied])
    await execute_many(connection, insert(owner.table), rows)


async def update_rows(
    connection: AsyncConnection,
    table: Table,
    rows: Iterable[tuple[int, Row]],
) -> None:
    """Update rows by id, those with the same columns together."""
    alike: dict[frozenset[str], list[Row]] = defaultdict(list)
    for id_, row in rows:
        if row:
            alike[frozenset(row)].append({"row": id_, **row})
    statement = update(table).where(table.c.id == bindparam("row"))
    for group in alike.values():
        await execute_many(connection, statement, group)
