"""The source's tree of categories, also where it contradicts itself or the sink."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.adapters.category_shops import SOURCE, MemoryShop, Row, assert_no_cycle

from catalogsync import (
    Category,
    MemorySink,
    OnManualEdit,
    Options,
    Plan,
    Product,
    ProductKey,
    Report,
    RunStatus,
    Sync,
    as_source,
    sync,
)
from catalogsync.catalog.changes import ReferenceChange
from catalogsync.cli._changes import change_text
from catalogsync.engine.categories import SourceTree
from catalogsync.plans import PlanHead, PlanWriter, estimate

from .fakes import fast


def tree(*ids: str) -> Category:
    """The last of these, in the one before it, and so on up to the first."""
    found: Category | None = None
    for id_ in ids:
        found = Category(id=id_, name=id_.title(), parent=found)
    assert found
    return found


def in_category(number: int, *categories: Category) -> Product:
    key = ProductKey(SOURCE, f"{number}")
    return Product(key=key, title=f"Thing {number}", categories=categories)


async def put(
    shop: MemoryShop, *categories: Category, options: Options | None = None
) -> Report:
    products = [in_category(n, each) for n, each in enumerate(categories)]
    source = as_source(products, name=SOURCE)
    return await sync(source, shop, options=options or fast())


def parents(shop: MemoryShop) -> dict[str | None, str | None]:
    """The tree by ids at the source, and names of what people made."""
    names = {id_: row.key or row.name for id_, row in shop.categories.items()}
    return {
        names[id_]: names[row.parent] if row.parent else None
        for id_, row in shop.categories.items()
    }


LINES = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=5).map(
        lambda ids: tree(*ids)
    ),
    min_size=1,
    max_size=8,
)


@given(LINES)
def test_whatever_a_source_says_is_a_tree(lines: list[Category]) -> None:
    """And each category is where it was said to be first."""
    warnings: list[str] = []
    source = SourceTree("shop", warnings.append)
    first: dict[str, str | None] = {}
    disputed: set[str] = set()
    for category in lines:
        found = source.add(category)
        assert found.id == category.id
        above = [found.id]
        while found.parent:
            found = found.parent
            assert found.id not in above
            above.append(found.id)
        here: Category | None = category
        while here:
            parent = here.parent and here.parent.id
            disputed |= {here.id} if first.get(here.id, parent) != parent else set()
            if here.id in above or here.id in first:
                first.setdefault(here.id, parent)
            here = here.parent
    named = [text.split("'")[1] for text in warnings]
    assert set(named) <= disputed | {each for each in first if first[each]}
    if not warnings:
        assert not disputed


@given(LINES)
async def test_contradictions_are_reported_once_and_stay_as_they_are(
    lines: list[Category],
) -> None:
    shop = MemoryShop()
    first = await put(shop, *lines)
    assert_no_cycle(shop.categories)
    assert first.counts.created == len(lines)
    assert len(first.warnings) == len(set(first.warnings))
    before = dict(shop.categories)
    second = await put(shop, *lines)
    assert shop.categories == before
    assert second.warnings == first.warnings
    assert (second.writes, second.categories.existing) == (0, len(before))


async def test_two_products_that_put_a_category_in_different_places() -> None:
    shop = MemoryShop()
    report = await put(shop, tree("home", "pots"), tree("pots"), tree("pots"))
    assert parents(shop) == {"home": None, "pots": "home"}
    assert report.status is RunStatus.DEGRADED
    assert report.warnings == (
        (
            "category 'pots' has more than one parent in the source; it is put below"
            " 'home', its first place in the source"
        ),
    )


async def test_a_cycle_at_the_source() -> None:
    shop = MemoryShop()
    report = await put(shop, tree("a", "b"), tree("b", "a"), tree("c", "d", "c"))
    assert parents(shop) == {"a": None, "b": "a", "c": "d", "d": None}
    assert report.warnings == (
        (
            "category 'a' lies below itself in the source, in 'b'; it is put at the top"
            " level, its first place in the source"
        ),
        (
            "category 'd' lies below itself in the source, in 'c'; it is put at the top"
            " level, its first place in the source"
        ),
    )


@pytest.mark.parametrize("edits", [None, OnManualEdit.KEEP])
async def test_a_move_that_a_persons_move_makes_impossible(
    edits: OnManualEdit | None,
) -> None:
    """It is made as soon as the person's is undone."""
    shop = MemoryShop()
    options = fast(on_manual_edit=edits)
    await put(shop, tree("a"), tree("b"), tree("c"))
    ids = {row.key: id_ for id_, row in shop.categories.items()}
    a = shop.categories[ids["a"]]
    shop.categories[ids["a"]] = attrs.evolve(a, parent=ids["b"])
    report = await put(shop, tree("a"), tree("a", "b"), tree("c"), options=options)
    assert parents(shop) == {"a": "b", "b": None, "c": None}
    assert report.status is RunStatus.DEGRADED
    assert report.warnings == (
        (
            "category 'b' stays where it is: 'A', where the source puts it, lies below it"
            " in the sink; move one of them by hand"
        ),
    )
    assert [str(edit) for edit in report.manual_edits] == [
        "keeps an edit: shop:a category.parent: 'B' (None)"
    ]
    shop.categories[ids["a"]] = a
    report = await put(shop, tree("a"), tree("a", "b"), tree("c"), options=options)
    assert parents(shop) == {"a": None, "b": "a", "c": None}
    assert report.status is RunStatus.SUCCEEDED


