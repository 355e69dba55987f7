"""Statistics of a job's latest runs, for tables, charts and programs."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from operator import attrgetter
from statistics import median

import attrs

from catalogsync.report import BatchSizes, Counts, Latency

from .protocols import RunRecord

__all__ = ["RunRow", "Trend", "rows", "sparkline", "to_csv", "trends"]

_CALLS = ("read", "find", "write")
_ALWAYS = ("run_id", "started_at", "status", "partial")
_PHASES = ("read", "find", "plan", "write")
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


@attrs.frozen(kw_only=True)
class RunRow:
    """One run.

    Attributes:
        run_id: Id of the run.
        started_at: Start of the run, in seconds since the epoch.
        status: Status of the run; empty: it is running, or its process died.
        partial: Whether the run took selected products only.
        duration_s: Duration in seconds; None: the run has no report.
        products_per_second: Fetched products per second.
        counts: Products by outcome.
        requests: Requests to both sides.
        writes: Batches sent to the sink, including retries.
        retries: Number of retries of pages and batches.
        batch_sizes: Products in one write.
        bytes_sent: Bytes of request bodies.
        bytes_received: Bytes of response bodies.
        phases: Seconds spent in each phase; phases overlap.
        latency: Durations of the adapters' calls, by phase.
    """

    run_id: str
    started_at: float
    status: str = ""
    partial: bool = False
    duration_s: float | None = None
    products_per_second: float = 0.0
    counts: Counts = attrs.field(factory=Counts)
    requests: int = 0
    writes: int = 0
    retries: int = 0
    batch_sizes: BatchSizes = attrs.field(factory=BatchSizes)
    bytes_sent: int = 0
    bytes_received: int = 0
    phases: Mapping[str, float] = attrs.field(factory=dict[str, float])
    latency: Mapping[str, Latency] = attrs.field(factory=dict[str, Latency])

    def to_dict(self) -> dict[str, str | int | float | None]:
        """The row as a flat dictionary with the same keys for each run.

        Without a report, values that come from the report are None.
        """
        began = dt.datetime.fromtimestamp(self.started_at, dt.UTC)
        values: dict[str, str | int | float | None] = {
            "run_id": self.run_id,
            "started_at": began.isoformat(timespec="milliseconds"),
            "status": self.status,
            "partial": self.partial,
            "duration_s": self.duration_s,
            "products_per_second": self.products_per_second,
            **attrs.asdict(self.counts),
        }
        for name in ("requests", "writes", "retries", "bytes_sent", "bytes_received"):
            values[name] = getattr(self, name)
        for name, value in attrs.asdict(self.batch_sizes).items():
            values[f"batch_{name}"] = value
        for phase in _PHASES:
            values[f"{phase}_seconds"] = self.phases.get(phase)
        for call in _CALLS:
            latency = self.latency.get(call)
            for field in ("count", "p50", "p95", "p99"):
                value = getattr(latency, field) if latency else None
                values[f"{call}_{field}"] = value
        if self.duration_s is None:
            return dict.fromkeys(values) | {name: values[name] for name in _ALWAYS}
        return values


@attrs.frozen(kw_only=True)
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


def rows(records: Iterable[RunRecord]) -> list[RunRow]:
    """The runs as rows, oldest first."""
    return [_row(record) for record in sorted(records, key=lambda r: r.started_at)]


def _row(record: RunRecord) -> RunRow:
    row = RunRow(
        run_id=record.run_id,
        started_at=record.started_at,
        status=record.status.value if record.status else "",
        partial=record.partial,
    )
    if record.report is None:
        return row
    known = {field.name for field in attrs.fields(RunRow)} - set(_ALWAYS)
    return attrs.evolve(row, **{name: getattr(record.report, name) for name in known})


def to_csv(runs: Iterable[RunRow]) -> str:
    """The rows as CSV, with the keys of `RunRow.to_dict` as header."""
    header = RunRow(run_id="", started_at=0.0).to_dict()
    file = StringIO()
    writer = csv.DictWriter(file, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(run.to_dict() for run in runs)
    return file.getvalue()


def trends(runs: Sequence[RunRow]) -> list[Trend]:
    """The numbers to chart: duration, speed, and products by outcome."""
    reported = [None if run.duration_s is None else run for run in runs]
    return [
        Trend(
            name=name,
            values=[attrgetter(path)(run) if run else None for run in reported],
        )
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
