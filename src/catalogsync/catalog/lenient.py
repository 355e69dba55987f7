"""Values as they stand in a store, whatever people made of them.

What no source could supply becomes text: it can be compared, shown and kept like any
other value, differs from all that is desired, and is written over where the source
supplies the field.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

__all__ = ["amount", "quantity", "text"]

_LARGEST_EXPONENT = 400


def text(value: object) -> str | None:
    """A text; an empty one is not there."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else str(value)


def amount(value: object) -> Any:
    """A `Decimal`; text where it is no number."""
    if value is None:
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except ArithmeticError:
        return str(value)
    # A few letters can stand for a number with a billion digits.
    is_usual = number.is_finite() and abs(number.adjusted()) <= _LARGEST_EXPONENT
    return number if is_usual else str(value)


def quantity(value: object) -> Any:
    """A whole number; text where it is none."""
    number = amount(value)
    if isinstance(number, Decimal) and number == number.to_integral_value():
        return int(number)
    return str(value)
