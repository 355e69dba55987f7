"""Who may remove a product, and the check right before it is removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from catalogsync import (
    Action,
    BatchRefusedError,
    Change,
    ConflictError,
    Existing,
    MemorySink,
    Options,
    Page,
    Plan,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    RefusedError,
    Report,
    RunStatus,
    StateSettings,
    Sync,
    TransientError,
    sync,
)
from catalogsync.catalog.changes import Found
from catalogsync.catalog.products import Field
from catalogsync.diff.last_applied import LastApplied
from catalogsync.plans import PlanHead, PlanWriter, estimate

from .fakes import (
    FAST,
    LookupSource,
    PagedSource,
    check,
    is_on_sale,
    key,
    product,
    server_error,
    stocked,
)
from .shop import Row, Shop, loses

JOBS = ("", "cups", "pots")


def catalog(*numbers: int) -> list[Product]:
    return [stocked(number) for number in numbers]


def pruning(prune: Prune = Prune.DELETE, **options: Any) -> Options:
    return Options(**{"retry": FAST, "prune": prune, "max_prune": 50, **options})


async def filled(*numbers: int, job: str = "") -> Shop:
    shop = Shop()
    await sync(LookupSource(products=catalog(*numbers)), shop, job=job)
    shop.writes.clear()
    return shop


# --- whose it is ---


async def prune_beside(
    writers: Mapping[str, Sequence[int]], job: str, left: Sequence[int], most: float
) -> tuple[MemorySink, Report]:
    """A run of a job over a store into which several jobs wrote."""
    sink = MemorySink()
    for name, numbers in writers.items():
        await sync(LookupSource(products=catalog(*numbers)), sink, job=name)
    source = LookupSource(products=catalog(*left))
    options = pruning(max_prune=most)
    report = await sync(source, sink, options=options, job=job)
    check(report)
    return sink, report


@pytest.mark.parametrize("big", ["", "cups"])
async def test_the_share_is_one_of_the_jobs_own_products(big: str) -> None:
    """A job with many products makes no room for losing all of another's."""
    pots = range(20)
    cups = range(100, 1100)

    class All(LookupSource):
        """Only pots are selected; cups can be asked for all the same."""

        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            some = [k for k in keys if int(k.id) in cups]
            return Page(products=[product(k.id) for k in some])

    sink = MemorySink()
    await sync(LookupSource(products=catalog(*cups)), sink, job=big)
    await sync(LookupSource(products=catalog(*pots)), sink, job="pots")
    source = All(products=catalog(0))
    options = pruning(max_prune=0.1)
    report = await sync(source, sink, options=options, job="pots")
    assert report.counts.removed == 0
    assert "of 20 products left the source" in report.warnings[0]
    assert len(sink.products) == 1020


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    "last_applied",
    [
        None,
        "",
        "{broken",
        "null",
        "[]",
        '{"version": 1}',
        '{"version": 2, "f": {}, "l": {}, "a": {}, "v": {}}',
        '{"version": 1, "f": {}, "l": {}, "a": {}, "v": {}, "j": 7}',
        '{"version": 1, "f": {}, "l": {}, "a": {}, "v": {}, "k": "cups"}',
        '{"version": 1, "f": {}, "l": {}, "a": {}, "v": []}',
    ],
)
async def test_a_last_applied_that_cannot_be_read_makes_a_product_nobodys(
    job: str, last_applied: str | None
) -> None:
    shop = await filled(1, 2, 3, job=job)
    shop.one(key(2)).last_applied = last_applied
    source = LookupSource(products=catalog(1))
    for prune in Prune:
        await sync(source, shop, options=pruning(prune), job=job)
    assert shop.titles().keys() == {"1", "2"}
    assert shop.one(key(2)).product.status is not ProductStatus.DRAFT
    report = await release(shop, job)
    assert report.counts.removed == 1
    assert "1 products keep our key" in report.warnings[0]
    assert shop.titles().keys() == {"2"}


async def release(shop: Shop, job: str) -> Report:
    async with Sync("shop", shop, job=job).release() as run:
        return await run.report()


