"""Writing a plan file."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import attrs

from catalogsync.catalog.changes import (
    Adopt,
    Change,
    Create,
    Reference,
    ReferenceChange,
    Removal,
)
from catalogsync.catalog.convert import (
    product_to_json,
)
from catalogsync.diff.describe import diff
from catalogsync.errors import MisconfiguredError
from catalogsync.report import Report

from ._estimates import Estimate
from ._fingerprints import fingerprint
from ._heads import VERSION, PlanHead, checksum
from ._reading import Plan

__all__ = ["PlanWriter"]


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
        self._check = checksum()

    def __enter__(self) -> Self:
        with self._writing():
            if self._path.is_file() or not self._path.exists():
                new = f".{self._path.name}.{os.getpid()}.new"
                self._new = self._path.with_name(new)
            self._file = self._new.open("wb")
        self._write({"line": "plan", "version": VERSION, **attrs.asdict(self._head)})
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

    def so_far(self) -> Plan:
        """The plan as it is now, to read its products before it is finished."""
        with self._writing():
            self._file.flush()
        return Plan(path=self._new, head=self._head, changes={}, references={})

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
