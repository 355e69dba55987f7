"""The format of a file: set, or recognised by its content and name."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs

from catalogsync.files import Extra, FileRecords, FoundFile, Upload, joined
from catalogsync.mapping import Expression, RecordMapping

from ._delimited import Dialect, delimited
from ._header import check_columns
from ._json import json_lines, json_list
from ._parquet import parquet
from ._sheets import workbook

if TYPE_CHECKING:
    from contextlib import ExitStack

    from ._settings import Join, TableSettings

__all__ = ["opened_joined", "opened_table"]

_OLD_OFFICE, _ZIP, _PARQUET = b"\xd0\xcf\x11\xe0", b"PK\x03\x04", b"PAR1"
_LINES = (".jsonl", ".ndjson")
_PACKED = (".gz", ".zst", ".zip")


def opened_joined(
    settings: TableSettings, file: FoundFile, folder: Path, stack: ExitStack
) -> FileRecords:
    """Open a file, and the other files that are joined to it; as `opened_table`."""
    if not settings.join:
        return opened_table(settings, file, folder, stack)
    # Of the columns that are mapped, any may stand in the other files.
    lenient = attrs.evolve(settings.map, optional_columns=True)
    records = opened_table(attrs.evolve(settings, map=lenient), file, folder, stack)
    for number, join in enumerate(settings.join):
        own = folder / f"join {number}"
        own.mkdir()
        extra = _extra(settings, join, own, stack)
        records = joined(records, extra, own / "rows.db")
    if records.columns:
        check_columns(records.columns, settings.map, file.name)
    return records


def _extra(
    settings: TableSettings, join: Join, folder: Path, stack: ExitStack
) -> Extra:
    """Open a file that is joined to another one."""
    upload = Upload(settled=settings.settled, marker=settings.marker)
    file = upload.find(join.location)
    key = RecordMapping(key=Expression(from_=join.key), title=Expression(value="-"))
    alone = attrs.evolve(
        settings,
        location=join.location,
        map=key,
        format=join.format,
        sheet=join.sheet,
        separator=join.separator,
        encoding=join.encoding or settings.encoding,
        header_row=join.header_row,
        member=join.member,
        join=(),
    )
    return Extra(
        records=opened_table(alone, file, folder, stack),
        name=file.name,
        key=join.key,
        on=join.on or join.key,
        prefix=join.prefix,
    )


def opened_table(
    settings: TableSettings, file: FoundFile, folder: Path, stack: ExitStack
) -> FileRecords:
    """Open a file as the table that it is.

    Args:
        settings: The settings.
        file: The file.
        folder: An empty folder for a copy.
        stack: Closes what is opened.

    Raises:
        MisconfiguredError: It is not such a table.
        TransientError: It cannot be read now.
    """
    most, member, name = settings.max_size, settings.member, file.name
    kind = settings.format or _recognised(file, settings)
    if kind in {"workbook", "parquet"}:
        path = file.copy(folder, most=most, member=member)
        if kind == "parquet":
            return parquet(path, settings.map, name)
        rows = {"sheet": settings.sheet, "header_row": settings.header_row}
        return workbook(path, settings.map, name, **rows)  # type: ignore[arg-type]
    stream = stack.enter_context(file.open(most=most, member=member))
    if kind == "jsonl":
        return json_lines(stream)
    if kind == "json":
        return json_list(stream, settings.items, name)
    return delimited(stream, _dialect(settings), settings.map, name)


def _dialect(settings: TableSettings) -> Dialect:
    return Dialect(
        separator=settings.separator,
        quote='"' if settings.quote is None else settings.quote,
        escape=settings.escape,
        encoding=settings.encoding,
        fill=settings.short_rows == "fill",
        header_row=settings.header_row,
    )


def _recognised(file: FoundFile, settings: TableSettings) -> str:
    """The format, by the first bytes and the name."""
    with file.open(most=settings.max_size, member=settings.member) as stream:
        start = _start(stream)
    if start.startswith((_OLD_OFFICE, _ZIP)):
        return "workbook"
    if start.startswith(_PARQUET):
        return "parquet"
    name = file.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    if name.endswith(_LINES):
        return "jsonl"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if settings.items or name.endswith(".json") or text.startswith(b"["):
        return "json"
    return "jsonl" if text.startswith(b"{") else "csv"


def _start(stream: IO[bytes]) -> bytes:
    return stream.read(1000)
