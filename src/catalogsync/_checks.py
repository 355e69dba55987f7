"""Checks that the model makes of its values; each raises `InvalidValueError`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

import attrs

from .errors import InvalidValueError

_JSON_DEPTH = 32
_NAME_MARKS = str.maketrans(dict.fromkeys("._-", "x"))

Validator = Callable[[object, "attrs.Attribute[Any]", Any], None]


def check_text(path: str, value: object) -> str:
    """Text that any store can keep."""
    if not isinstance(value, str):
        raise InvalidValueError(path, f"must be text, not {type(value).__name__}")
    if "\x00" in value:
        raise InvalidValueError(path, "contains a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            problem = "contains half a surrogate pair, which no store can keep"
            raise InvalidValueError(path, problem) from None
    return value


def check_distinct(path: str, values: Iterable[object]) -> None:
    """No value twice."""
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise InvalidValueError(f"{path}[{index}]", f"{value} is there twice")
        seen.add(value)


def check_json(path: str, value: object, depth: int = _JSON_DEPTH) -> None:
    """A JSON value of bounded depth."""
    match value:
        case str():
            check_text(path, value)
        case Mapping() | list():
            _check_container(path, cast("Any", value), depth)
        case float() if not math.isfinite(value):
            raise InvalidValueError(path, f"{value} is not a JSON number")
        case int() | float() | None:
            pass
        case _:
            raise InvalidValueError(path, f"{type(value).__name__} is not JSON")


def _check_container(
    path: str, value: Mapping[object, object] | list[object], depth: int
) -> None:
    if not depth:
        raise InvalidValueError(path, f"deeper than {_JSON_DEPTH} levels")
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_json(f"{path}[{index}]", item, depth - 1)
    else:
        for name, item in value.items():
            check_json(f"{path}.{check_text(path, name)}", item, depth - 1)


def text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Text that is not empty."""
    if not check_text(attribute.name, value):
        raise InvalidValueError(attribute.name, "must not be empty")


def optional_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Text, None, or a marker that is no text."""
    if isinstance(value, str):
        check_text(attribute.name, value)
    elif isinstance(value, int | float | bytes | list | dict):
        check_text(attribute.name, cast("object", value))


def source_name(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A name that can stand in keys, handles and file names."""
    name = check_text(attribute.name, value)
    if not name.isascii() or not name.translate(_NAME_MARKS).isalnum():
        problem = f"must be letters, digits, '.', '_' or '-', is {name!r}"
        raise InvalidValueError(attribute.name, problem)


def currency(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """An ISO 4217 code in upper case."""
    code = check_text(attribute.name, value)
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise InvalidValueError(attribute.name, f"must be 3 letters, is {code!r}")
    if not code.isupper():
        raise InvalidValueError(attribute.name, f"must be upper case, is {code!r}")


def quantity(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        problem = f"must be a whole number, 0 or more, is {value!r}"
        raise InvalidValueError(attribute.name, problem)


def amount(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A Decimal, 0 or more; None and markers pass."""
    if isinstance(value, Decimal):
        if not value.is_finite() or value < 0:
            raise InvalidValueError(attribute.name, f"must be 0 or more, is {value}")
    elif isinstance(value, int | float | str):
        problem = f"must be a Decimal, not {type(value).__name__}"
        raise InvalidValueError(attribute.name, problem)


def option_texts(
    _: object, attribute: attrs.Attribute[Any], value: Mapping[object, object]
) -> None:
    """Names and values that are not empty."""
    for name, item in value.items():
        path = f"{attribute.name}.{name}"
        if not check_text(path, name) or not check_text(path, item):
            raise InvalidValueError(path, "an option and its value must not be empty")


def items(kind: type[Any], identity: Callable[[Any], object]) -> Validator:
    """A list in which each item is of the kind, and no identity is there twice."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, tuple):
            return
        found = cast("tuple[object, ...]", value)
        for index, item in enumerate(found):
            if not isinstance(item, kind):
                path = f"{attribute.name}[{index}]"
                problem = f"must be {kind.__name__}, not {type(item).__name__}"
                raise InvalidValueError(path, problem)
        if len(found) > 1:
            check_distinct(attribute.name, [identity(item) for item in found])

    return check


def tags(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Texts that are not empty."""
    if isinstance(value, tuple):
        for index, tag in enumerate(cast("tuple[object, ...]", value)):
            path = f"{attribute.name}[{index}]"
            if not check_text(path, tag):
                raise InvalidValueError(path, "must not be empty")


def json_object(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """JSON values by name."""
    if isinstance(value, Mapping):
        for name, item in cast("Mapping[object, object]", value).items():
            path = f"{attribute.name}.{name}"
            check_text(path, name)
            check_json(path, item)