async def test_a_job_without_a_name_removes_only_what_such_a_job_wrote() -> None:
    sink, report = await prune_beside({"": [1, 2], "cups": [3, 4]}, "", [1], 50)
    assert report.counts.removed == 1
    assert sink.products.keys() == {key(1), key(3), key(4)}


@st.composite
def stores(draw: st.DrawFn) -> dict[int, tuple[str, Any]]:
    """Products with the job that wrote each, and what became of its last-applied state."""
    damage = st.one_of(
        st.just(None),
        st.sampled_from(["lost", "{", "{}", '"cups"', '{"version": 1, "j": "cups"}']),
        st.floats(0, 0.99),
    )
    one = st.tuples(st.sampled_from(JOBS), st.one_of(st.just(None), damage))
    return draw(st.dictionaries(st.integers(0, 60), one, min_size=1, max_size=40))


def damaged(last_applied: str, how: object) -> str | None:
    """The last-applied state as it is after the damage; a number is the part that is left."""
    if isinstance(how, float):
        return last_applied[: int(len(last_applied) * how)]
    return None if how == "lost" else str(how)


@given(
    store=stores(),
    job=st.sampled_from(JOBS),
    left=st.sets(st.integers(0, 60), min_size=1),
    most=st.one_of(st.floats(0.01, 0.99), st.integers(1, 30)),
    prune=st.sampled_from(Prune),
)
async def test_whoever_wrote_what(
    store: dict[int, tuple[str, Any]],
    job: str,
    left: set[int],
    most: float,
    prune: Prune,
) -> None:
    """A job removes what it may, within the limit of each writer, or nothing."""
    sink = MemorySink()
    for name in JOBS:
        mine = [number for number, (by, _) in store.items() if by == name]
        await sync(LookupSource(products=catalog(*mine)), sink, job=name)
    for number, (_, how) in store.items():
        if how is not None:
            text = damaged(sink.last_applied.pop(key(number)), how)
            if text is not None:
                sink.last_applied[key(number)] = text
    readable = {n: by for n, (by, how) in store.items() if how is None}
    source = LookupSource(products=catalog(*left))
    report = await sync(source, sink, options=pruning(prune, max_prune=most), job=job)
    # What was at the source is the job's from now on.
    for number in left:
        if number not in store or (job and readable.get(number)):
            readable[number] = job
    owned = {n: by for n, by in readable.items() if by in {"", job}}
    gone = {n: by for n, by in owned.items() if n not in left}
    writers = Counter(owned.values())
    limits = {by: int(n * most + 1e-9) for by, n in writers.items()}
    fits = len(gone) <= int(most)
    if most < 1:
        fits = all(n <= limits[by] for by, n in Counter(gone.values()).items())
    visible = {int(each.key.id) for each in sink.products.values() if is_on_sale(each)}
    removed = (store.keys() | left) - visible
    assert removed == (gone.keys() if fits else set[int]())
    assert report.counts.removed == len(removed)


@given(
    st.lists(
        st.tuples(st.sampled_from(("cups", "pots")), st.sets(st.integers(0, 5))),
        max_size=6,
    ),
    st.sampled_from(Prune),
)
async def test_products_move_from_job_to_job(
    runs: list[tuple[str, set[int]]], prune: Prune
) -> None:
    """What one supplies is its own from then on, also if there is nothing to write."""
    sink = MemorySink()
    supplier: dict[int, str] = {}
    for job, numbers in runs:
        source = LookupSource(products=catalog(9, *numbers))
        await sync(source, sink, options=pruning(prune), job=job)
        supplier = {n: by for n, by in supplier.items() if by != job}
        supplier |= dict.fromkeys((9, *numbers), job)
        visible = {
            int(each.key.id) for each in sink.products.values() if is_on_sale(each)
        }
        assert visible == supplier.keys()
        again = await sync(source, sink, options=pruning(prune), job=job)
        assert again.counts.unchanged == len({9, *numbers}), str(again)


# --- looked at again ---


