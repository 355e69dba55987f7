"""Rows as lines of text, and back.

A line has the number of its row, the key of the product, and then the position, what is
wrong, and the values: as they are if they are simple texts, or else as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import cast

from catalogsync._lib.strict_json import dumps, loads
from catalogsync.errors import InvalidValueError
from catalogsync.mapping import Record, RecordMapping

from ._records import FileRecords, Row, Rows

__all__ = [
    "dumped",
    "id_of",
    "noting_members",
    "parts_of",
    "untagged",
    "values_of",
    "write_lines",
]

_SEPARATOR = "\x1f"
_MARK = "\x1e"
_TEXTS = "="
_SPECIAL = ("\n", "\r", "\0", _SEPARATOR)
_LONGEST_JOINED = 1 << 20
_NUMBER = "\x1e"
_LONGEST_CELLS = 32_000_000
_NO_CELLS = "[]"


def write_lines(records: FileRecords, mapping: RecordMapping, file: Path) -> int:
    """Write rows as lines: number, key, and then position, problem and values.

    Returns:
        About the length of the longest line, in bytes.
    """
    longest = 0
    keep = _keeper(records, mapping)
    with file.open("w", encoding="utf-8", newline="\n", buffering=1 << 20) as target:
        for number, row in enumerate(records.rows):
            line = f"{number}{_SEPARATOR}{keep(number, row)}\n"
            longest = max(longest, len(line) if line.isascii() else 4 * len(line))
            target.write(line)
    return longest


def noting_members(records: FileRecords, mapping: RecordMapping, file: Path) -> Rows:
    """The rows; which others belong to their products is written as lines of JSON."""
    with file.open("w", encoding="utf-8") as target:
        for number, row in enumerate(records.rows):
            if row.problem:
                yield row
                continue
            record = Record(where=row.where, values=_named(records.columns, row.cells))
            try:
                parent, keys = mapping.group_of(record), mapping.members_of(record)
            except InvalidValueError as error:
                of_key = not error.path.startswith("members")
                yield row if of_key else row._replace(problem=str(error))
                continue
            for key in keys if parent is not None else ():
                line = {"n": number, "k": json.dumps(key), "parent": json.dumps(parent)}
                target.write(json.dumps(line) + "\n")
            yield row


def _keeper(records: FileRecords, mapping: RecordMapping) -> Callable[[int, Row], str]:
    """Returns a function of a row and its number: its key, position, problem, values."""
    values_for_key = _values_for_key(records.columns, mapping)
    key_column = _place_of_key(records, mapping)
    key = ""

    def keep(number: int, row: Row) -> str:
        nonlocal key
        where, cells, problem = row
        if key_column is not None and not problem:
            texts = cast("Sequence[str]", cells)
            if (id_ := texts[key_column].strip()) and (kept := _joined(texts)):
                key = _quoted(id_)
                return f"{key}{_SEPARATOR}{where}{_MARK}{_MARK}{kept}"
        group, problem = _group(row, values_for_key, mapping)
        kept = dumped(cells, plain=records.plain)
        if _size(kept) > _LONGEST_CELLS:
            group, problem, kept = None, "has too much text", _NO_CELLS
        if group is not None:
            key = written = _quoted(group)
        elif problem or not key:
            written = f"!{number}"
            problem = problem or "key: is missing"
        else:
            written = key
        parts = (_one_line(where), _one_line(problem), kept)
        return f"{written}{_SEPARATOR}{_MARK.join(parts)}"

    return keep


def _place_of_key(records: FileRecords, mapping: RecordMapping) -> int | None:
    """Number of the column that has the key as it is; None: there is none."""
    name = mapping.key.column
    if not records.plain or name not in records.columns:
        return None
    return records.columns.index(name)


def _joined(cells: Sequence[str]) -> str:
    """Simple cells as one text; empty: they are not simple."""
    text = _MARK.join(cells)
    simple = (
        text.count(_MARK) == len(cells) - 1
        and not any(mark in text for mark in _SPECIAL)
        and len(text) < _LONGEST_JOINED
    )
    return _TEXTS + text if simple and (text.isascii() or _is_whole(text)) else ""


def _is_whole(text: str) -> bool:
    """Whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quoted(key: str) -> str:
    """A key as JSON."""
    simple = key.isascii() and key.isalnum()
    return f'"{key}"' if simple else json.dumps(key)


