"""A state store in a SQLite file: what it is to other programs, and what can go wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from catalogsync.state import StateSettings
from catalogsync.state._schema import MIGRATIONS
from catalogsync.state._sql import Transaction
from catalogsync.state.protocols import StateError

from .values import failed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is to be."""
    return tmp_path / "runs.db"


async def refused(path: Path) -> str:
    """What is said when the store cannot be opened: one line that names it."""
    with pytest.raises(StateError) as caught:
        async with StateSettings(url=f"sqlite:///{path}").open():
            pass
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def execute(path: Path, *statements: str) -> list[Any]:
    """Work on the file by hand; the rows of the last statement."""
    rows: list[Any] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def another_program(path: Path) -> None:
    execute(path, "CREATE TABLE product (id INTEGER PRIMARY KEY)")


def another_format(path: Path) -> None:
    execute(path, "PRAGMA application_id = 252006675", "CREATE TABLE t (x)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: path.write_text("Dear diary, " * 100),
            "is not a SQLite database",
        ),
        (another_program, "belongs to another program"),
        (another_format, "belongs to another program"),
    ],
    ids=["text", "another program", "another format"],
)
async def test_a_file_that_is_not_ours(
    path: Path, make: Callable[[Path], object], message: str
) -> None:
    """It is not changed."""
    make(path)
    before = content(path)
    found = await refused(path)
    assert message in found
    assert "name another file" in found
    assert content(path) == before


def content(path: Path) -> bytearray:
    return bytearray(path.read_bytes())


async def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """It cannot be opened."""
    assert "cannot be opened: check the path" in await refused(tmp_path)


async def test_a_file_in_place_of_the_folder(path: Path) -> None:
    """The folder cannot be made."""
    another_program(path)
    message = await refused(path / "runs.db")
    assert "the folder of the state store" in message
    assert "name another file" in message


@pytest.fixture
async def kept(path: Path) -> Path:
    """A store that was used before."""
    async with StateSettings(url=f"sqlite:///{path}").open() as store:
        await store.put_failures("nightly", [failed("a")])
    return path


async def test_a_store_is_recognised_by_its_file(kept: Path) -> None:
    """By its number and its version; several can read while one writes."""
    assert execute(kept, "PRAGMA application_id") == [(int.from_bytes(b"cats"),)]
    assert execute(kept, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert execute(kept, "PRAGMA journal_mode") == [("wal",)]


async def test_a_store_of_a_newer_version(kept: Path) -> None:
    """It is left alone."""
    execute(kept, "PRAGMA user_version = 99")
    assert "upgrade this one" in await refused(kept)
    assert execute(kept, "PRAGMA user_version") == [(99,)]


def read_only(path: Path) -> None:
    """Ask for a newer format for writing, so that it holds for root as well."""
    changed = content(path)
    changed[18] = 3
    path.write_bytes(changed)


def damage(path: Path) -> None:
    """Leave the first page alone."""
    changed = content(path)
    changed[4096:] = b"\xff" * (len(changed) - 4096)
    path.write_bytes(changed)


def remove_tables(path: Path) -> None:
    execute(path, "DROP TABLE catalogsync_failure")


async def test_a_store_that_can_only_be_read(kept: Path) -> None:
    """It is not opened."""
    read_only(kept)
    assert "is read-only: allow writing" in await refused(kept)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage, "is damaged: restore it"),
        (remove_tables, "has unexpected tables"),
    ],
)
async def test_a_store_that_was_harmed(
    kept: Path, harm: Callable[[Path], object], message: str
) -> None:
    """Found when it is read."""
    harm(kept)
    with pytest.raises(StateError, match=message) as caught:
        async with StateSettings(url=f"sqlite:///{kept}").open() as store:
            await store.failures("nightly")
    assert str(kept) in str(caught.value)


async def test_a_store_that_another_process_keeps_locked(kept: Path) -> None:
    """Reading works, and writing continues once the lock is released."""

    async def impatient(sql: Transaction) -> None:
        await sql("PRAGMA busy_timeout = 0")

    store: Any
    async with StateSettings(url=f"sqlite:///{kept}").open() as store:
        await store.database.read(impatient)
        with closing(sqlite3.connect(kept, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            with pytest.raises(StateError, match="see which process holds it"):
                await store.add_trigger("nightly")
            assert await store.failures("nightly") == [failed("a")]
        assert await store.add_trigger("nightly")


async def test_the_event_loop_goes_on(kept: Path) -> None:
    """While the database works."""
    at_work, done = threading.Event(), threading.Event()

    async def long_work(sql: Transaction) -> bool:
        await sql("SELECT 1")
        at_work.set()
        return done.wait(timeout=30)

    store: Any
    async with (
        StateSettings(url=f"sqlite:///{kept}").open() as store,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(store.database.write(long_work))
        await asyncio.to_thread(at_work.wait, 30)
        done.set()
        assert await task


async def test_nothing_stays_open(path: Path) -> None:
    """A closed store has no thread and no temporary files."""
    wait_for_threads()  # of the tests before
    before = threading.active_count()
    async with StateSettings(url=f"sqlite:///{path}").open() as store:
        await store.add_trigger("nightly")
        assert threading.active_count() == before + 1
    wait_for_threads()
    assert threading.active_count() == before
    assert files(path.parent) == [path.name]


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("catalogsync-store"):
            thread.join(timeout=30)


def files(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]
