"""Category trees: any tree at the source, moved into any tree that the shop has."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from tests.adapters.category_shops import (
    SOURCE,
    Fault,
    MedusaShop,
    MemoryShop,
    Row,
    Rows,
    Shop,
    SQLShop,
    Watched,
    assert_no_cycle,
    line,
)
from tests.chaos.proxy import proxy

from catalogsync import (
    Category,
    Change,
    OnManualEdit,
    Options,
    Plan,
    Price,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    RunStatus,
    Sync,
    TransientError,
    UnauthorizedError,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.catalog.changes import ReferenceChange
from catalogsync.plans import PlanHead, PlanWriter, estimate
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import lost, reset

KEYS = "abcdef"
FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))
FAULTS = [
    None,
    TransientError("busy", retry_after=0),
    UnauthorizedError("killed"),
]


@attrs.frozen
class Tree:
    """The source's tree.

    Attributes:
        parents: Each category's parent, after those that contain it.
        names: What they are called.
        order: The order of the products, one in each category.
    """

    parents: Mapping[str, str | None]
    names: Mapping[str, str]
    order: Sequence[str]

    def category(self, key: str) -> Category:
        above = self.parents[key]
        parent = self.category(above) if above else None
        return Category(id=key, name=self.names[key], parent=parent)

    def products(self) -> list[Product]:
        return [in_category(key, self.category(key)) for key in self.order]


def in_category(id_: str, *categories: Category) -> Product:
    price = Price(amount=Decimal(1), currency="USD")
    return Product(
        key=ProductKey(SOURCE, id_),
        title=f"Thing {id_}",
        categories=categories,
        variants=[Variant(id="only", prices=[price])],
    )


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    keys = draw(st.permutations(KEYS))[: draw(st.integers(1, len(KEYS)))]
    parents: dict[str, str | None] = {}
    for key in keys:
        parents[key] = draw(st.sampled_from([None, *parents]))
    names = {key: f"{key}{draw(st.integers(1, 2))}" for key in keys}
    return Tree(parents, names, draw(st.permutations(keys)))


_numbers = count()
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["rename", "move", "move", "remove", "add"]),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    max_size=3,
)
FAULTY = st.builds(
    Fault, at=st.integers(1, 4), error=st.sampled_from(FAULTS), after=st.booleans()
)
STEPS = st.tuples(
    trees(),
    ACTS,
    st.sampled_from([None, *OnManualEdit]),
    st.none() | st.none() | FAULTY,
    st.booleans(),
)


async def act(shop: Shop, what: str, one: int, other: int) -> None:
    """Let a person do something that makes no cycle."""
    rows = await shop.rows()
    if what == "add":
        targets = [None, *rows]
        # A name of its own: Medusa keeps the handle of one that was renamed.
        await shop.add(Row(f"mine {next(_numbers)}", targets[other % len(targets)]))
        return
    if not rows:
        return
    id_ = sorted(rows)[one % len(rows)]
    if what == "rename":
        await shop.change(id_, attrs.evolve(rows[id_], name=f"theirs {other}"))
    elif what == "remove" and id_ not in {row.parent for row in rows.values()}:
        await shop.remove(id_)
    elif what == "move":
        below = {each for each in rows if id_ in line(each, rows)}
        targets = [None, *sorted(rows.keys() - below - {id_})]
        target = targets[other % len(targets)]
        await shop.change(id_, attrs.evolve(rows[id_], parent=target))


Wrote = dict[str, tuple[str, str | None]]
"""What we wrote to a category last: its name, and its parent's id."""


