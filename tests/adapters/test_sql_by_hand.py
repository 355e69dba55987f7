"""The SQL sink: values that people typed in, and that no source could supply."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.adapters.sql_databases import Hand
from tests.adapters.sql_products import (
    ALL,
    KEY,
    apply,
    found,
    planned,
    product,
)

from catalogsync import Options, Product, RetryPolicy, Sync, as_source, sync
from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.changes import Action, Existing
from catalogsync.catalog.convert import product_to_json
from catalogsync.engine.removing import find_whole, removal
from catalogsync.plans import PlanHead, PlanWriter, estimate, fingerprint

FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))
ANYWHERE = [
    "UPDATE product SET title = ''",
    "UPDATE product SET attributes = '[1]'",
    "UPDATE product SET attributes = '{'",
    """UPDATE product SET attributes = '{"a": NaN, "b": 1e400, "rating": Infinity}'""",
    "UPDATE product SET attributes = 'null'",
    "UPDATE product SET weight = -5, length = 1e30",
    "UPDATE product SET brand = '', description = '', thumbnail = ''",
    "UPDATE product SET status = 'archived', title = ' '",
    "UPDATE product SET receipt = '{'",
    "UPDATE price SET amount = -1",
    "UPDATE price SET currency = 'usd'",
    "UPDATE image SET url = ''",
    "UPDATE stock_level SET quantity = -9",
    "INSERT INTO stock_level (variant_id, quantity) VALUES (1, 8)",
    "UPDATE variant SET sku = '', title = ''",
    "UPDATE variant_option SET value = ''",
    "UPDATE variant_option SET name = ''",
    "UPDATE category SET name = ''",
    "INSERT INTO variant_option (variant_id, name, value) VALUES (1, 'Mine', 'x')",
]
SQLITE = [
    "UPDATE product SET weight = 'heavy', width = 'NaN', height = '-Infinity'",
    "UPDATE product SET weight = '1e999999999', length = 'sNaN'",
    "UPDATE product SET title = X'00ff', brand = X'ff', attributes = X'ff'",
    "UPDATE product SET title = 'a' || char(0) || 'b'",
    "UPDATE product SET title = CAST(X'eda080' AS TEXT)",
    """UPDATE product SET attributes = '{"a": "\\ud83d"}'""",
    "UPDATE product SET created_at = 'long ago', updated_at = 7",
    "UPDATE price SET amount = 'a lot'",
    "UPDATE price SET amount = 'Infinity', currency = X'ff'",
    "UPDATE stock_level SET quantity = 2.5",
    "UPDATE stock_level SET quantity = 'some'",
    "UPDATE stock_level SET quantity = 'inf', location = NULL",
    "UPDATE stock_level SET location = X'ff' WHERE id = 1",
    "UPDATE variant SET sku = X'ff', barcode = 7",
    "UPDATE variant_option SET value = X'ff'",
    "UPDATE tag SET text = X'ff' WHERE id = 1",
    "UPDATE image SET url = X'ff'",
]
POSTGRES = [
    "UPDATE product SET weight = 'NaN', width = 'Infinity'",
    "UPDATE price SET amount = 'NaN'",
    "UPDATE price SET amount = '-Infinity'",
]


@pytest.mark.parametrize("damage", [*ANYWHERE, *SQLITE, *POSTGRES])
async def test_what_is_ours_is_written_over(
    sink: SQLSink, hand: Hand, database: str, damage: str, tmp_path: Path
) -> None:
    """Once, and without harm to other data; the product can be planned and removed."""
    only_in = "sqlite" if damage in SQLITE else "postgres"
    if damage not in ANYWHERE and not database.startswith(only_in):
        return
    products = [product("1"), product("2")]
    assert (await sync(as_source(products, name="shop"), sink)).counts.created == 2
    await hand(damage)
    source = as_source([product("1", brand="New"), product("2")], name="shop")
    await _is_planned(source, sink, tmp_path / "plan")
    report = await sync(source, sink, options=FAST)
    assert (report.failures, report.problem) == ((), "")
    assert report.counts.updated >= 1
    changes = await planned(sink, product("1", brand="New"), product("2"))
    assert changes == [], [each.fields for each in changes]
    json.dumps(product_to_json((await found(sink)).product), allow_nan=False)


async def _is_planned(source: object, sink: SQLSink, file: Path) -> None:
    """And the plan can be written to a file."""
    shown: list[object] = []
    head = PlanHead(job="", source="shop", sink="sql", endpoint="", made_at=0)
    with PlanWriter(file, head) as writer:

        def show(change: object) -> None:
            shown.append(change)
            writer.add(change)  # type: ignore[arg-type]

        report = await Sync(source, sink, options=FAST).plan(show)  # type: ignore[arg-type]
        writer.finish(report, estimate(report, ()))
    assert shown


@pytest.mark.parametrize("damage", [*ANYWHERE, *SQLITE, *POSTGRES])
async def test_it_is_left_alone_where_the_source_says_nothing(
    sink: SQLSink, hand: Hand, database: str, damage: str
) -> None:
    only_in = "sqlite" if damage in SQLITE else "postgres"
    if damage not in ANYWHERE and not database.startswith(only_in):
        return
    await apply(sink, product("1"))
    await hand(damage)
    columns = "SELECT CAST(weight AS TEXT), attributes, brand FROM product"
    before = await hand(columns)
    bare = Product(key=KEY, title="Only this")
    await apply(sink, bare)
    assert await hand(columns) == before
    existing = (await sink.find([bare], fields=ALL))[bare.key]
    assert isinstance(existing, Existing)
    assert existing.product.title == "Only this"


@pytest.mark.parametrize("action", [Action.UNPUBLISH, Action.DELETE, Action.RELEASE])
async def test_it_can_be_removed(sink: SQLSink, hand: Hand, action: Action) -> None:
    await apply(sink, product("1"))
    await hand("UPDATE product SET title = '', attributes = '{', weight = -1")
    await hand("UPDATE price SET amount = -1")
    (page,) = [page async for page in sink.owned("shop")]
    (existing,) = await find_whole(sink, page)
    change = removal(existing, action)
    assert fingerprint(change)
    await sink.write([change])
    ((number,),) = await hand(
        "SELECT count(*) FROM product WHERE source = 'shop' AND status = 'published'"
    )
    assert number == 0
