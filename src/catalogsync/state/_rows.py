"""Conversion between rows and the values of a state store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs

from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.report import Report, RunStatus, summary_of

from ._steps import Row, Value
from .protocols import FailedProduct, HistoryEntry, Intent, RunRecord, Trigger

__all__ = [
    "dump",
    "entry_row",
    "failure_row",
    "fold",
    "key_rows",
    "read_absence",
    "read_entry",
    "read_failure",
    "read_intent",
    "read_key",
    "read_listed",
    "read_run",
    "read_trigger",
    "report_parameters",
    "run_parameters",
]


def dump(value: object) -> str:
    """A JSON value as ASCII text."""
    return json.dumps(value, default=dict)  # for mappings that are not dicts


def key_rows(keys: Iterable[ProductKey]) -> list[tuple[str, str]]:
    """A row for each key, without duplicates."""
    return [(key.source, key.id) for key in dict.fromkeys(keys)]


# --- single values; errors name the column ---


def _text(column: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{column} is not text")  # noqa: TRY004 - of a row
    return value


def _number(column: str, value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{column} is not a number")
    return value


def _whole(column: str, value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{column} is not a whole number")  # noqa: TRY004 - of a row
    return value


def _json(column: str, value: object) -> Json:
    try:
        tree: Json = json.loads(_text(column, value))
    except (ValueError, RecursionError):
        raise ValueError(f"{column} is not JSON") from None
    return tree


# --- rows ---


def read_key(row: Row) -> ProductKey:
    """A key, from source and id."""
    source, id_, *_ = row
    return ProductKey(_text("source", source), _text("id", id_))


def read_absence(row: Row) -> ProductKey:
    """A key, from source, id and the first run that missed it."""
    _text("first_run", row[2])
    return read_key(row)


def run_parameters(record: RunRecord) -> dict[str, Value]:
    """The attributes of a run as parameters."""
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


def report_parameters(report: Report | None) -> dict[str, Value]:
    """The report, and its summary for lists of runs, as parameters."""
    if report is None:
        return {"report": None, "summary": None}
    tree = report.to_dict()
    return {"report": dump(tree), "summary": dump(summary_of(tree))}


def read_run(row: Row) -> RunRecord:
    """A run, from its attributes in order."""
    return _read_run(row, lambda tree: tree)


def read_listed(row: Row) -> RunRecord:
    """As `read_run`, without the lists that grow with the catalog."""
    return _read_run(row, summary_of)


def _read_run(
    row: Row, part: Callable[[Mapping[str, Json]], Mapping[str, Json]]
) -> RunRecord:
    run_id, job, source, sink, started_at, partial, finished_at, status, report = row
    record = RunRecord(
        run_id=_text("run_id", run_id),
        job=_text("job", job),
        source=_text("source", source),
        sink=_text("sink", sink),
        started_at=_number("started_at", started_at),
        partial=bool(_whole("partial", partial)),
        finished_at=None
        if finished_at is None
        else _number("finished_at", finished_at),
        status=None if status is None else RunStatus(_text("status", status)),
    )
    if report is None:
        return record
    tree = _json("report", report)
    if not isinstance(tree, Mapping):
        raise ValueError("report is not a report")  # noqa: TRY004 - of a row
    known: dict[str, object] = {  # reports of earlier versions have fewer fields
        "run_id": record.run_id,
        "status": record.status,
        "counts": {},
        "started_at": record.started_at,
        "duration_s": (record.finished_at or record.started_at) - record.started_at,
    }
    return attrs.evolve(record, report=Report.from_dict({**known, **part(tree)}))


def entry_row(number: int, entry: HistoryEntry) -> Sequence[Value]:
    """Number, run, key, time, outcome and fields of a history entry."""
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


def read_entry(key: ProductKey, row: Row) -> HistoryEntry:
    """A history entry, from the columns of `entry_row` without number and key."""
    run_id, at, status, reason, said, fields = row
    paths = _json("fields", fields)
    if not isinstance(paths, list):
        raise ValueError("fields is not a list")  # noqa: TRY004 - of a row
    return HistoryEntry(
        run_id=_text("run_id", run_id),
        at=_number("noted_at", at),
        outcome=Outcome(
            key,
            OutcomeStatus(_text("status", status)),
            _text("reason", reason),
            _text("said", said),
        ),
        fields=tuple(_text("fields", path) for path in paths),
    )


def fold(failures: Iterable[FailedProduct]) -> Collection[FailedProduct]:
    """One failure for each key, as if they were saved one after the other."""
    folded: dict[ProductKey, FailedProduct] = {}
    for new in failures:
        old = folded.get(new.key)
        folded[new.key] = new if old is None else _joined(old, new)
    return folded.values()


def _joined(old: FailedProduct, new: FailedProduct) -> FailedProduct:
    return attrs.evolve(
        new,
        payload=old.payload if new.payload is None else new.payload,
        attempts=old.attempts + new.attempts,
        first_at=old.first_at,
    )


def failure_row(failure: FailedProduct) -> Sequence[Value]:
    """The attributes of a failed product in order."""
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


def read_failure(row: Row) -> FailedProduct:
    """A failed product, from its attributes in order."""
    _, _, reason, said, payload, attempts, first_at, last_at, run_id = row
    return FailedProduct(
        key=read_key(row),
        reason=_text("reason", reason),
        said=_text("said", said),
        payload=None if payload is None else _json("payload", payload),
        attempts=_whole("attempts", attempts),
        first_at=_number("first_at", first_at),
        last_at=_number("last_at", last_at),
        run_id=_text("run_id", run_id),
    )


def read_intent(row: Row) -> Intent:
    """An intent, from source, id, handle, run and age."""
    _, _, handle, run_id, age = row
    return Intent(
        key=read_key(row),
        handle=_text("handle", handle),
        run_id=_text("run_id", run_id),
        age=_number("began_at", age),
    )


def read_trigger(row: Row) -> Trigger:
    """A trigger, from its attributes in order."""
    number, job, keys, at, by = row
    tree = _json("keys", keys)
    if not isinstance(tree, list):
        raise ValueError("keys is not a list")  # noqa: TRY004 - of a row
    return Trigger(
        id=_whole("number", number),
        job=_text("job", job),
        keys=tuple(map(_trigger_key, tree)),
        at=_number("asked_at", at),
        by=_text("asked_by", by),
    )


def _trigger_key(pair: Json) -> ProductKey:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueError("keys is not a list of keys")
    return read_key(tuple(pair))
