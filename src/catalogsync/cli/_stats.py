"""The command `stats`: charts for people, JSON and CSV for programs."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from catalogsync.report import Latency
from catalogsync.state.protocols import RunRecord
from catalogsync.state.stats import in_order, row, sparkline, to_csv, trends

from ._session import Session, query

_WIDEST = 60

Form = Literal["json", "csv"]


def show_stats(session: Session, job: str, limit: int, form: Form | None) -> int:
    """Print the latest runs of a job; returns the exit status."""
    settings = session.job_store(job)
    runs = in_order(query(settings, lambda store: store.runs(job=job, limit=limit)))
    match form:
        case "json":
            tree = {"job": job, "runs": [row(run) for run in runs]}
            text = json.dumps(tree, indent=2)
        case "csv":
            text = to_csv(runs).rstrip("\n")
        case _:
            text = charts_text(job, runs) if runs else f"{job}: no runs yet"
    session.terminal.out(text)
    return 0


def charts_text(job: str, runs: Sequence[RunRecord]) -> str:
    """Charts of at least one run, for a terminal."""
    tables = [_trends(runs)]
    latencies = [run.report.latency for run in runs if run.report]
    if measured := [each for each in latencies if each]:
        tables.append(_latencies(measured[-1]))
    console = Console(file=StringIO(), width=200, color_system=None)
    with console.capture() as captured:
        console.print(Text(_heading(job, runs)), *tables)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def _heading(job: str, runs: Sequence[RunRecord]) -> str:
    statuses = Counter(run.status or "unfinished" for run in runs)
    counts = ", ".join(f"{n} {status}" for status, n in statuses.most_common())
    since, until = _when(runs[0].started_at), _when(runs[-1].started_at)
    return f"{job}: {counts}, from {since} to {until}"


def _trends(runs: Sequence[RunRecord]) -> Table:
    table = Table("", f"the last {len(runs[-_WIDEST:])} runs", box=SIMPLE_HEAD)
    for name in ("last", "median", "max"):
        table.add_column(name, justify="right")
    for trend in trends(runs):
        numbers = (trend.last, trend.median, trend.most)
        table.add_row(
            trend.name, sparkline(trend.values[-_WIDEST:]), *map(_number, numbers)
        )
    return table


def _latencies(latencies: Mapping[str, Latency]) -> Table:
    table = Table("seconds per call", box=SIMPLE_HEAD)
    for name in ("calls", "p50", "p95", "p99"):
        table.add_column(name, justify="right")
    for call, latency in latencies.items():
        seconds = (latency.p50, latency.p95, latency.p99)
        table.add_row(call, str(latency.count), *(f"{s:.3f}" for s in seconds))
    return table


def _number(value: float) -> str:
    return f"{value:.2f}" if value % 1 and value < 100 else f"{value:.0f}"


def _when(at: float) -> str:
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
