"""Values that the tests keep in a state store."""

from __future__ import annotations

from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import FailedProduct, HistoryEntry, RunRecord

__all__ = ["A", "B", "C", "entry", "failed", "key", "record", "report"]


def key(id_: str) -> ProductKey:
    """A product of the source that most tests have."""
    return ProductKey("pim", id_)


A, B, C = map(key, "abc")


def record(
    run_id: str,
    *,
    job: str = "nightly",
    started_at: float = 1000.0,
    partial: bool = False,
    finished_at: float | None = None,
    status: RunStatus | None = None,
    report: Report | None = None,
) -> RunRecord:
    """A run that began."""
    return RunRecord(
        run_id=run_id,
        job=job,
        source="pim",
        sink="shop",
        started_at=started_at,
        partial=partial,
        finished_at=finished_at,
        status=status,
        report=report,
    )


def report(run_id: str) -> Report:
    """How a run ended."""
    return Report(
        run_id=run_id,
        status=RunStatus.DEGRADED,
        counts=Counts(fetched=2, created=1, failed=1),
        started_at=1000.0,
        duration_s=2.5,
        failures=(
            Outcome(A, OutcomeStatus.FAILED, "no \x00 price", "Füße \U0001f45f"),
        ),
    )


def entry(
    run_id: str,
    id_: str = "a",
    *,
    at: float = 1000.0,
    reason: str = "",
    fields: tuple[str, ...] = (),
) -> HistoryEntry:
    """A product that was updated."""
    outcome = Outcome(key(id_), OutcomeStatus.UPDATED, reason)
    return HistoryEntry(run_id=run_id, at=at, outcome=outcome, fields=fields)


def failed(
    id_: str,
    *,
    reason: str = "no price",
    payload: Json = None,
    at: float = 1000.0,
    attempts: int = 1,
    run_id: str = "r1",
) -> FailedProduct:
    """A product that failed."""
    return FailedProduct(
        key=key(id_),
        reason=reason,
        said=f"{reason}, it says",
        payload=payload,
        attempts=attempts,
        first_at=at,
        last_at=at,
        run_id=run_id,
    )
