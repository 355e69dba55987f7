from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from catalogsync import Report, RunStatus
from catalogsync.report import BatchSizes, Counts, Latency
from catalogsync.state import RunRecord
from catalogsync.state.stats import Trend, in_order, row, sparkline, trends


def record(number: int, **report: Any) -> RunRecord:
    """A run that has ended, the first one earliest."""
    values = {
        "run_id": f"r{number}",
        "job": "cups",
        "status": RunStatus.DEGRADED,
        "counts": Counts(fetched=6, created=number, failed=6 - number),
        "started_at": 1_780_000_000.0 + number,
        "duration_s": 2.0 * number,
        **report,
    }
    report = Report(**values)
    return RunRecord(
        run_id=report.run_id,
        job=report.job,
        source="a",
        sink="b",
        started_at=report.started_at,
        finished_at=report.started_at + report.duration_s,
        status=report.status,
        report=report,
    )


UNFINISHED = RunRecord(run_id="r9", job="cups", source="a", sink="b", started_at=2e9)


def test_runs_come_in_the_order_in_which_they_began() -> None:
    found = in_order([UNFINISHED, record(3), record(1)])
    assert [each.run_id for each in found] == ["r1", "r3", "r9"]


def test_a_row_says_what_the_report_says() -> None:
    more: dict[str, Any] = {
        "requests": 7,
        "batch_sizes": BatchSizes(least=1, mean=2.5, most=4),
        "bytes_sent": 9,
        "phases": {"read": 0.5},
        "latency": {"read": Latency(p50=0.1, p95=0.2, p99=0.3, count=4)},
    }
    counts = dict.fromkeys(
        ("updated", "unchanged", "skipped", "removed", "unresolved"), 0
    )
    known = {
        "run_id": "r2",
        "started_at": "2026-05-28T20:26:42.000+00:00",
        "status": "degraded",
        "partial": False,
        "duration_s": 4.0,
        "products_per_second": 1.5,
        "fetched": 6,
        "created": 2,
        "failed": 4,
        **counts,
        "requests": 7,
        "writes": 0,
        "retries": 0,
        "bytes_sent": 9,
        "bytes_received": 0,
        "batch_least": 1,
        "batch_mean": 2.5,
        "batch_most": 4,
        "read_seconds": 0.5,
        "read_count": 4,
        "read_p50": 0.1,
        "read_p95": 0.2,
        "read_p99": 0.3,
    }
    found = row(record(2, **more))
    assert {name: v for name, v in found.items() if v is not None} == known


def test_a_run_without_a_report_has_a_row() -> None:
    found = row(UNFINISHED)
    assert (found["status"], found["duration_s"], found["created"]) == ("", None, None)


def test_a_report_of_an_earlier_version_has_less_to_say() -> None:
    """It knew of no latency and no bytes."""
    report = record(1).report
    assert report is not None
    old = {
        k: v for k, v in report.to_dict().items() if k not in {"latency", "bytes_sent"}
    }
    report = Report.from_dict(old)
    found = row(RunRecord(**_fields(UNFINISHED), report=report))
    assert (found["duration_s"], found["bytes_sent"]) == (2.0, 0)
    assert found["read_p50"] is None


def _fields(record: RunRecord) -> dict[str, Any]:
    names = ("run_id", "job", "source", "sink", "started_at")
    return {name: getattr(record, name) for name in names}


def test_a_row_is_flat_and_has_the_same_names_always() -> None:
    latency = {"read": Latency(p50=0.1, p95=0.2, p99=0.3, count=4)}
    measured = record(2, latency=latency, phases={"plan": 0.5})
    full, empty = row(measured), row(UNFINISHED)
    assert list(full) == list(empty)
    known = {name for name, value in empty.items() if value is not None}
    assert known == {"run_id", "started_at", "status", "partial"}
    assert full["started_at"] == "2026-05-28T20:26:42.000+00:00"
    assert (full["created"], full["duration_s"]) == (2, 4.0)
    assert (full["plan_seconds"], full["read_seconds"]) == (0.5, None)
    assert (full["read_p95"], full["read_count"], full["write_p95"]) == (0.2, 4, None)


def test_trends() -> None:
    found = {t.name: t for t in trends([record(1), record(3), UNFINISHED])}
    assert found["seconds"].values == [2.0, 6.0, None]
    assert found["created"].values == [1, 3, None]
    assert found["failed"].values == [5, 3, None]
    assert found["products/s"].values == [3.0, 1.0, None]


@pytest.mark.parametrize(
    ("values", "last", "median", "most"),
    [
        ([], 0, 0, 0),
        ([None], 0, 0, 0),
        ([1.0, 9.0, None, 2.0], 2, 2, 9),
        ([4.0, 2.0, None], 2, 3, 4),
    ],
)
def test_a_trend_leaves_out_what_is_not_known(
    values: list[float | None], last: float, median: float, most: float
) -> None:
    trend = Trend("x", values)
    assert (trend.last, trend.median, trend.most) == (last, median, most)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0.0, 0.0], "▁▁"),
        ([5.0], "█"),
        ([0.0, 7.0, None, 3.5, 0.001], "▁█ ▅▂"),
        ([None], " "),
    ],
)
def test_sparkline(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


@given(st.lists(st.floats(min_value=0, max_value=1e12), max_size=50))
def test_a_bar_is_no_lower_than_that_of_a_smaller_value(values: list[float]) -> None:
    line = sparkline(values)
    assert len(line) == len(values)
    pairs = sorted(zip(values, line, strict=True))
    bars = [bar for _, bar in pairs]
    assert bars == sorted(bars)
    assert all((bar == "▁") is (value == 0) for value, bar in pairs)
