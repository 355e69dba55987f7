"""The tables of a state store as values, and values as their rows."""

from __future__ import annotations

import json
import logging
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from catalogsync.catalog.convert import strict_converter, structured
from catalogsync.catalog.drafts import Outline, Unchanged
from catalogsync.catalog.outcomes import WrittenProduct
from catalogsync.catalog.products import UNSET, Category, Field, ProductKey, Unset
from catalogsync.errors import InvalidValueError
from catalogsync.report import Report, summary_of

from ._sql import Row, Value
from .held import HeldPlan
from .outbox import Message
from .protocols import (
    FailedProduct,
    HistoryEntry,
    Intent,
    RunRecord,
    StateError,
    Trigger,
)

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

_MOST = 100
_LONGEST = 60
_YEAR_9999 = 253_370_764_800

logger = logging.getLogger("catalogsync.state")
_Values = dict[str, Any]

# --- rows become values ---


def _names(table: Table[Any]) -> Sequence[str]:
    return [column.split()[-1] for column in table.columns.split(", ")]


@attrs.frozen
class Table(Generic[T]):
    """How the rows of a table become values of a class.

    Attributes:
        name: Name of the table.
        columns: SQL for the columns, each named as the attribute that it becomes.
        cls: The class.
        prepare: Turns the columns into the attributes of the class.
    """

    name: str
    columns: str
    cls: type[T]
    prepare: Callable[[_Values], _Values]
    _names: Sequence[str] = attrs.field(
        default=attrs.Factory(_names, takes_self=True), init=False
    )

    def read(self, row: Row) -> T:
        """The value of a row.

        Raises:
            InvalidValueError: The row is damaged; names the attribute.
        """
        values = self.prepare(dict(zip(self._names, row, strict=True)))
        return structured(_converter(), values, self.cls)


@cache
def _converter() -> Converter:
    converter = strict_converter()
    for made in (ProductKey, Report):
        converter.register_structure_hook(made, lambda value, _: value)
    return converter


def read_key(row: Row) -> ProductKey:
    """A key, from source and id; all columns must be text."""
    if not all(isinstance(value, str) for value in row):
        raise InvalidValueError("", "a column is not text")
    return ProductKey(*row[:2])


def _keyed(values: _Values) -> _Values:
    key = read_key((values.pop("source"), values.pop("id")))
    return {**values, "key": key}


def _failure(values: _Values) -> _Values:
    return {**_keyed(values), "payload": _json(values, "payload")}


def _entry(values: _Values) -> _Values:
    values = _keyed(values)
    outcome = {name: values.pop(name) for name in ("key", "status", "reason", "said")}
    return {**values, "outcome": outcome, "fields": _json(values, "fields", list)}


def _trigger(values: _Values) -> _Values:
    pairs = _json(values, "keys", list)
    if not all(isinstance(pair, list) for pair in pairs):
        raise InvalidValueError("keys", "is not a list of keys")
    return {**values, "keys": [read_key(tuple(pair)) for pair in pairs]}


def _written(values: _Values) -> _Values:
    return {**_keyed(values), "fields": _json(values, "fields", list)}


def _message(values: _Values) -> _Values:
    products = _json(values, "products", list)
    names = ("source", "id", *_WRITTEN)
    try:
        rows: list[_Values] = [dict(zip(names, row, strict=True)) for row in products]
    except (TypeError, ValueError):
        raise InvalidValueError("products", "is not a list of products") from None
    return {**values, "products": [_keyed(row) for row in rows]}


def _held(values: _Values) -> _Values:
    return {**values, "held": _json(values, "held", dict)}


def _run(values: _Values) -> _Values:
    return _with_report(values, lambda tree: tree)


def _listed(values: _Values) -> _Values:
    return _with_report(values, summary_of)


def _with_report(values: _Values, part: Callable[[_Values], _Values]) -> _Values:
    values = {**values, "partial": bool(values["partial"])}
    if values["report"] is None:
        return values
    started_at, finished_at = values["started_at"], values["finished_at"]
    known: _Values = {  # reports of earlier versions have fewer fields
        "run_id": values["run_id"],
        "status": values["status"],
        "counts": {},
        "started_at": started_at,
        "duration_s": (finished_at or started_at) - started_at,
    }
    tree = part(_json(values, "report", dict))
    return {**values, "report": Report.from_dict({**known, **tree})}


