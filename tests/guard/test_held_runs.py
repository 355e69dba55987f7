"""Runs with a guard: what is held, what is kept, and what an approval writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from tests.engine.fakes import check
from tests.guard.accidents import ACCIDENTS, catalog, each, priced
from tests.guard.conftest import Shop

from catalogsync import (
    Change,
    Outcome,
    Product,
    Run,
    RunStatus,
    Sink,
    Sync,
    TransientError,
)
from catalogsync.events import BatchWritten, Compared, Event, PageRead
from catalogsync.guard import Budget, Budgets, Group, Mode
from catalogsync.plans import Plan
from catalogsync.state.held import Decision, restore_plan

SMALL = catalog(60, 2, 3)


def times(products: Sequence[Product], factor: int) -> list[Product]:
    return each([*products], lambda p: priced(p, lambda amount: amount * factor))


def but(products: Sequence[Product], **changes: object) -> list[Product]:
    """The first product with other values."""
    return [attrs.evolve(products[0], **changes), *products[1:]]  # type: ignore[arg-type]


@attrs.frozen
class Broken:
    """A sink that finds products and writes none."""

    inner: Sink

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        raise TransientError("the database is away")


async def test_prices_multiplied_by_100_are_held(shop: Shop) -> None:
    assert (await shop.run(SMALL)).counts.created == 60
    before = len(shop.events)
    report = await shop.run(times(SMALL, 100))
    check(report)
    assert report.status is RunStatus.HELD
    assert report.counts.skipped == 60
    assert report.held is not None
    assert "ten times higher or lower: 60 of 60 products" in report.problem
    assert len(report.held.worst) == 20
    assert not any(isinstance(e, BatchWritten) for e in shop.events[before:])
    assert (await shop.run(SMALL)).counts.unchanged == 60


async def test_what_is_not_held_is_written(shop: Shop) -> None:
    await shop.run(SMALL)
    after = but(SMALL[1:], title="Another title")
    report = await shop.run(after)
    check(report)
    assert report.status is RunStatus.SUCCEEDED, report
    counts = report.counts
    assert (counts.updated, counts.unchanged, counts.removed) == (1, 58, 0)
    report = await shop.run(after)  # it was missed for the second time
    assert (report.counts.unchanged, report.counts.removed) == (59, 1)


async def test_an_approved_plan_is_written_as_it_was(
    shop: Shop, tmp_path: Path
) -> None:
    await shop.run(SMALL)
    dear = times(SMALL, 100)
    held = await shop.run(dear)
    path = tmp_path / "plan.jsonl"
    await restore_plan(shop.state, held.run_id, path)
    decided = await shop.state.decide(held.run_id, Decision.APPROVED, by="Ada")
    assert decided is not None
    assert (decided.decision, decided.by) == (Decision.APPROVED, "Ada")
    report = await Sync("shop", shop.sink, state=shop.state).apply(Plan.read(path))
    assert report.counts.updated == 60
    assert (await shop.run(dear)).counts.unchanged == 60


async def test_a_newer_run_supersedes_a_held_plan(shop: Shop) -> None:
    await shop.run(SMALL)
    first = await shop.run(times(SMALL, 100))
    second = await shop.run(times(SMALL, 1000))
    decisions = {p.run_id: p.decision for p in await shop.state.held_plans()}
    assert decisions == {
        first.run_id: Decision.SUPERSEDED,
        second.run_id: Decision.WAITING,
    }
    assert await shop.state.plan_part(first.run_id, 0) is None
    await shop.run(SMALL)
    assert {p.decision for p in await shop.state.held_plans()} == {Decision.SUPERSEDED}
    assert await shop.state.decide(second.run_id, Decision.APPROVED, by="Ada") is None


async def test_the_first_run_is_not_held(shop: Shop) -> None:
    shop.options = attrs.evolve(
        shop.options, guard=Budgets(created=Budget(share=0, number=0))
    )
    assert (await shop.run(times(SMALL, 100))).status is RunStatus.SUCCEEDED


async def test_without_a_guard_all_is_written(shop: Shop) -> None:
    shop.options = attrs.evolve(shop.options, guard=Budgets.off())
    await shop.run(SMALL)
    assert (await shop.run(times(SMALL, 100))).counts.updated == 60


async def test_too_many_removals_are_held_and_can_be_approved(
    shop: Shop, tmp_path: Path
) -> None:
    await shop.run(SMALL)
    some = SMALL[:50]
    assert (await shop.run(some)).counts.removed == 0  # missed once
    held = await shop.run(some)
    assert held.status is RunStatus.HELD
    assert "10 of 60 products left the source" in held.problem
    path = tmp_path / "plan.jsonl"
    await restore_plan(shop.state, held.run_id, path)
    report = await Sync("shop", shop.sink, state=shop.state).apply(Plan.read(path))
    assert report.counts.removed == 10


@pytest.mark.parametrize("name", ["half a file", "an empty file", "minor units"])
async def test_accidents_reach_no_store(shop: Shop, name: str) -> None:
    await shop.run(SMALL)
    accident = ACCIDENTS[name]([*SMALL], Random(5))
    for _ in range(2):  # the second run knows what the first one missed
        assert (await shop.run(accident)).counts.removed == 0
    assert (await shop.run(SMALL)).counts.unchanged == 60


async def test_only_what_is_over_a_budget_is_held_back(
    shop: Shop, tmp_path: Path
) -> None:
    shop.options = attrs.evolve(shop.options, guard=Budgets(mode=Mode.WRITE_REST))
    await shop.run(SMALL)
    after = [*times(SMALL[:5], 100), *but(SMALL[5:], title="Another title")]
    held = await shop.run(after)
    check(held)
    assert held.status is RunStatus.DEGRADED
    counts = held.counts
    assert (counts.updated, counts.skipped, counts.unchanged) == (1, 5, 54)
    assert "the other products were written" in str(held)
    path = tmp_path / "plan.jsonl"
    await restore_plan(shop.state, held.run_id, path)
    plan = Plan.read(path)
    report = await Sync("shop", shop.sink, state=shop.state).apply(plan)
    assert (report.counts.updated, report.counts.unchanged) == (5, 1)
    assert (await shop.run(after)).counts.unchanged == 60


async def test_a_brand_is_held_back_alone(shop: Shop) -> None:
    """Also after runs without changes, in which other jobs recognise products."""
    brands = [attrs.evolve(p, brand=f"Brand {n % 4}") for n, p in enumerate(SMALL)]
    guard = Budgets(mode=Mode.WRITE_REST, within=Group.BRAND)
    shop.options = attrs.evolve(shop.options, guard=guard)
    for _ in range(3):
        await shop.run(brands)
    dearer = [
        priced(p, lambda amount: amount * 2) if p.brand == "Brand 2" else p
        for p in brands
    ]
    held = await shop.run([*times(dearer[:1], 2), *dearer[1:]])
    check(held)
    assert held.status is RunStatus.DEGRADED
    counts = held.counts
    assert (counts.updated, counts.skipped, counts.unchanged) == (1, 15, 44)
    assert "15 of 15 products (100%) of brand 'Brand 2'" in str(held)


async def test_too_many_removals_are_held_back_alone(shop: Shop) -> None:
    shop.options = attrs.evolve(shop.options, guard=Budgets(mode=Mode.WRITE_REST))
    await shop.run(SMALL)
    some = but(SMALL[:50], title="Another title")
    await shop.run(SMALL[:50])
    held = await shop.run(some)
    assert (held.counts.updated, held.counts.removed) == (1, 0)
    assert "10 of 60 products left the source" in str(held)


async def test_every_run_can_wait_for_approval(shop: Shop, tmp_path: Path) -> None:
    shop.options = attrs.evolve(shop.options, guard=Budgets(mode=Mode.ALWAYS))
    held = await shop.run(SMALL)
    assert (held.status, held.counts.skipped) == (RunStatus.HELD, 60)
    path = tmp_path / "plan.jsonl"
    await restore_plan(shop.state, held.run_id, path)
    sync = Sync("shop", shop.sink, state=shop.state)
    assert (await sync.apply(Plan.read(path))).counts.created == 60
    report = await shop.run(SMALL)  # there is nothing to approve
    assert (report.status, report.counts.unchanged) == (RunStatus.SUCCEEDED, 60)
    assert (await shop.run(but(SMALL, title="Other"))).status is RunStatus.HELD


@pytest.mark.parametrize("event", [PageRead, Compared, BatchWritten])
async def test_a_guarded_run_can_be_stopped_anywhere(
    shop: Shop, event: type[Event]
) -> None:
    """What was kept back and not written is unresolved, and the next run writes it."""
    await shop.run(SMALL)
    shop.options = attrs.evolve(shop.options, batch_size=10)
    after = each(SMALL, lambda p: attrs.evolve(p, description="New"))
    runs: list[Run] = []

    def stop(happened: Event) -> None:
        if isinstance(happened, event):
            runs[0].stop()

    shop.hooks.append(stop)
    runs.append(shop.sync(after).run())
    report = await runs[0]
    shop.hooks.remove(stop)
    check(report)
    assert report.status is RunStatus.CANCELLED
    counts = report.counts
    assert counts.updated + counts.unresolved == counts.fetched
    assert (counts.updated > 0) is (event is BatchWritten)
    last = await shop.run(after)
    assert last.counts.updated == 60 - counts.updated


async def test_a_sink_that_fails_in_the_second_pass(shop: Shop) -> None:
    """The products are unresolved, as in a run without a guard."""
    await shop.run(SMALL)
    after = each(SMALL, lambda p: attrs.evolve(p, description="New"))
    sink, shop.sink = shop.sink, Broken(shop.sink)
    report = await shop.run(after)
    check(report)
    assert (report.status, report.counts.unresolved) == (RunStatus.INCOMPLETE, 60)
    shop.sink = sink
    assert (await shop.run(after)).counts.updated == 60
