"""An odd value in the catalog affects no other product."""

from __future__ import annotations

import math
import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, reject, settings, strategies as st
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from tests.adapters.sql_databases import DATABASES, Hand
from tests.engine.fakes import FAST

from catalogsync import Category, Image, Options, Product, StockLevel, as_source, sync
from catalogsync.adapters.sql import SQLSettings
from catalogsync.adapters.sql._tables import metadata

from .sql_products import product, variant

COLUMNS = {
    table.name: columns
    for table in metadata.sorted_tables
    if (columns := [c for c in table.c if c.name != "id" and not c.foreign_keys])
}
_OWNERS = {
    **dict.fromkeys(("product", "variant", "category", "tag"), "id"),
    **dict.fromkeys(("variant_option", "price", "stock_level"), "variant_id"),
    "image": "product_id",
}

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
ANYTHING = st.one_of(
    WORDS,
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([math.inf, 1e300, 0.5]),
    st.binary(max_size=3),
    st.sampled_from(["{", "NaN", "sNaN", "-Infinity", "long ago", "[" * 100_000]),
)
OF_TYPE: list[tuple[type[Any], st.SearchStrategy[str]]] = [
    (sa.DateTime, st.sampled_from(["infinity", "-infinity", "4713-01-01 BC"])),
    (sa.Numeric, st.sampled_from(["NaN", "-5", "1e30", "Infinity"])),
    (sa.Integer, st.integers(-(2**31), 2**31 - 1).map(str)),
    (sa.Text, WORDS | st.sampled_from(["{", "[" * 100_000])),
]


def values(column: sa.Column[Any], url: str) -> st.SearchStrategy[Any]:
    """Any value for a column; SQLite accepts every type everywhere."""
    if url.startswith("sqlite"):
        return ANYTHING
    return next(words for type_, words in OF_TYPE if isinstance(column.type, type_))


def catalog(title: str) -> list[Product]:
    """Two that have nothing in common."""
    return [
        product(
            n,
            title=title,
            tags=[f"tag {n}"],
            categories=[Category(id=f"c{n}", name=n)],
            images=[Image(url=f"https://example.com/{n}.png")],
            variants=[variant(sku=n, stock=[StockLevel(quantity=1)])],
        )
        for n in "12"
    ]


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("database", DATABASES, indirect=True)
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_any_value_in_any_column(
    database: str, table: str, data: st.DataObject
) -> None:
    """The run goes through, and the other product is written."""
    column = data.draw(st.sampled_from(COLUMNS[table]))
    hand, options = Hand(database), Options(retry=FAST)
    async with SQLSettings(url=database).open() as sink:
        await sync(as_source(catalog("first"), name="shop"), sink, options=options)
        value = data.draw(values(column, database))
        kind = column.type.compile(postgresql.dialect())
        what = (
            ":value"
            if database.startswith("sqlite")
            else f"CAST(CAST(:value AS TEXT) AS {kind})"
        )
        number = "(SELECT MIN(id) FROM product)"
        if _OWNERS[table] == "variant_id":
            number = f"(SELECT MIN(id) FROM variant WHERE product_id = {number})"
        try:
            await hand(
                f"UPDATE {table} SET {column.name} = {what}"
                f" WHERE {_OWNERS[table]} = {number}",
                value=value,
            )
        except (sqlite3.IntegrityError, IntegrityError):
            reject()  # it is the value of another row
        report = await sync(
            as_source(catalog("second"), name="shop"), sink, options=options
        )
        assert not report.problem, report.summary
        found = await hand("SELECT title FROM product WHERE source_id = '2'")
        assert found == [("second",)]
        for name in ("product", "category", "tag"):
            await hand(f"DELETE FROM {name}")
