"""Plans as files: what a run would do, one line of JSON for each change.

The first line says for what the plan is, the last one sums it up and has a checksum
of all others. Every other line is a product or a category or tag, with what differs,
what the decision was based on, and all that is needed to carry it out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Self, cast

import attrs

from ._lib.texts import about, counted
from .catalog.changes import Action, Change, Reference, ReferenceChange, ReferenceKind
from .catalog.convert import product_from_json, product_to_json
from .catalog.products import Product, ProductKey
from .diff.describe import diff
from .diff.last_applied import digest
from .errors import InvalidValueError, MisconfiguredError
from .protocols import Cursor, Page, Sink, Source, endpoint_of
from .report import Report
from .state.protocols import RunRecord

__all__ = [
    "Forecast",
    "Plan",
    "PlanHead",
    "PlanSource",
    "PlanWriter",
    "forecast",
    "plan_head",
]

_VERSION = 1
_PAGE = 200
_UNORDERED = frozenset({"categories", "tags"})


@attrs.frozen(kw_only=True)
class PlanHead:
    """For what a plan is.

    Attributes:
        job: Name of the job.
        source: Name of the source.
        sink: Name of the sink.
        endpoint: Where the sink is.
        made_at: When it was made, in seconds since the epoch.
    """

    job: str
    source: str
    sink: str
    endpoint: str
    made_at: float


def plan_head(job: str, source: Source, sink: Sink) -> PlanHead:
    """For what a plan is that is made now, of open sides."""
    return PlanHead(
        job=job,
        source=source.name,
        sink=sink.name,
        endpoint=endpoint_of(sink),
        made_at=time.time(),
    )


@attrs.frozen(kw_only=True)
class Forecast:
    """What carrying a plan out will take.

    Attributes:
        writes: Batches of products.
        requests: Requests to both sides, at least.
        seconds: How long, by what earlier runs took; None where there were none.
    """

    writes: int
    requests: int
    seconds: float | None

    def __str__(self) -> str:
        took = self.seconds
        time = "" if took is None else f", about {about(took)}"
        return (
            f"would take {counted(self.writes, 'write')},"
            f" at least {counted(self.requests, 'request')}{time}"
        )


def forecast(report: Report, earlier: Sequence[RunRecord]) -> Forecast:
    """What carrying out what a plan showed will take.

    Args:
        report: Of the plan.
        earlier: The latest runs of the job.
    """
    references = report.categories.created + report.categories.updated
    return Forecast(
        writes=report.writes,
        requests=report.requests + report.writes + references,
        seconds=_seconds(report, earlier),
    )


def _seconds(report: Report, earlier: Sequence[RunRecord]) -> float | None:
    """How long a run takes: it reads while it writes, and writes several at once."""
    writes, seconds = 0, 0.0
    for record in earlier:
        told = cast("Mapping[str, Any]", record.report or {})
        writes += told.get("writes", 0)
        seconds += told.get("phases", {}).get("write", 0.0)
    if not writes:
        return None
    each = seconds / writes
    at_once = max(1, min(report.writers, report.writes))
    return max(report.duration_s + each, each * report.writes / at_once)


def fingerprint(change: Change | ReferenceChange) -> str:
    """Stands for a change and for all that it was based on.

    Two changes have the same only if they do the same to a product, category or tag
    that was found the same, as far as the change concerns it.
    """
    if isinstance(change, ReferenceChange):
        return digest(_reference_basis(change))
    differences = [
        [item.path, *(_in_order(item.path, v) for v in (item.old, item.new))]
        for item in diff(change)
    ]
    found: list[object] = [None]
    if change.existing is not None:
        product = change.existing.product
        found = [
            change.existing.last_applied,
            list(change.existing.missing_parts),
            change.existing.foreign,
        ]
        if change.action is Action.DELETE:
            found.append(_whole(product))
        elif change.action is not Action.UPDATE:
            found += [product.title, str(product.status or "")]
    text = json.dumps([change.action.value, differences, found], sort_keys=True)
    return digest(text)


def _whole(product: Product) -> dict[str, Any]:
    """All that people could have changed; stock changes by itself."""
    whole: dict[str, Any] = {**product_to_json(product)}
    for name in _UNORDERED:
        whole[name] = _sorted(whole.get(name))
    whole["variants"] = _sorted(
        [
            {**variant, "stock": None, "prices": _sorted(variant.get("prices"))}
            for variant in whole.get("variants") or ()
        ]
    )
    return whole


def _sorted(items: list[Any] | None) -> list[Any]:
    return sorted(items or (), key=partial(json.dumps, sort_keys=True))


def _reference_basis(change: ReferenceChange) -> list[object]:
    reference, existing = change.reference, change.existing
    parent = reference.parent.id if reference.parent else None
    found = [existing.id, existing.name, existing.parent] if existing else None
    return [change.name, parent, change.moves, found]


def _in_order(path: str, value: object) -> object:
    if path in _UNORDERED and isinstance(value, list):
        return sorted(cast("list[str]", value))
    return value


class PlanWriter:
    """Writes a plan; the file is there when it is complete, and not before.

    Args:
        path: Of the file; one that is there is replaced.
        head: For what the plan is.

    Raises:
        MisconfiguredError: It cannot be written there.
    """

    _file: IO[bytes]

    def __init__(self, path: Path, head: PlanHead) -> None:
        self._path = path
        self._new = path
        self._head = head
        self._check = _checksum()

    def __enter__(self) -> Self:
        with self._telling():
            if self._path.is_file() or not self._path.exists():
                new = f".{self._path.name}.{os.getpid()}.new"
                self._new = self._path.with_name(new)
            self._file = self._new.open("wb")
        self._write({"line": "plan", "version": _VERSION, **attrs.asdict(self._head)})
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()
        if self._new != self._path:
            self._new.unlink(missing_ok=True)

    def show(self, change: Change | ReferenceChange) -> None:
        """Write one change."""
        if isinstance(change, ReferenceChange):
            self._write(_reference_line(change))
        else:
            self._write(_product_line(change))

    def finish(self, report: Report, expected: Forecast) -> None:
        """Write the last line and put the file in its place."""
        told = report.to_dict()
        names = ("counts", "categories", "warnings", "failures", "rejected", "problem")
        summary = {name: told[name] for name in names}
        line = {"line": "end", "check": self._check.hexdigest(), **summary}
        self._write({**line, "forecast": attrs.asdict(expected)})
        with self._telling():
            self._file.close()
            if self._new != self._path:
                self._new.replace(self._path)

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        # Half of a surrogate pair, as a sink may quote it, is written as `\udc00`.
        data = f"{text}\n".encode(errors="backslashreplace")
        self._check.update(data)
        with self._telling():
            self._file.write(data)

    @contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            raise MisconfiguredError(str(self._path), problem) from error


def _checksum() -> blake2b:
    """Over all lines but the last, which has it."""
    return blake2b(digest_size=16)


def _reference_line(change: ReferenceChange) -> dict[str, Any]:
    reference = change.reference
    return {
        "line": reference.kind.value,
        "action": "create" if change.existing is None else "update",
        "id": reference.id,
        "name": reference.name,
        "was": change.existing.name if change.existing else None,
        "diff": _reference_diff(change),
        "within": _within(reference),
        "moves": change.moves,
        "based_on": fingerprint(change),
    }


def _reference_diff(change: ReferenceChange) -> list[dict[str, str | None]]:
    """What differs, in the form of a product's."""
    existing, parent = change.existing, change.reference.parent
    named = {
        "path": "name",
        "old": existing.name if existing else None,
        "new": change.name,
    }
    if existing is None or not change.moves:
        return [named]
    above = parent.name if parent else None
    moved = {"path": "parent", "old": existing.parent, "new": above}
    return [named, moved] if existing.name != change.name else [moved]


