"""The events of a run, for hooks."""

from __future__ import annotations

from catalogsync import Report, RunStatus
from catalogsync.events import (
    BatchWritten,
    Compared,
    Event,
    PageRead,
    Request,
    RequestSent,
    Retrying,
    RunFinished,
    RunStarted,
)
from catalogsync.report import Counts

STARTED = RunStarted(run_id="r1", job="cups", source="a", sink="b")
_REQUEST = Request(
    method="GET", host="shop", path="/x", status=200, seconds=0.2, sent=3, received=40
)
HAPPENINGS: tuple[Event, ...] = (
    PageRead(run_id="r1", products=3, rejected=0, total=3, seconds=0.3),
    Compared(run_id="r1", products=3, changes=3, seconds=0.7),
    BatchWritten(run_id="r1", products=3, seconds=20),
    Retrying(run_id="r1", what="write a batch", attempt=2, reason="timeout"),
    RequestSent(run_id="r1", request=_REQUEST),
)


def finished(status: RunStatus, **more: bool) -> RunFinished:
    """The end of a run, with a report."""
    report = Report(
        run_id="r1",
        job="cups",
        status=status,
        counts=Counts(fetched=9, created=5, updated=2, failed=2, removed=1),
        started_at=1000.0,
        duration_s=2.5,
        **more,
    )
    return RunFinished(run_id="r1", status=status, summary="", report=report)
