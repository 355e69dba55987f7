"""Workbooks: xlsx, xls and ods, read with calamine.

Formulas are not computed: the value that was saved with them counts. A merged cell
stands for each of its cells.
"""

from __future__ import annotations

import zipfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.files import FileRecords, Row, Rows
from catalogsync.mapping import RecordMapping

from ._header import check_columns, header_of, likeness

__all__ = ["workbook"]

Ranges: TypeAlias = Sequence[tuple[tuple[int, int], tuple[int, int]]]

_SEARCHED = 50
_MOST_BYTES = 2_000_000_000
_MOST_CELLS = 100_000_000
_DAMAGE = (zipfile.BadZipFile, UnicodeError, NotImplementedError)
"""What `zipfile` raises for a damaged archive."""


def workbook(
    path: Path,
    mapping: RecordMapping,
    where: str,
    *,
    sheet: str | Sequence[str] | None,
    header_row: int | None,
) -> FileRecords:
    """Open a workbook.

    Args:
        path: A local file.
        mapping: The mapping, which tells the sheet and the header.
        where: The file, for messages.
        sheet: Name of the sheet; several, or a name with `*`: all of them are one
            table. None: the one that has most of the columns.
        header_row: Row of the header, from 1; None: it is found.

    Raises:
        MisconfiguredError: It is damaged or too large, or the sheet, the header or a
            column does not exist.
        MissingExtraError: The extra `files` is not installed.
    """
    with _refusing_damage(where):
        _check_size(path, where)
        book = _opened(path, where)
    names: list[str] = book.sheet_names
    if not names:
        problem = f"{where} is a workbook without a sheet; ask for the file again"
        raise MisconfiguredError("location", problem)
    if sheet is None:
        name = max(names, key=lambda each: _likeness(book, each, mapping, where))
    else:
        given = (sheet,) if isinstance(sheet, str) else sheet
        chosen = _chosen(names, given, where)
        if len(chosen) > 1:
            return _together(book, chosen, mapping, where, header_row)
        (name,) = chosen
    rows, merged = _cells(book, name, where)
    at, columns = header_of(rows, mapping, row=header_row, where=where)
    check_columns(columns, mapping, where)
    return FileRecords(
        columns=columns,
        rows=_below(rows, at, len(columns), merged),
        facts=f"sheet {name}, header in row {at + 1}, {len(columns)} columns",
        plain=False,
    )


@contextmanager
def _refusing_damage(where: str) -> Generator[None]:
    """Turn the errors of a damaged workbook into one that says what to do."""
    try:
        from python_calamine import CalamineError, PasswordError
    except ImportError as error:
        raise MissingExtraError("reading workbooks", "files") from error
    try:
        yield
    except PasswordError:
        problem = f"{where} is protected with a password; remove it"
        raise MisconfiguredError("location", problem) from None
    except (CalamineError, OSError, *_DAMAGE) as error:
        problem = (
            f"{where} is not a workbook that can be read: {error}; save it again with a"
            " spreadsheet program, or ask for the file again"
        )
        raise MisconfiguredError("location", problem) from None


def _chosen(names: Sequence[str], given: Sequence[str], where: str) -> Sequence[str]:
    """The sheets that are meant, in the order of the workbook."""
    chosen: set[str] = set()
    for pattern in given:
        wild = "*" in pattern
        found = [n for n in names if n == pattern or (wild and fnmatchcase(n, pattern))]
        if not found:
            listed = ", ".join(f"`{name}`" for name in names[:20])
            problem = f"{where} has no sheet `{pattern}`; its sheets: {listed}"
            raise MisconfiguredError("sheet", problem)
        chosen.update(found)
    return [name for name in names if name in chosen]