def _json(values: _Values, name: str, kind: type = object) -> Any:
    """A column with JSON of this type; None if it is empty."""
    text = values[name]
    try:
        tree = None if text is None else json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise InvalidValueError(name, "is not JSON") from None
    if text is not None and not isinstance(tree, kind):
        raise InvalidValueError(name, "has the wrong type")
    return tree


_WRITTEN: Sequence[str] = ("status", "fields", "handle", "sink_id")
_RUN = "run_id, job, source, sink, started_at, partial, finished_at, status"

RUNS = Table("catalogsync_run", f"{_RUN}, report", RunRecord, _run)
LISTED = Table(
    "catalogsync_run", f"{_RUN}, COALESCE(summary,report) AS report", RunRecord, _listed
)
"""Runs whose reports lack the lists that grow with the catalog."""
ENTRIES = Table(
    "catalogsync_entry",
    "run_id, noted_at AS at, source, id, status, reason, said, fields",
    HistoryEntry,
    _entry,
)
FAILURES = Table(
    "catalogsync_failure",
    "source, id, reason, said, payload, attempts, first_at, last_at, run_id",
    FailedProduct,
    _failure,
)
FAILURES_ALONE = attrs.evolve(
    FAILURES, columns=FAILURES.columns.replace("payload", "NULL AS payload")
)
"""Failed products without their payloads."""
INTENTS = Table(
    "catalogsync_intent",
    "source, id, handle, run_id, {now} - began_at AS age",
    Intent,
    _keyed,
)
TRIGGERS = Table(
    "catalogsync_trigger",
    "number AS id, job, keys, asked_at AS at, asked_by AS by",
    Trigger,
    _trigger,
)
UNCONFIRMED = Table(
    "catalogsync_unconfirmed",
    "source, id, status, fields, handle, sink_id",
    WrittenProduct,
    _written,
)
WRITTEN = attrs.evolve(UNCONFIRMED, name="catalogsync_written")
MESSAGES = Table(
    "catalogsync_message",
    "id, job, receiver, products, packed_at AS at, {now} - packed_at AS age, attempts,"
    " problem",
    Message,
    _message,
)

HELD = Table(
    "catalogsync_held",
    "run_id, job, held_at, held, decision, decided_by AS by, decided_at",
    HeldPlan,
    _held,
)

# --- damaged rows are skipped and reported ---


@attrs.frozen(eq=False)
class Damage:
    """Collects descriptions of unreadable rows."""

    _found: dict[str, None] = attrs.field(factory=dict[str, None])

    def read(
        self, table: str, found: Iterable[Row], read: Callable[[Row], T]
    ) -> list[T]:
        """The values of the readable rows."""
        values: list[T] = []
        for row in found:
            try:
                values.append(read(row))
            except (ValueError, TypeError) as error:
                self._note(f"{table} ({_row_name(row)}): {error}")
        return values

    def _note(self, what: str) -> None:
        text = f"the state store ignores a damaged row of {what}"
        if text not in self._found and len(self._found) < _MOST:
            self._found[text] = None
            logger.warning(text)

    def take(self) -> tuple[str, ...]:
        """Descriptions of the rows found since the last call."""
        found = tuple(self._found)
        self._found.clear()
        return found


def _row_name(row: Row) -> str:
    """A row in messages: its first two columns."""
    return ", ".join(
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        for text in map(repr, row[:2])
    )


# --- values become rows ---


def dump(value: object) -> str:
    """A JSON value as ASCII text."""
    return json.dumps(value, default=dict)  # for mappings that are not dicts


def key_rows(keys: Iterable[ProductKey]) -> list[tuple[str, str]]:
    """A row for each key, without duplicates."""
    return [(key.source, key.id) for key in dict.fromkeys(keys)]


def run_values(record: RunRecord) -> dict[str, Value]:
    """The columns of a run."""
    values = attrs.asdict(record, recurse=False)
    partial = int(record.partial)
    return {**values, "partial": partial, **report_values(record.report)}


def report_values(report: Report | None) -> dict[str, Value]:
    """The report, and its summary for lists of runs."""
    if report is None:
        return {"report": None, "summary": None}
    tree = report.to_dict()
    return {"report": dump(tree), "summary": dump(summary_of(tree))}