@attrs.define
class Story:
    """A shop over many runs, and what can be expected of it."""

    shop: Shop
    wrote: Wrote = attrs.field(factory=Wrote)

    async def step(
        self,
        tree: Tree,
        acts: Sequence[tuple[str, int, int]],
        edits: OnManualEdit | None,
        fault: Fault | None,
        by_plan: bool,
    ) -> None:
        for what, one, other in acts:
            await act(self.shop, what, one, other)
        if fault is not None:
            await self.run(tree, OnManualEdit.OVERWRITE, fault)
            edits = OnManualEdit.OVERWRITE
        before = await self.shop.rows()
        if by_plan:
            report = await self.apply(tree, edits)
        else:
            report, _ = await self.run(tree, edits)
        after = await self.shop.rows()
        self.check(
            tree, before, after, report, keep=edits is not OnManualEdit.OVERWRITE
        )
        ids = {row.key: id_ for id_, row in after.items()}
        placed = await self.shop.placed()
        assert all(placed[key] == {ids[key]} for key in tree.order)
        again, writes = await self.run(tree, edits)
        assert (writes, again.writes) == (0, 0), str(again)
        assert again.counts.unchanged == len(tree.order)
        assert again.warnings == report.warnings
        assert await self.shop.rows() == after

    async def run(
        self, tree: Tree, edits: OnManualEdit | None, fault: Fault | None = None
    ) -> tuple[Report, int]:
        options = attrs.evolve(FAST, on_manual_edit=edits)
        others = {i: r for i, r in (await self.shop.rows()).items() if r.key is None}
        async with self.shop.open() as sink:
            group = 1 + len(tree.order) % 3
            watched = Watched(sink, self.shop, fault, group=group)
            source = as_source(tree.products(), name=SOURCE, page_size=2)
            report = await sync(source, watched, options=options)
        rows = await self.shop.rows()
        assert_no_cycle(rows)
        assert others == {id_: rows[id_] for id_ in others}
        if fault is None:
            assert report.status in {RunStatus.SUCCEEDED, RunStatus.DEGRADED}, report
            assert not report.failures
        return report, watched.writes

    async def apply(self, tree: Tree, edits: OnManualEdit | None) -> Report:
        """Make a plan and do what it says; gives the report of the plan."""
        options = attrs.evolve(FAST, on_manual_edit=edits)
        before = await self.shop.rows()
        source = as_source(tree.products(), name=SOURCE, page_size=2)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "plan.jsonl")
            async with self.shop.open() as sink:
                watched = Watched(sink, self.shop)
                head = PlanHead(
                    job="", source=SOURCE, sink="x", endpoint=watched.name, made_at=0
                )
                shown: list[str] = []

                def show(change: Change | ReferenceChange) -> None:
                    plan.add(change)
                    if isinstance(change, ReferenceChange):
                        shown.append(change.reference.id)

                with PlanWriter(path, head) as plan:
                    report = await Sync(source, watched, options=options).plan(show)
                    plan.finish(report, estimate(report, []))
                assert len(shown) == len(set(shown))
                assert await self.shop.rows() == before
                async with Sync(
                    Plan.read(path).head.source, watched, options=options
                ).apply(Plan.read(path)) as applying:
                    applied = await applying.report()
        assert not applied.failures, applied
        assert not applied.counts.unresolved, applied
        return report

    def check(
        self, tree: Tree, before: Rows, after: Rows, report: Report, *, keep: bool
    ) -> None:
        """All categories are where they belong, or the report says why not."""
        ids = {row.key: id_ for id_, row in after.items() if row.key}
        assert len(ids) == sum(row.key is not None for row in after.values())
        wrote: Wrote = {}
        for id_, row in after.items():
            if row.key is None or row.key not in tree.parents:
                assert row == before[id_]
                wrote |= {id_: self.wrote[id_]} if id_ in self.wrote else {}
                continue
            above = tree.parents[row.key]
            desired = (tree.names[row.key], ids[above] if above else None)
            name, parent = desired
            if keep and id_ in before:
                last = self.wrote.get(id_, (None, None))
                name = before[id_].name if last[0] == name else name
                parent = before[id_].parent if last[1] == parent else parent
            assert row.name == name
            if row.parent != parent:
                assert keep
                assert row.parent == before[id_].parent
                assert parent
                assert id_ in line(parent, after)
                assert any(repr(row.key) in text for text in report.warnings)
                desired = (desired[0], self.wrote[id_][1])
            wrote[id_] = desired
        self.wrote = wrote


def examples(number: int) -> Callable[[Any], Any]:
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=number, deadline=None, suppress_health_check=health)


@examples(150)
@given(steps=st.lists(STEPS, min_size=1, max_size=5))
async def test_in_memory(steps: list[Any]) -> None:
    story = Story(MemoryShop())
    for step in steps:
        await story.step(*step)


@examples(8)
@given(steps=st.lists(STEPS, min_size=1, max_size=4))
async def test_in_sql(database: str, steps: list[Any]) -> None:
    shop = SQLShop(database)
    await shop.empty()
    story = Story(shop)
    for step in steps:
        await story.step(*step)


@pytest.fixture
def medusa_shop(medusa: Any) -> MedusaShop:
    return MedusaShop(medusa)


@pytest.mark.parametrize("medusa", ["fake"], indirect=True)
@examples(60)
@given(steps=st.lists(STEPS, min_size=1, max_size=4))
async def test_in_the_fake_medusa(medusa_shop: MedusaShop, steps: list[Any]) -> None:
    await tell(medusa_shop, steps)


