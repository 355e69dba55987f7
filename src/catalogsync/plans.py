"""Plan files: the changes that a run would make, one line of JSON for each.

The first line names the job, source and sink. The last line has a summary and a
checksum of all others. Each line between them is a product, a category or a tag, with
its differences, a fingerprint of what the change was planned from, and everything
needed to apply it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

import attrs

from ._lib.texts import about, counted
from .catalog.changes import (
    Action,
    Adopt,
    Change,
    Create,
    Delete,
    Reference,
    ReferenceChange,
    ReferenceKind,
    Removal,
)
from .catalog.convert import (
    product_from_json,
    product_to_json,
    strict_converter,
    structured,
)
from .catalog.products import Product, ProductKey
from .diff.describe import diff
from .diff.last_applied import digest
from .errors import InvalidValueError, MisconfiguredError
from .protocols import Cursor, Page, Sink, Source, endpoint_of
from .report import Report
from .state.protocols import RunRecord

__all__ = [
    "Estimate",
    "Plan",
    "PlanHead",
    "PlanSource",
    "PlanWriter",
    "estimate",
    "plan_head",
]

T = TypeVar("T")

_VERSION = 2
_PAGE = 200
_UNORDERED = frozenset({"categories", "tags"})


@attrs.frozen(kw_only=True)
class PlanHead:
    """The job and the two sides that a plan was made for.

    Attributes:
        job: Name of the job.
        source: Name of the source.
        sink: Name of the sink.
        endpoint: Endpoint of the sink.
        made_at: When it was made, in seconds since the epoch.
    """

    job: str
    source: str
    sink: str
    endpoint: str
    made_at: float


def plan_head(job: str, source: Source, sink: Sink) -> PlanHead:
    """The head of a plan that is made now, for open adapters."""
    return PlanHead(
        job=job,
        source=source.name,
        sink=sink.name,
        endpoint=endpoint_of(sink),
        made_at=time.time(),
    )


@attrs.frozen(kw_only=True)
class Estimate:
    """What applying a plan will take.

    Attributes:
        writes: Number of batches.
        requests: Number of requests to both sides, at least.
        seconds: Duration, from earlier runs; None: there are none.
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


def estimate(report: Report, earlier: Sequence[RunRecord]) -> Estimate:
    """Estimate what applying a plan will take.

    Args:
        report: Report of the planning run.
        earlier: The latest runs of the job.
    """
    references = report.categories.created + report.categories.updated
    return Estimate(
        writes=report.writes,
        requests=report.requests + report.writes + references,
        seconds=_seconds(report, earlier),
    )


def _seconds(report: Report, earlier: Sequence[RunRecord]) -> float | None:
    """The duration: a run reads while it writes, and writes several batches at once."""
    writes, seconds = 0, 0.0
    for record in earlier:
        if (ran := record.report) is not None:
            writes += ran.writes
            seconds += ran.phases.get("write", 0.0)
    if not writes:
        return None
    each = seconds / writes
    at_once = max(1, min(report.writers, report.writes))
    return max(report.duration_s + each, each * report.writes / at_once)


def fingerprint(change: Change | ReferenceChange) -> str:
    """A digest of a change and of everything that it was planned from.

    Two changes have the same fingerprint only if they do the same to a product,
    category or tag that was found in the same state, as far as the change concerns it.
    """
    if isinstance(change, ReferenceChange):
        return digest(_reference_basis(change))
    differences = [
        [item.path, *(_in_order(item.path, v) for v in (item.old, item.new))]
        for item in diff(change)
    ]
    found: list[object] = [None]
    if not isinstance(change, Create):
        product = change.existing.product
        found = [
            change.existing.last_applied,
            list(change.existing.missing_parts),
            change.existing.foreign,
        ]
        if isinstance(change, Delete):
            found.append(_whole(product))
        elif isinstance(change, Removal):
            found += [product.title, str(product.status or "")]
    text = json.dumps([change.action.value, differences, found], sort_keys=True)
    return digest(text)