def dump_part(data: bytes) -> str:
    """A part of a plan file as text."""
    return b64encode(zlib.compress(data)).decode("ascii")


def read_part(text: Value) -> bytes:
    """A part of a plan file, from its text.

    Raises:
        StateError: The text is damaged.
    """
    try:
        return zlib.decompress(b64decode(str(text), validate=True))
    except (ValueError, zlib.error):
        raise StateError("the state store has a damaged part of a held plan") from None


def entry_row(number: int, entry: HistoryEntry) -> Sequence[Value]:
    """Number, run, key, time, outcome and fields of a history entry."""
    outcome, key = entry.outcome, entry.outcome.key
    result = (outcome.status, outcome.reason, outcome.said)
    fields = dump(entry.fields)
    return (number, entry.run_id, key.source, key.id, entry.at, *result, fields)


def failure_row(failure: FailedProduct) -> Sequence[Value]:
    """The attributes of a failed product in order."""
    key, reason, said, payload, *rest = attrs.astuple(failure, recurse=False)
    saved = None if payload is None else dump(payload)
    return (key.source, key.id, reason, said, saved, *rest)


def written_row(product: WrittenProduct) -> Sequence[Value]:
    """Key, status, fields, handle and id of a written product."""
    key, fields = product.key, dump(product.fields)
    status = product.status.value
    return (key.source, key.id, status, fields, product.handle, product.sink_id)


def written_json(products: Iterable[WrittenProduct]) -> str:
    """The products of a message, as `MESSAGES` reads them."""
    rows = [
        (p.key.source, p.key.id, p.status.value, p.fields, p.handle, p.sink_id)
        for p in products
    ]
    return dump(rows)


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


def unchanged_row(key: ProductKey, product: Unchanged) -> Sequence[Value]:
    """Key, digests and outline of an unchanged product."""
    outline = _dump_outline(product.outline)
    return (key.source, key.id, product.record, product.row, outline)


def read_unchanged(row: Row) -> tuple[ProductKey, Unchanged]:
    """A key and its unchanged product, from the columns of `unchanged_row`."""
    key, (record, existing, outline) = read_key(row), row[2:]
    unchanged = Unchanged(record=record, row=existing, outline=_read_outline(outline))
    return key, unchanged


def read_snapshot(row: Row) -> tuple[ProductKey, float]:
    """A key, and when the stock of its product was counted."""
    key, at = read_key(row[:2]), row[2]
    if not isinstance(at, int | float) or not 0 <= at < _YEAR_9999:
        raise InvalidValueError("counted_at", "is not a time")
    return key, at


# Most products of a catalog share their outline with others.


@lru_cache(maxsize=4096)
def _dump_outline(outline: Outline) -> str:
    tree: _Values = {"fields": sorted(outline.fields)}
    if not isinstance(outline.categories, Unset):
        tree["categories"] = [_line(category) for category in outline.categories]
    if not isinstance(outline.tags, Unset):
        tree["tags"] = outline.tags
    tree.update(outline.groups)
    return dump(tree)


def _line(category: Category) -> list[tuple[str, str]]:
    """Ids and names, from the top level down to the category."""
    above = _line(category.parent) if category.parent else []
    return [*above, (category.id, category.name)]


@lru_cache(maxsize=4096)
def _read_outline(text: str) -> Outline:
    try:
        tree = json.loads(text)
        lines, tags = tree.get("categories"), tree.get("tags")
        return Outline(
            fields=frozenset(map(Field, tree["fields"])),
            categories=UNSET if lines is None else tuple(map(_category, lines)),
            tags=UNSET if tags is None else tuple(map(_text, tags)),
            type=_group(tree.get("type", UNSET)),
            collection=_group(tree.get("collection", UNSET)),
        )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise InvalidValueError("outline", "is not an outline") from None


def _group(value: object) -> str | Unset | None:
    return value if value is None or isinstance(value, Unset) else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValueError("", "is not text")
    return value


def _category(line: Iterable[tuple[str, str]]) -> Category:
    found: Category | None = None
    for id_, name in line:
        found = Category(id=id_, name=name, parent=found)
    if found is None:
        raise InvalidValueError("", "is not a category")
    return found
