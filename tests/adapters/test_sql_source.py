"""Tables and queries as a source: pages by key, grouping, changes, and no secrets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from tests.adapters.sql_databases import Hand, assert_no_secret

from catalogsync import (
    MemorySink,
    Price,
    Product,
    ProductKey,
    Rejected,
    RunStatus,
    sync,
)
from catalogsync.adapters.sql import ChangedRows, SQLSourceSettings
from catalogsync.adapters.sql._cells import cell, dumped, loaded
from catalogsync.errors import (
    CatalogSyncError,
    InvalidValueError,
    MisconfiguredError,
    TransientError,
)
from catalogsync.mapping import Expression, RecordMapping
from catalogsync.protocols import LookupSource

MAP = RecordMapping(
    key=Expression(from_="product_id"),
    title=Expression(from_="name"),
    variant=Expression(from_="sku"),
    sku=Expression(from_="sku"),
    options={"Size": Expression(from_="size")},
    price=Expression(from_="price", currency="EUR"),
)
ROWS = """
CREATE TABLE "order" (product_id INTEGER NOT NULL, sku VARCHAR(20) NOT NULL,
    name VARCHAR(20), size VARCHAR(5), price NUMERIC(10, 2), changed TIMESTAMP,
    PRIMARY KEY (product_id, sku))
