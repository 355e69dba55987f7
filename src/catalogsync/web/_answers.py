"""What the API takes and answers, described once for the code and for OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, cast

import attrs

from catalogsync.catalog.convert import as_json
from catalogsync.events import Retrying
from catalogsync.report import CategoryCounts, Counts, RunStatus
from catalogsync.schedule import Schedule
from catalogsync.service import JobEvent, JobState
from catalogsync.state.held import Decision, HeldPlan as SavedPlan
from catalogsync.state.protocols import FailedProduct, RunRecord, Trigger

from ._shapes import Tree, described

_LIMIT = {"minimum": 1, "maximum": 1000, "description": "Largest number of items."}
_OFFSET = {
    "minimum": 0,
    "maximum": 999_999_999,
    "description": "Number of items to skip.",
}
_JOB = {"description": "Only this job."}
_AFTER = {
    "pattern": "^([A-Za-z0-9._-]+:[^\\u0000]+)?$",
    "description": "Start after this key, given as source:id.",
}
_OPTIONAL = {"optional": True}
_EXCLUDED = {
    "optional": True,
    "description": "Products to leave alone, as id or source:id.",
    "minItems": 1,
    "items": {"type": "string", "pattern": "^[^\\u0000]+$"},
}
_KEYS = {
    "optional": True,
    "description": "Keys as id or source:id; omit it for all products.",
    "minItems": 1,
    "items": {"type": "string", "pattern": "^[^\\u0000]+$"},
}


@attrs.frozen(kw_only=True)
class PlanQuery:
    limit: int = attrs.field(default=100, metadata=_LIMIT)
    offset: int = attrs.field(default=0, metadata=_OFFSET)


@attrs.frozen(kw_only=True)
class FailuresQuery:
    limit: int = attrs.field(default=100, metadata=_LIMIT)
    after: str = attrs.field(default="", metadata=_AFTER)


@attrs.frozen(kw_only=True)
class StatisticsQuery:
    runs: int = attrs.field(default=50, metadata=_LIMIT)


@attrs.frozen(kw_only=True)
class RunsQuery:
    job: str = attrs.field(default="", metadata=_JOB)
    limit: int = attrs.field(default=20, metadata=_LIMIT)


@attrs.frozen(kw_only=True)
class EventsQuery:
    job: str = attrs.field(default="", metadata=_JOB)


@attrs.frozen(kw_only=True)
class Keys:
    keys: tuple[str, ...] = attrs.field(default=(), metadata=_KEYS)


@attrs.frozen(kw_only=True)
class Approval:
    exclude: tuple[str, ...] = attrs.field(default=(), metadata=_EXCLUDED)


@attrs.frozen(kw_only=True)
class HeldPlan:
    run_id: str
    job: str
    held_at: float
    reasons: list[str]
    worst: list[str]
    decision: Decision
    by: str
    decided_at: float | None


@attrs.frozen(kw_only=True)
class HeldPlans:
    held: list[HeldPlan]


@attrs.frozen(kw_only=True)
class PlanId:
    plan_id: str


@attrs.frozen(kw_only=True)
class Status:
    status: str
    error: str = attrs.field(metadata=_OPTIONAL)


@attrs.frozen(kw_only=True)
class Run:
    run_id: str
    job: str
    partial: bool
    only: list[str]
    source: str
    sink: str
    status: RunStatus | None
    started_at: float
    finished_at: float | None
    duration_s: float | None
    counts: Counts | None
    summary: str
    reasons: list[str]
    still_failing: int | None
    problem: str


@attrs.frozen(kw_only=True)
class WholeRun(Run):
    report: Tree | None


@attrs.frozen(kw_only=True)
class Running:
    run_id: str
    started_at: float
    counts: Counts
    total: int | None
    retrying: Retrying | None


@attrs.frozen(kw_only=True)
class Job:
    name: str
    source: str
    sink: str
    schedule: Schedule | None
    next_at: float | None
    running: Running | None
    last: Run | None
    problem: str
    waiting: int
    failures: int


@attrs.frozen(kw_only=True)
class Difference:
    path: str
    old: object
    new: object


@attrs.frozen(kw_only=True)
class Change:
    action: str
    key: str
    title: str
    diff: list[Difference]
    incomplete: list[str]
    adopts: bool


@attrs.frozen(kw_only=True)
class Plan:
    plan_id: str
    state: Literal["making", "ready", "failed"]
    began_at: float
    read: int
    total: int | None
    retrying: Retrying | None
    problem: str
    applied: bool
    summary: str
    reasons: list[str]
    counts: Counts | None
    categories: CategoryCounts | None
    estimate: Tree | None
    offset: int
    totals: Tree
    changes: list[Change]
    failures: list[Tree]
    rejected: list[Tree]
    warnings: list[str]
    manual_edits: list[Tree]


@attrs.frozen(kw_only=True)
class Figures:
    run_id: str
    started_at: float
    duration_s: float
    status: RunStatus | None
    products_per_second: float
    counts: Counts
    requests: int
    writes: int
    retries: int
    batch_sizes: Tree = attrs.field(metadata=_OPTIONAL)
    bytes_sent: int = attrs.field(metadata=_OPTIONAL)
    bytes_received: int = attrs.field(metadata=_OPTIONAL)
    phases: Tree
    latency: Tree = attrs.field(metadata=_OPTIONAL)


Nothing = described("Nothing")
Error = described("Error", error=str)
Jobs = described("Jobs", jobs=list[Job])
Runs = described("Runs", runs=list[Run])
Statistics = described("Statistics", runs=list[Figures])
Failures = described("Failures", failures=list[FailedProduct], total=int)
Queue = described("Queue", waiting=list[Trigger])
Started = described("Started", run_id=str)
Cleared = described("Cleared", cleared=int)
Cancelled = described("Cancelled", waiting=int)


def to_text(tree: object) -> str:
    """JSON in ASCII, so that lone surrogates are valid."""
    return json.dumps(tree, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    return dict(cast("Any", value)) if isinstance(value, Mapping) else str(value)


_NO_REPORT = {
    **dict.fromkeys(("duration_s", "counts", "still_failing")),
    "only": (),
    "summary": "",
    "reasons": (),
    "problem": "",
}


def run_of(record: RunRecord) -> tuple[object, ...]:
    """The parts of a `Run` or `WholeRun`."""
    return record, record.report or _NO_REPORT


def held_of(held: SavedPlan) -> tuple[object, ...]:
    """The parts of a `HeldPlan`."""
    return held, held.held


def job_of(
    state: JobState, last: RunRecord | None, *, waiting: int, failures: int
) -> tuple[object, ...]:
    """The parts of a `Job`."""
    job, run = state.job, state.run
    return (
        {
            "source": job.source_name,
            "sink": job.sink_name,
            "next_at": state.next_at.timestamp() if state.next_at else None,
            "running": run and ({"counts": run.counts, "run_id": run.run_id}, state),
            "last": last and run_of(last),
            "waiting": waiting,
            "failures": failures,
        },
        job,
        state,
    )


def event_json(item: JobEvent) -> Tree:
    """An event with its job and the counts of the run, without the report."""
    fields = as_json(attrs.asdict(item.event, recurse=False, filter=_is_short))
    return {**fields, "job": item.job, "counts": as_json(item.counts)}


def _is_short(attribute: attrs.Attribute[Any], _: object) -> bool:
    return attribute.name != "report"
