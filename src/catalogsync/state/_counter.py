# ruff: noqa: S608 - statements are made of constants
"""Numbers that a state store has never used."""

from __future__ import annotations

from ._sql import Transaction

_SANE = 2**62  # values of another type compare as larger, and later numbers need room
_NUMBERED = (
    "value FROM catalogsync_counter",
    "number FROM catalogsync_run",
    "number FROM catalogsync_entry",
    "number FROM catalogsync_held",
    "number FROM catalogsync_trigger",
    "token FROM catalogsync_lease",
    "noted FROM catalogsync_absence",
    "number FROM catalogsync_written",
    "number FROM catalogsync_message",
)


async def reserve(sql: Transaction, by: int = 1) -> int:
    """Reserve numbers; returns the last one.

    A counter that was reset or deleted continues after the numbers in the tables.
    """
    parts: list[str] = []
    for each in _NUMBERED:
        column, _, table = each.partition(" FROM ")
        parts.append(f"(SELECT MAX({column}) FROM {table} WHERE {column} < :sane)")
    (found,) = await sql(f"SELECT {', '.join(parts)}", sane=_SANE)
    value = by + max((n for n in found if isinstance(n, int)), default=0)
    await sql("DELETE FROM catalogsync_counter")
    await sql("INSERT INTO catalogsync_counter VALUES (:value)", value=value)
    return value
