from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from tests.integrations.conftest import Watched

from catalogsync import Outcome, OutcomeStatus, ProductKey, Report
from catalogsync.events import (
    Event,
    ProductFailed,
    Request,
    RequestSent,
    Retrying,
    RunFinished,
    log_event,
)
from catalogsync.integrations.jsonlog import JsonFormatter
from catalogsync.report import Counts, RunStatus


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What the logger `catalogsync` writes."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("catalogsync")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.setLevel(level)
    logger.removeHandler(handler)


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


FAILED = Outcome(ProductKey("shop", "1"), OutcomeStatus.FAILED, "no\nprice", "Rs ₹")
REQUEST = Request(method="GET", host="h", path="/p", status=None, seconds=1.5)
REPORT = Report(
    run_id="r1",
    status=RunStatus.DEGRADED,
    counts=Counts(fetched=1, failed=1),
    started_at=1.0,
    duration_s=2.0,
    failures=(FAILED,),
)


@pytest.mark.parametrize(
    ("event", "level", "fields"),
    [
        (
            Retrying(
                run_id="r1", what="read page 3", attempt=2, reason='"x"', next_at=9.5
            ),
            "warning",
            {"what": "read page 3", "attempt": 2, "reason": '"x"', "next_at": 9.5},
        ),
        (
            ProductFailed(run_id="r1", outcome=FAILED),
            "warning",
            {
                "outcome": {
                    "key": "shop:1",
                    "status": "failed",
                    "reason": "no\nprice",
                    "said": "Rs ₹",
                }
            },
        ),
        (
            RequestSent(run_id="r1", request=REQUEST),
            "debug",
            {
                "request": {
                    "method": "GET",
                    "host": "h",
                    "path": "/p",
                    "status": None,
                    "seconds": 1.5,
                    "sent": 0,
                    "received": 0,
                }
            },
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else "",
)
def test_an_event_is_an_object_with_its_attributes(
    log: StringIO, event: Event, level: str, fields: dict[str, Any]
) -> None:
    log_event(event)
    (line,) = lines(log)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line.pop("message").startswith(f"{type(event).__name__}: run_id=r1")
    assert line == {
        "level": level,
        "logger": "catalogsync",
        "event": type(event).__name__,
        "run_id": "r1",
        **fields,
    }


def test_a_report_is_logged_without_its_lists(log: StringIO) -> None:
    event = RunFinished(run_id="r1", status="degraded", summary="so", report=REPORT)
    log_event(event)
    (line,) = lines(log)
    assert line["report"]["counts"]["failed"] == 1
    assert line["report"]["duration_s"] == 2
    assert "failures" not in line["report"]
    assert "report" not in line["message"]


def test_other_records_are_logged_as_well(log: StringIO) -> None:
    logger = logging.getLogger("catalogsync.elsewhere")
    try:
        int("bad")
    except ValueError:
        logger.exception("it broke: %s", "a\nb", extra={"event": "not one of ours"})
    (line,) = lines(log)
    assert (line["level"], line["logger"]) == ("error", "catalogsync.elsewhere")
    assert line["message"] == "it broke: a\nb"
    assert line["exception"].endswith("with base 10: 'bad'")
    assert "event" not in line


async def test_a_real_run(log: StringIO, watched: Watched) -> None:
    """Every line is JSON, and all of them name the run."""
    report = await watched(lambda _: None)
    logged = lines(log)
    assert {line["run_id"] for line in logged} == {report.run_id}
    assert [line["event"] for line in logged][:: len(logged) - 1] == [
        *("RunStarted", "RunFinished")
    ]
    assert sum(line["event"] == "RequestSent" for line in logged) == report.requests