@attrs.define(kw_only=True)
class Slow(LookupSource):
    """Something happens while it is asked for products.

    Attributes:
        meanwhile: Called with the number of each request.
    """

    meanwhile: Callable[[int], None]

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        page = await super().get(keys)
        self.meanwhile(len(self.lookups))
        return page


def publish(shop: Shop, number: int) -> None:
    row = shop.one(key(number))
    row.product = attrs.evolve(row.product, status=ProductStatus.PUBLISHED)


async def test_one_that_a_person_publishes_while_the_source_is_asked() -> None:
    shop = await filled(1, 2, 3)
    await sync(
        LookupSource(products=catalog(1)), shop, options=pruning(Prune.UNPUBLISH)
    )
    source = Slow(products=catalog(1), meanwhile=lambda _: publish(shop, 2))
    report = await sync(source, shop, options=pruning())
    assert report.counts.removed == 1
    assert shop.titles().keys() == {"1", "2"}


@pytest.mark.parametrize("prune", Prune)
@pytest.mark.parametrize("number", range(1, 8))
async def test_one_that_changes_hands_before_its_batch(
    prune: Prune, number: int
) -> None:
    """Each batch is checked again, not only the first."""
    shop = await filled(*range(9), job="cups")

    async def hand_over(_: Shop, __: Sequence[Change]) -> None:
        row = shop.one(key(number))
        row.last_applied = attrs.evolve(
            LastApplied.parse(row.last_applied), job="pots"
        ).text()

    shop.after.extend([*[None] * (number - 1), hand_over])
    options = pruning(prune, batch_size=1)
    source = LookupSource(products=catalog(8))
    report = await sync(source, shop, options=options, job="cups")
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 7)
    shown = [r for r in shop.rows if is_on_sale(r.product)]
    assert {r.key for r in shown} == {key(8), key(number)}


@pytest.mark.parametrize("prune", Prune)
async def test_one_that_comes_back_to_the_source_before_its_batch(prune: Prune) -> None:
    shop = await filled(*range(6))
    left = catalog(0)
    source = Slow(products=left, meanwhile=lambda n: left.extend(catalog(n + 1)))
    report = await sync(source, shop, options=pruning(prune, batch_size=1))
    # Before each batch one more is back, and the batches come in order.
    assert report.counts.removed == 1
    assert sum(is_on_sale(row.product) for row in shop.rows) == 5


async def test_an_answer_that_is_lost_is_looked_for() -> None:
    """What is gone was removed by us, and counts; the batch is not sent again."""
    shop = await filled(1, 2, 3)
    shop.after.append(loses())
    report = await sync(LookupSource(products=catalog(1)), shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 2)
    assert shop.writes == [["delete 2", "delete 3"]]


async def test_what_somebody_else_removed_meanwhile_does_not_count() -> None:
    shop = await filled(1, 2, 3)

    def remove(_: int) -> None:
        shop.rows = [row for row in shop.rows if row.key != key(2)]

    source = Slow(products=catalog(1), meanwhile=remove)
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 1)
    assert shop.writes == [["delete 3"]]


class Clamped(Shop):
    """A sink that gives its last page for any page beyond."""

    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        page: Sequence[Existing] = ()
        async for page in super().owned(source):
            yield page
        for _ in range(10_000):
            yield page
        raise AssertionError("it is listed for ever")


async def test_a_sink_whose_list_does_not_end() -> None:
    shop = Clamped()
    await sync(LookupSource(products=catalog(1, 2, 3)), shop)
    report = await sync(LookupSource(products=catalog(1)), shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.INCOMPLETE, 0)
    assert "the sink's list does not end" in report.problem


async def test_nor_does_it_for_a_release_or_a_plan(tmp_path: Path) -> None:
    shop = Clamped()
    await sync(LookupSource(products=catalog(0, 1)), shop)
    report = await release(shop, "")
    assert (report.status, report.counts.removed) == (RunStatus.INCOMPLETE, 0)
    assert "could not release products: the sink's list does not" in report.problem
    honest = Shop(rows=shop.rows)
    report = await apply(await planned(honest, tmp_path, Prune.DELETE), shop)
    assert (report.status, report.counts.removed) == (RunStatus.INCOMPLETE, 0)
    assert "could not remove products: the sink's list does not" in report.problem


