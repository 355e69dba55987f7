"""The fault matrix: no duplicates, nothing lost, nothing unexplained."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.engine.fakes import FAST, check, product

from catalogsync import Options, RunStatus, StateSettings, as_source, sync

from .doubling import Doubling, Killed, play_doubling
from .matrix import Case, cases, play


@pytest.mark.parametrize("case", cases(), ids=str)
async def test_every_product_exists_once_and_is_right_or_reported(case: Case) -> None:
    verdict = await play(case)
    assert not verdict.wrong, "\n".join(verdict.wrong)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_nothing_doubles_where_nothing_collides(seed: int, late: bool) -> None:
    verdict = await play_doubling(seed, late=late)
    assert not verdict.wrong, "\n".join(verdict.wrong)


@pytest.mark.parametrize("nth", [1, 13])
async def test_nothing_doubles_after_a_death_where_nothing_collides(nth: int) -> None:
    """The last request of the dead process is carried out during the next run."""
    sink = Doubling(deadly=[nth])
    source = as_source([product(number) for number in range(194)], name="shop")
    options = Options(retry=FAST, grace=1)
    async with StateSettings().open() as store:
        with pytest.raises((Killed, BaseExceptionGroup)):
            await sync(source, sink, options=options, state=store)
        report = await sync(source, sink, options=options, state=store)
    check(report)
    assert report.status is RunStatus.SUCCEEDED
    existing = Counter(row.key for row, _ in sink.rows)
    assert [count for count in existing.values() if count > 1] == []
    assert len(existing) == 194
