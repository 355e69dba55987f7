"""Rows of other files, such as prices and stock, that add to the rows of a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import attrs

from catalogsync._lib.strict_json import loads
from catalogsync.errors import MisconfiguredError

from ._lines import dumped, untagged
from ._records import FileRecords, Row, Rows

__all__ = ["Extra", "joined"]

_CREATE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -32000;
CREATE TABLE extra (key TEXT PRIMARY KEY, place TEXT, again TEXT, cells TEXT)
WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO extra VALUES (?, ?, '', ?)
ON CONFLICT (key) DO UPDATE SET again = excluded.place
"""
_FIND = "SELECT place, again, cells FROM extra WHERE key = ?"


@attrs.frozen(kw_only=True)
class Extra:
    """A file whose rows add to those of another.

    Attributes:
        records: Its rows, with the same columns each.
        name: The file, for messages.
        key: The column of its key.
        on: The column of the other file that has the same value.
        prefix: What its columns are called by in the map: this, and their name.
    """

    records: FileRecords
    name: str
    key: str
    on: str
    prefix: str = ""


def joined(records: FileRecords, extra: Extra, file: Path) -> FileRecords:
    """Records with the columns of another file.

    A row without a match gets empty cells. One with several is not valid. Rows of the
    other file without a match are left out; those that are not valid come last.

    Args:
        records: The records.
        extra: The other file; it is read at once, onto the disk.
        file: A file that does not exist yet.

    Raises:
        MisconfiguredError: A column does not exist, or exists twice.
    """
    own, more = records.columns, extra.records.columns
    for setting, name, columns in (("key", extra.key, more), ("on", extra.on, own)):
        if columns and name not in columns:
            place = extra.name if setting == "key" else "the file"
            problem = f"{place} has no column `{name}`"
            raise MisconfiguredError(f"join.{setting}", problem)
    if not more:
        problem = f"{extra.name} has no columns: it must be a table"
        raise MisconfiguredError("join.location", problem)
    at = more.index(extra.key)
    added = [extra.prefix + name for n, name in enumerate(more) if n != at]
    if twice := [name for name in added if name in own]:
        problem = f"`{twice[0]}` is a column of both files; set a prefix"
        raise MisconfiguredError("join.prefix", problem)
    return attrs.evolve(
        records,
        columns=(*own, *added) if own else (),
        rows=_rows(records, extra, added, at, file),
        plain=records.plain and extra.records.plain,
    )


def _rows(
    records: FileRecords, extra: Extra, added: Sequence[str], at: int, file: Path
) -> Rows:
    connection = sqlite3.connect(file)
    try:
        bad: list[Row] = []
        connection.executescript(_CREATE)
        with connection:
            connection.executemany(_INSERT, _lines(extra, at, bad))
        place = records.columns.index(extra.on) if records.columns else extra.on
        for row in records.rows:
            key = "" if row.problem else _key(row, place)
            found = connection.execute(_FIND, (key,)).fetchone() if key else None
            yield row if row.problem else _with(row, found, added, extra, key)
        yield from bad
    finally:
        connection.close()


def _lines(extra: Extra, at: int, bad: list[Row]) -> Iterator[tuple[str, str, str]]:
    """The rows of the other file; those that are not valid go into *bad*."""
    for row in extra.records.rows:
        key = "" if row.problem else _key(row, at)
        if not key:
            problem = row.problem or f"{extra.key} is missing"
            if row.problem or any(row.cells):
                bad.append(Row(f"{extra.name}, {row.where}", (), problem))
            continue
        cells = [cell for n, cell in enumerate(row.cells) if n != at]
        yield key, row.where, dumped(cells, plain=extra.records.plain)


def _key(row: Row, place: int | str) -> str:
    if isinstance(row.cells, Mapping):
        value = cast("Mapping[object, object]", row.cells).get(place)
    else:
        value = row.cells[place] if isinstance(place, int) else None
    return "" if value is None else str(value).strip()


def _with(
    row: Row,
    found: tuple[str, str, str] | None,
    added: Sequence[str],
    extra: Extra,
    key: str,
) -> Row:
    """A row with the cells of the other file."""
    problem, more = "", cast("list[object]", [""] * len(added))
    if found is not None:
        place, again, cells = found
        plain = extra.records.plain
        kept = cells.encode()
        more = loads(kept) if plain else json.loads(kept, object_hook=untagged)
        if again:
            problem = f"{extra.name} has {extra.key} {key} in {place} and in {again}"
    if isinstance(row.cells, Mapping):
        return Row(
            row.where, {**row.cells, **dict(zip(added, more, strict=False))}, problem
        )
    return Row(row.where, [*row.cells, *more], problem)
