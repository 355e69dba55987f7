"""The SQL sink when things go wrong: one decision for each, and no secret in it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.adapters.sql_databases import (
    Hand,
    assert_no_secret,
    refused_setting,
)
from tests.adapters.sql_products import (
    apply,
    creation,
    find_one,
    found,
    product,
)

from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.errors import (
    MisconfiguredError,
    MissingExtraError,
    TransientError,
)

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


# --- settings ---


@pytest.mark.parametrize(
    "url", ["", "catalog.db", "mysql://host/db", "sqlite+pysqlite://", "sqlite:x.db"]
)
def test_other_databases_are_not_taken(url: str) -> None:
    """The message names what is."""
    with pytest.raises(MisconfiguredError, match="sqlite:// or postgresql://"):
        SQLSettings(url=url)


@pytest.mark.parametrize("values", [{"batch": 0}, {"batch": 9999}, {"timeout": 0}])
def test_settings_out_of_range(values: Any) -> None:
    """The setting is named."""
    with pytest.raises(MisconfiguredError, match="must be") as caught:
        SQLSettings(url="sqlite://", **values)
    assert caught.value.setting in values


def test_is_imported_without_sqlalchemy() -> None:
    """Reading settings must not cost what opening costs."""
    program = (
        "import sys, catalogsync.adapters.sql as sql; sql.SQLSettings(url='sqlite://');"
        "sys.exit('sqlalchemy' in sys.modules or hasattr(sql, 'other'))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("module", "url"),
    [
        ("sqlalchemy", "sqlite://"),
        ("greenlet", "sqlite://"),
        ("aiosqlite", "sqlite://"),
        ("asyncpg", "postgresql://host/db"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str
) -> None:
    """One line that says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        SQLSettings(url=url).open()
    expected = "the SQL sink needs: pip install 'catalogsync[sql]'"
    assert str(caught.value) == expected


async def test_a_database_in_memory() -> None:
    """Empty when opened, gone when closed; readers and writers take turns."""
    for _ in range(2):
        async with SQLSettings(url="sqlite://").open() as sink:
            assert await find_one(sink) is None
            await apply(sink, product())
            assert (await found(sink)).product.title == "Mascara"


async def test_the_tables_stay(database: str) -> None:
    """Opening again finds what was written."""
    settings = SQLSettings(url=database, name="shop", batch=7)
    async with settings.open() as sink:
        await apply(sink, product())
    async with settings.open() as sink:
        assert await find_one(sink) is not None
        assert (sink.name, sink.limits.batch) == ("shop", 7)


# --- what a database can refuse ---


async def test_check_says_that_all_is_well(sink: SQLSink) -> None:
    """And how many products are there."""
    await apply(sink, product())
    (finding,) = await sink.check()
    assert finding.ok
    assert finding.text == "the database can be written; it has 1 products"


async def test_tables_of_another_program(database: str) -> None:
    """They block ours and are not changed; an error reports this before any write."""
    await Hand(database)("CREATE TABLE product (id INTEGER PRIMARY KEY, nope TEXT)")
    error = await refused_setting(database)
    assert "another program made these tables: product" in str(error)


async def test_tables_that_somebody_changed(sink: SQLSink, hand: Hand) -> None:
    """Found when they are read."""
    await sink.write([])
    await hand("ALTER TABLE product RENAME COLUMN brand TO label")
    with pytest.raises(MisconfiguredError, match="has unexpected tables"):
        await find_one(sink)


async def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """No such folder; the file is something else."""
    error = await refused_setting(f"sqlite:///{tmp_path}/none/catalog.db")
    assert "catalog.db cannot be created; create its folder first" in str(error)
    assert not (tmp_path / "none").exists()
    error = await refused_setting(f"sqlite:///{tmp_path}")
    assert "cannot be opened" in str(error)
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Sir or Madam, " * 99)
    assert "not a SQLite database" in str(await refused_setting(f"sqlite:///{letter}"))