def _within(reference: Reference) -> list[dict[str, str]]:
    """What contains it, from the root down."""
    parent = reference.parent
    if parent is None:
        return []
    return [*_within(parent), {"id": parent.id, "name": parent.name}]


def _product_line(change: Change) -> dict[str, Any]:
    line: dict[str, Any] = {
        "line": "product",
        "action": change.action.value,
        "key": str(change.key),
        "title": change.product.title,
        "diff": [attrs.asdict(item) for item in diff(change)],
        "based_on": fingerprint(change),
    }
    if change.existing is not None and change.existing.missing_parts:
        line["incomplete"] = list(change.existing.missing_parts)
    if change.existing is not None and change.existing.foreign:
        line["adopts"] = True
    if change.desired is not None:
        line["product"] = product_to_json(change.desired)
    return line


@attrs.frozen(kw_only=True)
class Plan:
    """What stands in a plan file; the products themselves stay in the file.

    Attributes:
        path: The file.
        head: For what it is.
        changes: Of each product: the action and its `fingerprint`.
        references: The `fingerprint` of each category or tag that is written.
    """

    path: Path
    head: PlanHead
    changes: Mapping[ProductKey, tuple[Action, str]]
    references: Mapping[Reference, str]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan file and see to it that it is whole.

        Raises:
            MisconfiguredError: It cannot be read, is none, is cut or was changed;
                names the line.
        """
        reading, number = _Reading(), 0
        for number, text, line in _lines(path):
            try:
                reading.take(text, line)
            except ValueError as error:
                raise _no_plan(path, number, error) from None
        if reading.head is None or not reading.ended:
            where = f"{path}, line {number + 1}"
            raise MisconfiguredError(where, "is missing: the plan was cut")
        return cls(
            path=path,
            head=reading.head,
            changes=reading.changes,
            references=reading.references,
        )


@attrs.define
class _Reading:
    """What was read of a plan until now."""

    head: PlanHead | None = None
    changes: dict[ProductKey, tuple[Action, str]] = attrs.field(
        factory=dict[ProductKey, tuple[Action, str]]
    )
    references: dict[Reference, str] = attrs.field(factory=dict[Reference, str])
    ended: bool = False
    _check: blake2b = attrs.field(factory=_checksum)

    def take(self, text: bytes, line: Mapping[str, object]) -> None:
        """Take one line.

        Raises:
            ValueError: It is none, or does not stand in its place.
        """
        if self.head is None:
            self.head = _head(line)
        else:
            self._take(line, self.head)
        self._check.update(text)

    def _take(self, line: Mapping[str, object], head: PlanHead) -> None:
        match "" if self.ended else line.get("line"):
            case "product":
                key = ProductKey.parse(_text(line, "key"))
                action = Action(_text(line, "action"))
                self.changes[key] = action, _text(line, "based_on")
            case "category" | "tag":
                self.references[_reference(line, head)] = _text(line, "based_on")
            case "end":
                if line.get("check") != self._check.hexdigest():
                    raise InvalidValueError("check", "the lines before were changed")
                self.ended = True
            case _:
                raise _misplaced(line)


def _misplaced(line: Mapping[str, object]) -> InvalidValueError:
    return InvalidValueError("line", f"{line.get('line')!r} does not stand here")


def _head(line: Mapping[str, object]) -> PlanHead:
    if line.get("line") != "plan":
        raise _misplaced(line)
    if line.get("version") != _VERSION:
        raise InvalidValueError("version", "was made by another version; make it anew")
    made_at = line.get("made_at")
    if not isinstance(made_at, int | float):
        raise InvalidValueError("made_at", "must be a number")
    return PlanHead(
        job=_text(line, "job"),
        source=_text(line, "source"),
        sink=_text(line, "sink"),
        endpoint=_text(line, "endpoint"),
        made_at=made_at,
    )


def _reference(line: Mapping[str, object], head: PlanHead) -> Reference:
    within = line.get("within")
    items = cast("list[object]", within) if isinstance(within, list) else []
    found: Reference | None = None
    for item in items:
        found = _part(line, item, head, found)
    return _part(line, line, head, found)


def _part(
    line: Mapping[str, object], item: object, head: PlanHead, parent: Reference | None
) -> Reference:
    if not isinstance(item, Mapping):
        raise InvalidValueError("within", "must be objects")
    told = cast("Mapping[str, object]", item)
    return Reference(
        kind=ReferenceKind(_text(line, "line")),
        source=head.source,
        id=_text(told, "id"),
        name=_text(told, "name"),
        parent=parent,
    )


def _text(line: Mapping[str, object], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str):
        raise InvalidValueError(name, "must be text")
    return value


def _lines(
    path: Path, number: int = 0, place: int = 0
) -> Iterator[tuple[int, bytes, dict[str, object]]]:
    """Each line with its number, as it stands there and read.

    Args:
        path: The file.
        number: Lines that were read before.
        place: Where they end.
    """
    try:
        with path.open("rb") as file:
            file.seek(place)
            for text in file:
                number += 1
                yield number, text, _parsed(path, number, text)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise MisconfiguredError(str(path), problem) from None


def _parsed(path: Path, number: int, text: bytes) -> dict[str, object]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_plan(path, number, error) from None
    if not isinstance(line, dict):
        raise _no_plan(path, number, "not a JSON object")
    return cast("dict[str, object]", line)


def _no_plan(path: Path, number: int, why: object) -> MisconfiguredError:
    return MisconfiguredError(f"{path}, line {number}", f"is no line of a plan: {why}")


@attrs.frozen
class PlanSource:
    """The products of a plan as a source; those that are removed are not among them.

    Attributes:
        plan: The plan.
    """

    plan: Plan

    @property
    def name(self) -> str:
        """Name of the source that the plan was made from."""
        return self.plan.head.source

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read some lines; the cursor says how many were read and where they end.

        Raises:
            MisconfiguredError: The file changed, or a line holds no product.
        """
        products: list[Product] = []
        before, place = map(int, (cursor or "0 0").split())
        for number, text, line in _lines(self.plan.path, before, place):
            place += len(text)
            if line.get("line") == "product" and "product" in line:
                try:
                    products.append(product_from_json(line["product"]))
                except InvalidValueError as error:
                    raise _no_plan(self.plan.path, number, error) from None
                if len(products) == _PAGE:
                    return Page(products=products, next=(f"{number} {place}",))
        return Page(products=products)
