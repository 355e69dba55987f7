"""Runs over random faults, compared with a model of the sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    BatchRefusedError,
    Change,
    ConflictError,
    Limits,
    Outcome,
    OutcomeStatus,
    Product,
    ProductKey,
    RefusedError,
    Report,
    RunStatus,
    Sync,
    TransientError,
    UnauthorizedError,
)

from .fakes import (
    FaultySink,
    PagedSource,
    Step,
    answers,
    check,
    fails,
    fast,
    idle,
    key,
    loses,
    product,
    run,
    running,
    server_error,
    works,
)

BUSY = TransientError("busy", retry_after=0)


def refuses_first(*, named: bool) -> Step:
    """Refuses the batch for its first product, once."""

    async def step(_: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        culprits = {changes[0].key: "bad"} if named else {}
        raise BatchRefusedError("not acceptable", culprits=culprits)

    return step


def says_failed(outcomes: list[Outcome]) -> list[Outcome]:
    """Says of the first that it failed, though it was done."""
    first = Outcome(outcomes[0].key, OutcomeStatus.FAILED, "no")
    return [first, *outcomes[1:]]


TRANSIENT: dict[str, Callable[[], Step]] = {
    "busy": lambda: fails(BUSY),
    "lost": lambda: loses(BUSY),
    "half lost": lambda: loses(BUSY, done=1),
    "conflict": lambda: fails(ConflictError("changed", retry_after=0)),
    "500": lambda: fails(server_error()),
    "500 after the work": lambda: loses(server_error()),
    "500 after half": lambda: loses(server_error(), done=1),
}
LASTING: dict[str, Callable[[], Step]] = {
    "refused": lambda: refuses_first(named=False),
    "culprit": lambda: refuses_first(named=True),
    "plain refusal": lambda: fails(RefusedError("no")),
    "says failed": lambda: answers(says_failed),
    "silent": lambda: answers(lambda outcomes: outcomes[1:]),
    "says twice": lambda: answers(lambda outcomes: outcomes * 2),
    "other order": lambda: answers(lambda outcomes: outcomes[::-1]),
}
ENDING: dict[str, Callable[[], Step]] = {
    "401": lambda: fails(UnauthorizedError("401")),
    "defect": lambda: loses(ZeroDivisionError("adapter")),
}
ANY = {"works": lambda: works, **TRANSIENT, **LASTING, **ENDING}


def faults(names: Sequence[str], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(["works", *names]), max_size=most)


@st.composite
def catalogs(draw: st.DrawFn) -> tuple[list[Product], list[Product]]:
    """What the sink has from before, and what the source shows now."""
    size = draw(st.integers(1, 7))
    before, desired = [
        [
            product(number, title=title, tags=tags)
            for number, (title, tags) in enumerate(
                draw(st.lists(contents, min_size=size, max_size=size))
            )
        ]
        for _ in range(2)
    ]
    known = draw(st.sets(st.integers(0, size - 1)))
    return [before[number] for number in sorted(known)], desired


contents = st.tuples(st.sampled_from("abc"), st.sets(st.sampled_from("xyz")))


@attrs.frozen
class World:
    """A sink after a first run without faults, and what comes now."""

    sink: FaultySink
    desired: Sequence[Product]
    before: frozenset[ProductKey]

    @classmethod
    async def make(
        cls, catalog: tuple[list[Product], list[Product]], limits: Limits
    ) -> World:
        before, desired = catalog
        sink = FaultySink(limits=limits)
        await run(PagedSource(products=before), sink)
        sink.writes.clear()
        return cls(sink, desired, frozenset(item.key for item in before))

    async def sync(self, **options: Any) -> Report:
        source = PagedSource(products=self.desired, page_size=2)
        return await run(source, self.sink, options=fast(**options))

    async def wrong(self) -> set[ProductKey]:
        """Products that the sink does not hold as they should be."""
        sink = self.sink
        self.sink.steps.clear()
        self.sink.find_faults.clear()
        products, last_applied = dict(sink.products), dict(sink.last_applied)
        shown: list[Change] = []
        source = PagedSource(products=self.desired)
        await run(source, sink, show=shown.append)
        assert (sink.products, sink.last_applied) == (products, last_applied)
        return {change.key for change in shown}


limits = st.builds(
    Limits,
    batch=st.integers(1, 4),
    writers=st.integers(1, 3),
    find=st.integers(1, 6),
)


@settings(max_examples=300)
@given(
    catalogs(),
    limits,
    faults([*TRANSIENT, *LASTING, *ENDING], 8),
    st.lists(st.sampled_from([None, BUSY]), max_size=6),
)
async def test_every_product_is_right_or_reported(
    catalog: tuple[list[Product], list[Product]],
    limits: Limits,
    steps: list[str],
    finds: list[Exception | None],
) -> None:
    """Right exactly once, or failed or unresolved; the next run repairs everything."""
    world = await World.make(catalog, limits)
    world.sink.steps += [ANY[name]() for name in steps]
    world.sink.find_faults += finds
    try:
        report = await world.sync()
    except UnauthorizedError:
        assert not world.sink.writes
        return
    assert not world.sink.wrong
    bad = {outcome.key for outcome in report.failures}
    seen = report.counts.fetched
    assert await world.wrong() <= bad | {p.key for p in world.desired[seen:]}
    if report.status is RunStatus.SUCCEEDED:
        assert seen == len(world.desired)
        assert await world.wrong() == set()
    again = await world.sync()
    assert again.status is RunStatus.SUCCEEDED
    assert again.counts.created <= report.counts.failed + report.counts.unresolved + (
        len(world.desired) - seen
    )
    assert await world.wrong() == set()
    assert not world.sink.wrong


@settings(max_examples=150)
@given(catalogs(), limits, faults([name for name in TRANSIENT if "500" not in name], 3))
async def test_faults_that_pass_leave_no_trace_in_the_counts(
    catalog: tuple[list[Product], list[Product]], limits: Limits, steps: list[str]
) -> None:
    """With tries left, a run over faults says what a run without them says."""
    quiet = await World.make(catalog, limits)
    expected = await quiet.sync()
    world = await World.make(catalog, limits)
    world.sink.steps += [ANY[name]() for name in steps]
    report = await world.sync()
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts == expected.counts
    assert await world.wrong() == set()
    assert world.sink.products == quiet.sink.products
    assert not world.sink.wrong


@settings(max_examples=100)
@given(st.sets(st.integers(0, 30), max_size=4), st.integers(1, 16), st.booleans())
async def test_poison_is_found_whatever_the_batches(
    poison: set[int], size: int, explained: bool
) -> None:
    """As long as a batch has a good product, exactly the bad ones fail."""
    bad = {key(number) for number in poison}

    def rule(changes: Sequence[Change]) -> None:
        if any(change.key in bad for change in changes):
            raise RefusedError("no") if explained else server_error()

    products = [Product(key=key(n), title="x") for n in range(31)]
    sink = FaultySink(rule=rule)
    report = await run(
        PagedSource(products=products), sink, options=fast(batch_size=size)
    )
    reported = {outcome.key for outcome in report.failures}
    assert reported >= {key(n) for n in poison} & {k for b in sink.writes for k in b}
    assert set(sink.products).isdisjoint(bad)
    assert not sink.wrong
    if explained:
        assert report.status is (RunStatus.DEGRADED if poison else RunStatus.SUCCEEDED)
        assert reported == bad


moments = st.integers(0, 60)


@settings(max_examples=150)
@given(catalogs(), limits, moments, st.sampled_from([0, 3600]), st.booleans())
async def test_a_run_can_be_stopped_at_any_moment(
    catalog: tuple[list[Product], list[Product]],
    limits: Limits,
    moment: int,
    grace: float,
    lost: bool,
) -> None:
    world = await World.make(catalog, limits)
    if lost:
        world.sink.steps.append(loses(BUSY, done=1))
    source = PagedSource(products=world.desired, page_size=2)
    async with Sync(source, world.sink, options=fast()).run() as handle:
        await idle(moment)
        handle.stop(grace=grace)
        report = await handle.report()
    check(report)
    assert not running()
    assert not world.sink.wrong
    bad = {outcome.key for outcome in report.failures}
    seen = report.counts.fetched
    assert await world.wrong() <= bad | {p.key for p in world.desired[seen:]}
    assert (await world.sync()).status is RunStatus.SUCCEEDED
    assert await world.wrong() == set()
    assert not world.sink.wrong


@settings(max_examples=100)
@given(catalogs(), limits, moments)
async def test_a_run_can_be_cancelled_at_any_moment(
    catalog: tuple[list[Product], list[Product]], limits: Limits, moment: int
) -> None:
    world = await World.make(catalog, limits)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(world.sync())
        await idle(moment)
        ended = task.done()
        task.cancel()
        await idle(50)
        assert task.done()
        assert task.cancelled() is not ended
        assert not running()
    assert (await world.sync()).status is RunStatus.SUCCEEDED
    assert await world.wrong() == set()
    assert not world.sink.wrong


@pytest.mark.parametrize("name", ANY)
async def test_each_fault_alone(name: str) -> None:
    products = [Product(key=key(n), title="x") for n in range(6)]
    sink = FaultySink(limits=Limits(batch=3))
    sink.steps.append(ANY[name]())
    report = await run(PagedSource(products=products), sink)
    reported = {outcome.key for outcome in report.failures}
    assert {p.key for p in products} <= reported | set(sink.products)
    assert not sink.wrong
