"""Checks that the model makes of its values; each raises `InvalidValueError`.

They say what is allowed and refuse the rest. `UNSET` is defined here because it is
allowed in many places.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, cast

import attrs

from .errors import InvalidValueError

_JSON_DEPTH = 32
_MOST_DIGITS = 30
_LARGEST = 10**308
_NAME_MARKS = str.maketrans(dict.fromkeys("._-", "x"))


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""What a source does not say. Differs from empty."""

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


def _is_plain(value: object) -> bool:
    """Whether this is text as most text is, so that no closer look is needed."""
    return (
        type(value) is str and value.isascii() and "\x00" not in value and value != ""
    )


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
        case float() if not math.isfinite(value):
            raise InvalidValueError(path, f"{value} is not a JSON number")
        case int() if abs(value) > _LARGEST:
            raise InvalidValueError(path, "is too large for a JSON number")
        case int() | float() | None:
            pass
        case list() | Mapping():
            _check_container(path, cast("Any", value), depth)
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
    if _is_plain(value):
        return
    if not check_text(attribute.name, value):
        raise InvalidValueError(attribute.name, "must not be empty")


def text_or_unset(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Text that is not empty, or UNSET."""
    if value is not UNSET:
        text(_, attribute, value)


def text_or_none(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Text or None."""
    if value is not None:
        check_text(attribute.name, value)


def optional_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Text, None or UNSET."""
    if value is not None and value is not UNSET and not _is_plain(value):
        check_text(attribute.name, value)


def one_of(*kinds: type[Any] | None) -> Validator:
    """A value of one of these classes; None among them allows None."""
    allowed = tuple(type(None) if kind is None else kind for kind in kinds)
    first = allowed[0].__name__

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, allowed):
            problem = f"must be {first}, not {type(value).__name__}"
            raise InvalidValueError(attribute.name, problem)

    return check


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
    """A Decimal of 0 or more, of sensible size."""
    if not isinstance(value, Decimal):
        problem = f"must be a Decimal, not {type(value).__name__}"
        raise InvalidValueError(attribute.name, problem)
    if not value.is_finite() or value < 0:
        raise InvalidValueError(attribute.name, f"must be 0 or more, is {value}")
    if abs(value.adjusted()) > _MOST_DIGITS:
        problem = f"must have at most {_MOST_DIGITS} digits, is {value:e}"
        raise InvalidValueError(attribute.name, problem)


def amount_or_none(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """An amount or None."""
    if value is not None:
        amount(_, attribute, value)


def optional_amount(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """An amount, None or UNSET."""
    if value is not None and value is not UNSET:
        amount(_, attribute, value)


def option_texts(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Names and values that are not empty."""
    for name, item in _entries(attribute.name, value):
        path = f"{attribute.name}.{name}"
        if not check_text(path, name) or not check_text(path, item):
            raise InvalidValueError(path, "an option and its value must not be empty")


def items(kind: type[Any], identity: Callable[[Any], object]) -> Validator:
    """A list in which each item is of the kind, and no identity is there twice."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is UNSET:
            return
        if not isinstance(value, tuple):
            problem = f"must be a list of {kind.__name__}, not {type(value).__name__}"
            raise InvalidValueError(attribute.name, problem)
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
    """JSON values by name, or UNSET."""
    if value is UNSET:
        return
    for name, item in _entries(attribute.name, value):
        path = f"{attribute.name}.{name}"
        check_text(path, name)
        check_json(path, item)


def _entries(path: str, value: object) -> Iterable[tuple[object, object]]:
    if not isinstance(value, Mapping):
        problem = f"must be a mapping, not {type(value).__name__}"
        raise InvalidValueError(path, problem)
    return cast("Mapping[object, object]", value).items()