def _together(
    book: Any,
    names: Sequence[str],
    mapping: RecordMapping,
    where: str,
    header_row: int | None,
) -> FileRecords:
    """Several sheets as one table; each has a header of its own.

    Sheets without any of the columns that are mapped, such as notes, are left out. The
    cells of one sheet are in memory at a time.
    """
    sheets: list[tuple[str, int, Sequence[str]]] = []
    for name in names:
        rows, _ = _cells(book, name, where)
        if max((likeness(row, mapping) for row in rows[:_SEARCHED]), default=0):
            at, columns = header_of(rows, mapping, row=header_row, where=where)
            check_columns(columns, mapping, f"sheet {name} of {where}")
            sheets.append((name, at, columns))
    if not sheets:
        listed = ", ".join(f"`{name}`" for name in names[:20])
        problem = f"none of {listed} of {where} has a column that is mapped"
        raise MisconfiguredError("sheet", problem)
    every = tuple(dict.fromkeys(name for *_, columns in sheets for name in columns))

    def rows_of_all() -> Rows:
        for name, at, columns in sheets:
            rows, merged = _cells(book, name, where)
            places = [every.index(column) for column in columns]
            for row in _below(rows, at, len(columns), merged):
                cells: list[object] = [None] * len(every)
                for place, cell in zip(places, row.cells, strict=False):
                    cells[place] = cell
                yield Row(f"sheet {name}, {row.where}", cells)

    read = ", ".join(name for name, *_ in sheets)
    facts = f"sheets {read}, {len(every)} columns"
    return FileRecords(columns=every, rows=rows_of_all(), facts=facts, plain=False)


def _opened(path: Path, where: str) -> Any:
    from python_calamine import CalamineWorkbook

    kind: Any = CalamineWorkbook
    with path.open("rb") as file:
        return kind.from_filelike(file)


def _check_size(path: Path, where: str) -> None:
    """Refuse a workbook that expands beyond all measure."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > _MOST_BYTES:
        problem = f"{where} has {size // 1_000_000} MB inside, more than 2000 MB"
        raise MisconfiguredError("location", problem)


def _likeness(book: Any, name: str, mapping: RecordMapping, where: str) -> int:
    rows, _ = _cells(book, name, where)
    return max((likeness(row, mapping) for row in rows[:_SEARCHED]), default=0)


def _cells(book: Any, name: str, where: str) -> tuple[list[list[object]], Ranges]:
    """All cells of a sheet, from its first row and column, and its merged ranges."""
    with _refusing_damage(where):
        found = book.get_sheet_by_name(name)
    if found.end is not None and (found.end[0] + 1) * (found.end[1] + 1) > _MOST_CELLS:
        problem = f"sheet {name} of {where} has more than 100 million cells"
        raise MisconfiguredError("location", problem)
    with _refusing_damage(where):
        rows: list[list[object]] = found.to_python(skip_empty_area=False)
    return rows, found.merged_cell_ranges or ()


def _below(rows: list[list[object]], at: int, width: int, merged: Ranges) -> Rows:
    """The rows below the header that are not blank; the list is emptied."""
    values = _merged(rows, merged, at)
    for number in range(at + 1, len(rows)):
        cells, rows[number] = rows[number], []
        for (row, column), value in values.get(number, ()):
            if column < len(cells) and row == number:
                cells[column] = value
        if any(cell not in {"", None} for cell in cells):
            yield Row(f"row {number + 1}", [_value(cell) for cell in cells[:width]])


def _merged(
    rows: Sequence[Sequence[object]], merged: Ranges, at: int
) -> Mapping[int, Sequence[tuple[tuple[int, int], object]]]:
    """The values of merged cells below the header, by row."""
    found: dict[int, list[tuple[tuple[int, int], object]]] = {}
    for (top, left), (bottom, right) in merged:
        if top <= at or top >= len(rows) or left >= len(rows[top]):
            continue
        value = rows[top][left]
        for row in range(top, min(bottom, len(rows) - 1) + 1):
            places = [((row, column), value) for column in range(left, right + 1)]
            found.setdefault(row, []).extend(places)
    return found


def _value(cell: object) -> object:
    """A cell as a value of a record; numbers as the workbook shows them."""
    match cell:
        case bool():
            return cell
        case float():
            number = Decimal(f"{cell:.15g}")
            whole = number == number.to_integral_value() and abs(cell) < 1e15
            return int(number) if whole else number
        case datetime():
            return cell.isoformat(sep=" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return cell