def _whole(product: Product) -> dict[str, Any]:
    """Everything that people may have changed, without the stock."""
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
    """Writes a plan file; the file appears when the plan is complete.

    Args:
        path: Path of the file; an existing file is replaced.
        head: What the plan is for.

    Raises:
        MisconfiguredError: The file cannot be written.
    """

    _file: IO[bytes]

    def __init__(self, path: Path, head: PlanHead) -> None:
        self._path = path
        self._new = path
        self._head = head
        self._check = _checksum()

    def __enter__(self) -> Self:
        with self._writing():
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

    def add(self, change: Change | ReferenceChange) -> None:
        """Write the line of one change."""
        if isinstance(change, ReferenceChange):
            self._write(_reference_line(change))
        else:
            self._write(_product_line(change))

    def finish(self, report: Report, expected: Estimate) -> None:
        """Write the last line and move the file into place."""
        tree = report.to_dict()
        names = ("counts", "categories", "warnings", "failures", "rejected", "problem")
        summary = {name: tree[name] for name in names}
        line = {"line": "end", "check": self._check.hexdigest(), **summary}
        self._write({**line, "estimate": attrs.asdict(expected)})
        with self._writing():
            self._file.close()
            if self._new != self._path:
                self._new.replace(self._path)

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        # Half of a surrogate pair, which a sink may quote, is written as `\udc00`.
        data = f"{text}\n".encode(errors="backslashreplace")
        self._check.update(data)
        with self._writing():
            self._file.write(data)

    @contextmanager
    def _writing(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            raise MisconfiguredError(str(self._path), problem) from error


def _checksum() -> blake2b:
    """A checksum of all lines except the last, which contains it."""
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
    """The differences, in the same form as those of a product."""
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
    """Its ancestors, from the top level down."""
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
    if not isinstance(change, Create) and change.existing.missing_parts:
        line["incomplete"] = list(change.existing.missing_parts)
    if isinstance(change, Adopt):
        line["adopts"] = True
    if not isinstance(change, Removal) and change.desired is not None:
        line["product"] = product_to_json(change.desired)
    return line


@attrs.frozen(kw_only=True)
class Plan:
    """A plan file without its products, which stay in the file.

    Attributes:
        path: Path of the file.
        head: What the plan is for.
        changes: Action and fingerprint for each product.
        references: Fingerprint for each category or tag.
    """

    path: Path
    head: PlanHead
    changes: Mapping[ProductKey, tuple[Action, str]]
    references: Mapping[Reference, str]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan file and check that it is complete and unchanged.

        Raises:
            MisconfiguredError: It cannot be read, is not a plan, is cut or was changed;
                names the line.
        """
        reading, number = _Reading(), 0
        for number, text, line in _lines(path):
            try:
                reading.take(text, line)
            except ValueError as error:
                raise _not_a_plan(path, number, error) from None
        if reading.head is None or not reading.ended:
            where = f"{path}, line {number + 1}"
            raise MisconfiguredError(where, "is missing: the plan was cut")
        return cls(
            path=path,
            head=reading.head,
            changes=reading.changes,
            references=reading.references,
        )


@attrs.frozen
class _ProductLine:
    key: ProductKey
    action: Action
    based_on: str


@attrs.frozen
class _Part:
    id: str
    name: str


@attrs.frozen
class _ReferenceLine(_Part):
    line: ReferenceKind
    based_on: str
    within: tuple[_Part, ...] = ()

    def reference(self, source: str) -> Reference:
        """The category or tag, below its ancestors."""
        found: Reference | None = None
        for part in (*self.within, self):
            found = Reference(
                kind=self.line, source=source, id=part.id, name=part.name, parent=found
            )
        return cast("Reference", found)


@attrs.define
class _Reading:
    """The lines of a plan that were read so far."""

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
            ValueError: It is not a valid line, or not expected here.
        """
        match ("" if self.ended else line.get("line")), self.head:
            case "plan", None:
                if line.get("version") != _VERSION:
                    problem = "was made by another version; make a new plan"
                    raise InvalidValueError("version", problem)
                self.head = _structured(line, PlanHead)
            case "product", PlanHead():
                product = _structured(line, _ProductLine)
                self.changes[product.key] = product.action, product.based_on
            case "category" | "tag", PlanHead(source=source):
                found = _structured(line, _ReferenceLine)
                self.references[found.reference(source)] = found.based_on
            case "end", PlanHead():
                if line.get("check") != self._check.hexdigest():
                    raise InvalidValueError("check", "the lines before were changed")
                self.ended = True
            case _:
                problem = f"{line.get('line')!r} is not expected here"
                raise InvalidValueError("line", problem)
        self._check.update(text)


def _structured(line: Mapping[str, object], cls: type[T]) -> T:
    return structured(_converter(), line, cls)


_converter = cache(strict_converter)


def _lines(
    path: Path, number: int = 0, place: int = 0
) -> Iterator[tuple[int, bytes, dict[str, object]]]:
    """Each line with its number, as bytes and parsed.

    Args:
        path: Path of the file.
        number: Number of lines read before.
        place: Offset at which these lines end.
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
        raise _not_a_plan(path, number, error) from None
    if not isinstance(line, dict):
        raise _not_a_plan(path, number, "not a JSON object")
    return cast("dict[str, object]", line)


def _not_a_plan(path: Path, number: int, why: object) -> MisconfiguredError:
    return MisconfiguredError(
        f"{path}, line {number}", f"is not a line of a plan: {why}"
    )


@attrs.frozen
class PlanSource:
    """The products of a plan as a source, without those to be removed.

    Attributes:
        plan: The plan.
    """

    plan: Plan

    @property
    def name(self) -> str:
        """Name of the source that the plan was made from."""
        return self.plan.head.source

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read some lines; the cursor is the number of lines read and their end.

        Raises:
            MisconfiguredError: The file changed, or a line has no valid product.
        """
        products: list[Product] = []
        before, place = map(int, (cursor or "0 0").split())
        for number, text, line in _lines(self.plan.path, before, place):
            place += len(text)
            if line.get("line") == "product" and "product" in line:
                try:
                    products.append(product_from_json(line["product"]))
                except InvalidValueError as error:
                    raise _not_a_plan(self.plan.path, number, error) from None
                if len(products) == _PAGE:
                    return Page(products=products, next=(f"{number} {place}",))
        return Page(products=products)
