"""The SQL sink makes its file and tables when it first writes, and not before."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.sql_databases import POSTGRES, Hand, OpenSink
from tests.adapters.sql_products import (
    ALL,
    apply,
    as_found,
    category_reference,
    creation,
    found,
    product,
    variant,
    write_reference,
)

from catalogsync import UNSET, Change, Field, Report, Sync, Update, as_source
from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.catalog.changes import ReferenceChange
from catalogsync.catalog.products import DETAILS, GROUPS, VARIANT_SIZES, Category

EYES = category_reference(Category(id="eyes", name="Eyes"), "shop")


async def looked_at(sink: SQLSink) -> Report:
    """All that may be done without leaving a trace."""
    assert await sink.find([product()], fields=ALL) == {}
    assert await sink.find_references(frozenset({EYES})) == {}
    (finding,) = await sink.check()
    assert finding.ok
    assert "would be created" in finding.text
    shown: list[Change | ReferenceChange] = []
    report = await Sync(as_source([product()], name="shop"), sink).plan(shown.append)
    changes = [change for change in shown if isinstance(change, Change)]
    assert report.counts.created == len(changes) == 1
    return report


def names_in(folder: Path) -> list[str]:
    """The files of a folder."""
    return [file.name for file in folder.iterdir()]


async def test_looking_makes_no_file(sqlite: str, tmp_path: Path) -> None:
    """Without a SQLite file, nothing is found, and no file is created."""
    async with SQLSettings(url=sqlite).open() as sink:
        await looked_at(sink)
        (finding,) = await sink.check()
        assert finding.text == f"{tmp_path}/catalog.db would be created"
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("table", ["", "CREATE TABLE another (id INTEGER)"])
async def test_looking_leaves_a_file_as_it_is(
    sqlite: str, tmp_path: Path, table: str
) -> None:
    """An empty file, and another program's file that has room for our tables."""
    await Hand(sqlite)(table)
    file = tmp_path / "catalog.db"
    before = file.read_bytes()
    async with SQLSettings(url=sqlite).open() as sink:
        await looked_at(sink)
    assert names_in(tmp_path) == ["catalog.db"]
    assert file.read_bytes() == before


@pytest.mark.parametrize("database", POSTGRES, indirect=True)
async def test_looking_makes_no_tables(sink: SQLSink, hand: Hand) -> None:
    """Nor does it leave anything else in a database on a server."""
    await looked_at(sink)
    assert (
        await hand("SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        == []
    )


async def test_the_first_write_makes_the_tables(open_sink: OpenSink) -> None:
    """Of products or of references; who looked before finds them."""
    sink, other = await open_sink(), await open_sink()
    await looked_at(sink)
    await looked_at(other)
    id_ = await write_reference(sink, EYES)
    assert (await other.find_references(frozenset({EYES})))[EYES].id == id_
    await apply(other, product())
    assert (await found(sink)).product.title == "Mascara"


async def test_four_write_first_at_once(open_sink: OpenSink) -> None:
    """Each batch is written; only one makes the tables."""
    sinks = [await open_sink() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for number, sink in enumerate(sinks):
            group.create_task(sink.write([creation(str(number))]))
    desired = [product(str(number)) for number in range(4)]
    assert len(await sinks[0].find(desired, fields=ALL)) == 4


WRITER = """
import asyncio, sys
from tests.adapters.sql_products import creation
from catalogsync.adapters.sql import SQLSettings

async def main(url, number):
    async with SQLSettings(url=url).open() as sink:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await sink.write([creation(number)])

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_write_first_at_once(database: str) -> None:
    """The same between processes."""
    pipe = asyncio.subprocess.PIPE
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, database, str(n), stdin=pipe, stdout=pipe
        )
        for n in range(2)
    ]
    for writer in writers:
        assert writer.stdout
        assert await writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(b"go\n")
    for writer in writers:
        await writer.communicate()
        assert writer.returncode == 0
    async with SQLSettings(url=database).open() as sink:
        desired = [product(str(number)) for number in range(2)]
        assert len(await sink.find(desired, fields=ALL)) == 2


async def test_columns_that_an_earlier_version_did_not_have(
    open_sink: OpenSink, hand: Hand
) -> None:
    """They read as empty, and the first write adds them; no product is rewritten."""
    old: dict[str, Any] = dict.fromkeys((*DETAILS, *GROUPS, Field.DISCOUNTABLE), UNSET)
    old["variants"] = [variant(weight=UNSET, dimensions=UNSET)]
    sink = await open_sink()
    await apply(sink, product(**old))
    for name in old.keys() - {"variants"}:
        await hand(f"ALTER TABLE product DROP COLUMN {name}")
    for name in ("weight", "length", "width", "height"):
        await hand(f"ALTER TABLE variant DROP COLUMN {name}")
    later = await open_sink()
    before = await found(later)
    assert before.product.material is None
    assert before.product.discountable is UNSET
    assert not await apply(later, product(**old))
    (change,) = await apply(later, product())
    assert isinstance(change, Update)
    assert change.fields == (old.keys() - {"variants"}) | VARIANT_SIZES.keys()
    assert not await apply(later, product())
    assert (await found(later)).product == as_found(product())


async def test_a_database_of_an_earlier_version(
    open_sink: OpenSink, hand: Hand
) -> None:
    """Its categories have no last-applied state yet; the first write adds the column."""
    sink = await open_sink()
    await apply(sink, product())
    await hand("ALTER TABLE category DROP COLUMN receipt")
    later = await open_sink()
    existing = await later.find_references(frozenset({EYES}))
    assert existing[EYES].last_applied is None
    assert (await found(later)).product.categories
    change = ReferenceChange(reference=EYES, existing=existing[EYES], last_applied="{}")
    await later.write_references([change])
    assert (await later.find_references(frozenset({EYES})))[EYES].last_applied == "{}"
    latest = await open_sink()
    assert (await latest.find_references(frozenset({EYES})))[EYES].last_applied == "{}"
