from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from tests.strategies import reports

from catalogsync import (
    CatalogSyncError,
    InvalidValueError,
    Outcome,
    OutcomeStatus,
    ProductKey,
    Rejected,
    Report,
    RunFailedError,
    RunStatus,
)
from catalogsync.report import (
    BatchSizes,
    CategoryCounts,
    Counts,
    Discrepancy,
    Latency,
    summary_of,
)

NO_ID = Rejected(key=None, reason="id: is missing", where="record 1", path="id")


def failure(number: int, **fields: Any) -> Outcome:
    key = ProductKey("shop", str(number))
    values = {"status": OutcomeStatus.FAILED, "reason": "no price", **fields}
    return Outcome(key, **values)


def make(**fields: Any) -> Report:
    values = {
        "run_id": "r1",
        "status": RunStatus.SUCCEEDED,
        "counts": Counts(fetched=12, created=10, unchanged=2),
        "started_at": 1_780_000_000.0,
        "duration_s": 2.0,
    }
    return Report(**{**values, **fields})


def test_for_people() -> None:
    report = make(
        job="nightly",
        status=RunStatus.DEGRADED,
        counts=Counts(fetched=3, created=1, failed=1, unresolved=1),
        categories=CategoryCounts(created=2, existing=5),
        requests=9,
        writes=2,
        retries=1,
        problem="the source's total moved",
        failures=[
            failure(1, said="Price is required"),
            failure(2, status=OutcomeStatus.UNRESOLVED, reason="timeout"),
        ],
        rejected=[Rejected(key=None, reason="id is missing", where="page 3, record 7")],
    )
    assert str(report) == (
        "nightly: degraded: 3 fetched = 1 created + 1 failed + 1 unresolved in 2.00 s\n"
        "  the source's total moved\n"
        '  failed shop:1: no price ("Price is required")\n'
        "  rejected page 3, record 7: id is missing\n"
        "  categories: 2 created, 5 existing\n"
        "  2 products/s, 9 requests, 2 writes, 1 retry\n"
        "  unresolved shop:2: timeout"
    )
    assert report.summary == str(report).splitlines()[0]


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        (
            {
                "latency": {"read": Latency(p50=0.01234, p95=0.5, p99=12.345, count=9)},
                "batch_sizes": BatchSizes(least=3, mean=3, most=3),
            },
            "calls (p50/p95/p99): read 0.012/0.500/12.345 s; batches of 3",
        ),
        (
            {
                "latency": {
                    "find": Latency(p50=0.1, p95=0.2, p99=0.3, count=1),
                    "write": Latency(p50=1, p95=2, p99=3, count=1),
                },
                "batch_sizes": BatchSizes(least=5, mean=8, most=10),
                "bytes_sent": 12_345,
                "bytes_received": 400,
            },
            (
                "calls (p50/p95/p99): find 0.100/0.200/0.300 s, write 1.000/2.000/3.000 s;"
                " batches of 5 to 10; 12.3 kB sent, 0.4 kB received"
            ),
        ),
    ],
)
def test_measurements_for_people(measured: dict[str, Any], line: str) -> None:
    """One line, below that of the counts of requests."""
    lines = str(make(**measured)).splitlines()
    assert len(lines) == 3
    assert lines[2] == f"  {line}"


def test_for_people_when_nothing_was_there() -> None:
    report = make(counts=Counts(), duration_s=0.0)
    assert report.summary == "succeeded: 0 fetched = 0 in 0.00 s"
    assert report.products_per_second == 0


def test_for_people_names_only_the_first_failures() -> None:
    report = make(failures=[failure(n) for n in range(12)], rejected=[NO_ID] * 13)
    lines = str(report).splitlines()
    assert lines[1] == "  12 products failed, for example shop:0: no price"
    assert lines[2] == "  13 records rejected, for example record 1: id: is missing"
    assert sum("failed shop:" in line for line in lines) == 10
    assert sum("  rejected" in line for line in lines) == 10
    assert lines[-1] == "  ... and 5 more in the full report"


