"""Validators of the model's values; each raises `InvalidValueError`.

They define what is allowed and refuse everything else. `UNSET` is defined here because
it is allowed in many places. The bounds are far beyond any real catalog: they keep a
maliciously crafted product from using up all time and memory.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, ItemsView, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, cast

import attrs

from catalogsync.errors import InvalidValueError

_MOST_ITEMS = 10_000
"""Most elements of any list or mapping of a product, except attributes."""

_LONGEST_TEXT = 1 << 22
_JSON_DEPTH = 32
_JSON_VALUES = 100_000
_MOST_PARENTS = 50
_MOST_DIGITS = 30
_MOST_FIGURES = 80
_SHOWN = 100
_LARGEST = 10**308
_ALWAYS_FINE = frozenset({bool, type(None)})
_NAME_MARKS = str.maketrans(dict.fromkeys("._-", "x"))


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""A value that the source does not supply. It is not the same as an empty one."""

Validator = Callable[[object, "attrs.Attribute[Any]", Any], None]


def check_text(path: str, value: object) -> str:
    """Check that a value is text that any store can keep."""
    if not isinstance(value, str):
        raise InvalidValueError(path, f"must be text, not {_described(value)}")
    if len(value) > _LONGEST_TEXT:
        problem = f"has {len(value)} characters, more than {_LONGEST_TEXT}"
        raise InvalidValueError(path, problem)
    if "\x00" in value:
        raise InvalidValueError(path, "contains a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            problem = "contains half a surrogate pair, which no store can keep"
            raise InvalidValueError(path, problem) from None
    return value


def _check_name(path: str, name: object) -> None:
    """Check a key of a mapping; one that is neither text nor a number is not quoted."""
    if not isinstance(name, str | int):
        problem = f"each name must be text, not {type(name).__name__}"
        raise InvalidValueError(path, problem)
    check_text(f"{path}.{shortened(name)}", name)


def _is_plain(value: object) -> bool:
    """Whether a value is plain ASCII text, as most are; it needs no more checks."""
    return (
        type(value) is str
        and value.isascii()
        and "\x00" not in value
        and 0 < len(value) <= _LONGEST_TEXT
    )


def shortened(value: object) -> str:
    """A value for a message, cut if it is long."""
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def described(kind: str, value: object) -> str:
    """The kind of an invalid value and, if it is simple, the value itself."""
    match value:
        case str():
            return f"{kind} ({shortened(value)!r})"
        case int() | float() | Decimal():
            return f"{kind} ({shortened(value)})"
        case _:
            return kind


def _described(value: object) -> str:
    return described(type(value).__name__, value)


def check_number_of_items(path: str, number: int) -> None:
    """Check the number of elements in a list or mapping."""
    if number > _MOST_ITEMS:
        raise InvalidValueError(path, f"has {number} entries, more than {_MOST_ITEMS}")


def check_parents(path: str, above: object) -> None:
    """Check the number of ancestors.

    Args:
        path: Path to the parent.
        above: The parent, whose own parent is its attribute `parent`.
    """
    for _ in range(_MOST_PARENTS + 1):
        if above is None:
            return
        above = getattr(above, "parent", None)
    raise InvalidValueError(path, f"more than {_MOST_PARENTS} levels")


def check_distinct(path: str, values: Iterable[object]) -> None:
    """Check that no value appears twice."""
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value in seen:
            which = "" if value is None else f"{shortened(value)} "
            raise InvalidValueError(f"{path}[{index}]", f"{which}appears twice")
        seen.add(value)


def check_json(path: str, value: object, depth: int = _JSON_DEPTH) -> None:
    """Check that a value is JSON of limited depth and size."""
    try:
        _check_json(value, depth, _JSON_VALUES)
    except InvalidValueError as error:
        raise error.under(path) from None


def _check_json(value: object, depth: int, most: int) -> int:
    """Check a value; returns how many more there may be.

    The path is built only when a check has failed: for long names and many values it
    would be most of the work.
    """
    if type(value) in _ALWAYS_FINE:
        return most - 1
    match value:
        case str():
            check_text("", value)
        case float() if not math.isfinite(value):
            raise InvalidValueError("", f"{value} is not a JSON number")
        case int() if abs(value) > _LARGEST:
            raise InvalidValueError("", "is too large for a JSON number")
        case int() | float():
            pass
        case list() | Mapping():
            return _check_container(cast("Any", value), depth, most)
        case _:
            raise InvalidValueError("", f"{type(value).__name__} is not JSON")
    return most - 1


def _check_container(
    value: Mapping[object, object] | list[object], depth: int, most: int
) -> int:
    if not depth:
        raise InvalidValueError("", f"deeper than {_JSON_DEPTH} levels")
    if len(value) > most:
        raise InvalidValueError("", f"more than {_JSON_VALUES} values")
    is_list = isinstance(value, list)
    items = enumerate(value) if isinstance(value, list) else value.items()
    for name, item in items:
        if not is_list and not _is_plain(name):
            check_text("", name)
        try:
            most = _check_json(item, depth - 1, most)
        except InvalidValueError as error:
            raise error.under(f"[{name}]" if is_list else shortened(name)) from None
    return most - 1


def text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate text that is not empty."""
    if _is_plain(value):
        return
    if not check_text(attribute.name, value):
        raise InvalidValueError(attribute.name, "must not be empty")


def text_or_unset(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate text that is not empty, or UNSET."""
    if value is not UNSET:
        text(_, attribute, value)


def text_or_none(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate text or None."""
    if value is not None:
        check_text(attribute.name, value)


def optional_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate text, None or UNSET."""
    if value is not None and value is not UNSET and not _is_plain(value):
        check_text(attribute.name, value)


def one_of(*kinds: type[Any] | None) -> Validator:
    """Validate a value of one of these classes; None among them allows None."""
    allowed = tuple(type(None) if kind is None else kind for kind in kinds)
    first = allowed[0].__name__

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, allowed):
            problem = f"must be {first}, not {_described(value)}"
            raise InvalidValueError(attribute.name, problem)

    return check


def source_name(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a name that is used in keys, handles and file names."""
    name = check_text(attribute.name, value)
    if not name.isascii() or not name.translate(_NAME_MARKS).isalnum():
        problem = f"must be letters, digits, '.', '_' or '-', is {shortened(name)!r}"
        raise InvalidValueError(attribute.name, problem)


def currency(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate an ISO 4217 code in upper case."""
    code = check_text(attribute.name, value)
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        problem = f"must be 3 letters, is {shortened(code)!r}"
        raise InvalidValueError(attribute.name, problem)
    if not code.isupper():
        raise InvalidValueError(attribute.name, f"must be upper case, is {code!r}")


def is_country(code: str) -> bool:
    """Whether a text has the form of an ISO 3166 code: two upper-case letters."""
    return len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()


def optional_country(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate an ISO 3166 code of two upper-case letters, None or UNSET."""
    if value is None or value is UNSET:
        return
    code = check_text(attribute.name, value)
    if not is_country(code):
        problem = f"must be an ISO 3166 code such as 'DE', is {shortened(code)!r}"
        raise InvalidValueError(attribute.name, problem)


def flag(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate true, false or UNSET."""
    if not isinstance(value, bool) and value is not UNSET:
        problem = f"must be true or false, not {_described(value)}"
        raise InvalidValueError(attribute.name, problem)


def quantity(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate an integer; a negative stock is allowed."""
    if not isinstance(value, int) or isinstance(value, bool):
        problem = f"must be a whole number, is {shortened(value)!r}"
        raise InvalidValueError(attribute.name, problem)
    if abs(value) >= 10**_MOST_DIGITS:
        problem = f"must have at most {_MOST_DIGITS} digits"
        raise InvalidValueError(attribute.name, problem)


def amount(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a Decimal of 0 or more with a limited number of digits."""
    if not isinstance(value, Decimal):
        problem = f"must be a Decimal, not {_described(value)}"
        raise InvalidValueError(attribute.name, problem)
    if not value.is_finite() or value < 0:
        problem = f"must be 0 or more, is {shortened(value)}"
        raise InvalidValueError(attribute.name, problem)
    if abs(value.adjusted()) > _MOST_DIGITS:
        problem = (
            f"must have at most {_MOST_DIGITS} digits, is {shortened(f'{value:e}')}"
        )
        raise InvalidValueError(attribute.name, problem)
    if len(value.as_tuple().digits) > _MOST_FIGURES:
        problem = f"must have at most {_MOST_FIGURES} figures, is {shortened(value)}"
        raise InvalidValueError(attribute.name, problem)


def amount_or_none(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate an amount or None."""
    if value is not None:
        amount(_, attribute, value)


def optional_amount(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate an amount, None or UNSET."""
    if value is not None and value is not UNSET:
        amount(_, attribute, value)


def option_texts(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate options: names and values that are not empty."""
    entries = _entries(attribute.name, value)
    check_number_of_items(attribute.name, len(entries))
    for name, item in entries:
        _check_name(attribute.name, name)
        path = f"{attribute.name}.{shortened(name)}"
        if not name or not check_text(path, item):
            raise InvalidValueError(path, "an option and its value must not be empty")


def items(kind: type[Any], identity: Callable[[Any], object]) -> Validator:
    """Validate a list of items of this class, without two of the same identity."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is UNSET:
            return
        if not isinstance(value, tuple):
            problem = f"must be a list of {kind.__name__}, not {_described(value)}"
            raise InvalidValueError(attribute.name, problem)
        found = cast("tuple[object, ...]", value)
        check_number_of_items(attribute.name, len(found))
        for index, item in enumerate(found):
            if not isinstance(item, kind):
                path = f"{attribute.name}[{index}]"
                problem = f"must be {kind.__name__}, not {_described(item)}"
                raise InvalidValueError(path, problem)
        if len(found) > 1:
            check_distinct(attribute.name, [identity(item) for item in found])

    return check


def tags(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate texts that are not empty."""
    if isinstance(value, tuple):
        for index, tag in enumerate(cast("tuple[object, ...]", value)):
            path = f"{attribute.name}[{index}]"
            if not _is_plain(tag) and not check_text(path, tag):
                raise InvalidValueError(path, "must not be empty")


def json_object(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Validate a JSON object or UNSET."""
    if value is UNSET:
        return
    entries = _entries(attribute.name, value)
    try:
        check_json(attribute.name, value, _JSON_DEPTH + 1)
    except InvalidValueError:
        for name, _ in entries:
            _check_name(attribute.name, name)
        raise


def _entries(path: str, value: object) -> ItemsView[object, object]:
    if not isinstance(value, Mapping):
        problem = f"must be a mapping, not {_described(value)}"
        raise InvalidValueError(path, problem)
    return cast("Mapping[object, object]", value).items()


def moment_or_none(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A time that is the same everywhere, or None."""
    if value is None:
        return
    if not isinstance(value, datetime):
        raise InvalidValueError(
            attribute.name, f"must be a time, not {_described(value)}"
        )
    if value.tzinfo is None:
        problem = f"must have a time zone ({value.isoformat()} has none)"
        raise InvalidValueError(attribute.name, problem)
