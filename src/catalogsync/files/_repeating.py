"""Blank cells that stand for the cell above, as people leave them out in tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

import attrs

from catalogsync.errors import MisconfiguredError
from catalogsync.mapping import RecordMapping

from ._records import FileRecords, Row, Rows

__all__ = ["repeating"]

_PATH = re.compile(r"[.\[\]|()@*]")


def repeating(records: FileRecords, mapping: RecordMapping) -> FileRecords:
    """Records whose blank cells repeat the row above, where the map says so.

    The rows are still in the order of the file here; they are grouped later. A row that
    is not valid, or wholly blank, repeats nothing and is not repeated.

    Args:
        records: The records of a file.
        mapping: Says which columns repeat; those of one expression do so together.

    Raises:
        MisconfiguredError: A path into nested data is to repeat.
    """
    if not mapping.repeated:
        return records
    groups = [_places(path, names, records) for path, names in mapping.repeated]
    return attrs.evolve(records, rows=_filled(records.rows, groups))


def _places(
    path: str, names: Sequence[str], records: FileRecords
) -> Sequence[int | str]:
    """Where the values of an expression are in a row."""
    if records.columns:
        return [
            records.columns.index(name) for name in names if name in records.columns
        ]
    plain = [name[1:-1] if name.startswith('"') else name for name in names]
    for name, given in zip(plain, names, strict=True):
        if name == given and _PATH.search(name):
            problem = f"`repeat` needs the name of a value, not a path such as `{name}`"
            raise MisconfiguredError(f"map.{path}.empty", problem)
    return plain


def _filled(rows: Rows, groups: Sequence[Sequence[int | str]]) -> Rows:
    above: list[dict[int | str, object]] = [{} for _ in groups]
    for row in rows:
        if row.problem or not _has_values(row):
            yield row
            continue
        new: dict[int | str, object] = {}
        for number, places in enumerate(groups):
            values = _values(row.cells, places)
            if all(map(_is_blank, values.values())):
                new |= above[number]
            else:
                above[number] = values
        yield row._replace(cells=_with(row.cells, new)) if new else row


def _has_values(row: Row) -> bool:
    cells = row.cells.values() if isinstance(row.cells, Mapping) else row.cells
    return not all(map(_is_blank, cells))


def _values(
    cells: Sequence[object] | Mapping[str, object], places: Sequence[int | str]
) -> dict[int | str, object]:
    if isinstance(cells, Mapping):
        named = cast("Mapping[object, object]", cells)
        return {place: named.get(place) for place in places}
    return {
        place: cells[place]
        for place in places
        if isinstance(place, int) and place < len(cells)
    }


def _with(
    cells: Sequence[object] | Mapping[str, object], new: Mapping[int | str, object]
) -> Sequence[object] | Mapping[str, object]:
    if isinstance(cells, Mapping):
        return {**cells, **cast("Mapping[str, object]", new)}
    filled = [*cells]
    for place, value in new.items():
        if isinstance(place, int) and place < len(filled):
            filled[place] = value
    return filled


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