async def test_a_move_that_a_later_group_makes_possible() -> None:
    """What is in the way of the first group's moves away in the second one's."""
    shop = MemoryShop(limits=attrs.evolve(MemoryShop().limits, find=1))
    await put(shop, tree("a"), tree("b"), tree("a", "m"))
    ids = {row.key: id_ for id_, row in shop.categories.items()}
    b = shop.categories[ids["b"]]
    shop.categories[ids["b"]] = attrs.evolve(b, parent=ids["m"])
    report = await put(shop, tree("b", "a"), tree("m"))
    assert report.status is RunStatus.SUCCEEDED
    assert parents(shop) == {"a": "b", "b": "m", "m": None}
    assert (report.categories.updated, report.categories.existing) == (2, 1)
    assert (await put(shop, tree("b", "a"), tree("m"))).categories.updated == 0


async def test_a_cycle_in_the_sink_is_undone_whoever_made_it() -> None:
    shop = MemoryShop()
    await put(shop, tree("a", "b"), tree("c"))
    ids = {row.key: id_ for id_, row in shop.categories.items()}
    a = shop.categories[ids["a"]]
    shop.categories[ids["a"]] = attrs.evolve(a, parent=ids["b"])
    report = await put(
        shop, tree("a", "b"), tree("c"), options=fast(on_manual_edit=OnManualEdit.KEEP)
    )
    assert parents(shop) == {"a": None, "b": "a", "c": None}
    assert [edit.kept for edit in report.manual_edits] == [False]


@pytest.mark.parametrize(
    ("edits", "name", "parent"),
    [
        (None, "Mine", "mine"),
        (OnManualEdit.KEEP, "Mine", "mine"),
        (OnManualEdit.OVERWRITE, "Pots", "home"),
    ],
)
async def test_what_a_person_did_to_a_category(
    edits: OnManualEdit | None, name: str, parent: str
) -> None:
    """It stays, unless the job says otherwise, until the source says something new."""
    shop = MemoryShop()
    options = fast(on_manual_edit=edits)
    await put(shop, tree("home", "pots"), options=options)
    (id_,) = [id_ for id_, row in shop.categories.items() if row.key == "pots"]
    mine = await shop.add(Row("mine", None))
    await shop.change(id_, Row("Mine", mine, "pots"))
    for _ in range(2):
        report = await put(shop, tree("home", "pots"), options=options)
        assert shop.categories[id_].name == name
        assert parents(shop)["pots"] == parent
        assert report.status is RunStatus.SUCCEEDED
        if edits is not OnManualEdit.OVERWRITE:
            assert {(e.diff.path, e.kept) for e in report.manual_edits} == {
                ("category.name", True),
                ("category.parent", True),
            }
    await put(shop, tree("pots"), options=options)
    assert parents(shop)["pots"] is None
    assert shop.categories[id_].name == name
    assert shop.categories[mine] == Row("mine", None)


