"""What comes from outside is never part of a statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from catalogsync import MemorySink, Options, as_source, sync
from catalogsync.adapters.sql import SQLSettings
from catalogsync.catalog.products import (
    Category,
    Dimensions,
    Field,
    Image,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)
from catalogsync.state import StateSettings

MARK = "canary"
HOSTILE = (
    f"{MARK}'); DROP TABLE product; --",
    f'{MARK}"; DROP TABLE product; --',
    f"{MARK}' OR '1'='1",
    f"{MARK}\\'; DELETE FROM product; --",
    f":{MARK} %({MARK})s ? $1 {{{MARK}}} %s",
    f"%{MARK}_",
    f"/* {MARK} */ -- \N{FULLWIDTH APOSTROPHE}\u02bc",
)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """All that is executed by way of SQLAlchemy."""
    found: list[str] = []

    def note(*arguments: Any) -> None:
        found.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def product(text: str, amount: str) -> Product:
    """A product of nothing but this."""
    return Product(
        key=ProductKey("shop", text),
        title=text,
        description=text,
        brand=text,
        subtitle=text,
        material=text,
        hs_code=text,
        mid_code=text,
        type=text,
        collection=text,
        thumbnail=text,
        images=[Image(url=text)],
        categories=[
            Category(id=text, name=text, parent=Category(id=f"{text}.", name=text))
        ],
        tags=[text],
        attributes={text: {text: text}},
        variants=[
            Variant(
                id=text,
                title=text,
                sku=text,
                barcode=text,
                options={text: text},
                prices=[Price(amount=Decimal(amount), currency="EUR")],
                stock=[StockLevel(quantity=1, location=text)],
                weight=Decimal(3),
                dimensions=Dimensions(length=Decimal(4)),
            )
        ],
    )


def tables(file: Path) -> set[str]:
    """The tables of a database."""
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return {name for (name,) in connection.execute(query)}


async def test_the_sink(tmp_path: Path, statements: list[str]) -> None:
    """Made, changed and found: every text comes back as it was."""
    async with SQLSettings(url=f"sqlite:///{tmp_path}/shop.db").open() as sink:
        for amount in ("1", "2"):
            desired = [product(text, amount) for text in HOSTILE]
            report = await sync(as_source(desired, name="shop"), sink, job=HOSTILE[0])
            assert report.failures == ()
        before = tables(tmp_path / "shop.db")
        existing = await sink.find(desired, fields=frozenset(Field))
        for each in desired:
            found: Any = existing[each.key]
            assert found.product.title == each.title
            assert found.product.attributes == each.attributes
            assert found.product.subtitle == found.product.type == each.subtitle
            assert found.product.variants == each.variants
    assert tables(tmp_path / "shop.db") == before
    assert statements
    assert [text for text in statements if MARK in text] == []


@pytest.mark.parametrize("text", HOSTILE)
async def test_the_state_store(tmp_path: Path, text: str) -> None:
    """Names of jobs, keys and reasons."""
    file = tmp_path / "runs.db"
    desired = [product(text, "1"), product(f"{text}2", "1")]
    options = Options(transform=lambda p: p if p.title == text else 1 / 0)  # type: ignore[arg-type, return-value]
    async with StateSettings(url=f"sqlite:///{file}").open() as store:
        await sync(
            as_source(desired, name="shop"),
            MemorySink(),
            job=text,
            options=options,
            state=store,
        )
        before = tables(file)
        (record,) = await store.runs(job=text)
        assert record.job == text
        (failure,) = await store.failures(text)
        assert failure.key == desired[1].key
        (entry, *_) = await store.history(text, desired[0].key)
        assert entry.outcome.key == desired[0].key
        assert await store.runs(job=f"{text} ") == []
    assert tables(file) == before