@examples(6)
@given(steps=st.lists(STEPS, min_size=2, max_size=3))
async def test_in_medusa(medusa_shop: MedusaShop, steps: list[Any]) -> None:
    """The same for the fake and a real one."""
    await tell(medusa_shop, steps)


async def tell(shop: MedusaShop, steps: list[Any]) -> None:
    """After each step a shopper finds what contains each category."""
    await shop.empty()
    story = Story(shop)
    for step in steps:
        await story.step(*step)
        rows = await shop.rows()
        for id_, names in (await shop.shopped()).items():
            above = [rows[each].name for each in line(id_, rows)]
            assert names == [rows[id_].name, *above]


def flat(*ids: str, **parents: str) -> Tree:
    """Categories in this order, those with a parent below it."""
    names = {id_: id_.upper() for id_ in ids}
    return Tree({id_: parents.get(id_) for id_ in ids}, names, ids)


@examples(10)
@given(steps=st.lists(trees(), min_size=2, max_size=4), theirs=st.booleans())
@example(
    steps=[
        flat("a", "b", "c", "d", b="a", c="b", d="c"),
        flat("b", "c", "d", c="b", d="c"),
    ],
    theirs=True,
)
async def test_paths_in_medusa(
    medusa_shop: MedusaShop, steps: list[Tree], theirs: bool
) -> None:
    """A shopper who asks for one category alone finds what is above and below it."""
    await medusa_shop.empty()
    if theirs:
        root = await medusa_shop.add(Row("theirs", None))
        await medusa_shop.add(Row("below theirs", root))
    for tree in steps:
        await put(medusa_shop, tree)
        rows = await medusa_shop.rows()
        assert (
            len(rows) == sum(row.key is not None for row in rows.values()) + 2 * theirs
        )
        above = {id_: [id_, *line(id_, rows)] for id_ in rows}
        assert await medusa_shop.lines() == above
        below = {id_: {e for e in rows if id_ in line(e, rows)} for id_ in rows}
        assert await medusa_shop.contained() == below


@pytest.mark.parametrize("fault", [lost, reset])
async def test_a_new_root_that_breaks_off(medusa_shop: MedusaShop, fault: Any) -> None:
    """Whichever request is lost, the next run leaves right paths and no litter."""
    medusa, plan = medusa_shop.medusa, FaultPlan()
    before = flat("a", "b", "c", "d", b="a", c="b", d="c")
    after = flat("a", "b", "c", "d", c="b", d="c")
    once = Options(retry=RetryPolicy(attempts=1))
    async with proxy(medusa.url, plan) as way:
        login = {"email": medusa.email, "password": medusa.password}
        async with MedusaSettings(url=way.url, **login).open() as sink:
            for number in range(1, 30):
                await medusa_shop.empty()
                await put(medusa_shop, before)
                strikes = len(plan.injected)
                plan.add(fault("POST", "*", on=[number]))
                source = as_source(after.products(), name=SOURCE)
                await sync(source, sink, options=once)
                struck = len(plan.injected) > strikes
                plan.clear()
                await put(medusa_shop, after)
                rows = await medusa_shop.rows()
                assert len(rows) == 4
                above = {id_: [id_, *line(id_, rows)] for id_ in rows}
                assert await medusa_shop.lines() == above
                assert await places(medusa_shop) == after.parents
                if not struck:
                    return
    raise AssertionError("it never ended")


# --- what a person does at the same moment, and what earlier versions left ---


async def put(
    shop: Shop, tree: Tree, before: Callable[[], Awaitable[None]] | None = None
) -> Report:
    async with shop.open() as sink:
        watched = Watched(sink, shop, before=before)
        return await sync(
            as_source(tree.products(), name=SOURCE), watched, options=FAST
        )


async def places(shop: Shop) -> dict[str | None, str | None]:
    """The tree by ids at the source, and names of what people made."""
    rows = await shop.rows()
    names = {id_: row.key or row.name for id_, row in rows.items()}
    return {
        names[id_]: names[row.parent] if row.parent else None
        for id_, row in rows.items()
    }


async def id_of(shop: Shop, key: str) -> str:
    (found,) = [id_ for id_, row in (await shop.rows()).items() if row.key == key]
    return found


async def place(shop: Shop, key: str, parent: str | None) -> None:
    """Let a person move a category."""
    id_, above = await id_of(shop, key), parent and await id_of(shop, parent)
    row = (await shop.rows())[id_]
    await shop.change(id_, attrs.evolve(row, parent=above))


