from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from click.testing import Result

from catalogsync.cli._stats import charts_text
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state import RunRecord
from catalogsync.testing.dummyjson import Records

Call = Callable[..., Result]


@pytest.fixture
def job(
    server: str,
    tmp_path: Path,
    records: Records,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """A job that ran three times: it creates five, updates two, refuses one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATALOGSYNC_CONFIG", raising=False)
    Path("catalogsync.toml").write_text(
        f"""
        [jobs.products]
        source = {{ type = "dummyjson", url = "{server}", page_size = 2 }}
        sink = {{ type = "sql", url = "sqlite:///shop.db" }}
        [jobs.others]
        source = {{ type = "dummyjson", url = "{server}" }}
        sink = {{ type = "sql", url = "sqlite:///shop.db" }}
        """
    )
    assert call("run", "products").exit_code == 0
    records[0]["title"] += "!"
    records[1]["title"] += "!"
    assert call("run", "products").exit_code == 0
    records[2]["price"] = "free"
    assert call("run", "products").exit_code == 1
    return "products"


def cells(result: Result, name: str) -> list[str]:
    """The row of the tables that begins with this."""
    (line,) = [
        line for line in result.stdout.splitlines() if line.split()[:1] == [name]
    ]
    return line.split()[1:]


def test_charts(job: str, call: Call) -> None:
    """The first run on the left; then the numbers of the last, and the latencies."""
    result = call("stats", job)
    assert result.exit_code == 0
    heading = result.stdout.splitlines()[0]
    assert heading.startswith("products: 2 succeeded, 1 degraded, from 20")
    assert cells(result, "created") == ["█▁▁", "0", "0", "5"]
    assert cells(result, "updated") == ["▁█▁", "0", "0", "2"]
    assert cells(result, "failed") == ["▁▁█", "1", "0", "1"]
    assert cells(result, "read")[0] == "3"
    assert len(cells(result, "find")) == 4


def test_only_the_latest_runs(job: str, call: Call) -> None:
    result = call("stats", job, "--runs", "2")
    assert cells(result, "updated") == ["█▁", "0", "1", "2"]


def test_json(job: str, call: Call) -> None:
    output = json.loads(call("stats", job, "--json").stdout)
    assert output["job"] == job
    runs = output["runs"]
    assert [run["status"] for run in runs] == ["succeeded", "succeeded", "degraded"]
    assert [run["created"] for run in runs] == [5, 0, 0]
    assert all(run["bytes_received"] > 0 for run in runs)
    assert runs[0]["write_p95"] > 0
    assert runs[2]["write_p95"] is None


def test_csv_has_the_same(job: str, call: Call) -> None:
    output = json.loads(call("stats", job, "--json").stdout)["runs"]
    read = list(csv.DictReader(StringIO(call("stats", job, "--csv").stdout)))
    expected = [
        {name: "" if value is None else str(value) for name, value in run.items()}
        for run in output
    ]
    assert read == expected


def test_a_job_that_never_ran(job: str, call: Call) -> None:
    """Programs get what they expect nevertheless."""
    result = call("stats", "others")
    assert (result.exit_code, result.stdout) == (0, "others: no runs yet\n")
    assert json.loads(call("stats", "others", "--json").stdout)["runs"] == []
    assert call("stats", "others", "--csv").stdout.startswith("run_id,started_at,")


def test_an_unknown_job(job: str, call: Call) -> None:
    result = call("stats", "nothing")
    assert result.exit_code == 2
    assert "nothing" in result.stderr


def test_charts_of_many_runs_are_no_wider_than_a_terminal() -> None:
    """They show the last of them."""
    runs = [
        RunRecord(
            run_id=str(n),
            job="cups",
            source="a",
            sink="b",
            started_at=n,
            status=RunStatus.SUCCEEDED,
            report=Report(
                run_id=str(n),
                status=RunStatus.SUCCEEDED,
                counts=Counts(),
                started_at=n,
                duration_s=n,
            ),
        )
        for n in range(500)
    ]
    lines = charts_text("cups", runs).splitlines()
    assert "the last 60 runs" in lines[2]
    assert max(map(len, lines)) <= 100
