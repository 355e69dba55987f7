"""Validators of numbers in settings and options."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from catalogsync.errors import InvalidValueError, MisconfiguredError

__all__ = ["above", "at_least", "finite"]

_Error = type[InvalidValueError] | type[MisconfiguredError]
_Validator = Callable[[object, "attrs.Attribute[Any]", Any], None]


def at_least(least: float, error: _Error = MisconfiguredError) -> _Validator:
    """Validate a number of *least* or more; None is accepted.

    Args:
        least: The smallest number.
        error: What the validator raises.
    """
    return _bound(lambda n: n >= least, f"must be {least} or more", error)


def above(bound: float, error: _Error = MisconfiguredError) -> _Validator:
    """Validate a number above *bound*; as `at_least` otherwise."""
    return _bound(lambda n: n > bound, f"must be more than {bound}", error)


def finite(_: object, attribute: attrs.Attribute[Any], value: float | None) -> None:
    """Validate a number that is not infinite; None is accepted."""
    if value is not None and math.isinf(value):
        raise InvalidValueError(attribute.name, f"must be finite, is {value}")


def _bound(is_valid: Callable[[float], bool], words: str, error: _Error) -> _Validator:
    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not is_valid(value):
            raise error(attribute.name, f"{words}, is {value}")

    return check