def test_for_programs() -> None:
    twice = Rejected(key=ProductKey("shop", "1"), reason="twice", where="record 9")
    report = make(
        failures=[failure(1, said="Price is required")],
        phases={"read": 0.12345678},
        latency={"read": Latency(p50=0.12345678, p95=1, p99=2, count=7)},
        batch_sizes=BatchSizes(least=1, mean=2.5, most=4),
        bytes_received=5,
        rejected=[NO_ID, twice],
    )
    read = json.loads(json.dumps(report.to_dict()))
    assert list(read) == [
        "run_id",
        "job",
        "status",
        "summary",
        "reasons",
        "problem",
        "planned",
        "released",
        "partial",
        "only",
        "source_version",
        "catalog_version",
        "still_failing",
        "counts",
        "categories",
        "requests",
        "writes",
        "writers",
        "retries",
        "started_at",
        "duration_s",
        "products_per_second",
        "phases",
        "latency",
        "batch_sizes",
        "bytes_sent",
        "bytes_received",
        "failures",
        "rejected",
        "warnings",
        "manual_edits",
        "discrepancies",
        "held",
    ]
    assert read["status"] == "succeeded"
    assert list(read["counts"]) == [
        *("fetched", "created", "updated", "unchanged", "skipped"),
        *("removed", "failed", "unresolved"),
    ]
    assert read["counts"]["created"] == 10
    assert read["products_per_second"] == 6
    assert read["phases"] == {"read": 0.123457}
    latency = {"p50": 0.123457, "p95": 1, "p99": 2, "count": 7}
    assert read["latency"] == {"read": latency}
    assert read["batch_sizes"] == {"least": 1, "mean": 2.5, "most": 4}
    assert (read["bytes_sent"], read["bytes_received"]) == (0, 5)
    assert read["failures"] == [
        {
            "key": "shop:1",
            "status": "failed",
            "reason": "no price",
            "said": "Price is required",
        }
    ]
    assert read["rejected"] == [
        {"key": None, "where": "record 1", "path": "id", "reason": "id: is missing"},
        {"key": "shop:1", "where": "record 9", "path": "", "reason": "twice"},
    ]


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("accept_degraded", [False, True])
def test_raise_for_status(status: RunStatus, accept_degraded: bool) -> None:
    report = make(status=status)
    good = status in {RunStatus.SUCCEEDED, RunStatus.SKIPPED}
    good |= accept_degraded and status is RunStatus.DEGRADED
    if good:
        assert report.raise_for_status(accept_degraded=accept_degraded) is report
        return
    with pytest.raises(RunFailedError) as caught:
        report.raise_for_status(accept_degraded=accept_degraded)
    assert caught.value.report is report
    assert isinstance(caught.value, CatalogSyncError)
    assert status.value in str(caught.value)


def test_a_run_of_some_products_says_what_still_fails() -> None:
    """Else one product that went well would look as if all did."""
    report = make(
        job="nightly",
        counts=Counts(fetched=1, updated=1),
        partial=True,
        still_failing=35,
    )
    assert report.status is RunStatus.SUCCEEDED
    assert report.summary == (
        "nightly: succeeded: 1 fetched = 1 updated (chosen products) in 2.00 s;"
        " 35 products of the job still fail"
    )
    assert report.reasons == ("35 products of the job still fail",)
    assert str(report).splitlines()[1] == "  35 products of the job still fail"
    assert report.to_dict()["still_failing"] == 35


def test_what_this_run_says_of_failures_is_not_said_twice() -> None:
    report = make(
        counts=Counts(fetched=1, failed=1), failures=[failure(1)], still_failing=1
    )
    assert report.reasons == ("failed shop:1: no price",)


def test_no_run_is_degraded_without_a_reason() -> None:
    """A few lines, however much there is to report."""
    report = make(
        status=RunStatus.DEGRADED,
        warnings=[f"the source does not have shop:{n}" for n in range(500)],
        failures=[failure(n) for n in range(5000)],
        discrepancies=[
            Discrepancy(key=ProductKey("shop", "1"), fields=("title",)),
            Discrepancy(key=ProductKey("shop", "2"), fields=("title",)),
        ],
    )
    assert report.reasons[:3] == (
        "5000 products failed, for example shop:0: no price",
        "2 products not kept by the sink, for example shop:1: title",
        "warning: the source does not have shop:0",
    )
    assert report.reasons[-1] == "... and 490 more warnings"
    assert len(report.reasons) < 20


@given(reports())
def test_a_report_comes_back(report: Report) -> None:
    """Whole, or without its lists, and from a version that knows more fields."""
    tree = report.to_dict()
    assert Report.from_dict(tree) == report
    assert Report.from_dict(tree).to_dict() == tree
    summary = Report.from_dict({**summary_of(tree), "later": [1]})
    assert summary_of(summary.to_dict()) == summary_of(tree)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"counts": {"fetched": "1"}}, "counts.fetched"),
        ({"still_failing": True}, "still_failing"),
        ({"status": "odd"}, "status"),
        ({"duration_s": None}, "duration_s"),
        ({"failures": [{"key": "a:1"}]}, "failures[0].status"),
        ({"failures": [{"key": 1, "status": "failed"}]}, "failures[0].key"),
        ({"warnings": 1}, "warnings"),
        ({"warnings": "abc"}, "warnings"),
        ({"failures": {"key": "a:1"}}, "failures"),
        ({"manual_edits": [{"key": "a:1"}]}, "manual_edits[0]"),
    ],
)
def test_what_is_no_report(fields: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Report.from_dict({**make().to_dict(), **fields})
    assert caught.value.path == path
