"""Responses of the API as JSON types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from catalogsync.catalog.outcomes import Outcome
from catalogsync.config import Job
from catalogsync.events import Request, Retrying
from catalogsync.report import Counts
from catalogsync.service import JobEvent, JobState
from catalogsync.state.protocols import FailedProduct, RunRecord, Trigger

__all__ = [
    "Tree",
    "counts_json",
    "event_json",
    "failure_json",
    "job_json",
    "retrying_json",
    "run_json",
    "stats_json",
    "to_text",
    "trigger_json",
    "whole_run_json",
]

Tree = dict[str, Any]

_STATS = (
    *("run_id", "started_at", "duration_s", "status", "products_per_second"),
    *("counts", "requests", "writes", "retries", "batch_sizes"),
    *("bytes_sent", "bytes_received", "phases", "latency"),
)


def to_text(tree: object) -> str:
    """JSON in ASCII, so that lone surrogates are valid."""
    return json.dumps(tree, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    return dict(cast("Any", value)) if isinstance(value, Mapping) else str(value)


def counts_json(counts: Counts) -> Tree:
    """Numbers of products by outcome."""
    return attrs.asdict(counts)


def job_json(
    state: JobState, last: RunRecord | None, *, waiting: int, failures: int
) -> Tree:
    """A job and its state.

    Args:
        state: State of the job.
        last: Its latest run.
        waiting: Number of queued triggers.
        failures: Number of failed products.
    """
    job = state.job
    return {
        "name": job.name,
        "source": job.source_name,
        "sink": job.sink_name,
        "schedule": _schedule(job),
        "next_at": state.next_at.timestamp() if state.next_at else None,
        "running": _running(state),
        "last": run_json(last) if last else None,
        "problem": state.problem,
        "waiting": waiting,
        "failures": failures,
    }


def _schedule(job: Job) -> Tree | None:
    if job.schedule is None:
        return None
    return {"cron": job.schedule.cron, "timezone": job.schedule.timezone}


def _running(state: JobState) -> Tree | None:
    if state.run is None:
        return None
    return {
        "run_id": state.run.run_id,
        "started_at": state.started_at,
        "counts": counts_json(state.run.counts),
        "total": state.total,
        "retrying": retrying_json(state.retrying),
    }


def retrying_json(event: Retrying | None) -> Tree | None:
    """A failure that is being retried."""
    if event is None:
        return None
    tree = attrs.asdict(event)
    del tree["run_id"]
    return tree


def run_json(record: RunRecord) -> Tree:
    """A run without its report."""
    report = record.report
    return {
        "run_id": record.run_id,
        "job": record.job,
        "source": record.source,
        "sink": record.sink,
        "status": record.status,
        "partial": record.partial,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "duration_s": report.duration_s if report else None,
        "counts": counts_json(report.counts) if report else None,
        "summary": report.summary if report else "",
        "reasons": report.reasons if report else (),
        "still_failing": report.still_failing if report else None,
        "problem": report.problem if report else "",
    }


def whole_run_json(record: RunRecord) -> Tree:
    """A run with its report."""
    return {**run_json(record), "report": record.report and record.report.to_dict()}


def stats_json(records: Sequence[RunRecord]) -> list[Tree]:
    """Statistics of the runs that have a report."""
    reports = [record.report.to_dict() for record in records if record.report]
    return [{name: report[name] for name in _STATS} for report in reports]


def failure_json(failure: FailedProduct) -> Tree:
    """A failed product."""
    return {
        "key": str(failure.key),
        "reason": failure.reason,
        "said": failure.said,
        "attempts": failure.attempts,
        "first_at": failure.first_at,
        "last_at": failure.last_at,
        "run_id": failure.run_id,
    }


def trigger_json(trigger: Trigger) -> Tree:
    """A queued trigger."""
    return {
        "id": trigger.id,
        "at": trigger.at,
        "by": trigger.by,
        "keys": [str(key) for key in trigger.keys],
    }


def event_json(item: JobEvent) -> Tree:
    """An event with its job and the counts of the run, without the report."""
    fields = attrs.asdict(item.event, recurse=False)
    fields.pop("report", None)
    for name, value in fields.items():
        if isinstance(value, Outcome):
            fields[name] = value.to_dict()
        elif isinstance(value, Request):
            fields[name] = attrs.asdict(value)
    return {**fields, "job": item.job, "counts": counts_json(item.counts)}
