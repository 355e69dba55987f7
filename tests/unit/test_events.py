from __future__ import annotations

import logging

import pytest

from catalogsync import Event, Outcome, OutcomeStatus, ProductKey
from catalogsync.events import (
    BatchSettled,
    PageRead,
    ProductFailed,
    Retrying,
    RunStarted,
    emitter,
    log_event,
)

PAGE = PageRead(run_id="r1", products=3, rejected=0, total=None)
FAILED = ProductFailed(
    run_id="r1",
    outcome=Outcome(ProductKey("shop", "1"), OutcomeStatus.FAILED, "no price"),
)


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (RunStarted(run_id="r1", job="", source="a", sink="b"), logging.INFO),
        (Retrying(run_id="r1", what="x", attempt=2, reason="y"), logging.WARNING),
        (FAILED, logging.WARNING),
        (PAGE, logging.DEBUG),
        (BatchSettled(run_id="r1", products=1, seconds=0.1), logging.DEBUG),
    ],
)
def test_each_event_has_a_level(
    event: Event, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="catalogsync")
    log_event(event)
    assert [record.levelno for record in caplog.records] == [level]
    assert caplog.records[0].__dict__["event"] is event
    assert "run_id=r1" in caplog.records[0].getMessage()


def test_nothing_is_made_for_a_level_that_is_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="catalogsync")
    log_event(PAGE)
    assert not caplog.records


def test_hooks_are_called_in_order_and_survive_each_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    def bad(_: Event, /) -> None:
        seen.append("bad")
        raise ZeroDivisionError

    emit = emitter([lambda _: seen.append("first"), bad, lambda _: seen.append("last")])
    emit(PAGE)
    assert seen == ["first", "bad", "last"]
    assert "an event hook failed on PageRead" in caplog.text
