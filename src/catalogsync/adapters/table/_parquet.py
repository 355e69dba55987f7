"""Parquet, read with DuckDB."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.files import FileRecords, Row, Rows
from catalogsync.mapping import RecordMapping

from ._header import check_columns

__all__ = ["parquet"]

_AT_ONCE = 1000


def parquet(path: Path, mapping: RecordMapping, where: str) -> FileRecords:
    """Open a Parquet file.

    Args:
        path: A local file.
        mapping: The mapping.
        where: The file, for messages.

    Raises:
        MisconfiguredError: It is damaged, or a column does not exist.
        MissingExtraError: The extra `files` is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "files") from error
    connection: Any = duckdb.connect(config={"memory_limit": "80MB", "threads": "1"})
    try:
        cursor = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
    except duckdb.Error as error:
        first = str(error).partition("\n")[0].replace(str(path), where)
        problem = f"{where} is not a Parquet file that can be read: {first}"
        raise MisconfiguredError("location", problem) from None
    columns = tuple(str(each[0]) for each in cursor.description)
    check_columns(columns, mapping, where)
    return FileRecords(
        columns=columns,
        rows=_rows(cursor),
        facts=f"Parquet, {len(columns)} columns",
        plain=False,
    )


def _rows(cursor: Any) -> Rows:
    number = 0
    while found := cursor.fetchmany(_AT_ONCE):
        for cells in found:
            number += 1
            yield Row(f"row {number}", [_value(cell) for cell in cells])


def _value(cell: object) -> object:
    """A cell as a value of a record; bytes are left out."""
    match cell:
        case float():
            return Decimal(repr(cell)) if math.isfinite(cell) else None
        case list() | tuple():
            return [_value(each) for each in cast("list[object]", cell)]
        case Mapping():
            items = cast("Mapping[object, object]", cell).items()
            return {str(name): _value(value) for name, value in items}
        case bytes() | bytearray():
            return None
        case None | bool() | int() | str() | Decimal():
            return cell
        case _:
            return str(cell)