async def test_one_with_a_conflict_stays_and_is_reported() -> None:
    from catalogsync import Conflict

    class Doubtful(Shop):
        async def find(
            self, desired: Sequence[Product], /, *, fields: frozenset[Field]
        ) -> Mapping[ProductKey, Found]:
            found = await super().find(desired, fields=fields)
            doubt = {key(2): Conflict(reason="two products have its key")}
            return {**found, **doubt} if key(2) in found else found

    shop = Doubtful()
    await sync(LookupSource(products=catalog(1, 2, 3)), shop)
    report = await sync(LookupSource(products=catalog(1)), shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 1)
    assert report.warnings == (
        "shop:2 left the source and stays: two products have its key",
    )


async def test_a_side_that_cannot_be_looked_at_blames_no_product() -> None:
    """A 500 of a look is not taken for the refusal of a removal."""
    shop = await filled(1, 2, 3)
    faults = [TransientError("500", unexplained=True, retry_after=0)] * 2

    def fail(number: int) -> None:
        if number == 1:
            shop.find_faults.extend(faults)

    source = Slow(products=catalog(1), meanwhile=fail)
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 2)
    assert shop.writes == [["delete 2", "delete 3"]]


# --- what was approved ---


async def planned(shop: Shop, folder: Path, prune: Prune) -> Plan:
    """A plan that removes all but the first."""
    head = PlanHead(
        job="", source="shop", sink="shop", endpoint=shop.endpoint, made_at=0.0
    )
    with PlanWriter(folder / "plan", head) as writer:
        report = await Sync(
            LookupSource(products=catalog(0)), shop, options=pruning(prune)
        ).plan(writer.add)
        writer.finish(report, estimate(report, []))
    return Plan.read(folder / "plan")


async def apply(plan: Plan, shop: Shop, **options: Any) -> Report:
    async with Sync(plan.head.source, shop, options=pruning(**options)).apply(
        plan
    ) as run:
        return await run.report()


@pytest.mark.parametrize("prune", Prune)
async def test_a_planned_removal_looks_again_before_each_batch(
    tmp_path: Path, prune: Prune
) -> None:
    shop = await filled(*range(4))
    plan = await planned(shop, tmp_path, prune)

    async def edit(_: Shop, __: Sequence[Change]) -> None:
        row = shop.one(key(3))
        row.product = attrs.evolve(row.product, title="Existing now")

    shop.after.append(edit)
    report = await apply(plan, shop, batch_size=1)
    assert (report.status, report.counts.removed) == (RunStatus.INCOMPLETE, 2)
    assert report.problem.startswith("not removed: shop:3: it has changed since")
    assert shop.one(key(3)).product.status is not ProductStatus.DRAFT


async def test_a_plan_removes_nothing_that_is_not_the_jobs(tmp_path: Path) -> None:
    """Whatever the file says."""
    shop = await filled(*range(3), job="cups")
    options = pruning()
    head = PlanHead(
        job="pots", source="shop", sink="shop", endpoint=shop.endpoint, made_at=0.0
    )
    with PlanWriter(tmp_path / "plan", head) as writer:
        report = await Sync(
            LookupSource(products=catalog(0)), shop, options=options, job="cups"
        ).plan(writer.add)
        writer.finish(report, estimate(report, []))
    assert report.counts.removed == 2
    report = await apply(Plan.read(tmp_path / "plan"), shop)
    assert report.counts.removed == 0
    assert report.status is RunStatus.INCOMPLETE
    assert shop.titles().keys() == {"0", "1", "2"}


