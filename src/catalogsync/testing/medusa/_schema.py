"""Checks of request bodies, with Medusa's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from ._errors import invalid

Path: TypeAlias = tuple[str | int, ...]
Issues: TypeAlias = list[str]
Value: TypeAlias = dict[str, object] | list[object] | str | float | None
"""A JSON value; the elements of lists and objects are not checked yet."""

Check: TypeAlias = Callable[[Any, Path, Issues], None]
"""Checks a value at a path, and adds its problems to the issues."""

MISSING: Any = object()


def validate(check: Check, body: object) -> None:
    """Check a body.

    Raises:
        MedusaError: 400 with all problems.
    """
    issues: Issues = []
    check(body, (), issues)
    if issues:
        raise invalid(f"Invalid request: {'; '.join(issues)}")


def _wrong(expected: str, value: object, path: Path) -> str:
    field = ", ".join(map(str, path))
    # Medusa looks the value up again and does not find it inside a list.
    if value is MISSING or not path or any(isinstance(part, int) for part in path):
        return f"Field '{field}' is required"
    return f"Expected type: '{expected}' for field '{field}', got: '{_spell(value)}'"


def _spell(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "[object Object]"
        case list():
            return ",".join(map(_spell, cast("list[object]", value)))
        case _:
            return str(value)


def _where(expected: str, fits: Callable[[Any], bool]) -> Check:
    def check(value: object, path: Path, issues: Issues) -> None:
        if not fits(value):
            issues.append(_wrong(expected, value, path))

    return check


string = _where("string", lambda value: isinstance(value, str))
number = _where("number", lambda value: type(value) in {int, float})
record = _where("record", lambda value: isinstance(value, dict))
boolean = _where(
    "boolean", lambda value: isinstance(value, bool) or value in ("true", "false")
)
anything = _where("", lambda _: True)


def one_of(*allowed: str) -> Check:
    """Accept these texts."""
    return _where("string", lambda value: value in allowed)


def not_negative(value: Any, path: Path, issues: Issues) -> None:
    """Accept a number from 0."""
    number(value, path, issues)
    if type(value) in {int, float} and value < 0:
        field = ", ".join(map(str, path))
        issues.append(f"Value for field '{field}' too small, expected at least: '0'")


def nullish(inner: Check) -> Check:
    """Accept null as well."""

    def check(value: object, path: Path, issues: Issues) -> None:
        if value is not None:
            inner(value, path, issues)

    return check


def refused(message: str) -> Check:
    """Accept nothing."""

    def check(value: object, path: Path, issues: Issues) -> None:
        issues.append(message)

    return check


def array(inner: Check) -> Check:
    """Accept a list of values that *inner* accepts."""

    def check(value: Value, path: Path, issues: Issues) -> None:
        if not isinstance(value, list):
            issues.append(_wrong("array", value, path))
            return
        for index, item in enumerate(value):
            inner(item, (*path, index), issues)

    return check


def either(*choices: Check) -> Check:
    """Accept a value that one of these accepts, or report the issues of the first."""

    def check(value: object, path: Path, issues: Issues) -> None:
        complaints: list[Issues] = []
        for choice in choices:
            found: Issues = []
            choice(value, path, found)
            if not found:
                return
            complaints.append(found)
        issues.extend(complaints[0])

    return check


def shape(fields: Mapping[str, Check], *required: str, strict: bool = True) -> Check:
    """Accept an object with these fields, and no others if it is strict."""

    def check(value: Value, path: Path, issues: Issues) -> None:
        if not isinstance(value, dict):
            issues.append(_wrong("object", value, path))
            return
        for name in required:
            if name not in value:
                issues.append(_wrong("", MISSING, (*path, name)))
        unknown: list[str] = []
        for name, item in value.items():
            if inner := fields.get(name):
                inner(item, (*path, name), issues)
            else:
                unknown.append(name)
        if unknown and strict:
            issues.append(f"Unrecognized fields: '{', '.join(unknown)}'")

    return check
