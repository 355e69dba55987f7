"""Statistics of a job's latest runs, for tables, charts and programs."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Sequence
from io import StringIO
from operator import attrgetter
from statistics import median
from typing import Any

import attrs

from catalogsync.report import BatchSizes, Counts

from .protocols import RunRecord

__all__ = ["Trend", "in_order", "row", "sparkline", "to_csv", "trends"]

_CALLS = ("read", "find", "write")
_PHASES = ("read", "find", "plan", "write")
_SPEED = ("duration_s", "products_per_second")
_SENT = ("requests", "writes", "retries", "bytes_sent", "bytes_received")
_LATENCY = ("count", "p50", "p95", "p99")
_COUNTS = [field.name for field in attrs.fields(Counts)]
_SIZES = [field.name for field in attrs.fields(BatchSizes)]
_CHARTED = {
    "seconds": "duration_s",
    "products/s": "products_per_second",
    "created": "counts.created",
    "updated": "counts.updated",
    "unchanged": "counts.unchanged",
    "removed": "counts.removed",
    "failed": "counts.failed",
    "unresolved": "counts.unresolved",
}
_BARS = "▁▂▃▄▅▆▇█"


@attrs.frozen
class Trend:
    """One number of each run of a job, oldest run first.

    Attributes:
        name: Name of the number, such as `created`.
        values: The number of each run; None: the run has no report.
    """

    name: str
    values: Sequence[float | None]

    @property
    def known(self) -> Sequence[float]:
        """The numbers of the runs that have a report."""
        return [value for value in self.values if value is not None]

    @property
    def last(self) -> float:
        """The number of the latest run with a report; 0 if there is none."""
        return self.known[-1] if self.known else 0.0

    @property
    def median(self) -> float:
        """The median over the runs with a report; 0 if there are none."""
        return median(self.known) if self.known else 0.0

    @property
    def most(self) -> float:
        """The largest number; 0 if no run has a report."""
        return max(self.known, default=0.0)


def in_order(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The runs, oldest first."""
    return sorted(records, key=lambda record: record.started_at)


def row(record: RunRecord) -> dict[str, str | int | float | None]:
    """A run as a flat dictionary with the same keys for each run.

    Without a report, values that come from the report are None.
    """
    report = record.report
    began = dt.datetime.fromtimestamp(record.started_at, dt.UTC)
    values: dict[str, Any] = {
        "run_id": record.run_id,
        "started_at": began.isoformat(timespec="milliseconds"),
        "status": record.status.value if record.status else "",
        "partial": record.partial,
        "only": ", ".join(report.only) or None if report else None,
        **{name: getattr(report, name, None) for name in _SPEED},
        **{each: getattr(report and report.counts, each, None) for each in _COUNTS},
        **{name: getattr(report, name, None) for name in _SENT},
    }
    for name in _SIZES:
        values[f"batch_{name}"] = getattr(report and report.batch_sizes, name, None)
    for phase in _PHASES:
        values[f"{phase}_seconds"] = report and report.phases.get(phase)
    for call in _CALLS:
        latency = report and report.latency.get(call)
        for name in _LATENCY:
            values[f"{call}_{name}"] = getattr(latency, name, None)
    return values


def to_csv(records: Iterable[RunRecord]) -> str:
    """The runs as CSV, with the keys of `row` as header."""
    empty = RunRecord(run_id="", job="", source="", sink="", started_at=0.0)
    file = StringIO()
    writer = csv.DictWriter(file, row(empty), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(row, records))
    return file.getvalue()


def trends(records: Sequence[RunRecord]) -> list[Trend]:
    """The numbers to chart: duration, speed, and products by outcome."""
    reports = [record.report for record in records]
    return [
        Trend(name, [attrgetter(path)(each) if each else None for each in reports])
        for name, path in _CHARTED.items()
    ]


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, scaled to the largest; a gap for None.

    Only zero gets the lowest bar.
    """
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(" " if value is None else _bar(value, most) for value in values)


def _bar(value: float, most: float) -> str:
    if value <= 0:
        return _BARS[0]
    return _BARS[max(1, round(value / most * (len(_BARS) - 1)))]