def id_of(key: str) -> str:
    """The id of a product whose key is kept like this; empty: it is not known."""
    if key.startswith("!"):
        return ""
    return str(json.loads(key)) if "\\" in key else key[1:-1]


def parts_of(line: str) -> Sequence[str]:
    """Position, problem and values of a row, as they are kept."""
    return line.split(_MARK, 2)


def values_of(
    kept: str, columns: Sequence[str], *, plain: bool
) -> Mapping[str, object]:
    """The values of a row.

    Args:
        kept: As they are kept.
        columns: Names of the columns; empty: the row has its own names.
        plain: Whether all values are texts, or lists and mappings of texts.
    """
    if kept.startswith(_TEXTS):
        return dict(zip(columns, kept[1:].split(_MARK), strict=False))
    if plain:
        return _named(columns, loads(kept.encode()))
    return _named(columns, json.loads(kept, object_hook=untagged))


def _group(
    row: Row, values: Callable[[Row], Mapping[str, object]], mapping: RecordMapping
) -> tuple[str | None, str]:
    """The key of a row, and what is wrong with it.

    The key of a row that is not valid is trusted only if it stands in the first column,
    before anything that could have moved it.
    """
    if row.problem and not _key_is_first(row, values, mapping):
        return None, row.problem
    try:
        group = mapping.group_of(Record(where=row.where, values=values(row)))
    except InvalidValueError as error:
        return None, row.problem or str(error.under("key"))
    return group, row.problem


def _key_is_first(
    row: Row, values: Callable[[Row], Mapping[str, object]], mapping: RecordMapping
) -> bool:
    return bool(row.cells) and [*values(row)][:1] == [*mapping.key.columns]


def _values_for_key(
    columns: Sequence[str], mapping: RecordMapping
) -> Callable[[Row], Mapping[str, object]]:
    """Returns the values of a row that its key may depend on, without the others."""
    specs = (mapping.key, mapping.title)
    needed = {name for spec in specs for name in spec.columns}
    if not columns or any(spec.complex for spec in specs):
        return lambda row: _named(columns, row.cells)
    places = [(name, at) for at, name in enumerate(columns) if name in needed]

    def values(row: Row) -> Mapping[str, object]:
        cells = cast("Sequence[object]", row.cells)
        return {name: cells[at] for name, at in places if at < len(cells)}

    return values


def _named(
    columns: Sequence[str], cells: Sequence[object] | Mapping[str, object]
) -> Mapping[str, object]:
    if isinstance(cells, Mapping):
        return cells
    return dict(zip(columns, cells, strict=False))


def _size(text: str) -> int:
    """Bytes of a text in UTF-8; a short one is not measured exactly."""
    if text.isascii() or len(text) < _LONGEST_CELLS // 4:
        return len(text)
    return len(text.encode())


def _one_line(text: str) -> str:
    """A text that fits into a line."""
    return " ".join(text.replace(_SEPARATOR, " ").replace(_MARK, " ").split())


def dumped(cells: object, *, plain: bool) -> str:
    """Cells as JSON; those that JSON cannot contain are left out."""
    try:
        if plain:
            return dumps(cells).decode()
        return json.dumps(cells, default=_tagged)
    except (TypeError, ValueError):
        return _NO_CELLS


def _tagged(value: object) -> object:
    if isinstance(value, Decimal):
        return {_NUMBER: str(value)}
    raise TypeError


def untagged(found: dict[str, object]) -> object:
    """The number that an object of JSON stands for; an `object_hook`."""
    return Decimal(str(found[_NUMBER])) if _NUMBER in found else found