"""


def settings(url: str, **more: Any) -> SQLSourceSettings:
    given = {"table": "order", "key": ("product_id", "sku"), "map": MAP} | more
    return SQLSourceSettings(url=url, name="erp", **given)


async def fill(
    hand: Hand, sizes: Sequence[int], changed: dt.datetime | None = None
) -> None:
    """A table with so many variants of each product."""
    await hand('DROP TABLE IF EXISTS "order"')
    await hand(ROWS)
    rows = [
        f"({p}, 'S{v:03}', 'Thing {p}', '{v}', {p}.{v:02}, '{when(changed)}')"
        for p, size in enumerate(sizes)
        for v in range(size)
    ]
    for begin in range(0, len(rows), 500):
        await hand(f'INSERT INTO "order" VALUES {", ".join(rows[begin : begin + 500])}')


def when(moment: dt.datetime | None) -> str:
    return f"{moment or dt.datetime(2020, 1, 1, tzinfo=dt.UTC):%Y-%m-%d %H:%M:%S}"


async def read_all(given: SQLSourceSettings) -> tuple[list[Product], list[Rejected]]:
    products: list[Product] = []
    rejected: list[Rejected] = []
    async with given.open() as source:
        cursors: list[str | None] = [None]
        while cursors:
            page = await source.read(cursors.pop(0))
            products += [each for each in page.products if isinstance(each, Product)]
            rejected += page.rejected
            cursors += page.next
    return products, rejected


def counts(products: Sequence[Product]) -> list[tuple[str, int]]:
    return [(p.key.id, len(p.variants or ())) for p in products]


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 1000])
async def test_each_product_has_all_its_rows(
    database: str, hand: Hand, page_size: int
) -> None:
    """Also if its rows are more than a page has."""
    sizes = [1, 3, 2, 6, 1, 4]
    await fill(hand, sizes)
    products, rejected = await read_all(settings(database, page_size=page_size))
    assert counts(products) == [(str(n), size) for n, size in enumerate(sizes)]
    assert rejected == []
    (only,) = products[0].variants or ()
    assert only.prices == (Price(amount=Decimal("0.00"), currency="EUR"),)


async def test_a_query_with_colons_and_a_comment(database: str, hand: Hand) -> None:
    await fill(hand, [1, 2])
    query = """
        SELECT product_id, sku, name || ' 12:30 :a' AS name, size, price
        FROM "order" WHERE name <> ':b' ; -- 50 % of them; all
    """.replace(" ; ", " ")
    products, _ = await read_all(
        settings(database, table=None, query=query, page_size=1)
    )
    assert [p.title for p in products] == ["Thing 0 12:30 :a", "Thing 1 12:30 :a"]
    query = 'SELECT * FROM "order";'
    products, _ = await read_all(settings(database, table=None, query=query))
    assert counts(products) == [("0", 1), ("1", 2)]


async def test_a_run_and_a_second_one(database: str, hand: Hand) -> None:
    await fill(hand, [2, 1, 3])
    sink = MemorySink()
    async with settings(database).open() as source:
        assert (await sync(source, sink)).counts.created == 3
        await hand("UPDATE \"order\" SET price = 99.5 WHERE sku = 'S002'")
        report = await sync(source, sink)
    assert (report.counts.updated, report.counts.unchanged) == (1, 2)


_IDS = ("1", "7", "x", "1.0", str(2**40), str(2**70), "0")


async def test_lookup(database: str, hand: Hand) -> None:
    await fill(hand, [1, 2, 1])
    keys = [ProductKey("erp", id_) for id_ in _IDS]
    async with settings(database).open() as source:
        assert isinstance(source, LookupSource)
        page = await source.get(keys)
    found = [each for each in page.products if isinstance(each, Product)]
    assert counts(found) == [("0", 1), ("1", 2)]


async def test_a_key_that_is_made_of_something_cannot_be_looked_up(
    database: str, hand: Hand
) -> None:
    await fill(hand, [1])
    key = Expression(template="P-{product_id}")
    mapping = RecordMapping(key=key, title=Expression(from_="name"))
    async with settings(database, map=mapping).open() as source:
        assert not isinstance(source, LookupSource)
        page = await source.read(None)
    assert [each.key.id for each in page.products] == ["P-0"]


async def test_changes_bring_the_whole_product(database: str, hand: Hand) -> None:
    """One changed variant brings all of them, and no run counts as a full one."""
    await fill(hand, [2, 3, 1])
    now = dt.datetime.now(dt.UTC)
    recent = when(now - dt.timedelta(seconds=600))
    await hand(
        f"UPDATE \"order\" SET changed = '{recent}' "
        "WHERE product_id = 1 AND sku = 'S001'"
    )
    changed = ChangedRows(column="changed", window=3600)
    given = settings(database, changed_since=changed, page_size=1)
    products, _ = await read_all(given)
    assert counts(products) == [("1", 3)]
    async with given.open() as source:
        assert not source.complete
    short = ChangedRows(column="changed", window=60)
    assert await read_all(settings(database, changed_since=short)) == ([], [])


@pytest.mark.parametrize(
    ("format", "value"),
    [
        ("iso", "'2026-05-01T12:00:00'"),
        ("unix", "1777636800"),
        ("unix_ms", "1777636800000"),
    ],
)
async def test_other_times(database: str, hand: Hand, format: Any, value: str) -> None:  # noqa: A002
    await fill(hand, [1])
    query = f'SELECT "order".*, {value} AS stamp FROM "order"'
    changed = ChangedRows(column="stamp", window=60, format=format)
    given = settings(database, table=None, query=query, changed_since=changed)
    for later, count in ((59, 1), (61, 0)):
        async with given.open() as source:
            source.clock = lambda later=later: 1777636800.0 + later  # type: ignore[misc]
            page = await source.read(None)
        assert len(page.products) == count


async def test_bad_rows_are_rejected_with_their_key(database: str, hand: Hand) -> None:
    await fill(hand, [1, 1])
    await hand('UPDATE "order" SET name = NULL WHERE product_id = 0')
    products, (rejected,) = await read_all(settings(database))
    assert counts(products) == [("1", 1)]
    assert str(rejected) == "row product_id=0, sku=S000: title: is missing"


# --- settings ---


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"table": None}, "table: set either `table` or `query`"),
        ({"query": "SELECT 1"}, "table: set either `table` or `query`"),
        ({"key": ()}, "key: must name one column"),
        ({"table": "a..b"}, "table: 'a..b' is not a name"),
        ({"page_size": 0}, "page_size: must be 1 or more"),
    ],
)
def test_refused_settings(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(MisconfiguredError, match=expected):
        settings("sqlite:///x.db", **given)


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"table": "nothing"}, "table"),
        ({"table": 'order" WHERE 1=1; DROP TABLE "order'}, "table"),
        ({"key": ('product_id" DESC --',)}, "table"),
        ({"table": None, "query": "SELEKT 1"}, "query"),
        ({"table": None, "query": 'DELETE FROM "order" RETURNING *'}, "query"),
        ({"table": None, "query": 'SELECT 1) AS a; DROP TABLE "order"; --'}, "query"),
        (
            {"map": RecordMapping(key=MAP.key, title=Expression(from_="nane"))},
            "map.title",
        ),
    ],
)
async def test_what_the_database_refuses(
    database: str, hand: Hand, given: dict[str, Any], setting: str
) -> None:
    """The setting is named, and nothing happens to the table."""
    await fill(hand, [1])
    with pytest.raises(MisconfiguredError) as raised:
        await read_all(settings(database, **given))
    assert raised.value.setting == setting
    assert await hand('SELECT count(*) FROM "order"') == [(1,)]


async def test_a_statement_cannot_write(database: str, hand: Hand) -> None:
    """Neither does a connection."""
    import sqlalchemy as sa

    await fill(hand, [1])
    async with settings(database).open() as source:
        with pytest.raises(CatalogSyncError, match=r"refuses the statement: .*read"):
            async with source._reading() as connection:
                await connection.execute(sa.text('DELETE FROM "order"'))
    assert await hand('SELECT count(*) FROM "order"') == [(1,)]


async def test_null_in_a_key_is_refused(database: str, hand: Hand) -> None:
    """Such a row would be left out without a word."""
    await fill(hand, [1, 1])
    query = 'SELECT *, NULLIF(product_id, 1) AS maybe FROM "order"'
    given = settings(database, table=None, query=query, key=("maybe", "sku"))
    with pytest.raises(MisconfiguredError, match="key: `maybe` has NULL in a row"):
        await read_all(given)


async def test_too_many_rows_of_one_product(
    database: str, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first column is not that of the product."""
    monkeypatch.setattr("catalogsync.adapters.sql._source._MOST_ROWS", 4)
    await fill(hand, [5, 1])
    with pytest.raises(MisconfiguredError, match="4 rows have the same `product_id`"):
        await read_all(settings(database, page_size=2))


