"""Celery beat asks for the job when it is due, a worker carries it out; over Redis."""

from __future__ import annotations

import pytest
from tests.schedulers.hosts import Shop, celery, counts

from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import status

pytestmark = pytest.mark.patient


async def test_it_comes_due_again_and_again(shop: Shop) -> None:
    """The second run finds the products of the first."""
    fired = await shop.fire(*celery(shop), runs=2)

    first, second = fired.runs[:-3:-1]

    assert counts(first) == {"fetched": 5, "created": 5}
    assert counts(second) == {"fetched": 5, "unchanged": 5}
    assert "'products: succeeded: 5 fetched = 5 created" in fired.log
    assert fired.statuses == [0, 0, 0]


async def test_a_degraded_run_is_not_tried_again(shop: Shop) -> None:
    """It is a result."""
    shop.records.by_id(3)["price"] = "free"

    fired = await shop.fire(*celery(shop))

    assert fired.runs[-1].status == "degraded"
    assert "'products: degraded: 5 fetched = 4 created + 1 failed" in fired.log
    assert "Retry in" not in fired.log


async def test_a_source_that_is_down_is_tried_again(
    shop: Shop, faults: FaultPlan
) -> None:
    """In five minutes."""
    faults.add(status(503))
    file = shop.folder / "catalogsync.toml"
    text = file.read_text()
    file.write_text(
        text.replace("{ when_busy", "{ retry = { attempts = 1 }, when_busy")
    )

    fired = await shop.fire(*celery(shop))

    assert fired.runs[-1].status == "failed"
    assert "Retry in 300s" in fired.log


async def test_a_refusal_is_not_tried_again(shop: Shop, faults: FaultPlan) -> None:
    """It would not help."""
    faults.add(status(403))

    fired = await shop.fire(*celery(shop))

    assert fired.runs[-1].status == "failed"
    assert "raised unexpected" in fired.log
    assert "Retry in" not in fired.log
