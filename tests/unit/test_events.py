from __future__ import annotations

import logging

import pytest

from catalogsync import Outcome, OutcomeStatus, ProductKey
from catalogsync.events import (
    BatchWritten,
    Event,
    PageRead,
    ProductFailed,
    Request,
    RequestSent,
    Retrying,
    RunStarted,
    RunStopping,
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
        (BatchWritten(run_id="r1", products=1, seconds=0.1), logging.DEBUG),
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


def test_a_line_has_no_python_in_it(caplog: pytest.LogCaptureFixture) -> None:
    """What is not known is left out, and a file can hold every text."""
    caplog.set_level(logging.DEBUG, logger="catalogsync")
    request = Request(
        method="GET",
        host="shop",
        path="/a",
        status=200,
        seconds=0.5,
        sent=0,
        received=2,
    )
    log_event(RequestSent(run_id="r1", request=request))
    log_event(PAGE)
    log_event(FAILED)
    log_event(RunStopping(run_id="r1", reason="half \ud83d"))
    sent, page, failed, stopping = (record.getMessage() for record in caplog.records)
    assert sent == (
        "RequestSent: run_id=r1, method=GET, host=shop, path=/a, status=200,"
        " seconds=0.5, sent=0, received=2"
    )
    assert page == "PageRead: run_id=r1, products=3, rejected=0, seconds=0.0"
    assert failed == "ProductFailed: run_id=r1, outcome=failed shop:1: no price"
    assert stopping == "RunStopping: run_id=r1, reason=half \\ud83d"


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
