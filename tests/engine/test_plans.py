"""Plans: apply makes the planned changes, and no others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from catalogsync import (
    Category,
    Existing,
    Image,
    MemorySink,
    MisconfiguredError,
    OnManualEdit,
    Options,
    Plan,
    Product,
    ProductStatus,
    Prune,
    Report,
    RunStatus,
    StateSettings,
    Sync,
    sync,
)
from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.events import BatchWritten, Event
from catalogsync.plans import Estimate, PlanHead, PlanWriter
from catalogsync.protocols import AdoptBy

from .fakes import (
    HANGS,
    FaultySink,
    LookupSource,
    check,
    fast,
    key,
    priced,
    product,
    stocked,
)

HOME = Category(id="home", name="Home")
CUPS = Category(id="cups", name="Cups", parent=HOME)
TEA = Category(id="tea", name="Tea")
PRUNE = fast(prune=Prune.DELETE, max_prune=10)


@attrs.frozen
class Store:
    """A catalog in a SQLite file, and a place for plans."""

    sink: SQLSink
    file: Path

    def by_hand(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a person does there."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            return connection.execute(statement, values).fetchall()

    def titles(self) -> dict[str, str]:
        """Titles by id, of all products under a key."""
        rows = self.by_hand(
            "SELECT source_id, title FROM product WHERE source = 'shop'"
        )
        return dict(rows)

    def categories(self) -> dict[str, str]:
        """Names of categories by id."""
        return dict(self.by_hand("SELECT source_id, name FROM category"))

    def everything(self) -> list[tuple[Any, ...]]:
        """All that is there, but for times."""
        tables = ("product", "category", "product_category", "product_tag", "variant")
        rows = [
            (table, *row)
            for table in (*tables, "price", "image", "stock_level")
            for row in self.by_hand(f"SELECT * FROM {table}")
        ]
        return [tuple(v for v in row if not _is_time(v)) for row in rows]


def _is_time(value: object) -> bool:
    return isinstance(value, str) and value[:2] == "20" and value[4:5] == "-"


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    file = tmp_path / "catalog.db"
    async with SQLSettings(url=f"sqlite:///{file}").open() as sink:
        yield Store(sink, file)


@pytest_asyncio.fixture
async def other(tmp_path: Path) -> AsyncGenerator[Store]:
    file = tmp_path / "other.db"
    async with SQLSettings(url=f"sqlite:///{file}").open() as sink:
        yield Store(sink, file)


async def run(
    products: Sequence[Product], sink: Any, options: Options | None = None
) -> Report:
    source = LookupSource(products=products)
    report = await sync(source, sink, options=options or fast(), job="job")
    check(report)
    return report


async def make_plan(
    products: Sequence[Product], sink: Any, file: Path, options: Options | None = None
) -> tuple[Plan, Report]:
    """Write a plan and read it."""
    place = getattr(sink, "endpoint", sink.name)
    head = PlanHead(
        job="job", source="shop", sink=sink.name, endpoint=place, made_at=0.0
    )
    with PlanWriter(file / "plan.jsonl", head) as writer:
        report = await Sync(
            LookupSource(products=products), sink, options=options or fast(), job="job"
        ).plan(writer.add)
        writer.finish(report, Estimate(writes=0, requests=0, seconds=None))
    return Plan.read(file / "plan.jsonl"), report


async def apply(plan: Plan, sink: Any, options: Options | None = None) -> Report:
    async with (
        asyncio.timeout(HANGS),
        Sync(plan.head.source, sink, options=options or fast()).apply(plan) as opened,
    ):
        report = await opened.report()
    check(report)
    return report


def unresolved(report: Report) -> list[str]:
    return sorted(outcome.key.id for outcome in report.failures)


BEFORE = [
    priced(1, categories=[TEA], tags=["hot"], images=[Image(url="https://a/1.png")]),
    priced(2, description="Two"),
    priced(3),
    priced(4),
    product(5),
]
AFTER = [
    priced(1, "2.00", categories=[CUPS], tags=["hot", "new"], images=[]),
    attrs.evolve(priced(2), title="Other 2"),
    priced(3),
    product(6, categories=[CUPS, TEA]),
    product(7, attributes={"a": [1, {"b": None}]}),
]


async def test_a_plan_does_what_a_run_would_do(
    store: Store, other: Store, tmp_path: Path
) -> None:
    for each in (store, other):
        await run(BEFORE, each.sink)
    options = attrs.evolve(PRUNE, prune=Prune.UNPUBLISH)
    plan, planned = await make_plan(AFTER, store.sink, tmp_path, options)
    report = await apply(plan, store.sink, options)
    await run(AFTER, other.sink, options)
    assert store.everything() == other.everything()
    assert report.status is RunStatus.SUCCEEDED
    assert (report.job, report.problem) == ("job", "")
    assert report.counts == attrs.evolve(
        planned.counts,
        fetched=planned.counts.created + planned.counts.updated,
        unchanged=0,
    )
    assert report.categories.created == planned.categories.created == 2


async def test_a_second_apply_has_nothing_to_do(store: Store, tmp_path: Path) -> None:
    await run(BEFORE, store.sink)
    plan, _ = await make_plan(AFTER, store.sink, tmp_path)
    await apply(plan, store.sink)
    before = store.everything()
    again = await apply(plan, store.sink)
    assert (again.status, again.writes) == (RunStatus.SUCCEEDED, 0)
    assert again.counts.unchanged == again.counts.fetched == 4
    assert store.everything() == before


async def test_nothing_to_do_is_a_plan_too(store: Store, tmp_path: Path) -> None:
    await run(BEFORE, store.sink)
    plan, _ = await make_plan(BEFORE, store.sink, tmp_path)
    assert (plan.changes, plan.references) == ({}, {})
    report = await apply(plan, store.sink)
    assert (report.status, report.counts.fetched) == (RunStatus.SUCCEEDED, 0)


TWO = "(SELECT id FROM product WHERE source_id = '2')"
CHANGED: dict[str, tuple[str, bool]] = {
    "the same field": ("UPDATE product SET title = 'X' WHERE source_id = '2'", False),
    "another field": ("UPDATE product SET brand = 'X' WHERE source_id = '2'", True),
    "the last-applied state": (
        "UPDATE product SET receipt = '{}' WHERE source_id = '2'",
        False,
    ),
    "a price": (f"UPDATE price SET amount = '7' WHERE variant_id = {TWO}", False),
    "another price": (f"INSERT INTO price VALUES ({TWO}, 'EUR', '7')", True),
    "the product": (f"DELETE FROM product WHERE id = {TWO}", False),
    "the key": (f"UPDATE product SET source = NULL WHERE id = {TWO}", False),
    "a stranger": ("INSERT INTO product (title) VALUES ('Theirs')", True),
}


@pytest.mark.parametrize(("statement", "is_done"), CHANGED.values(), ids=CHANGED)
async def test_what_changed_since_is_left_alone_and_the_rest_is_done(
    store: Store, tmp_path: Path, statement: str, is_done: bool
) -> None:
    await run(BEFORE, store.sink)
    plan, _ = await make_plan(AFTER, store.sink, tmp_path)
    store.by_hand(statement)
    before = store.by_hand("SELECT * FROM product WHERE source_id = '2'")
    report = await apply(plan, store.sink)
    assert unresolved(report) == ([] if is_done else ["2"])
    assert report.counts.created + report.counts.updated == 3 + is_done
    if is_done:
        assert report.status is RunStatus.SUCCEEDED
        assert store.titles()["2"] == "Other 2"
    else:
        assert report.status is RunStatus.INCOMPLETE
        assert "has changed since the plan was made" in str(report)
        assert store.by_hand("SELECT * FROM product WHERE source_id = '2'") == before
    assert {"6", "7"} <= store.titles().keys()


async def test_what_was_created_since(store: Store, tmp_path: Path) -> None:
    """The same: there is nothing to do. Another: it is left alone."""
    plan, _ = await make_plan([product(1), product(2)], store.sink, tmp_path)
    await run([product(1), product(2, title="Other")], store.sink)
    report = await apply(plan, store.sink)
    assert unresolved(report) == ["2"]
    assert report.counts.unchanged == 1
    assert store.titles() == {"1": "Product 1", "2": "Other"}


async def test_the_source_is_not_asked_again(store: Store, tmp_path: Path) -> None:
    """Options that choose or edit products count when the plan is made."""
    options = fast(
        transform=lambda each: attrs.evolve(each, title=f"{each.title}!"),
        keys=[key(1), key(2)],
    )
    plan, _ = await make_plan(BEFORE, store.sink, tmp_path, options)
    later = attrs.evolve(options, limit=1, keys=[key(9)], prune=Prune.DELETE)
    report = await apply(plan, store.sink, later)
    assert report.status is RunStatus.SUCCEEDED
    assert store.titles() == {"1": "Product 1!", "2": "Product 2!"}


async def test_other_rules_than_those_of_the_plan(store: Store, tmp_path: Path) -> None:
    """What they would change is another change, so it is not made."""
    plan, _ = await make_plan([product(1, brand="A")], store.sink, tmp_path)
    report = await apply(plan, store.sink, fast(owns={"brand": "never"}))
    assert unresolved(report) == ["1"]
    assert not store.file.exists() or store.titles() == {}


# Removals


async def removals(
    store: Store, folder: Path, prune: Prune = Prune.DELETE
) -> tuple[Plan, Options]:
    """A plan that removes 3, 4 and 5."""
    options = attrs.evolve(PRUNE, prune=prune)
    await run(STOCKED, store.sink)
    plan, report = await make_plan(STOCKED[:2], store.sink, folder, options)
    assert report.counts.removed == 3, str(report)
    return plan, options


STOCKED = [stocked(number) for number in range(1, 6)]


def listed(store: Store) -> dict[str, str]:
    statement = "SELECT source_id, coalesce(status, '') FROM product"
    return dict(store.by_hand(statement))


def sold_out(store: Store) -> set[str]:
    statement = (
        "SELECT p.source_id FROM product p JOIN variant v ON v.product_id = p.id"
        " JOIN stock_level s ON s.variant_id = v.id WHERE s.quantity = 0"
    )
    return {id_ for (id_,) in store.by_hand(statement)}


@pytest.mark.parametrize("prune", Prune)
async def test_removals(store: Store, tmp_path: Path, prune: Prune) -> None:
    """And again, when nothing is left to do."""
    plan, options = await removals(store, tmp_path, prune)
    report = await apply(plan, store.sink, options)
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 3)
    left = {"1": "", "2": ""}
    status = "draft" if prune is Prune.UNPUBLISH else ""
    stay = left | dict.fromkeys("345", status)
    assert listed(store) == (left if prune is Prune.DELETE else stay)
    assert sold_out(store) == (set("345") if prune is Prune.SOLD_OUT else set[str]())
    again = await apply(plan, store.sink, options)
    assert (again.counts.removed, again.writes, again.problem) == (0, 0, "")
    if prune is Prune.DELETE:
        (warning,) = again.warnings
        assert "not removed: shop:3, shop:4, shop:5: no longer there" in warning
    else:
        assert again.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("prune", Prune)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE product SET title = 'Existing now' WHERE source_id = '4'",
        "UPDATE product SET status = 'published' WHERE source_id = '4'",
        "UPDATE product SET receipt = NULL WHERE source_id = '4'",
    ],
)
async def test_what_changed_since_is_not_removed(
    store: Store, tmp_path: Path, prune: Prune, statement: str
) -> None:
    plan, options = await removals(store, tmp_path, prune)
    store.by_hand(statement)
    before = store.by_hand("SELECT * FROM product WHERE source_id = '4'")
    report = await apply(plan, store.sink, options)
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.removed == 2
    assert report.problem.startswith("not removed: shop:4: it has changed since")
    assert store.by_hand("SELECT * FROM product WHERE source_id = '4'") == before


async def test_a_sale_since_the_plan_does_not_keep_the_rest_on_sale(
    store: Store, tmp_path: Path
) -> None:
    plan, options = await removals(store, tmp_path, Prune.SOLD_OUT)
    store.by_hand("UPDATE stock_level SET quantity = 1")
    report = await apply(plan, store.sink, options)
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 3)
    assert sold_out(store) == set("345")


async def test_only_planned_products_are_removed(store: Store, tmp_path: Path) -> None:
    plan, options = await removals(store, tmp_path)
    await run([product(8)], store.sink)
    store.by_hand("DELETE FROM product WHERE source_id = '5'")
    report = await apply(plan, store.sink, options)
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 2)
    assert report.warnings[0].startswith("not removed: shop:5: no longer there")
    assert store.titles().keys() == {"1", "2", "8"}


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE product SET description = 'by a person' WHERE source_id = '4'",
        "UPDATE product SET brand = 'Theirs' WHERE source_id = '4'",
        "UPDATE product SET weight = 9 WHERE source_id = '4'",
    ],
)
async def test_a_deletion_looks_at_the_whole_product(
    store: Store, tmp_path: Path, edit: str
) -> None:
    plan, options = await removals(store, tmp_path)
    store.by_hand(edit)
    report = await apply(plan, store.sink, options)
    assert report.status is RunStatus.INCOMPLETE
    assert report.problem.startswith("not removed: shop:4: it has changed since")
    assert "4" in store.titles()


async def test_one_that_was_released_meanwhile_is_reported(
    store: Store, tmp_path: Path
) -> None:
    plan, options = await removals(store, tmp_path)
    by_hand = "SET source = NULL, source_id = NULL, receipt = NULL"
    store.by_hand(f"UPDATE product {by_hand} WHERE source_id = '4'")
    report = await apply(plan, store.sink, options)
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 2)
    assert "shop:4: no longer there, or not ours" in report.warnings[0]


async def test_a_long_list_of_what_stays_is_cut(store: Store, tmp_path: Path) -> None:
    many = [product(number) for number in range(10, 30)]
    await run(many, store.sink)
    options = fast(prune=Prune.UNPUBLISH, max_prune=100)
    plan, _ = await make_plan(many[:1], store.sink, tmp_path, options)
    store.by_hand("UPDATE product SET title = 'Existing now'")
    report = await apply(plan, store.sink, options)
    assert report.problem.startswith("not removed: shop:11, shop:12, ")
    assert "shop:20 and 9 more: it has changed since" in report.problem


# Categories and tags


async def test_a_category_that_is_not_in_the_plan_is_not_created(
    store: Store, tmp_path: Path
) -> None:
    """It was there when the plan was made, and a person removed it since."""
    await run(BEFORE, store.sink)
    plan, _ = await make_plan(AFTER, store.sink, tmp_path)
    store.by_hand("DELETE FROM category WHERE source_id = 'tea'")
    report = await apply(plan, store.sink)
    assert store.categories().keys() == {"home", "cups"}
    assert "6" not in store.titles()
    assert store.titles()["7"] == "Product 7"
    (outcome,) = [each for each in report.failures if each.key == key(6)]
    assert "it is not in the plan" in outcome.said


async def test_a_category_is_renamed_as_planned(store: Store, tmp_path: Path) -> None:
    await run([product(1, categories=[TEA])], store.sink)
    renamed = [product(1, categories=[Category(id="tea", name="Teas")])]
    plan, report = await make_plan(renamed, store.sink, tmp_path)
    assert report.categories.updated == 1
    assert [(each.id, each.name) for each in plan.references] == [("tea", "Teas")]
    report = await apply(plan, store.sink)
    assert (report.status, report.categories.updated) == (RunStatus.SUCCEEDED, 1)
    assert store.categories() == {"tea": "Teas"}
    assert (await apply(plan, store.sink)).categories.existing == 1


async def test_a_category_that_a_person_renamed_since_is_left_alone(
    store: Store, tmp_path: Path
) -> None:
    await run([product(1, categories=[TEA])], store.sink)
    desired = [product(1, title="X", categories=[Category(id="tea", name="Teas")])]
    plan, _ = await make_plan(desired, store.sink, tmp_path)
    store.by_hand("UPDATE category SET name = 'Hot drinks'")
    report = await apply(plan, store.sink)
    assert report.status is RunStatus.SUCCEEDED
    assert store.categories() == {"tea": "Hot drinks"}
    assert store.titles() == {"1": "X"}


async def test_a_category_that_is_there_by_now_is_used(
    store: Store, tmp_path: Path
) -> None:
    plan, _ = await make_plan([product(1, categories=[CUPS])], store.sink, tmp_path)
    await run([product(2, categories=[CUPS])], store.sink)
    report = await apply(plan, store.sink)
    assert (report.status, report.counts.created) == (RunStatus.SUCCEEDED, 1)
    assert store.categories() == {"home": "Home", "cups": "Cups"}


# Other things


async def test_a_plan_for_another_sink(
    store: Store, other: Store, tmp_path: Path
) -> None:
    plan, _ = await make_plan(BEFORE, store.sink, tmp_path)
    with pytest.raises(MisconfiguredError, match=r"was made for .*catalog\.db"):
        Sync(plan.head.source, other.sink).apply(plan)
    named, _ = await make_plan(BEFORE, FaultySink(), tmp_path)
    with pytest.raises(MisconfiguredError, match="was made for fake, and this is memo"):
        Sync(named.head.source, MemorySink()).apply(named)
    assert (await apply(named, FaultySink())).counts.created == 5


async def test_a_stopped_apply_leaves_the_rest_and_another_one_does_it(
    store: Store, tmp_path: Path
) -> None:
    await run(BEFORE, store.sink)
    options = fast(batch_size=1, prune=Prune.DELETE, max_prune=10)
    plan, _ = await make_plan(AFTER, store.sink, tmp_path, options)
    stop: list[Callable[[], None]] = []

    def hook(event: Event) -> None:
        if isinstance(event, BatchWritten):
            stop[0]()

    opened = Sync(plan.head.source, store.sink, options=options, hooks=[hook]).apply(
        plan
    )
    stop.append(opened.stop)
    async with opened:
        first = await opened.report()
    check(first)
    assert first.status is RunStatus.CANCELLED
    assert 0 < first.counts.unresolved < 4
    assert first.counts.removed == 0
    assert {"4", "5"} <= store.titles().keys()
    second = await apply(plan, store.sink, options)
    assert second.status is RunStatus.SUCCEEDED
    assert (second.counts.unchanged, second.counts.unresolved) == (
        4 - first.counts.unresolved,
        0,
    )
    assert store.titles().keys() == {"1", "2", "3", "6", "7"}


async def test_kept_edits_are_kept(store: Store, tmp_path: Path) -> None:
    options = fast(on_manual_edit=OnManualEdit.KEEP)
    await run([priced(1, description="A")], store.sink, options)
    store.by_hand("UPDATE product SET title = 'By hand'")
    desired = [priced(1, "2.00", description="B")]
    plan, report = await make_plan(desired, store.sink, tmp_path, options)
    assert [edit.diff.path for edit in report.manual_edits] == ["title"]
    report = await apply(plan, store.sink, options)
    assert (report.status, len(report.manual_edits)) == (RunStatus.SUCCEEDED, 1)
    rows = store.by_hand("SELECT title, description FROM product")
    assert rows == [("By hand", "B")]


async def test_adopting_as_planned(tmp_path: Path) -> None:
    theirs = [attrs.evolve(priced(number), title="Theirs") for number in (1, 2)]
    sink = MemorySink(foreign=list(theirs))
    options = fast(adopt=[AdoptBy.SKU])
    desired = [priced(1), priced(2)]
    plan, report = await make_plan(desired, sink, tmp_path, options)
    assert report.counts.updated == 2
    sink.foreign[1] = attrs.evolve(theirs[1], title="Existing since")
    report = await apply(plan, sink, options)
    assert (report.counts.updated, unresolved(report)) == (1, ["2"])
    assert sink.products == {key(1): priced(1)}
    assert (await apply(plan, sink, options)).counts.unchanged == 1


async def test_a_product_that_comes_back(store: Store, tmp_path: Path) -> None:
    plan, options = await removals(store, tmp_path, Prune.UNPUBLISH)
    await apply(plan, store.sink, options)
    plan, report = await make_plan(STOCKED, store.sink, tmp_path, options)
    assert report.counts.updated == 3
    await apply(plan, store.sink, options)
    published = dict.fromkeys("345", ProductStatus.PUBLISHED.value)
    assert listed(store) == {"1": "", "2": "", **published}
    assert (await run(STOCKED, store.sink, options)).counts.unchanged == 5


async def test_an_apply_is_a_run_of_its_job(store: Store, tmp_path: Path) -> None:
    plan, _ = await make_plan([product(1)], store.sink, tmp_path)
    async with StateSettings().open() as runs:
        async with Sync(plan.head.source, store.sink, state=runs).apply(plan) as opened:
            report = await opened.report()
        (record,) = await runs.runs(job="job")
        assert (record.run_id, record.status) == (report.run_id, RunStatus.SUCCEEDED)
        (entry,) = await runs.history("job", key(1))
        assert entry.outcome.status == "created"
    existing = await store.sink.find([product(1)], fields=frozenset())
    assert isinstance(existing[key(1)], Existing)
