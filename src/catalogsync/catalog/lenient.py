"""Reading values from a store, where people can enter anything.

A value that is not valid becomes text. It can be compared and shown like any other, it
differs from every valid value, and so it is overwritten if the source supplies the
field.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

__all__ = ["amount", "quantity", "text"]

_LARGEST_EXPONENT = 400
_LARGE = 1 << 64


def text(value: object) -> str | None:
    """A text; None for an empty one."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def amount(value: object) -> Any:
    """A `Decimal`, or text if it is not a number."""
    if value is None:
        return None
    if type(value) is int and abs(value) < _LARGE:
        return Decimal(value)
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except ArithmeticError:
        return str(value)
    # `1e999999999` is short, but has a billion digits.
    is_usual = number.is_finite() and abs(number.adjusted()) <= _LARGEST_EXPONENT
    return number if is_usual else str(value)


def quantity(value: object) -> Any:
    """An integer, or text if it is not one."""
    if type(value) is int and abs(value) < _LARGE:
        return value
    number = amount(value)
    if isinstance(number, Decimal) and number == number.to_integral_value():
        return int(number)
    return str(value)
