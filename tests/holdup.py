"""Holding a real store up at a chosen point of its work, to kill it there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

_LOCK = 4711
_GATE = """
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (
        SELECT count(*) FILTER (WHERE pg_xact_status(t.xmin::text::xid8) = 'committed')
        > {most} FROM {rows}
    ) THEN
        PERFORM pg_advisory_xact_lock_shared({lock});
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format(
            'CREATE TRIGGER gate BEFORE INSERT OR UPDATE OR DELETE ON %I'
            ' EXECUTE FUNCTION gate()',
            name
        );
    END LOOP;
END $$;
"""
_STUCK = f"""
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND objid = {_LOCK} AND NOT granted
"""


Reached = Callable[[asyncio.Task[Any]], Awaitable[None]]
"""Waits until the store is held up; fails if the task ends before."""


@asynccontextmanager
async def gate(database_url: str, rows: str, most: int = 0) -> AsyncIterator[Reached]:
    """A store that has committed more than so many rows writes nothing more.

    It waits until the block ends; by then it must have been killed.

    Args:
        database_url: Of the store's database.
        rows: Which rows, as they stand after FROM, with `t` as their table.
        most: How many may be there.
    """
    database = await asyncpg.connect(database_url)
    try:
        await database.execute(f"SELECT pg_advisory_lock({_LOCK})")
        await database.execute(_GATE.format(rows=rows, most=most, lock=_LOCK))

        async def reached(work: asyncio.Task[Any]) -> None:
            while not await database.fetch(_STUCK):
                assert not work.done(), "the store never came to this point"
                await asyncio.sleep(0)

        try:
            yield reached
        finally:
            await database.execute(
                f"SELECT pg_terminate_backend(pid) FROM ({_STUCK}) AS stuck"
            )
            await database.execute("DROP FUNCTION gate CASCADE")
    finally:
        await database.close()