async def test_a_category_without_last_applied_state_is_the_sources() -> None:
    """One of an earlier version: it is not known what was written to it."""
    shop = MemoryShop()
    await put(shop, tree("home", "pots"))
    shop.last_applied.clear()
    report = await put(shop, tree("home", "pots"))
    assert report.categories.updated == 0
    await put(shop, tree("pots"), tree("home"))
    assert parents(shop) == {"home": None, "pots": None}


async def planned(
    shop: MemoryShop, path: Path, *categories: Category
) -> tuple[Plan, Sequence[ReferenceChange]]:
    products = [in_category(n, each) for n, each in enumerate(categories)]
    head = PlanHead(job="", source=SOURCE, sink="memory", endpoint="memory", made_at=0)
    shown: list[ReferenceChange] = []
    with PlanWriter(path, head) as writer:

        def show(change: object) -> None:
            writer.add(change)  # type: ignore[arg-type]
            if isinstance(change, ReferenceChange):
                shown.append(change)

        source = as_source(products, name=SOURCE)
        report = await Sync(source, shop, options=fast()).plan(show)
        writer.finish(report, estimate(report, []))
    return Plan.read(path), shown


async def test_a_plan_of_moves(tmp_path: Path) -> None:
    """A reversal, a new parent and a new root are shown, and done as shown."""
    shop = MemoryShop()
    await put(shop, tree("a", "b"), tree("a", "c"), tree("d"))
    before = dict(shop.categories)
    new = (tree("b", "a"), tree("c"), tree("new", "d"))
    plan, shown = await planned(shop, tmp_path / "plan.jsonl", *new)
    assert shop.categories == before
    assert [change_text(change) for change in shown] == [
        "+ create category New",
        "~ update category B, moved to the top level",
        "~ update category C, moved to the top level",
        "~ update category A, moved below B",
        "~ update category D, moved below New",
    ]
    async with Sync(plan.head.source, shop, options=fast()).apply(plan) as running:
        report = await running.report()
    assert report.status is RunStatus.SUCCEEDED, report
    assert parents(shop) == {"a": "b", "b": None, "c": None, "new": None, "d": "new"}
    assert (await put(shop, *new)).categories.updated == 0


async def test_a_plan_moves_nothing_that_was_moved_since(tmp_path: Path) -> None:
    shop = MemoryShop()
    await put(shop, tree("a", "b"), tree("c"))
    plan, _ = await planned(shop, tmp_path / "plan.jsonl", tree("a"), tree("b"))
    (id_,) = [id_ for id_, row in shop.categories.items() if row.key == "b"]
    (c,) = [id_ for id_, row in shop.categories.items() if row.key == "c"]
    await shop.change(id_, Row("B", c, "b"))
    async with Sync(plan.head.source, shop, options=fast()).apply(plan) as running:
        await running.report()
    assert parents(shop)["b"] == "c"


# --- a sink in which categories are part of the products ---


@pytest.mark.parametrize(
    ("edits", "kept"),
    [(None, True), (OnManualEdit.KEEP, True), (OnManualEdit.OVERWRITE, False)],
)
async def test_a_category_that_is_part_of_the_product(
    edits: OnManualEdit | None, kept: bool
) -> None:
    """What a person made of it stays, unless the job says otherwise."""
    sink, options = MemorySink(), fast(on_manual_edit=edits)

    async def put(*categories: Category) -> Report:
        source = as_source([in_category(1, *categories)], name=SOURCE)
        return await sync(source, sink, options=options)

    await put(tree("home", "pots"))
    (key,) = sink.products
    theirs = Category(id="pots", name="Mine", parent=tree("sale"))
    sink.products[key] = attrs.evolve(sink.products[key], categories=[theirs])
    expected = theirs if kept else tree("home", "pots")
    for run in range(2):
        report = await put(tree("home", "pots"))
        assert sink.products[key].categories == (expected,)
        assert report.counts.updated == (not kept and not run)
        assert len(report.manual_edits) == (kept or not run)
    await put(tree("home", "pots"), tree("new"))
    assert sink.products[key].categories == (expected, tree("new"))
    for line in (tree("pots"), tree("pots", "home"), tree("home", "pots")):
        await put(line)
        assert sink.products[key].categories == (line,)
        assert (await put(line)).counts.unchanged == 1