@contextmanager
def every_file_with(pragma: str) -> Generator[None]:
    """SQLite files are opened with this pragma."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def prepare(connection: Any, _: object) -> None:
        connection.cursor().execute(f"PRAGMA {pragma}")

    event.listen(Pool, "connect", prepare)
    try:
        yield
    finally:
        event.remove(Pool, "connect", prepare)


@pytest.mark.parametrize("tables", [True, False])
async def test_a_file_that_is_read_only(sqlite: str, *, tables: bool) -> None:
    """It can be read, and a check fails before a write does."""
    await Hand(sqlite)("CREATE TABLE another (id INTEGER)")
    if tables:
        async with SQLSettings(url=sqlite).open() as sink:
            await sink.write([])
    with every_file_with("query_only=ON"):
        async with SQLSettings(url=sqlite).open() as sink:
            assert await find_one(sink) is None
            (finding,) = await sink.check()
            assert not finding.ok
            with pytest.raises(MisconfiguredError, match="is read-only: allow writing"):
                await sink.write([creation()])


async def test_the_disk_of_a_file_is_full(sqlite: str) -> None:
    """What was written before stays, the batch is not there in part."""
    with every_file_with("max_page_count=100"):
        async with SQLSettings(url=sqlite).open() as sink:
            await sink.write([creation("0")])
            with pytest.raises(MisconfiguredError, match="cannot grow: make room"):
                await sink.write([creation(str(n)) for n in range(1, 999)])
            desired = [product(str(n)) for n in range(999)]
            existing = await sink.find(desired, fields=frozenset())
            assert [key.id for key in existing] == ["0"]


@sqlite_only
async def test_another_process_locks_the_file(database: str, tmp_path: Path) -> None:
    """This may pass; reading still works."""
    async with SQLSettings(url=database, timeout=0.01).open() as sink:
        await sink.write([])
        other = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="locked"):
            await sink.write([creation()])
        assert await find_one(sink) is None
        (finding,) = await sink.check()
        assert not finding.ok
        other.close()
        await sink.write([creation()])


@sqlite_only
async def test_a_write_that_is_cancelled_twice_hangs_nowhere(
    database: str, tmp_path: Path
) -> None:
    """While the connection's thread waits for a lock, nothing can close it in order."""
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    begun = asyncio.Event()
    async with SQLSettings(url=database).open() as sink, asyncio.TaskGroup() as group:
        await sink.write([])
        engine = sink._database._writing.sync_engine
        event.listen(engine, "begin", lambda _: begun.set())
        with closing(sqlite3.connect(tmp_path / "catalog.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = group.create_task(sink.write([creation()]))
            await begun.wait()
            for _ in range(2):  # the second time, the connection is being closed
                await _turns()
                writing.cancel()
            await asyncio.wait({writing})
            assert writing.cancelled()
            closing_it = asyncio.all_tasks() - tasks
            assert closing_it
            for task in closing_it:  # as the end of the program does
                task.cancel()
            _, stuck = await asyncio.wait(closing_it, timeout=10)
            assert not stuck
            other.rollback()
            for thread in set(threading.enumerate()) - threads:
                await asyncio.to_thread(thread.join, 10)


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


# --- secrets ---


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret/@host/db",
        "postgresql://user:s3cret@host:s3cret/db",
        "postgresql://s3cret:5:5432:/@/",
    ],
)
async def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    """The error explains how to write it."""
    try:
        error: BaseException = await refused_setting(url)
    except TransientError as other:
        error = other
    assert_no_secret(error, "s3cret")


async def test_the_url_is_not_shown(sink: SQLSink, database: str) -> None:
    """Not by the settings, not by the sink."""
    settings = SQLSettings(url="postgresql://user:s3cret@host/db")
    assert "s3cret" not in repr(settings) + str(settings)
    assert database not in repr(sink) + str(sink)
