"""Categories and tags: created once, in order, before the products that need them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    Category,
    Change,
    Existing,
    Field,
    Limits,
    Product,
    ProductKey,
    RetryPolicy,
    RunStatus,
    TransientError,
    UnauthorizedError,
    as_source,
)
from catalogsync.catalog.changes import (
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.events import ReferencesWritten
from catalogsync.protocols import ReferencingSink

from .fakes import FaultySink, Seen, fast, key, product, run

HOME = Category(id="home", name="Home")
KITCHEN = Category(id="kitchen", name="Kitchen", parent=HOME)
KNIVES = Category(id="knives", name="Knives", parent=KITCHEN)
BEAUTY = Category(id="beauty", name="Beauty")
BUSY = TransientError("busy", retry_after=0)


@attrs.define(kw_only=True)
class StoreSink(FaultySink):
    """A sink in which categories and tags are things of their own.

    Attributes:
        there: What it has, by kind and name of the id in the source.
        refuses: Ids that it does not take.
        faults: What the next `write_references` raise; after the work for those
            in `after`.
        after: Numbers of calls that do the work before they raise.
        find_errors: What the next `find_references` raise.
        mute: Ids that it takes and says nothing about.
        calls: The ids that were written, call by call.
    """

    there: dict[tuple[str, str], ExistingReference] = attrs.field(
        factory=dict[tuple[str, str], ExistingReference]
    )
    refuses: frozenset[str] = frozenset()
    faults: deque[Exception | None] = attrs.field(factory=deque[Exception | None])
    after: frozenset[int] = frozenset()
    find_errors: deque[Exception] = attrs.field(factory=deque[Exception])
    mute: frozenset[str] = frozenset()
    calls: list[list[str]] = attrs.field(factory=list[list[str]])
    lookups: list[frozenset[Reference]] = attrs.field(
        factory=list[frozenset[Reference]]
    )
    made: Counter[str] = attrs.field(factory=Counter[str])
    writing: int = 0

    def put(
        self, id_: str, name: str, *, ours: bool, parent: str | None = None
    ) -> None:
        existing = ExistingReference(
            id=f"id-{id_}", name=name, parent=parent, ours=ours
        )
        self.there["category", id_] = existing

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        self.lookups.append(references)
        await asyncio.sleep(0)
        if self.find_errors:
            raise self.find_errors.popleft()
        return {
            reference: self.there[reference.kind, reference.id]
            for reference in references
            if (reference.kind, reference.id) in self.there
        }

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        self.calls.append([change.reference.id for change in changes])
        if self.writing:
            self.wrong.append("two calls of write_references at once")
        self.writing += 1
        await asyncio.sleep(0)
        self.writing -= 1
        error = self.faults.popleft() if self.faults else None
        if error and len(self.calls) - 1 not in self.after:
            raise error
        outcomes = [self._apply_change(change) for change in changes]
        if error:
            raise error
        return [o for o in outcomes if o.reference.id not in self.mute]

    def _apply_change(self, change: ReferenceChange) -> ReferenceOutcome:
        reference = change.reference
        if reference.id in self.refuses:
            return ReferenceOutcome(reference=reference, id=None, reason="not here")
        name = (reference.kind.value, reference.id)
        if reference.parent and change.parent is None:
            self.wrong.append(f"{reference.id} before its parent")
        if change.existing is None:
            self.made[reference.id] += 1
        id_ = change.existing.id if change.existing else f"id-{reference.id}"
        self.there[name] = ExistingReference(
            id=id_, name=reference.name, parent=change.parent, ours=True
        )
        return ReferenceOutcome(
            reference=reference, id=id_, created=change.existing is None
        )

    def existing(self, key: ProductKey) -> Found | None:
        existing = super().existing(key)
        if not isinstance(existing, Existing):
            return existing
        return attrs.evolve(existing, references=self._references_of(key))

    def _references_of(self, key: ProductKey) -> Mapping[Field, Mapping[str, str]]:
        found: dict[Field, Mapping[str, str]] = {}
        for change in self.changes:
            if change.key == key:
                for field, ids in change.references.items():
                    found[field] = dict.fromkeys(ids, "")
        return found

    def ids(self, number: object) -> dict[Field, tuple[str, ...]]:
        existing = self._references_of(key(number))
        return {field: tuple(ids) for field, ids in existing.items()}


def in_categories(number: object, *categories: Category) -> Product:
    return product(number, categories=categories)


async def test_they_are_created_once_parents_first() -> None:
    sink = StoreSink(limits=Limits(writers=3, find=2))
    products = [in_categories(n, KNIVES, BEAUTY) for n in range(10)]
    products += [in_categories(n, HOME) for n in range(10, 20)]
    seen = Seen()
    report = await run(as_source(products), sink, hooks=[seen])
    assert report.status is RunStatus.SUCCEEDED
    assert report.categories.created == 4
    assert report.categories.existing == 0
    assert sink.calls == [["home", "beauty"], ["kitchen"], ["knives"]]
    assert not sink.wrong
    assert sink.there["category", "knives"].parent == "id-kitchen"
    assert sink.ids(0) == {Field.CATEGORIES: ("id-knives", "id-beauty")}
    levels = [(e.created, e.updated) for e in seen.of(ReferencesWritten)]
    assert levels == [(2, 0), (1, 0), (1, 0)]


async def test_what_a_later_group_adds_is_created_then() -> None:
    sink = StoreSink(limits=Limits(find=1))
    products = [
        product(1, categories=[HOME], tags=["red"]),
        product(2, categories=[KITCHEN], tags=["red", "new"]),
    ]
    report = await run(as_source(products), sink)
    assert sink.calls == [["home", "red"], ["new"], ["kitchen"]]
    assert report.categories.created == 2


_outcome_faults = st.lists(
    st.sampled_from(["works", "busy", "lost", "find"]), max_size=3
)


@settings(max_examples=100)
@given(
    st.lists(
        st.sets(st.sampled_from([HOME, KITCHEN, KNIVES, BEAUTY])),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 4),
    _outcome_faults,
)
async def test_faults_that_pass_leave_no_trace_in_the_counts(
    needs: list[set[Category]], group: int, faults: list[str]
) -> None:
    sink = StoreSink(limits=Limits(find=group))
    sink.faults += [BUSY if f in {"busy", "lost"} else None for f in faults]
    sink.after = frozenset(n for n, f in enumerate(faults) if f == "lost")
    sink.find_errors += [BUSY] * faults.count("find")
    products = [in_categories(n, *chosen) for n, chosen in enumerate(needs)]
    report = await run(as_source(products), sink)
    assert report.status is RunStatus.SUCCEEDED
    assert report.categories.created == sink.made.total()
    assert report.categories.existing == 0
    assert set(sink.made.values()) <= {1}
    assert not sink.wrong
    for number, chosen in enumerate(needs):
        ids = sink.ids(number)[Field.CATEGORIES]
        assert set(ids) == {f"id-{category.id}" for category in chosen}


async def test_tags_are_created_and_not_counted_as_categories() -> None:
    sink = StoreSink()
    products = [product(1, tags=["red", "new"]), product(2, tags=["red"])]
    report = await run(as_source(products), sink)
    assert report.categories.created == 0
    assert sink.made == {"red": 1, "new": 1}
    assert sink.ids(1) == {Field.TAGS: ("id-red", "id-new")}
    assert {r.kind for r in sink.lookups[0]} == {ReferenceKind.TAG}


async def test_a_category_and_a_tag_may_have_the_same_id() -> None:
    sink = StoreSink()
    await run(as_source([product(1, tags=["home"], categories=[HOME])]), sink)
    assert set(sink.there) == {("category", "home"), ("tag", "home")}


async def test_a_second_run_finds_them() -> None:
    sink = StoreSink()
    source = as_source([product(1, categories=[KNIVES], tags=["red"])])
    await run(source, sink)
    sink.calls.clear()
    report = await run(source, sink)
    assert report.counts.unchanged == 1
    assert report.categories.existing == 3
    assert report.categories.created == 0
    assert not sink.calls


async def test_ours_are_renamed_and_moved() -> None:
    sink = StoreSink()
    sink.put("home", "At home", ours=True)
    sink.put("kitchen", "Kitchen", ours=True, parent="id-elsewhere")
    seen = Seen()
    report = await run(as_source([in_categories(1, KITCHEN)]), sink, hooks=[seen])
    assert report.categories.updated == 2
    assert sink.there["category", "home"].name == "Home"
    assert sink.there["category", "kitchen"].parent == "id-home"
    assert sum(e.updated for e in seen.of(ReferencesWritten)) == 2


async def test_those_of_others_are_used_and_never_changed() -> None:
    sink = StoreSink()
    sink.put("home", "At home", ours=False)
    sink.put("kitchen", "Cooking", ours=False, parent="id-elsewhere")
    report = await run(as_source([in_categories(1, KITCHEN)]), sink)
    assert report.categories.existing == 2
    assert not sink.calls
    assert sink.ids(1) == {Field.CATEGORIES: ("id-kitchen",)}


async def test_tags_are_never_renamed() -> None:
    sink = StoreSink()
    existing = ExistingReference(id="id-red", name="RED", ours=True)
    sink.there["tag", "red"] = existing
    await run(as_source([product(1, tags=["red"])]), sink)
    assert not sink.calls


async def test_two_tags_that_are_one_in_the_sink() -> None:
    sink = StoreSink()
    for tag in ("red", "RED"):
        sink.there["tag", tag] = ExistingReference(id="id-red", name="red", ours=True)
    await run(as_source([product(1, tags=["red", "RED"])]), sink)
    assert sink.ids(1) == {Field.TAGS: ("id-red",)}


async def test_a_refused_one_fails_only_its_products() -> None:
    sink = StoreSink(refuses=frozenset({"beauty"}), limits=Limits(find=2))
    products = [in_categories(n, BEAUTY if n % 2 else HOME) for n in range(6)]
    report = await run(as_source(products), sink)
    assert report.status is RunStatus.DEGRADED
    assert {(o.key, o.reason, o.said) for o in report.failures} == {
        (key(n), "the sink refused its category 'beauty'", "not here")
        for n in (1, 3, 5)
    }
    assert report.counts.created == 3
    assert sum("beauty" in call for call in sink.calls) == 1


async def test_a_refused_parent_fails_the_products_of_its_children() -> None:
    sink = StoreSink(refuses=frozenset({"home"}))
    products = [in_categories(1, KNIVES), in_categories(2, BEAUTY)]
    report = await run(as_source(products), sink)
    assert [(o.key, o.said) for o in report.failures] == [
        (key(1), "its parent 'kitchen' was refused")
    ]
    assert sink.calls == [["home", "beauty"]]


async def test_a_refused_tag_fails_its_products() -> None:
    sink = StoreSink(refuses=frozenset({"bad"}))
    products = [product(1, tags=["bad"]), product(2, tags=["good"])]
    report = await run(as_source(products), sink)
    assert [o.reason for o in report.failures] == ["the sink refused its tag 'bad'"]


@pytest.mark.parametrize("level", [0, 1, 2])
async def test_a_lost_answer_is_still_created(level: int) -> None:
    sink = StoreSink(after=frozenset({level}))
    sink.faults += [None] * level + [BUSY]
    seen = Seen()
    report = await run(as_source([in_categories(1, KNIVES)]), sink, hooks=[seen])
    assert report.status is RunStatus.SUCCEEDED
    assert report.categories.created == 3
    assert report.categories.existing == 0
    assert sink.made == {"home": 1, "kitchen": 1, "knives": 1}
    assert sum(e.created for e in seen.of(ReferencesWritten)) == 3


@pytest.mark.parametrize("level", [0, 1, 2])
async def test_an_error_before_the_work_counts_nothing_twice(level: int) -> None:
    sink = StoreSink()
    sink.faults += [None] * level + [BUSY] * 2
    report = await run(as_source([in_categories(1, KNIVES, BEAUTY)]), sink)
    assert report.categories.created == 4
    assert report.categories.existing == 0
    assert report.retries == 2


async def test_existing_ones_are_not_counted_twice_by_a_repeat() -> None:
    sink = StoreSink()
    sink.put("home", "Home", ours=True)
    sink.faults.append(BUSY)
    report = await run(as_source([in_categories(1, KITCHEN)]), sink)
    assert (report.categories.existing, report.categories.created) == (1, 1)


async def test_a_renaming_whose_answer_is_lost_is_still_updated() -> None:
    sink = StoreSink(after=frozenset({0}))
    sink.put("home", "At home", ours=True)
    sink.faults.append(BUSY)
    report = await run(as_source([in_categories(1, HOME)]), sink)
    assert report.categories.updated == 1
    assert report.categories.existing == 0


async def test_a_creation_is_still_one_when_a_later_group_finds_it() -> None:
    """The last try of the first group made it, and the answer was lost."""
    sink = StoreSink(limits=Limits(find=1), after=frozenset({0}))
    sink.faults.append(BUSY)
    options = fast(retry=RetryPolicy(attempts=1))
    products = [in_categories(1, HOME), in_categories(2, HOME)]
    report = await run(as_source(products), sink, options=options)
    assert report.status is RunStatus.INCOMPLETE
    assert (report.counts.created, report.counts.unresolved) == (1, 1)
    assert (report.categories.created, report.categories.existing) == (1, 0)


async def test_one_that_somebody_else_created_meanwhile_exists() -> None:
    sink = StoreSink()

    async def write(
        changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        return [ReferenceOutcome(reference=c.reference, id="x") for c in changes]

    @attrs.define(kw_only=True)
    class Meanwhile(StoreSink):
        async def write_references(
            self, changes: Sequence[ReferenceChange], /
        ) -> Sequence[ReferenceOutcome]:
            return await write(changes)

    sink = Meanwhile()
    report = await run(as_source([in_categories(1, HOME)]), sink)
    assert (report.categories.existing, report.categories.created) == (1, 0)


async def test_those_without_an_outcome_are_looked_for_again() -> None:
    """Nobody refused it; what became of it is not known."""
    sink = StoreSink(mute=frozenset({"home"}))
    report = await run(as_source([in_categories(1, KITCHEN), product(2)]), sink)
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 2
    assert sink.calls == [["home"], ["kitchen"]]


async def test_those_that_never_have_an_outcome_leave_their_products() -> None:
    @attrs.define(kw_only=True)
    class Silent(StoreSink):
        async def write_references(
            self, changes: Sequence[ReferenceChange], /
        ) -> Sequence[ReferenceOutcome]:
            return []

    report = await run(as_source([in_categories(1, HOME)]), Silent())
    assert report.status is RunStatus.INCOMPLETE
    assert (report.counts.failed, report.counts.unresolved) == (0, 1)


async def test_without_tries_left_products_are_unresolved() -> None:
    sink = StoreSink(limits=Limits(find=1))
    sink.faults += [BUSY] * 4
    products = [in_categories(1, HOME), in_categories(2, HOME)]
    report = await run(as_source(products), sink)
    assert report.status is RunStatus.INCOMPLETE
    assert (report.counts.unresolved, report.counts.created) == (1, 1)
    assert report.categories.created == 1


async def test_looking_for_them_is_repeated() -> None:
    sink = StoreSink()
    sink.find_errors.append(BUSY)
    report = await run(as_source([in_categories(1, HOME)]), sink)
    assert report.status is RunStatus.SUCCEEDED
    assert report.retries == 1


async def test_an_error_while_they_are_written_gives_a_report() -> None:
    sink = StoreSink()
    sink.faults.append(UnauthorizedError("401"))
    report = await run(as_source([in_categories(1, HOME)]), sink)
    assert report.status is RunStatus.FAILED
    assert report.counts.unresolved == 1


async def test_a_plan_lists_them_and_writes_none() -> None:
    sink = StoreSink()
    sink.put("home", "At home", ours=True)
    shown: list[Change | ReferenceChange] = []
    report = await run(
        as_source([product(1, categories=[KNIVES], tags=["red"])]),
        sink,
        show=shown.append,
    )
    *references, change = shown
    assert isinstance(change, Change)
    assert change.references[Field.CATEGORIES] == ("new knives",)
    names = [c.reference.id for c in references if isinstance(c, ReferenceChange)]
    assert sorted(names) == ["home", "kitchen", "knives", "red"]
    assert (report.categories.created, report.categories.updated) == (2, 1)
    assert not sink.calls
    assert not sink.writes


async def test_products_without_categories_ask_for_nothing() -> None:
    sink = StoreSink()
    await run(as_source([product(1)]), sink)
    assert not sink.lookups


def test_the_sink_of_these_tests_is_one() -> None:
    assert isinstance(StoreSink(), ReferencingSink)
