"""A sink that refuses one product after the other stops the run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from catalogsync import (
    BatchRefusedError,
    Change,
    Limits,
    Outcome,
    OutcomeStatus,
    Report,
    RunStatus,
    as_source,
)

from .fakes import FaultySink, answers, catalog, fast, key, poison, run


def refuses(*bad: int, named: bool = False) -> FaultySink:
    keys = frozenset(key(number) for number in bad)
    rule = poison(*keys, error=lambda: BatchRefusedError("not acceptable"))
    if named:

        def rule(changes: Sequence[Change]) -> None:
            culprits = {c.key: "not acceptable" for c in changes if c.key in keys}
            if culprits:
                raise BatchRefusedError("not acceptable", culprits=culprits)

    return FaultySink(rule=rule, limits=Limits(batch=5))


async def go(sink: FaultySink, size: int, most: int) -> Report:
    options = fast(max_refusals=most, batch_size=5)
    return await run(as_source(catalog(size), name="shop"), sink, options=options)


@pytest.mark.parametrize("named", [True, False])
async def test_it_stops_with_what_was_seen(named: bool) -> None:
    sink = refuses(*range(40), named=named)
    report = await go(sink, 40, 7)
    assert report.status is RunStatus.INCOMPLETE
    assert 7 <= report.counts.failed <= 10
    assert report.counts.unresolved == 40 - report.counts.failed
    assert "products were refused in a row" in report.problem
    assert "not acceptable" in report.problem
    assert len(sink.writes) < 40


async def test_the_sink_that_says_so_in_its_outcomes() -> None:
    def failed(outcomes: list[Outcome]) -> list[Outcome]:
        return [Outcome(o.key, OutcomeStatus.FAILED, "no") for o in outcomes]

    sink = FaultySink(limits=Limits(batch=5))
    sink.steps.extend([answers(failed)] * 8)
    report = await go(sink, 40, 10)
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.failed == 10


async def test_a_success_in_between_resets_the_count() -> None:
    bad = [n for n in range(40) if n % 5]
    report = await go(refuses(*bad), 40, 7)
    assert report.status is RunStatus.DEGRADED
    assert report.counts.failed == len(bad)
    assert report.counts.created == 8


async def test_products_that_are_right_count_as_well() -> None:
    """Every day the same few bad ones among many that are unchanged."""
    sink = FaultySink(limits=Limits(batch=5, find=10))
    good = [item for n, item in enumerate(catalog(100)) if n % 10]
    await run(as_source(good, name="shop"), sink)
    sink.rule = refuses(*range(0, 100, 10)).rule
    report = await go(sink, 100, 3)
    assert report.status is RunStatus.DEGRADED
    assert report.counts.failed == 10


async def test_what_the_source_or_the_shape_refuses_does_not_count() -> None:
    from catalogsync import Conflict

    sink = FaultySink()
    sink.others = {key(n): Conflict(reason="taken") for n in range(30)}
    report = await go(sink, 40, 5)
    assert report.status is RunStatus.DEGRADED
    assert (report.counts.failed, report.counts.created) == (30, 10)
