"""Plans as files: what a run would do, one line of JSON for each change.

The first line says for what the plan is, the last one sums it up; without it the
file is cut. Every other line is a product or a category or tag, with what differs,
what the decision was based on, and all that is needed to carry it out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, cast

import attrs

from .changes import Action, Change, ReferenceChange
from .convert import product_from_json, product_to_json
from .differences import diff
from .errors import InvalidValueError, MisconfiguredError
from .models import Product, ProductKey
from .protocols import Cursor, Page
from .receipt import digest
from .report import Report
from .runstore import RunRecord

__all__ = [
    "Forecast",
    "Plan",
    "PlanHead",
    "PlanSource",
    "PlanWriter",
    "basis",
    "forecast",
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
        place: Where the sink is.
        made_at: When it was made, in seconds since the epoch.
    """

    job: str
    source: str
    sink: str
    place: str
    made_at: float


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


def forecast(report: Report, earlier: Sequence[RunRecord]) -> Forecast:
    """What carrying out what a rehearsal showed will take.

    Args:
        report: Of the rehearsal.
        earlier: The latest runs of the job.
    """
    references = report.categories.created + report.categories.updated
    writes, seconds = 0, 0.0
    for record in earlier:
        told = cast("Mapping[str, Any]", record.report or {})
        writes += told.get("writes", 0)
        seconds += told.get("phases", {}).get("write", 0.0)
    each = seconds / writes if writes else None
    return Forecast(
        writes=report.writes,
        requests=report.requests + report.writes + references,
        seconds=None if each is None else report.duration_s + each * report.writes,
    )


def basis(change: Change) -> str:
    """Stands for a change and for all that it was based on.

    Two changes have the same only if they do the same to a product that was found
    the same, as far as the change concerns it.
    """
    held = change.held
    differences = [
        [item.path, *(_in_order(item.path, v) for v in (item.old, item.new))]
        for item in diff(change)
    ]
    found: list[object] = [None]
    if held is not None:
        product = held.product
        found = [held.receipt, list(held.gaps), held.foreign]
        if change.action is not Action.UPDATE:
            found += [product.title, str(product.status or "")]
    text = json.dumps([change.action.value, differences, found], sort_keys=True)
    return digest(text)


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

    def __init__(self, path: Path, head: PlanHead) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.{os.getpid()}.new")
        self._head = head
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._new.open("wb")
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            raise MisconfiguredError(str(self._path), problem) from error
        self._write({"line": "plan", "version": _VERSION, **attrs.asdict(self._head)})
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            with suppress(FileNotFoundError):
                self._new.unlink()

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
        self._write({"line": "end", **summary, "forecast": attrs.asdict(expected)})
        if self._file is not None:
            self._file.close()
            self._new.replace(self._path)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
            self._file.write(f"{text}\n".encode())


def _reference_line(change: ReferenceChange) -> dict[str, Any]:
    reference = change.reference
    return {
        "line": reference.kind.value,
        "action": "create" if change.held is None else "update",
        "id": reference.id,
        "name": reference.name,
        "was": change.held.name if change.held else None,
    }


def _product_line(change: Change) -> dict[str, Any]:
    line: dict[str, Any] = {
        "line": "product",
        "action": change.action.value,
        "key": str(change.key),
        "title": change.product.title,
        "diff": [attrs.asdict(item) for item in diff(change)],
        "based_on": basis(change),
    }
    if change.held is not None and change.held.gaps:
        line["half_made"] = list(change.held.gaps)
    if change.held is not None and change.held.foreign:
        line["adopts"] = True
    if change.wanted is not None:
        line["product"] = product_to_json(change.wanted)
    return line


@attrs.frozen(kw_only=True)
class Plan:
    """What stands in a plan file; the products themselves stay in the file.

    Attributes:
        path: The file.
        head: For what it is.
        changes: Of each product: the action and its `basis`.
        references: The categories and tags that are created or renamed, by kind
            and id.
    """

    path: Path
    head: PlanHead
    changes: Mapping[ProductKey, tuple[Action, str]]
    references: frozenset[tuple[str, str]]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan file and see to it that it is whole.

        Raises:
            MisconfiguredError: It cannot be read, is none, or is cut; names the
                line.
        """
        head: PlanHead | None = None
        ended = False
        changes: dict[ProductKey, tuple[Action, str]] = {}
        references: set[tuple[str, str]] = set()
        for number, _, line in _lines(path):
            try:
                match line["line"]:
                    case "plan":
                        head = _head(line)
                    case "product":
                        key = ProductKey.parse(line["key"])
                        changes[key] = Action(line["action"]), str(line["based_on"])
                    case "category" | "tag":
                        references.add((line["line"], line["id"]))
                    case "end":
                        ended = True
                    case other:
                        raise InvalidValueError("line", f"unknown: {other!r}")
            except (KeyError, TypeError, ValueError) as error:
                raise _no_plan(path, number, error) from None
        if head is None or not ended:
            problem = "is no whole plan: its first or its last line is missing"
            raise MisconfiguredError(str(path), problem)
        return cls(
            path=path, head=head, changes=changes, references=frozenset(references)
        )


def _head(line: Mapping[str, Any]) -> PlanHead:
    if line.get("version") != _VERSION:
        raise InvalidValueError("version", "was made by another version; make it anew")
    names = [field.name for field in attrs.fields(PlanHead)]
    return PlanHead(**{name: line[name] for name in names})


def _lines(path: Path, start: int = 0) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Number, end and content of each line, beginning at a place in the file."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            for number, text in enumerate(iter(file.readline, b""), 1):
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise _no_plan(path, number, error) from None
                if not isinstance(line, dict):
                    raise _no_plan(path, number, "not a JSON object")
                yield number, file.tell(), cast("dict[str, Any]", line)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise MisconfiguredError(str(path), problem) from None


def _no_plan(path: Path, number: int, error: object) -> MisconfiguredError:
    why = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
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
        """Read some lines; the cursor is a place in the file.

        Raises:
            MisconfiguredError: The file changed, or a line holds no product.
        """
        products: list[Product] = []
        for number, end, line in _lines(self.plan.path, int(cursor or 0)):
            if line.get("line") == "product" and "product" in line:
                try:
                    products.append(product_from_json(line["product"]))
                except InvalidValueError as error:
                    raise _no_plan(self.plan.path, number, error) from None
                if len(products) == _PAGE:
                    return Page(products=products, next=(str(end),))
        return Page(products=products)
