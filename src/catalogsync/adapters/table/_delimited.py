"""Delimited text: any separator, quoting and encoding; a bad row harms no other.

A quotation mark that is not closed makes the parser run on into the rows below. Then
only the line where the row began is rejected, and parsing continues with the next line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import attrs

from catalogsync._lib.texts import counted
from catalogsync.errors import MisconfiguredError
from catalogsync.files import FileRecords, Row, Rows
from catalogsync.mapping import RecordMapping

from ._encoding import encoding_of
from ._header import MOST_COLUMNS, check_columns, header_of, likeness

__all__ = ["Dialect", "delimited"]

_SAMPLE = 1 << 20
_LONGEST_LINE = 1 << 23
_MOST_LINES = 2_000
_AT_ONCE = 1 << 16
_LONGEST_CELL = 1 << 22
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEARCHED = 50
_TOO_LONG = "is longer than 8 million characters"


@attrs.frozen(kw_only=True)
class Dialect:
    """How cells are separated and quoted.

    Attributes:
        separator: The separator; None: the one with which the header has most of the
            columns that are mapped.
        quote: The quotation mark; empty: there is none.
        escape: The character that escapes a quotation mark; None: it is doubled.
        encoding: The encoding; None: found out.
        fill: Whether cells may be missing at the end of a row.
        header_row: Row of the header, from 1; None: the row that has most of the
            columns that are mapped.
    """

    separator: str | None = None
    quote: str = '"'
    escape: str | None = None
    encoding: str | None = None
    fill: bool = False
    header_row: int | None = None


def delimited(
    stream: IO[bytes], dialect: Dialect, mapping: RecordMapping, where: str
) -> FileRecords:
    """Open a delimited text.

    Args:
        stream: Its bytes.
        dialect: What is known of it.
        mapping: The mapping, which tells the header from other rows.
        where: The file, for messages.

    Raises:
        MisconfiguredError: The encoding, the header or a column cannot be found.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    buffered = io.BufferedReader(stream, _SAMPLE)  # type: ignore[type-var]
    sample = buffered.peek(_SAMPLE)[:_SAMPLE]
    if not sample:
        raise MisconfiguredError("location", f"{where} is empty")
    encoding = encoding_of(sample, dialect.encoding)
    text = io.TextIOWrapper(
        buffered, encoding=encoding, errors="surrogateescape", newline=""
    )
    start = _start(text)
    separator = dialect.separator or _separator(start, dialect, mapping)
    form = _format(dialect, separator)
    trial = _Parser(lines=_Lines(io.StringIO(), start), format=form)
    first = [(row, trial.line) for row in trial.raw()]
    cells = [row.cells for row, _ in first if not isinstance(row.cells, Mapping)]
    at, columns = header_of(cells, mapping, row=dialect.header_row, where=where)
    _check_damage(columns, separator, where)
    check_columns(columns, mapping, where)
    _, lines = first[at]
    parser = _Parser(
        lines=_Lines(text, start[lines:]),
        format=form,
        row=at + 1,
        line=lines,
        encoding=encoding,
        fill=dialect.fill,
    )
    shown = _SEPARATORS.get(separator, separator)
    return FileRecords(
        columns=columns,
        rows=parser.below(len(columns)),
        plain=True,
        facts=(
            f"{encoding}, separated by {shown}, header in row {at + 1}, "
            f"{len(columns)} columns"
        ),
    )


def _start(text: io.TextIOWrapper) -> list[str]:
    """The first lines, for finding out the separator."""
    lines: list[str] = []
    for _ in range(_SEARCHED):
        line = text.readline(_LONGEST_LINE)
        if not line:
            break
        lines.append(line)
        if len(line) >= _LONGEST_LINE:
            break
    return lines


def _format(dialect: Dialect, separator: str) -> dict[str, Any]:
    """The arguments of `csv.reader`."""
    return {
        "delimiter": separator,
        "quotechar": dialect.quote or None,
        "quoting": csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        "doublequote": dialect.escape is None,
        "escapechar": dialect.escape,
        "strict": True,
    }


def _separator(start: Sequence[str], dialect: Dialect, mapping: RecordMapping) -> str:
    """The separator with which a row has most of the columns that are mapped."""

    def score(separator: str) -> tuple[int, int]:
        best = (0, 0)
        for line in start:
            if line.count(separator) > MOST_COLUMNS:
                continue
            try:
                cells = next(
                    csv.reader([line], **_format(dialect, separator)), list[str]()
                )
            except csv.Error:
                continue
            best = max(best, (likeness(cells, mapping), len(cells)))
        return best

    return max(_SEPARATORS, key=score)


def _check_damage(columns: Sequence[str], separator: str, where: str) -> None:
    """Recognise a file that a spreadsheet has opened and saved with another separator."""
    other = re.search(r"(([,;|\t])\2+)$", columns[-1]) if columns else None
    if other is None or other[2] == separator:
        return
    problem = (
        f"{where} is damaged: its columns are separated by `{separator}`, but the header "
        f"ends in `{other[1]}`, as when a spreadsheet opens a file and saves it with "
        "another separator; ask for the original file"
    )
    raise MisconfiguredError("location", problem)


