"""What applying a plan will take."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from catalogsync._lib.texts import about, counted
from catalogsync.report import Report
from catalogsync.state.protocols import RunRecord

__all__ = ["Estimate", "estimate"]


@attrs.frozen(kw_only=True)
class Estimate:
    """What applying a plan will take.

    Attributes:
        writes: Number of batches.
        requests: Number of requests to both sides, at least.
        seconds: Duration, from earlier runs; None: there are none.
    """

    writes: int
    requests: int
    seconds: float | None

    def __str__(self) -> str:
        took = self.seconds
        time = "" if took is None else f", about {about(took)}"
        return (
            f"would take {counted(self.writes, 'write')},"
            f" at least {counted(self.requests, 'request')}{time}"
        )


def estimate(report: Report, earlier: Sequence[RunRecord]) -> Estimate:
    """Estimate what applying a plan will take.

    Args:
        report: Report of the planning run.
        earlier: The latest runs of the job.
    """
    references = report.categories.created + report.categories.updated
    return Estimate(
        writes=report.writes,
        requests=report.requests + report.writes + references,
        seconds=_seconds(report, earlier),
    )


def _seconds(report: Report, earlier: Sequence[RunRecord]) -> float | None:
    """The duration: a run reads while it writes, and writes several batches at once."""
    writes, seconds = 0, 0.0
    for record in earlier:
        if (ran := record.report) is not None:
            writes += ran.writes
            seconds += ran.phases.get("write", 0.0)
    if not writes:
        return None
    each = seconds / writes
    at_once = max(1, min(report.writers, report.writes))
    return max(report.duration_s + each, each * report.writes / at_once)
