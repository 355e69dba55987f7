"""Values of a database as the mapping reads them, and as parts of a cursor."""

from __future__ import annotations

import datetime as dt
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, cast
from uuid import UUID

from catalogsync.errors import InvalidValueError

__all__ = ["Key", "as_key", "cell", "dumped", "loaded"]

Key: TypeAlias = tuple[Any, ...]
"""The values of the key columns in one row."""


def cell(value: object) -> object:
    """A value as text, int, bool, Decimal, None, or a list or mapping of these.

    Times are in ISO 8601. Bytes are text if they are UTF-8; others stay as they are,
    and a mapping refuses them.
    """
    match value:
        case None | str() | bool() | int() | Decimal():
            return value
        case Mapping():
            items = cast("Mapping[object, object]", value).items()
            return {str(name): cell(item) for name, item in items}
        case list() | tuple() | set() | frozenset():
            return [cell(item) for item in cast("Sequence[object]", value)]
        case _:
            return _simple(value)


def _simple(value: object) -> object:
    match value:
        case float() if math.isfinite(value):
            return Decimal(repr(value))
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case bytes() | bytearray():
            return _text(bytes(value))
        case memoryview():
            return _text(value.tobytes())
        case _:
            return str(value)


def _text(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


# --- cursors ---

_KINDS: Mapping[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    str: ("text", str, str),
    int: ("int", int, int),
    bool: ("bool", bool, bool),
    float: ("float", float.hex, float.fromhex),
    Decimal: ("decimal", str, Decimal),
    dt.datetime: ("time", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    bytes: ("bytes", lambda b: b64encode(b).decode(), b64decode),
    UUID: ("uuid", str, UUID),
}
_MOST = 1 << 63
_READERS = {name: read for name, _, read in _KINDS.values()}


def dumped(key: Key) -> str:
    """A key as a cursor.

    Raises:
        InvalidValueError: A value is of a kind that cannot be in a key, such as NULL.
    """
    return json.dumps([_tagged(value) for value in key])


def _tagged(value: Any) -> tuple[str, Any]:
    kind = next((k for k in type(value).__mro__ if k in _KINDS), None)
    if kind is None:
        what = "NULL" if value is None else f"of the kind {type(value).__name__}"
        raise InvalidValueError("", f"is {what}")
    name, write, _ = _KINDS[kind]
    return name, write(value)


def loaded(cursor: str) -> Key:
    """The key that a cursor has.

    Raises:
        InvalidValueError: It is not such a cursor.
    """
    try:
        return tuple(_READERS[kind](value) for kind, value in json.loads(cursor))
    except (ValueError, TypeError, KeyError, InvalidOperation):
        raise InvalidValueError("cursor", f"there is no page {cursor!r}") from None


def as_key(text: str, like: object) -> object:
    """A key of a product as a value of the same kind as another; None: it cannot be."""
    kind = next((k for k in type(like).__mro__ if k in {int, Decimal, UUID, str}), None)
    if kind is None or isinstance(like, bool):
        return None
    try:
        found = kind(text)
    except (ValueError, InvalidOperation):
        return None
    return None if isinstance(found, int) and abs(found) >= _MOST else found
