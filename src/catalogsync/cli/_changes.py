"""Changes and plans as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator

from catalogsync.catalog.changes import (
    Action,
    Adopt,
    Change,
    Create,
    FieldDiff,
    ReferenceChange,
    Update,
)
from catalogsync.catalog.products import Json
from catalogsync.diff.describe import diff
from catalogsync.plans import Estimate
from catalogsync.report import Report

from ._output import shortened

_SHORT = 100
_WHOLE = 100_000


_HEADS = {
    Action.CREATE: "+ create",
    Action.UNPUBLISH: "- unpublish",
    Action.SELL_OUT: "- sell out",
    Action.DELETE: "- delete",
}


def change_text(change: Change | ReferenceChange, *, whole: bool = False) -> str:
    """A change as text: the product, and each field that differs, shortened unless *whole*."""
    most = _WHOLE if whole else _SHORT
    if isinstance(change, ReferenceChange):
        return _reference_text(change, most)
    creates = isinstance(change, Create)
    missing_parts = () if isinstance(change, Create) else change.existing.missing_parts
    head = _HEADS.get(change.action, "~ repair" if missing_parts else "~ update")
    title = shortened(change.product.title, most)
    fields = [
        f"    {_line(item, most, creates=creates)}"
        for item in diff(change)
        if not (creates and item.new is None)
    ]
    fields += [f"    incomplete: {shortened(part, most)}" for part in missing_parts]
    if isinstance(change, Adopt):
        fields.append("    existing product, will be adopted")
    if isinstance(change, Update) and not fields:
        fields.append("    (bookkeeping only)")
    return "\n".join([f"{head} {shortened(str(change.key), most)}  {title}", *fields])


def _reference_text(change: ReferenceChange, most: int) -> str:
    reference = change.reference
    name = shortened(change.name, most)
    if change.existing is None:
        return f"+ create {reference.kind.value} {name}"
    renamed = change.existing.name != change.name
    was = shortened(change.existing.name, most)
    text = f"~ update {reference.kind.value} {f'{was} -> {name}' if renamed else name}"
    if not change.moves:
        return text if renamed else f"{text} (bookkeeping only)"
    above = reference.parent
    where = f"below {shortened(above.name, most)}" if above else "to the top level"
    return f"{text}, moved {where}"


def _line(item: FieldDiff, most: int, *, creates: bool) -> str:
    path = shortened(item.path, most)
    new = _value(item.new, most)
    if creates:
        return f"{path}: {new}"
    if isinstance(item.old, list) and isinstance(item.new, list):
        return f"{path}: {', '.join(_elements(item.old, item.new, most))}"
    return f"{path}: {_value(item.old, most)} -> {new}"


def _elements(old: list[Json], new: list[Json], most: int) -> Iterator[str]:
    """The elements that a change adds to a list and removes from it."""
    removed = [each for each in old if each not in new]
    added = [each for each in new if each not in old]
    if not removed and not added:
        yield f"{_value(old, most)} -> {_value(new, most)}"
    yield from (f"- {_value(each, most)}" for each in removed)
    yield from (f"+ {_value(each, most)}" for each in added)


def _value(value: Json, most: int) -> str:
    if value is None:
        return "(none)"
    return shortened(json.dumps(value, ensure_ascii=False, default=str), most)


def plan_summary(report: Report, expected: Estimate | None = None) -> str:
    """The summary of a plan, with an estimate of what applying it takes."""
    reasons, categories = report.reasons, report.categories
    lines = [report.summary, *(f"  {reason}" for reason in reasons)]
    if categories.created or categories.updated:
        lines.append(
            f"  categories: {categories.created} to create,"
            f" {categories.updated} to update, {categories.existing} existing"
        )
    if expected is not None and expected.writes:
        lines.append(f"  {expected}")
    details = [
        *(f"warning: {text}" for text in report.warnings),
        *map(str, report.manual_edits),
        *map(str, report.failures),
        *(f"rejected {text}" for text in report.rejected),
    ]
    return "\n".join(
        [*lines, *(f"  {text}" for text in details if text not in reasons)]
    )