async def a_cycle_of_an_earlier_version(shop: Any) -> None:
    """Where a parent and its child changed places, both were below each other."""
    tree = flat("a", "b", "c", b="a")
    await put(shop, tree)
    await shop.forget()
    await place(shop, "a", "b")
    report = await put(shop, flat("c", "a", "b", a="c", b="a"))
    assert await places(shop) == {"a": "c", "b": "a", "c": None}
    assert report.status is RunStatus.SUCCEEDED, report
    await place(shop, "a", "b")
    assert (await put(shop, tree)).status is RunStatus.SUCCEEDED
    assert await places(shop) == {"a": None, "b": "a", "c": None}


async def a_move_into_what_a_person_moves_below(shop: Shop) -> None:
    """Between the look and the write; the sink looks once more."""
    await put(shop, flat("a", "b"))
    report = await put(shop, flat("a", "b", b="a"), lambda: place(shop, "a", "b"))
    assert await places(shop) == {"a": "b", "b": None}
    assert report.retries == 1
    assert "category 'b' stays where it is" in report.warnings[0]
    assert not report.failures


async def a_move_into_what_a_person_deletes(shop: Shop) -> None:
    """It is created again."""
    await put(shop, flat("a", "b"))

    async def delete() -> None:
        await shop.remove(await id_of(shop, "a"))

    report = await put(shop, flat("b", "a", b="a"), delete)
    assert report.status is RunStatus.SUCCEEDED, report
    assert await places(shop) == {"a": None, "b": "a"}
    placed = await shop.placed()
    assert placed == {key: {await id_of(shop, key)} for key in "ab"}


async def a_change_of_what_a_person_deletes(shop: Shop) -> None:
    await put(shop, flat("a"))
    renamed = attrs.evolve(flat("a"), names={"a": "New"})

    async def delete() -> None:
        await shop.remove(await id_of(shop, "a"))

    report = await put(shop, renamed, delete)
    assert report.status is RunStatus.SUCCEEDED, report
    assert (await shop.rows())[await id_of(shop, "a")].name == "New"


TALES = [
    a_cycle_of_an_earlier_version,
    a_move_into_what_a_person_moves_below,
    a_move_into_what_a_person_deletes,
    a_change_of_what_a_person_deletes,
]


@pytest.mark.parametrize("tale", TALES)
async def test_tales_in_sql(database: str, tale: Any) -> None:
    shop = SQLShop(database)
    await shop.empty()
    await tale(shop)


@pytest.mark.parametrize("tale", TALES)
async def test_tales_in_medusa(medusa_shop: MedusaShop, tale: Any) -> None:
    await tale(medusa_shop)
    await medusa_shop.shopped()


async def test_what_others_keep_with_a_category(medusa_shop: MedusaShop) -> None:
    """Medusa replaces metadata as a whole."""
    medusa = medusa_shop.medusa
    await put(medusa_shop, flat("a", "b"))
    path = f"/admin/product-categories/{await id_of(medusa_shop, 'b')}"
    found = await medusa.get(f"{path}?fields=metadata")
    ours = found["product_category"]["metadata"]
    body = {"metadata": {**ours, "seo": "bowls"}, "is_active": False, "rank": 0}
    await medusa.post(path, body)
    await put(medusa_shop, attrs.evolve(flat("a", "b"), names={"a": "A", "b": "New"}))
    await put(medusa_shop, flat("a", "b", b="a"))
    found = (await medusa.get(f"{path}?fields=name,metadata,is_active"))[
        "product_category"
    ]
    assert (found["name"], found["is_active"]) == ("B", False)
    assert found["metadata"]["seo"] == "bowls"
    assert found["metadata"].keys() == {"seo", *ours}


async def test_a_category_of_others_in_the_way(medusa_shop: MedusaShop) -> None:
    """A category of others that has our handle is used and never moved."""
    await put(medusa_shop, flat("pots"))
    pots = await id_of(medusa_shop, "pots")
    body = {"name": "Theirs", "handle": "home", "parent_category_id": pots}
    await medusa_shop.medusa.post("/admin/product-categories", body)
    for _ in range(2):
        report = await put(medusa_shop, flat("pots", "home", pots="home"))
        assert await places(medusa_shop) == {"pots": None, "Theirs": "pots"}
        assert report.warnings == (
            (
                "category 'pots' stays where it is: 'Theirs', where the source puts"
                " it, lies below it in the sink; move one of them by hand"
            ),
        )
