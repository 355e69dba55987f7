"""The values of a run store as rows and back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from catalogsync.models import Json, ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.report import RunStatus, summary_of
from catalogsync.runstore import Entry, Failure, Intent, RunRecord, Trigger

from ._steps import Row, Value

__all__ = [
    "dump",
    "entry_row",
    "failure_row",
    "fold",
    "key_rows",
    "read_entry",
    "read_failure",
    "read_intent",
    "read_key",
    "read_run",
    "read_summary",
    "read_trigger",
    "report_parameters",
    "run_parameters",
]


def dump(value: object) -> str:
    """A JSON value as text that every database takes."""
    return json.dumps(value, default=dict)  # of a mapping that is no dict


def key_rows(keys: Iterable[ProductKey]) -> list[tuple[str, str]]:
    """A row for each key, none twice."""
    return [(key.source, key.id) for key in dict.fromkeys(keys)]


def read_key(row: Row) -> ProductKey:
    """Source and id."""
    source, id_ = row
    return ProductKey(source, id_)


def run_parameters(record: RunRecord) -> dict[str, Value]:
    """A parameter for each attribute."""
    return {
        "run_id": record.run_id,
        "job": record.job,
        "source": record.source,
        "sink": record.sink,
        "started_at": record.started_at,
        "partial": int(record.partial),
        "finished_at": record.finished_at,
        "status": record.status,
        **report_parameters(record.report),
    }


def report_parameters(report: Mapping[str, Json] | None) -> dict[str, Value]:
    """The whole report, and its summary for lists of runs."""
    if report is None:
        return {"report": None, "summary": None}
    return {"report": dump(report), "summary": dump(summary_of(report))}


def read_run(row: Row) -> RunRecord:
    """The attributes in their order."""
    run_id, job, source, sink, started_at, partial, finished_at, status, report = row
    return RunRecord(
        run_id=run_id,
        job=job,
        source=source,
        sink=sink,
        started_at=started_at,
        partial=bool(partial),
        finished_at=finished_at,
        status=None if status is None else RunStatus(status),
        report=None if report is None else json.loads(report),
    )


def read_summary(report: str | None) -> Mapping[str, Json] | None:
    """The summary of a whole report."""
    return None if report is None else summary_of(json.loads(report))


def entry_row(number: int, entry: Entry) -> Sequence[Value]:
    """The number, the run, the key, the time, the outcome and the fields."""
    outcome, key = entry.outcome, entry.outcome.key
    return (
        number,
        entry.run_id,
        key.source,
        key.id,
        entry.at,
        outcome.status,
        outcome.reason,
        outcome.said,
        dump(entry.fields),
    )


def read_entry(key: ProductKey, row: Row) -> Entry:
    """As `entry_row`, without number and key."""
    run_id, at, status, reason, said, fields = row
    outcome = Outcome(key, OutcomeStatus(status), reason, said)
    return Entry(
        run_id=run_id, at=at, outcome=outcome, fields=tuple(json.loads(fields))
    )


def fold(failures: Iterable[Failure]) -> Collection[Failure]:
    """One failure for each key, as if they were kept one after the other."""
    folded: dict[ProductKey, Failure] = {}
    for new in failures:
        old = folded.get(new.key)
        folded[new.key] = new if old is None else _joined(old, new)
    return folded.values()


def _joined(old: Failure, new: Failure) -> Failure:
    return attrs.evolve(
        new,
        payload=old.payload if new.payload is None else new.payload,
        attempts=old.attempts + new.attempts,
        first_at=old.first_at,
    )


def failure_row(failure: Failure) -> Sequence[Value]:
    """The attributes in their order."""
    return (
        failure.key.source,
        failure.key.id,
        failure.reason,
        failure.said,
        None if failure.payload is None else dump(failure.payload),
        failure.attempts,
        failure.first_at,
        failure.last_at,
        failure.run_id,
    )


def read_failure(row: Row) -> Failure:
    """The attributes in their order."""
    *key, reason, said, payload, attempts, first_at, last_at, run_id = row
    return Failure(
        key=ProductKey(*key),
        reason=reason,
        said=said,
        payload=None if payload is None else json.loads(payload),
        attempts=attempts,
        first_at=first_at,
        last_at=last_at,
        run_id=run_id,
    )


def read_intent(source: str, row: Row) -> Intent:
    """Id, handle, run and age."""
    id_, handle, run_id, age = row
    key = ProductKey(source, id_)
    return Intent(key=key, handle=handle, run_id=run_id, age=age)


def read_trigger(row: Row) -> Trigger:
    """The attributes in their order."""
    number, job, keys, at, by = row
    wanted = tuple(ProductKey(*key) for key in json.loads(keys))
    return Trigger(id=number, job=job, keys=wanted, at=at, by=by)