async def test_releasing_looks_again_before_each_batch() -> None:
    shop = await filled(1, 2, 3, job="cups")

    async def hand_over(_: Shop, __: Sequence[Change]) -> None:
        row = shop.one(key(3))
        row.last_applied = attrs.evolve(
            LastApplied.parse(row.last_applied), job="pots"
        ).text()

    shop.after.append(hand_over)
    options = Options(retry=FAST, batch_size=1)
    async with Sync("shop", shop, job="cups", options=options).release() as run:
        report = await run.report()
    assert report.counts.removed == 2
    assert shop.titles().keys() == {"3"}
    assert {change for batch in shop.writes for change in batch} == {
        f"{Action.RELEASE} 1",
        f"{Action.RELEASE} 2",
    }


# --- through the writer, as all other changes ---


def refuses(
    error: Callable[[], Exception], *bad: ProductKey
) -> Callable[[Shop, Sequence[Change]], Any]:
    """Each write with one of these raises, and nothing of it is done."""

    async def hook(shop: Shop, changes: Sequence[Change]) -> None:
        shop.before.append(hook)
        if any(change.key in bad for change in changes):
            raise error()

    return hook


@given(
    st.sets(st.integers(1, 24), max_size=9),
    st.integers(1, 30),
    st.sampled_from([server_error, lambda: RefusedError("in an order")]),
    st.sampled_from(Prune),
)
async def test_bad_neighbours_do_not_keep_the_others(
    bad: set[int], batch: int, error: Callable[[], Exception], prune: Prune
) -> None:
    """Wherever they are, one by one or side by side."""
    shop = await filled(*range(25))
    shop.before.append(refuses(error, *map(key, bad)))
    options = pruning(prune, batch_size=batch)
    report = await sync(LookupSource(products=catalog(0)), shop, options=options)
    check(report)
    visible = {row.key for row in shop.rows if is_visible(row)}
    assert visible == {key(0), *map(key, bad)}
    assert report.counts.removed == 24 - len(bad)
    warned = {text.split()[0] for text in report.warnings}
    assert warned == {str(key(number)) for number in bad}
    assert report.status is (RunStatus.DEGRADED if bad else RunStatus.SUCCEEDED)


def is_visible(row: Row) -> bool:
    return is_on_sale(row.product)


FAULTS: dict[str, Callable[[], Exception]] = {
    "busy": lambda: TransientError("busy", retry_after=0),
    "500": server_error,
    "refused": lambda: RefusedError("in an order"),
    "culprit": lambda: BatchRefusedError("no", culprits={key(2): "in an order"}),
    "changed": lambda: ConflictError("changed"),
}


def strikes(name: str) -> Callable[[Shop, Sequence[Change]], Any]:
    """Raises once."""

    async def hook(_: Shop, __: Sequence[Change]) -> None:
        error = FAULTS[name]()
        raise error

    return hook


steps = st.lists(st.one_of(st.none(), st.sampled_from(sorted(FAULTS))), max_size=25)


@given(
    steps,
    st.lists(st.sampled_from([None, "busy", "500", "changed"]), max_size=25),
    st.integers(1, 9),
    st.sampled_from(Prune),
)
async def test_whatever_happens_to_removals(
    before: list[str | None], after: list[str | None], batch: int, prune: Prune
) -> None:
    """What is counted is gone, the rest is reported, and the next run removes it."""
    shop = await filled(*range(9))
    source = LookupSource(products=catalog(0))
    shop.before.extend(name and strikes(name) for name in before)
    shop.after.extend(name and strikes(name) for name in after)
    options = pruning(prune, batch_size=batch)
    report = await sync(source, shop, options=options)
    check(report)
    gone = 9 - sum(map(is_visible, shop.rows))
    assert report.counts.removed <= gone
    if report.status is not RunStatus.INCOMPLETE:
        # One whose last answer is a 500 may be gone all the same.
        assert report.counts.removed + len(report.warnings) == 8
    shop.before.clear()
    shop.after.clear()
    report = await sync(source, shop, options=options)
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 8 - gone)
    assert [row.key for row in shop.rows if is_visible(row)] == [key(0)]


