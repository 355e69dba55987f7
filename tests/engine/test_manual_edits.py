"""Whole runs over products that people edited in the store."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio
from hypothesis import given, strategies as st
from tests.strategies import histories, products

from catalogsync import (
    UNSET,
    Category,
    Change,
    Field,
    Image,
    InvalidValueError,
    Limits,
    MemorySink,
    OnManualEdit,
    Options,
    Outcome,
    Owner,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    Report,
    RunStatus,
    StateSettings,
    StockLevel,
    TransientError,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.state import StateStore

from .fakes import check, fast, key

KEEP = fast(on_manual_edit=OnManualEdit.KEEP)


async def run(
    products: Sequence[Product],
    sink: Any,
    options: Options = KEEP,
    store: StateStore | None = None,
) -> Report:
    source = as_source(products, name="shop")
    report = await sync(source, sink, options=options, job="job", state=store)
    check(report)
    return report


def edits(report: Report) -> dict[str, tuple[Any, Any, bool]]:
    return {
        edit.diff.path: (edit.diff.old, edit.diff.new, edit.kept)
        for edit in report.manual_edits
    }


# A catalog in SQL, and a person with a SQL shell


def cup(**fields: Any) -> Product:
    prices = [Price(amount=Decimal("9.99"), currency="USD")]
    stock = [StockLevel(quantity=5)]
    values: dict[str, Any] = {
        "title": "Cup",
        "description": "A cup",
        "images": [Image(url="https://a/1.png"), Image(url="https://a/2.png")],
        "categories": [Category(id="cups", name="Cups")],
        "tags": ["red", "new"],
        "attributes": {"material": "clay"},
        "variants": [
            Variant(id=size, options={"Size": size}, prices=prices, stock=stock)
            for size in ("S", "M")
        ],
    }
    return Product(key=key(1), **{**values, **fields})


@attrs.frozen
class Store:
    """A catalog in a SQLite file."""

    sink: SQLSink
    file: Path

    def by_hand(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            return connection.execute(statement).fetchall()

    async def product(self, *names: str) -> Product:
        existing = (await self.sink.find([cup()], fields=frozenset(Field)))[key(1)]
        product: Product = existing.product  # type: ignore[union-attr]
        return product


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    file = tmp_path / "catalog.db"
    async with SQLSettings(url=f"sqlite:///{file}").open() as sink:
        yield Store(sink, file)


M = "(SELECT id FROM variant WHERE source_id = 'M')"
BY_HAND: dict[str, tuple[str, dict[str, tuple[Any, Any]]]] = {
    "a text": ("UPDATE product SET title = 'Mug'", {"title": ("Mug", "Cup")}),
    "a text that was emptied": (
        "UPDATE product SET description = NULL",
        {"description": (None, "A cup")},
    ),
    "an attribute": (
        """UPDATE product SET attributes = '{"material":"glass"}'""",
        {"attributes.material": ("glass", "clay")},
    ),
    "an image": (
        "DELETE FROM image WHERE position = 0",
        {"images": (["https://a/2.png"], ["https://a/1.png", "https://a/2.png"])},
    ),
    "a category": ("DELETE FROM product_category", {"categories": ([], ["Cups"])}),
    "a tag": (
        "DELETE FROM product_tag WHERE tag_id = (SELECT id FROM tag WHERE text='red')",
        {"tags": (["new"], ["red", "new"])},
    ),
    "a price": (
        f"UPDATE price SET amount = '1.00' WHERE variant_id = {M}",
        {"variants.M.prices.USD": ("1.00", "9.99")},
    ),
    "all prices": (
        f"DELETE FROM price WHERE variant_id = {M}",
        {"variants.M.prices.USD": (None, "9.99")},
    ),
    "an option": (
        f"UPDATE variant_option SET value = 'L' WHERE variant_id = {M}",
        {"variants.M.options": ({"Size": "L"}, {"Size": "M"})},
    ),
    "a variant": (f"DELETE FROM variant WHERE id = {M}", {"variants.M": (None, "M")}),
}


@pytest.mark.parametrize(("statement", "expected"), BY_HAND.values(), ids=BY_HAND)
async def test_an_edit_is_kept_run_after_run(
    store: Store, statement: str, expected: dict[str, tuple[Any, Any]]
) -> None:
    await run([cup()], store.sink)
    store.by_hand(statement)
    theirs = await store.product()
    assert theirs != cup()
    for _ in range(3):
        report = await run([cup()], store.sink)
        assert (report.status, report.writes) == (RunStatus.SUCCEEDED, 0)
        assert edits(report) == {path: (*both, True) for path, both in expected.items()}
        assert await store.product() == theirs
    assert len(report.to_dict()["manual_edits"]) == 1
    assert "keeps an edit: shop:1 " in str(report)


@pytest.mark.parametrize(("statement", "expected"), BY_HAND.values(), ids=BY_HAND)
async def test_a_manual_edit_is_overwritten_and_reported(
    store: Store, statement: str, expected: dict[str, tuple[Any, Any]]
) -> None:
    await run([cup()], store.sink)
    before = await store.product()
    store.by_hand(statement)
    report = await run([cup()], store.sink, fast())
    assert (report.counts.updated, report.status) == (1, RunStatus.SUCCEEDED)
    assert edits(report) == {path: (*both, False) for path, both in expected.items()}
    assert await store.product() == before
    assert edits(await run([cup()], store.sink, fast())) == {}


async def test_stock_is_never_kept(store: Store) -> None:
    await run([cup()], store.sink)
    store.by_hand("UPDATE stock_level SET quantity = 0")
    report = await run([cup()], store.sink)
    assert (report.counts.updated, edits(report)) == (1, {})
    assert store.by_hand("SELECT quantity FROM stock_level") == [(5,), (5,)]


async def test_what_the_source_changes_wins_and_the_rest_stays(store: Store) -> None:
    await run([cup()], store.sink)
    store.by_hand("UPDATE product SET title = 'Mug', description = 'By hand'")
    store.by_hand("UPDATE price SET amount = '1.00'")
    dearer = [Price(amount=Decimal("12.00"), currency="USD")]
    small, medium = cup().variants or ()
    desired = cup(title="Teacup", variants=[attrs.evolve(small, prices=dearer), medium])
    report = await run([desired], store.sink)
    assert edits(report).keys() == {"description", "variants.M.prices.USD"}
    assert store.by_hand("SELECT title, description FROM product") == [
        ("Teacup", "By hand")
    ]
    amounts = store.by_hand("SELECT amount FROM price ORDER BY variant_id")
    assert amounts == [("12.00",), ("1.00",)]


async def test_a_product_that_a_person_hid_can_be_shown_by_the_source_again(
    store: Store,
) -> None:
    """Though the source hid it too, for a while, and there was nothing to do then."""
    options = fast(on_manual_edit=OnManualEdit.KEEP, owns={Field.STATUS: Owner.ALWAYS})
    shown = cup(status=ProductStatus.PUBLISHED)
    hidden = cup(status=ProductStatus.DRAFT)
    await run([shown], store.sink, options)
    store.by_hand("UPDATE product SET status = 'draft'")
    for desired, status in (
        (shown, "draft"),
        (hidden, "draft"),
        (hidden, "draft"),
        (shown, "published"),
    ):
        await run([desired], store.sink, options)
        assert store.by_hand("SELECT status FROM product") == [(status,)]


async def test_what_is_not_owned_is_not_touched(store: Store) -> None:
    options = fast(
        owns={
            Field.DESCRIPTION: Owner.NEVER,
            Field.PRICES: Owner.ON_CREATE,
            Field.IMAGES: Owner.ON_CREATE,
            Field.TAGS: Owner.NEVER,
        }
    )
    small, medium = cup().variants or ()
    await run([cup(variants=[small])], store.sink, options)
    assert store.by_hand("SELECT description FROM product") == [(None,)]
    assert store.by_hand("SELECT * FROM product_tag") == []
    assert store.by_hand("SELECT * FROM tag") == []
    assert len(store.by_hand("SELECT * FROM image")) == 2
    store.by_hand("UPDATE product SET description = 'By hand'")
    store.by_hand("UPDATE price SET amount = '1.00'")
    store.by_hand("DELETE FROM image")
    dearer = [Price(amount=Decimal("12.00"), currency="USD")]
    both = [attrs.evolve(each, prices=dearer) for each in (small, medium)]
    report = await run([cup(title="Mug", variants=both)], store.sink, options)
    assert (report.counts.updated, report.manual_edits) == (1, ())
    assert store.by_hand("SELECT title, description FROM product") == [
        ("Mug", "By hand")
    ]
    assert store.by_hand("SELECT * FROM image") == []
    amounts = store.by_hand("SELECT amount FROM price ORDER BY variant_id")
    assert amounts == [("1.00",), ("12.00",)]
    again = await run([cup(title="Mug", variants=both)], store.sink, options)
    assert again.counts.unchanged == 1


# Writes that broke off


@attrs.define(kw_only=True)
class HalfWriting(MemorySink):
    """Breaks off some writes when the last-applied state is written and the rest is not.

    Attributes:
        breaks: What the next writes raise.
    """

    breaks: list[BaseException] = attrs.field(factory=list[BaseException])

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        if not self.breaks:
            return await super().write(changes)
        for change in changes:
            self.last_applied[change.key] = change.last_applied
        raise self.breaks.pop(0)


class Killed(BaseException):
    """The process is gone."""


@pytest_asyncio.fixture
async def runs() -> AsyncGenerator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


def thing(number: int, **fields: Any) -> Product:
    return Product(key=key(number), **{"title": f"Thing {number}", **fields})


@pytest.mark.parametrize("options", [KEEP, fast()])
async def test_an_interrupted_write_in_a_run_is_not_a_manual_edit(
    options: Options,
) -> None:
    sink = HalfWriting()
    await run([thing(1)], sink, options)
    sink.breaks.append(TransientError("no answer", retry_after=0))
    report = await run([thing(1, title="Other")], sink, options)
    assert (report.status, report.counts.updated) == (RunStatus.SUCCEEDED, 1)
    assert sink.products[key(1)].title == "Other"
    assert report.manual_edits == ()


async def test_a_kept_edit_survives_a_write_that_is_repeated() -> None:
    sink = HalfWriting()
    await run([thing(1, brand="A")], sink)
    sink.products[key(1)] = thing(1, title="By hand", brand="A")
    sink.breaks.append(TransientError("no answer", retry_after=0))
    report = await run([thing(1, brand="B")], sink)
    assert sink.products[key(1)] == thing(1, title="By hand", brand="B")
    assert edits(report) == {"title": ("By hand", "Thing 1", True)}


async def test_an_overwritten_edit_is_reported_once_if_its_write_is_retried() -> None:
    sink = HalfWriting()
    await run([thing(1, brand="A")], sink, fast())
    sink.products[key(1)] = thing(1, title="By hand", brand="A")
    sink.breaks.append(TransientError("no answer", retry_after=0))
    report = await run([thing(1, brand="B")], sink, fast())
    assert sink.products[key(1)] == thing(1, brand="B")
    assert edits(report) == {"title": ("By hand", "Thing 1", False)}


@pytest.mark.parametrize("error", [Killed(), RuntimeError("a defect")])
async def test_an_interrupted_write_in_an_earlier_run_is_not_a_manual_edit(
    runs: StateStore, error: BaseException
) -> None:
    sink = HalfWriting(limits=Limits(batch=1))
    await run([thing(1), thing(2)], sink, store=runs)
    sink.products[key(2)] = thing(2, title="By hand")
    sink.breaks.append(error)
    desired = [thing(1, title="Other"), thing(2)]
    with suppress(Killed, BaseExceptionGroup):
        await run(desired, sink, store=runs)
    assert sink.products[key(1)] == thing(1)
    report = await run(desired, sink, store=runs)
    assert report.counts.updated == 1
    assert sink.products == {
        key(1): thing(1, title="Other"),
        key(2): thing(2, title="By hand"),
    }
    assert [edit.key for edit in report.manual_edits] == [key(2)]


# Any products, any edits


@given(products(key=ProductKey("shop", "1")), products(), st.data())
async def test_keeping_never_writes_over_anything(
    desired: Product, other: Product, data: st.DataObject
) -> None:
    """Whatever people make of a product, as long as the source says the same."""
    sink = MemorySink()
    await run([desired], sink)
    names = st.sets(st.sampled_from(["title", "brand", "images", "tags", "weight"]))
    values = {name: getattr(other, name) for name in data.draw(names)}
    known = {name: value for name, value in values.items() if value is not UNSET}
    theirs = attrs.evolve(desired, **known)
    sink.products[desired.key] = theirs
    seen = [await run([desired], sink) for _ in range(3)]
    assert sink.products == {desired.key: theirs}
    assert all(report.manual_edits == seen[0].manual_edits for report in seen)
    assert all(report.counts.unchanged == 1 for report in seen)


@given(
    histories(moments=3, key=ProductKey("shop", "1")),
    st.sampled_from(OnManualEdit),
    st.dictionaries(st.sampled_from(Field), st.sampled_from(Owner)),
)
async def test_runs_come_to_rest(
    moments: Sequence[Product], edits: OnManualEdit, owns: dict[Field, Owner]
) -> None:
    try:
        options = fast(on_manual_edit=edits, owns=owns)
    except InvalidValueError:
        assert owns[Field.TITLE] is Owner.NEVER
        return
    sink = MemorySink()
    for desired in moments:
        first = await run([desired], sink, options)
        before = dict(sink.products)
        second = await run([desired], sink, options)
        assert second.counts.failed == first.counts.failed
        assert second.counts.updated == second.counts.created == 0
        assert sink.products == before
        assert second.manual_edits == ()
