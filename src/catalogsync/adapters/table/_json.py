"""JSON: an array, a list within an object, or one value a line."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, cast

import attrs

from catalogsync._lib.json_joins import search_whole
from catalogsync.errors import MisconfiguredError
from catalogsync.files import FileRecords, Row, Rows

__all__ = ["json_lines", "json_list"]

_PIECE = 1 << 20
_LONGEST = 1 << 25
_MOST_WHOLE = 256 << 20
_decoder = json.JSONDecoder(parse_float=Decimal)


def json_lines(stream: IO[bytes]) -> FileRecords:
    """One JSON object a line; a line that is not one is rejected."""
    return FileRecords(columns=(), rows=_lines(stream), facts="JSON Lines", plain=False)


def _lines(stream: IO[bytes]) -> Rows:
    buffered = io.BufferedReader(stream, _PIECE)  # type: ignore[type-var]
    number = 0
    while line := buffered.readline(_LONGEST):
        number += 1
        where = f"line {number}"
        if len(line) >= _LONGEST and not line.endswith(b"\n"):
            while (rest := buffered.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield Row(where, {}, "is longer than 32 MB")
        elif text := line.removeprefix(codecs.BOM_UTF8).strip():
            yield _row(where, text)


def _row(where: str, text: bytes) -> Row:
    try:
        return _checked(where, _decoder.decode(text.decode()))
    except UnicodeDecodeError:
        return Row(where, {}, "is not UTF-8")
    except ValueError as error:
        return Row(where, {}, f"is not JSON: {error}")
    except RecursionError:
        return Row(where, {}, "is nested too deeply")


def _checked(where: str, value: object) -> Row:
    if isinstance(value, dict):
        return Row(where, cast("dict[str, object]", value))
    return Row(where, {}, "is not an object")


def json_list(stream: IO[bytes], items: str | None, where: str) -> FileRecords:
    """A JSON array, read piece by piece, or the list at a path in a JSON object.

    Args:
        stream: The bytes, in UTF-8.
        items: JMESPath to the list; None: the file is an array.
        where: The file, for messages.

    Raises:
        MisconfiguredError: There is no list.
        TransientError: The file is cut.
    """
    if items is not None:
        rows = _listed(_at(stream, items, where))
        return FileRecords(
            columns=(), rows=rows, facts=f"JSON, list {items}", plain=False
        )
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")
    start = text.read(_PIECE).lstrip()
    if not start.startswith("["):
        raise MisconfiguredError("items", _where_lists_are(start + text.read(_LONGEST)))
    rows = _Array(text, start[1:]).rows(where)
    return FileRecords(columns=(), rows=rows, facts="JSON array", plain=False)


def _listed(found: list[object]) -> Rows:
    for number, item in enumerate(found, 1):
        yield _checked(f"item {number}", item)


def _at(stream: IO[bytes], items: str, where: str) -> list[object]:
    content = stream.read(_MOST_WHOLE + 1)
    if len(content) > _MOST_WHOLE:
        problem = f"{where} is too large for `items`: make it an array or JSON Lines"
        raise MisconfiguredError("items", problem)
    try:
        tree = _decoder.decode(content.decode("utf-8-sig"))
        found = search_whole(items, tree)
    except (ValueError, RecursionError) as error:
        problem = f"{where} is not JSON, or `{items}` no path: {error}"
        raise MisconfiguredError("items", problem) from None
    if not isinstance(found, list):
        problem = f"there is no list at `{items}`. {_lists(tree)}"
        raise MisconfiguredError("items", problem)
    return cast("list[object]", found)


def _where_lists_are(text: str) -> str:
    problem = "the file is not an array: set the path to the list of products"
    try:
        return f"{problem}. {_lists(_decoder.decode(text))}"
    except (ValueError, RecursionError):
        return problem


def _lists(tree: object) -> str:
    """The lists in an object, for a message."""
    if not isinstance(tree, Mapping):
        return ""
    names = [
        f"`{name}` ({len(cast('list[object]', value))})"
        for name, value in cast("Mapping[str, object]", tree).items()
        if isinstance(value, list)
    ]
    return f"Its lists: {', '.join(names[:20]) or 'none'}"


@attrs.define
class _Array:
    """Decodes the items of an array one by one.

    Attributes:
        text: The text behind the buffer.
        buffer: The text that is decoded next.
        at: Position in the buffer.
    """

    text: io.TextIOWrapper
    buffer: str
    at: int = 0

    def rows(self, where: str) -> Rows:
        """The items as rows; the first that is no JSON ends the list."""
        number = 0
        while (mark := self._next()) != "]":
            if not mark:
                yield Row(where, {}, "the array has no end: the file is cut")
                return
            number += 1
            place = f"item {number}"
            try:
                value = self._item()
            except (ValueError, RecursionError) as error:
                yield Row(place, {}, f"is not JSON: {error}; the rest is not read")
                return
            yield _checked(place, value)

    def _next(self) -> str:
        """The character at which the next item begins; empty: the text has ended."""
        while True:
            while self.at < len(self.buffer):
                if (mark := self.buffer[self.at]) not in " \t\r\n,":
                    return mark
                self.at += 1
            if not self._more():
                return ""

    def _item(self) -> object:
        while True:
            try:
                value, end = _decoder.raw_decode(self.buffer, self.at)
            except ValueError:
                if len(self.buffer) - self.at > _LONGEST or not self._more():
                    raise
                continue
            if end < len(self.buffer) or not self._more():
                self.at = end
                return cast("object", value)

    def _more(self) -> bool:
        """Read on; what has been decoded is forgotten."""
        piece = self.text.read(_PIECE)
        self.buffer, self.at = self.buffer[self.at :] + piece, 0
        return bool(piece)