@attrs.define
class _Lines(Iterator[str]):
    """The lines of a text, some of which can be given back.

    Attributes:
        at_once: About how many characters `take` returns.
        taken: The lines since `mark`.
    """

    text: io.TextIOBase
    start: Sequence[str]
    at_once: int = _AT_ONCE
    again: list[str] = attrs.field(init=False)
    taken: list[str] = attrs.field(factory=list[str], init=False)

    def __attrs_post_init__(self) -> None:
        self.again = list(reversed(self.start))

    def __next__(self) -> str:
        line = self._next()
        if not line:
            raise StopIteration
        self.taken.append(line)
        if len(line) >= _LONGEST_LINE and not line.endswith(("\n", "\r")):
            self._skip()
            raise csv.Error(_TOO_LONG)
        if len(self.taken) > _MOST_LINES:
            raise csv.Error(f"has no end within {_MOST_LINES} lines")
        return line

    def _next(self) -> str:
        return self.again.pop() if self.again else self.text.readline(_LONGEST_LINE)

    def take(self, most: int) -> list[str]:
        """Some lines; empty: there are no more."""
        lines: list[str] = []
        length = 0
        while length < self.at_once and len(lines) < most and (line := self._next()):
            lines.append(line)
            length += len(line)
        return lines

    def put_back(self, lines: Sequence[str]) -> None:
        """Give back lines that were taken."""
        self.again += reversed(lines)

    def _skip(self) -> None:
        """Skip the rest of a line that is too long."""
        self.taken[-1] = "\n"
        while line := self._next():
            if len(line) < _LONGEST_LINE:
                return

    def mark(self) -> None:
        """From here on, lines can be given back."""
        self.taken = []

    def give_back(self) -> None:
        """Give back all lines since `mark`, except the first."""
        self.again += reversed(self.taken[1:])


@attrs.define(kw_only=True)
class _Parser:
    """Turns lines into rows.

    Attributes:
        lines: The lines.
        format: Arguments of `csv.reader`.
        row: Number of rows so far.
        line: Number of lines so far.
        encoding: The encoding, for messages.
        fill: Whether cells may be missing at the end of a row.
    """

    lines: _Lines
    format: dict[str, Any]
    row: int = 0
    line: int = 0
    encoding: str = ""
    fill: bool = False

    def raw(self) -> Iterator[Row]:
        """All rows, with any number of cells."""
        while (row := self._next()) is not None:
            yield row

    def _next(self) -> Row | None:
        """The next row; None: there is none."""
        self.lines.mark()
        try:
            cells = next(csv.reader(self.lines, **self.format))
        except StopIteration:
            return None
        except csv.Error as error:
            return self._rejected(_words(error))
        where = self._where()
        self.line += len(self.lines.taken)
        return Row(where, cells)

    def below(self, width: int) -> Rows:
        """The rows below the header, each with as many cells as there are columns."""
        most = _MOST_LINES
        while lines := self.lines.take(most):
            before = self.row
            yield from self._good(lines, width)
            most = min(_MOST_LINES, 8 + 8 * (self.row - before))
            if (row := self._next()) is None:
                return
            count = len(row.cells)
            if row.problem or (count == width and self._readable()):
                yield row
            elif any(row.cells):
                yield self._judged(row, count, width)

    def _good(self, lines: Sequence[str], width: int) -> Rows:
        """The rows of these lines, up to the first that is not as it should be.

        That line and those below it are given back.
        """
        done = 0
        if max(map(len, lines)) < _LONGEST_LINE and _is_readable("".join(lines)):
            reader = csv.reader(lines, **self.format)
            try:
                for cells in reader:
                    if cells and len(cells) != width:
                        break
                    where = self._where()
                    if cells:
                        yield Row(where, cells)
                    self.line += reader.line_num - done
                    done = reader.line_num
            except csv.Error:
                pass
        self.lines.put_back(lines[done:])

    def _judged(self, row: Row, count: int, width: int) -> Row:
        """A row that is not as it should be."""
        if count < width and self.fill and self._readable():
            return Row(row.where, [*row.cells, *[""] * (width - count)])
        if count == width or not self._readable():
            problem = f"is not {self.encoding}: set encoding, such as windows-1252"
            return Row(row.where, row.cells, problem)
        if len(self.lines.taken) > 1:
            self.row -= 1
            self.line -= len(self.lines.taken)
            return self._rejected("has a quotation mark that is not closed")
        return Row(row.where, row.cells, _wrong_width(count, width))

    def _readable(self) -> bool:
        """Whether all bytes of the row are characters in its encoding."""
        return all(line.isascii() or _is_readable(line) for line in self.lines.taken)

    def _rejected(self, problem: str) -> Row:
        """A row of which only the first line is rejected."""
        where = self._where()
        self.lines.give_back()
        self.line += 1
        return Row(where, (), problem)

    def _where(self) -> str:
        """The position of the row that begins here."""
        self.row += 1
        line = self.line + 1
        return f"row {self.row}" + (f" (line {line})" if line != self.row else "")


def _is_readable(text: str) -> bool:
    """Whether all bytes of a text were characters in its encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong_width(count: int, width: int) -> str:
    problem = f"has {counted(count, 'cell')} instead of {width}"
    if count > width:
        return problem
    return f'{problem}; if its last cells are left out, set short_rows = "fill"'


def _words(error: csv.Error) -> str:
    """What is wrong with a row, in words for people."""
    text = str(error)
    if "field larger" in text:
        return "has a cell of more than 4 million characters"
    if "expected after" in text or "end of data" in text:
        return "has a quotation mark that is not closed, or stands within a cell"
    return text