@pytest.mark.parametrize("cursor", ["", "x", "[]", '[["int", "x"]]', '[["gone", 1]]'])
async def test_a_cursor_that_is_not_one(sqlite: str, cursor: str) -> None:
    hand = Hand(sqlite)
    await fill(hand, [1])
    async with settings(sqlite).open() as source:
        with pytest.raises(InvalidValueError, match="there is no page"):
            await source.read(cursor)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:////nowhere/x.db", "/nowhere/x.db does not exist"),
        ("mysql+nodriver://me:s3cret@host/x", "not an asynchronous driver"),
        ("sqlite+pysqlite:///x.db", "not an asynchronous driver"),
        ("postgresql://me:s3cret@@h/x", "write @ as %40"),
    ],
)
async def test_a_url_that_cannot_be_used(url: str, problem: str) -> None:
    assert "s3cret" not in repr(settings(url))
    with pytest.raises(MisconfiguredError, match=problem) as raised:
        await read_all(settings(url))
    assert raised.value.setting == "url"
    assert_no_secret(raised.value, "s3cret")


async def test_a_server_that_is_down_is_tried_again() -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/shop"
    with pytest.raises(TransientError) as raised:
        await read_all(settings(url, timeout=5))
    assert_no_secret(raised.value, "s3cret")


async def test_check_says_what_is_there(database: str, hand: Hand) -> None:
    await fill(hand, [2, 1])
    async with (
        settings(database).open() as source,
        settings(database, table="no").open() as no,
    ):
        (result,), (bad,) = await source.check(), await no.check()
    assert (result.ok, result.text) == (True, "3 rows, 6 columns")
    assert (bad.ok, bad.what) == (False, "table")


async def test_samples_for_the_preview(database: str, hand: Hand) -> None:
    await fill(hand, [1, 2, 1, 1])
    async with settings(database, page_size=1).open() as source:
        first = await source.samples(2)
        chosen = await source.samples(9, keys=["3"])
    assert [len(sample.records) for sample in first] == [1, 2]
    assert [sample.result.key and sample.result.key.id for sample in chosen] == ["3"]


# --- values ---


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (9.99, Decimal("9.99")),
        (float("inf"), "inf"),
        (dt.date(2026, 5, 1), "2026-05-01"),
        (dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC), "2026-05-01T12:00:00+00:00"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", b"\xff"),
        ([1, 2.5, {"a": b"x"}], [1, Decimal("2.5"), {"a": "x"}]),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (None, None),
        (True, True),
    ],
)
def test_values_of_columns(value: object, expected: object) -> None:
    assert cell(value) == expected


@given(
    st.lists(
        st.text()
        | st.integers()
        | st.booleans()
        | st.floats(allow_nan=False)
        | st.decimals(allow_nan=False)
        | st.datetimes(timezones=st.none() | st.just(dt.UTC))
        | st.dates()
        | st.binary()
        | st.uuids()
    )
)
def test_a_cursor_has_each_key_exactly(values: list[Any]) -> None:
    back = loaded(dumped(tuple(values)))
    assert back == tuple(values)
    assert [*map(type, back)] == [*map(type, values)]


async def test_times_and_uuids_as_keys(database: str, hand: Hand) -> None:
    """Whatever the database has: pages follow each other without a gap."""
    kinds = {"u": "UUID", "c": "CHAR(8)", "t": "TIMESTAMP", "n": "NUMERIC(20, 3)"}
    await hand("DROP TABLE IF EXISTS things")
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    await hand(f"CREATE TABLE things ({columns})")
    rows = [
        f"('{UUID(int=n)}', 'c{n}', '2026-05-01 12:00:0{n}', {n}.125)" for n in range(5)
    ]
    await hand(f"INSERT INTO things VALUES {', '.join(rows)}")
    for name in kinds:
        mapping = RecordMapping(key=Expression(from_=name), title=Expression(from_="u"))
        given = settings(
            database, table="things", key=(name, "c", "u"), map=mapping, page_size=1
        )
        products, rejected = await read_all(given)
        assert (len(products), rejected) == (5, [])
        async with given.open() as source:
            assert isinstance(source, LookupSource)
            found = await source.get([products[2].key])
        assert [each.key for each in found.products] in ([products[2].key], [])


async def test_a_configured_job(sqlite: str, tmp_path: Any) -> None:
    from catalogsync.config import load_config

    await fill(Hand(sqlite), [2])
    (tmp_path / "catalogsync.toml").write_text(
        f"""
        [jobs.erp.source]
        type = "sql"
        url = "{sqlite}"
        name = "erp"
        table = "order"
        key = ["product_id", "sku"]
        map = {{ key = "product_id", title = "name", variant = "sku", options = {{ Size = "size" }} }}

        [jobs.erp.sink]
        type = "jsonl"
        path = "{tmp_path}/out.jsonl"
        """
    )
    report = await load_config(tmp_path / "catalogsync.toml").job("erp").run()
    assert (report.status, report.counts.created) == (RunStatus.SUCCEEDED, 1)
