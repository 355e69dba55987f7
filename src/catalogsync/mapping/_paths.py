"""Looking things up in a record: columns, JMESPath and templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fnmatch import translate
from importlib import import_module
from typing import Any, TypeAlias, cast

from catalogsync.errors import InvalidValueError, MissingExtraError

from ._record import is_empty

__all__ = [
    "Lookup",
    "all_of",
    "as_text",
    "first_of",
    "is_column",
    "lookup",
    "starred",
    "template",
]

Values: TypeAlias = Mapping[str, object]
Lookup: TypeAlias = Callable[[Values], object]
"""Finds a value in a record's values; None: there is none."""

_PATH_MARKS = re.compile(r"[.\[\]|&@`*{}()\"']")
_UNIT = re.compile(r"\w\s+\(")  # `Length (cm)`; a call of a function has no space
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def is_column(name: str) -> bool:
    """Whether a name can only be that of a column."""
    return not _PATH_MARKS.search(name)


def lookup(name: str) -> Lookup:
    """Finds a column of this name or, if there is none, follows the JMESPath.

    A name that is not a valid JMESPath, such as `Price [USD]`, can only be a column. In
    one such as `Weight (*)`, `*` stands for any text.
    """
    is_path = _PATH_MARKS.search(name) and not _UNIT.search(name)
    path = _jmespath(name) if is_path else None
    if path is None and "*" in name:
        find_column = starred(name)
        return lambda values: (found := find_column(values)) and found[0]
    if path is None:
        return lambda values: values.get(name)

    def find(values: Values) -> object:
        return values[name] if name in values else path(values)

    return find


def _jmespath(name: str) -> Lookup | None:
    """Follows a path; None: it is not a path, or calls a function that does not exist."""
    try:
        jmespath: Any = import_module("jmespath")
    except ImportError as error:
        raise MissingExtraError("a path into nested data", "mapping") from error
    errors = jmespath.exceptions
    try:
        compiled = jmespath.compile(name)
    except errors.JMESPathError:
        return None
    try:
        compiled.search({})
    except errors.UnknownFunctionError:  # `Length (cm)` is a column
        return None
    except errors.JMESPathError:
        pass  # a function that needs a value

    def find(values: Values) -> object:
        try:
            return cast("object", compiled.search(values))
        except errors.JMESPathError as error:
            problem = f"`{name}` cannot be followed: {error}"
            raise InvalidValueError("", problem) from None

    return find


def first_of(names: tuple[str, ...]) -> Lookup:
    """The first value that is not empty."""
    if len(names) == 1:
        return lookup(names[0])
    lookups = [lookup(name) for name in names]

    def find(values: Values) -> object:
        for each in lookups:
            if not is_empty(found := each(values)):
                return found
        return None

    return find


def starred(name: str) -> Callable[[Values], tuple[object, str] | None]:
    """Finds the first column that has a value, and what `*` stands for in its name."""
    before, _, after = name.partition("*")
    size = len(before) + len(after)

    def find(values: Values) -> tuple[object, str] | None:
        for column, value in values.items():
            fits = column.startswith(before) and column.endswith(after)
            if fits and len(column) > size and not is_empty(value):
                return value, column[len(before) : len(column) - len(after)]
        return None

    return find


def all_of(names: tuple[str, ...]) -> Lookup:
    """A list of all values that are not empty; `*` in a name stands for any text."""
    finders = [_matching(name) if "*" in name else _single(name) for name in names]

    def find(values: Values) -> object:
        found = [value for each in finders for value in each(values)]
        return [value for value in found if not is_empty(value)]

    return find


def _single(name: str) -> Callable[[Values], list[object]]:
    find = lookup(name)

    def values_of(values: Values) -> list[object]:
        found = find(values)
        return cast("list[object]", found) if isinstance(found, list) else [found]

    return values_of


def _matching(pattern: str) -> Callable[[Values], list[object]]:
    matches = re.compile(
        translate(pattern.replace("[", "\0").replace("?", "\1"))
        .replace("\0", r"\[")
        .replace("\1", r"\?")
    ).match

    def values_of(values: Values) -> list[object]:
        return [value for name, value in values.items() if matches(name)]

    return values_of


def template(text: str) -> Callable[[Values, object], str | None]:
    """Fills in `{column}` and `{path}`; `{value}` is the value found so far.

    The result is None if one of them is empty. `{{` and `}}` stand for braces.
    """
    parts = list(_parts(text))

    def fill(values: Values, value: object) -> str | None:
        filled: list[str] = []
        for part in parts:
            if isinstance(part, str):
                filled.append(part)
                continue
            found = value if part is _VALUE else part(values)
            if is_empty(found):
                return None
            filled.append(as_text(found).strip())
        return "".join(filled)

    return fill


def _VALUE(values: Values) -> object:  # noqa: N802 - a marker
    raise AssertionError(values)


def _parts(text: str) -> list[str | Lookup]:
    parts: list[str | Lookup] = []
    end = 0
    for place in _PLACE.finditer(text):
        parts.append(_plain(text[end : place.start()]))
        end = place.end()
        name = place[1]
        if name is None:
            parts.append(place[0][0])
        elif not name.strip():
            raise InvalidValueError("template", "`{}` must contain a column or a path")
        else:
            parts.append(_VALUE if name == "value" else lookup(name))
    parts.append(_plain(text[end:]))
    return [part for part in parts if part != ""]


def _plain(text: str) -> str:
    if "{" in text or "}" in text:
        raise InvalidValueError(
            "template",
            "has a brace without its counterpart; write {{ or }} for a brace",
        )
    return text


def as_text(value: object) -> str:
    """A simple value as text.

    Raises:
        InvalidValueError: It is a list or a mapping.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}" if value.is_finite() else str(value)
        case list() | tuple():
            raise InvalidValueError("", "is a list; add `join`, or a path to one value")
        case Mapping():
            names = ", ".join(f"`{name}`" for name in list(cast("Values", value))[:5])
            problem = f"has parts ({names}); add the path to one of them"
            raise InvalidValueError("", problem)
        case _:
            raise InvalidValueError("", f"is of the kind {type(value).__name__}")
