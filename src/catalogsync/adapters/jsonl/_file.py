"""The lines of a file: reading them in order, and where each product's line is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError, TransientError

from ._lines import Line, Place, key_of, parse

__all__ = [
    "LONGEST",
    "TABLE",
    "Numbered",
    "Signature",
    "file_errors",
    "fill",
    "key_in",
    "lines_of",
    "parsed",
    "signature_of",
]

LONGEST = 64 << 20
"""Bytes that a line may have."""
_NO_FILE = (-1, -1)
Signature: TypeAlias = tuple[int, int]
"""Size and modification time of a file, which a change of it also changes."""


@attrs.frozen
class Numbered:
    """A line with its place in the file.

    Attributes:
        number: Its number, from 1.
        at: The number of bytes before it.
        data: Its bytes, with the newline; empty: it is too long.
    """

    number: int
    at: int
    data: bytes


def signature_of(path: Path) -> Signature:
    """The signature of a file that may not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return _NO_FILE
    return found.st_size, found.st_mtime_ns


def lines_of(file: BinaryIO, at: int = 0, number: int = 1) -> Iterator[Numbered]:
    """The lines of a file that are not empty, from a place on."""
    file.seek(at)
    while data := file.readline(LONGEST + 1):
        size = len(data)
        if size > LONGEST:
            while rest := file.readline(LONGEST):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            yield Numbered(number, at, b"")
        elif data.strip():
            yield Numbered(number, at, data)
        at, number = at + size, number + 1


def parsed(line: Numbered) -> Line:
    """What a line says.

    Raises:
        InvalidValueError: It is damaged.
    """
    if not line.data:
        raise InvalidValueError("", f"is longer than {LONGEST} bytes")
    data = line.data.removeprefix(b"\xef\xbb\xbf") if line.number == 1 else line.data
    return parse(data)


def key_in(line: Numbered) -> ProductKey | None:
    """The key of a line; None: it was released.

    Raises:
        InvalidValueError: It is damaged.
    """
    return key_of(line.data) if line.data else parsed(line).key


def _place_of(line: Line, number: int) -> Place:
    """The name of a line in the index."""
    if line.key is not None:
        return line.key.source, line.key.id
    return "", line.released or f"line {number}"


TABLE = """
CREATE TABLE line (
    source TEXT, id TEXT, at INTEGER, size INTEGER, number INTEGER,
    PRIMARY KEY (source, id)
) WITHOUT ROWID
"""


def fill(index: sqlite3.Connection, path: Path, file: BinaryIO) -> None:
    """Fill an index of a file, table `line`; only the index needs room, on the disk.

    Raises:
        MisconfiguredError: A line is damaged, or two have the same key.
    """
    index.execute("BEGIN")
    try:
        for row in _rows(path, file):
            try:
                index.execute("INSERT INTO line VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                first = _number(index, row[:2])
                problem = f"has the same key as line {first}; remove one of the two"
                raise _damaged(path, row[4], problem) from None
    finally:
        index.execute("COMMIT")


def _rows(path: Path, file: BinaryIO) -> Iterator[tuple[str, str, int, int, int]]:
    for line in lines_of(file):
        try:
            place = _place_of(parsed(line), line.number)
        except InvalidValueError as error:
            raise _damaged(path, line.number, f"{error}; mend or remove it") from None
        yield (*place, line.at, len(line.data), line.number)


def _number(index: sqlite3.Connection, place: Iterable[str]) -> int:
    found = index.execute(
        "SELECT number FROM line WHERE source = ? AND id = ?", tuple(place)
    )
    number: int = found.fetchone()[0]
    return number


def _damaged(path: Path, number: int, problem: str) -> MisconfiguredError:
    return MisconfiguredError("path", f"{path.name}, line {number}: {problem}")


@contextmanager
def file_errors(path: Path) -> Generator[None]:
    """Raise errors of the file system as errors that the engine understands."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        problem = f"{error.filename or path}: {reason.lower()}"
        raise MisconfiguredError("path", problem) from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            problem = f"another run is writing {path.name}; it must end first"
            raise TransientError(problem) from error
        if not path.parent.is_dir():
            problem = f"{path} cannot be created; create its folder first"
            raise MisconfiguredError("path", problem) from error
        problem = f"{path}: changes cannot be kept beside it ({error})"
        raise MisconfiguredError("path", problem) from error
    except sqlite3.DatabaseError as error:
        problem = f"{path}.changes is damaged ({error}); remove it and run again"
        raise MisconfiguredError("path", problem) from error
