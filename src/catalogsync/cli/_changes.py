"""Changes and plans as a person wants to read them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from catalogsync.changes import Action, Change, FieldDiff, ReferenceChange
from catalogsync.differences import diff
from catalogsync.models import Json
from catalogsync.planfile import Forecast
from catalogsync.report import Report

from ._output import shortened

__all__ = ["change_text", "plan_summary"]

_SHORT = 100
_WHOLE = 100_000


_HEADS = {
    Action.CREATE: "+ create",
    Action.RETIRE: "- retire",
    Action.DELETE: "- delete",
}


def change_text(change: Change | ReferenceChange, *, whole: bool = False) -> str:
    """A change: which product, and each field that differs.

    Args:
        change: The change.
        whole: Show long values to their end.
    """
    most = _WHOLE if whole else _SHORT
    if isinstance(change, ReferenceChange):
        return _reference_text(change, most)
    creates = change.action is Action.CREATE
    gaps = change.held.gaps if change.held else ()
    head = _HEADS.get(change.action, "~ repair" if gaps else "~ update")
    title = shortened(change.product.title, most)
    fields = [
        f"    {_line(item, most, creates=creates)}"
        for item in diff(change)
        if not (creates and item.new is None)
    ]
    fields += [f"    half made: {shortened(gap, most)}" for gap in gaps]
    if change.held and change.held.foreign:
        fields.append("    stands there without our key, and is adopted")
    if change.action is Action.UPDATE and not fields:
        fields.append("    (only what we note of it)")
    return "\n".join([f"{head} {shortened(str(change.key), most)}  {title}", *fields])


def _reference_text(change: ReferenceChange, most: int) -> str:
    reference = change.reference
    name = shortened(reference.name, most)
    if change.held is None:
        return f"+ create {reference.kind.value} {name}"
    return f"~ update {reference.kind.value} {change.held.name} -> {name}"


def _line(item: FieldDiff, most: int, *, creates: bool) -> str:
    path = shortened(item.path, most)
    new = _value(item.new, most)
    if creates:
        return f"{path}: {new}"
    if isinstance(item.old, list) and isinstance(item.new, list):
        return f"{path}: {', '.join(_elements(item.old, item.new, most))}"
    return f"{path}: {_value(item.old, most)} -> {new}"


def _elements(old: list[Json], new: list[Json], most: int) -> Iterator[str]:
    """What comes and goes in a list."""
    gone = [each for each in old if each not in new]
    come = [each for each in new if each not in old]
    if not gone and not come:
        yield f"{_value(old, most)} -> {_value(new, most)}"
    yield from (f"- {_value(each, most)}" for each in gone)
    yield from (f"+ {_value(each, most)}" for each in come)


def _value(value: Json, most: int) -> str:
    if value is None:
        return "(none)"
    return shortened(json.dumps(value, ensure_ascii=False, default=str), most)


def plan_summary(report: Report, expected: Forecast | None = None) -> str:
    """What a rehearsal came to, and what carrying it out would take."""
    counts, categories = report.counts, report.categories
    parts = [
        f"{counts.created} to create",
        f"{counts.updated} to update",
        f"{counts.unchanged} unchanged",
        *([f"{counts.retired} to remove"] if counts.retired else []),
        *([f"{counts.skipped} skipped"] if counts.skipped else []),
        *([f"{counts.failed} failed"] if counts.failed else []),
        *([f"{counts.unsettled} unsettled"] if counts.unsettled else []),
    ]
    lines = [f"{report.job}: {', '.join(parts)}"]
    if categories.created or categories.updated:
        lines.append(
            f"  categories: {categories.created} to create,"
            f" {categories.updated} to update, {categories.existing} existing"
        )
    if report.problem:
        lines.append(f"  {report.problem}")
    if expected is not None and expected.writes:
        took = expected.seconds
        time = "" if took is None else f", about {math.ceil(took)} s"
        lines.append(
            f"  would take {_counted(expected.writes, 'write')},"
            f" at least {_counted(expected.requests, 'request')}{time}"
        )
    lines += [f"  warning: {text}" for text in report.warnings]
    lines += [f"  {edit}" for edit in report.edits]
    lines += [
        f"  {each.status.value} {each.key}: {each.reason}" for each in report.failures
    ]
    lines += [f"  rejected {text}" for text in report.rejected]
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