async def test_culprits_that_the_sink_names_are_taken_out() -> None:
    shop = await filled(*range(6))

    def error() -> BatchRefusedError:
        return BatchRefusedError("no", culprits={key(2): "in an order"})

    shop.before.append(refuses(error, key(2)))
    finds = shop.finds
    report = await sync(LookupSource(products=catalog(0)), shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 4)
    assert report.warnings == ("shop:2 left the source and stays: in an order",)
    assert len(shop.writes) == 2
    assert shop.finds - finds == 3  # of the source's product, and before each write


async def test_a_sink_that_cannot_remove_now_is_left_alone() -> None:
    """The next run removes what is left."""
    shop = await filled(*range(6))
    shop.before.append(refuses(lambda: TransientError("busy"), key(2)))
    source = LookupSource(products=catalog(0))
    report = await sync(source, shop, options=pruning(batch_size=1))
    assert report.status is RunStatus.INCOMPLETE
    assert report.problem == "could not remove what left the source: busy"
    assert report.counts.removed == 1
    assert len(shop.writes) == 1 + FAST.attempts
    shop.before.clear()
    report = await sync(source, shop, options=pruning())
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 4)


async def test_a_sink_that_takes_nothing_is_tried_once_for_each_product() -> None:
    """Halves of halves would cost twice as much, and prove nothing."""
    shop = await filled(*range(101))
    everything = map(key, range(101))
    shop.before.append(refuses(server_error, *everything))
    options = pruning(batch_size=100, max_prune=100)
    report = await sync(LookupSource(products=catalog(0)), shop, options=options)
    assert report.status is RunStatus.INCOMPLETE
    assert report.problem == "could not remove what left the source: 500"
    assert len(shop.writes) < 120


@given(
    st.lists(
        st.sampled_from(
            [
                lambda: RefusedError("in an order"),
                lambda: TransientError("busy", retry_after=0),
                server_error,
            ]
        ),
        max_size=3,
    ),
    st.sampled_from(Prune),
)
async def test_a_removal_that_failed_is_made_by_the_next_run(
    errors: list[Callable[[], Exception]], prune: Prune
) -> None:
    """Also if the source cannot be asked: that it was missed twice still holds."""
    shop = await filled(1, 2, job="cups")
    source = PagedSource(products=catalog(1))
    options = pruning(prune)
    async with StateSettings().open() as store:
        await sync(source, shop, options=options, job="cups", state=store)
        for error in errors:
            shop.before.clear()
            shop.before.append(refuses(error, key(2)))
            await sync(source, shop, options=options, job="cups", state=store)
            assert is_visible(shop.one(key(2)))
        shop.before.clear()
        report = await sync(source, shop, options=options, job="cups", state=store)
    assert report.counts.removed == 1


async def test_a_refused_release_says_so() -> None:
    shop = await filled(1, 2, job="cups")
    shop.before.append(refuses(lambda: RefusedError("locked"), key(2)))
    report = await release(shop, "cups")
    assert (report.status, report.counts.removed) == (RunStatus.DEGRADED, 1)
    assert report.warnings == ("shop:2 keeps our key: locked",)


async def test_a_plan_with_removals_of_both_kinds(tmp_path: Path) -> None:
    """One write never mixes them."""
    shop = await filled(*range(5))
    source = LookupSource(products=catalog(0))
    deleted: list[Any] = []
    hidden: list[Any] = []
    await Sync(source, shop, options=pruning()).plan(deleted.append)
    report = await Sync(source, shop, options=pruning(Prune.UNPUBLISH)).plan(
        hidden.append
    )
    head = PlanHead(
        job="", source="shop", sink="shop", endpoint=shop.endpoint, made_at=0.0
    )
    with PlanWriter(tmp_path / "plan", head) as writer:
        for change in (hidden[0], deleted[1], hidden[2], deleted[3]):
            writer.add(change)
        writer.finish(report, estimate(report, []))
    report = await apply(Plan.read(tmp_path / "plan"), shop)
    assert (report.status, report.counts.removed) == (RunStatus.SUCCEEDED, 4)
    assert shop.writes == [["unpublish 1", "unpublish 3"], ["delete 2", "delete 4"]]
