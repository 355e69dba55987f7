"""Settings of the source."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeAlias

import attrs

from catalogsync._lib.bounds import above
from catalogsync.errors import MisconfiguredError
from catalogsync.files import (
    FileSource,
    Upload,
    check_installed,
    check_marker,
    check_name,
    open_source,
    shown,
)
from catalogsync.mapping import RecordMapping

from ._formats import opened_joined

__all__ = ["Join", "TableFormat", "TableSettings"]

TableFormat: TypeAlias = Literal["csv", "workbook", "jsonl", "json", "parquet"]

_NEEDED = ("fsspec", "duckdb", "charset_normalizer", "python_calamine", "zstandard")


def _one(_: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is not None and len(value) != 1:
        problem = f"must be one character, is {value!r}"
        raise MisconfiguredError(attribute.name, problem)


def _not_none_of(
    _: object, attribute: attrs.Attribute[Any], value: str | tuple[str, ...] | None
) -> None:
    names = (value,) if isinstance(value, str) else value
    if names is not None and (not names or "" in names):
        raise MisconfiguredError(attribute.name, "must not be empty")


def _none_or_one(_: object, __: object, value: str | None) -> None:
    if value is not None and len(value) > 1:
        problem = f"must be one character, or empty, is {value!r}"
        raise MisconfiguredError("quote", problem)


@attrs.frozen(kw_only=True)
class Join:
    """Another file whose rows add to those of a table, such as prices or stock.

    Attributes:
        location: A path or an address, as in `TableSettings`.
        key: The column of its key.
        on: The column of the table that has the same value; None: of the same name.
        prefix: Put before the names of its columns, for the map.
        format: As in `TableSettings`, and so the others.
        sheet: The sheets of a workbook.
        separator: What separates the cells.
        encoding: Such as `windows-1252`; None: that of the table.
        header_row: Row of the header.
        member: The file in a zip archive.
    """

    location: str = attrs.field(repr=lambda text: repr(shown(text)))
    key: str
    on: str | None = None
    prefix: str = ""
    format: TableFormat | None = None
    sheet: str | tuple[str, ...] | None = attrs.field(
        default=None, validator=_not_none_of
    )
    separator: str | None = attrs.field(default=None, validator=_one)
    encoding: str | None = None
    header_row: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.ge(1))
    )
    member: str | None = None


@attrs.frozen(kw_only=True)
class TableSettings:
    """A table in a file as a source: CSV, a workbook, JSON or Parquet.

    Attributes:
        location: A path or an address (http, https, sftp, ftp, s3). `*` stands for any
            text; of several files, the newest is read. gzip, zip and Zstandard are
            uncompressed.
        name: Name of the source, for product keys; never change it while a store is in
            use.
        map: Where the fields of a product come from.
        format: `csv` (any delimited text), `workbook` (xlsx, xls, ods), `jsonl`, `json`
            or `parquet`. None: by the content and the name of the file.
        sheet: The sheet of a workbook; several, or a name with `*`: all of them are one
            table, each with a header of its own. None: the one that has most of the
            columns that are mapped.
        items: JMESPath to the list in a JSON file. None: the file is an array.
        separator: What separates the cells. None: the one of `,`, `;`, tab and `|` with
            which the header has most of the columns that are mapped.
        quote: The quotation mark around cells. None: `"`; empty: there is none.
        escape: The character before a quotation mark in a cell; None: it is doubled.
        encoding: Such as `windows-1252`. None: by the byte order mark, UTF-8, or found
            out.
        short_rows: What to do with rows of delimited text that have fewer cells than
            there are columns: `reject` them, or `fill` them with empty cells.
        header_row: Row of the header, from 1. None: of the first 50 rows, the one that
            has most of the columns that are mapped.
        member: The file in a zip archive with several; `*` stands for any text.
        join: Other files whose rows add to those with the same key, such as prices.
        complete: Whether the file has the whole catalog. If not, no run counts as one
            over all products, and none may prune.
        settled: Seconds since the last change of the file after which it counts as
            complete; before, it is still being uploaded. None: at once.
        marker: Name of a file beside it that says that it is complete, such as `*.done`;
            `*` stands for its name, with or without the extension. None: no such file
            is needed.
        page_size: Products in a page.
        max_size: Most bytes to read, uncompressed.
    """

    location: str = attrs.field(repr=lambda text: repr(shown(text)))
    name: str = attrs.field(validator=check_name)
    map: RecordMapping
    format: TableFormat | None = None
    sheet: str | tuple[str, ...] | None = attrs.field(
        default=None, validator=_not_none_of
    )
    items: str | None = None
    separator: str | None = attrs.field(default=None, validator=_one)
    quote: str | None = attrs.field(default=None, validator=_none_or_one)
    escape: str | None = attrs.field(default=None, validator=_one)
    encoding: str | None = None
    short_rows: Literal["reject", "fill"] = "reject"
    header_row: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.ge(1))
    )
    member: str | None = None
    join: tuple[Join, ...] = ()
    complete: bool = True
    settled: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(above(0))
    )
    marker: str | None = attrs.field(default=None, validator=check_marker)
    page_size: int = attrs.field(default=500, validator=attrs.validators.ge(1))
    max_size: int = attrs.field(default=8_000_000_000, validator=attrs.validators.ge(1))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[FileSource]:
        """Open the source for the length of a block; reads nothing yet.

        Raises:
            MissingExtraError: The extra `files` is not installed.
            MisconfiguredError: A file that the mapping names cannot be used.
        """
        check_installed("the source `table`", _NEEDED)
        settings = attrs.evolve(self, map=self.map.reloaded())
        records = partial(opened_joined, settings)
        upload = Upload(settled=self.settled, marker=self.marker)
        opening = open_source(
            settings,
            records,
            complete=self.complete,
            upload=upload,
            also=[join.location for join in self.join],
        )
        async with opening as source:
            yield source
