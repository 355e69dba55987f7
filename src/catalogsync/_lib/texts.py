"""Numbers, durations, sort order and characters in texts for people."""

from __future__ import annotations

import math
import re

__all__ = ["about", "counted", "duration", "encodable", "natural"]

_DIGITS = re.compile(r"([0-9]+)")
_MINUTE, _HOUR = 60, 3600
_SHORTEST = 0.01
_IN_SECONDS = 99.995


def counted(number: int, one: str, many: str = "") -> str:
    """A number with a noun, such as `1 write` or `2 batches`.

    Args:
        number: The number.
        one: The noun in the singular.
        many: The noun in the plural; empty: the singular with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """A duration, such as `0.00 s`, `0.25 s`, `2 min 5 s` or `3 h 10 min`."""
    if seconds < _IN_SECONDS:
        return f"{max(seconds, _SHORTEST) if seconds else 0:.2f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def about(seconds: float) -> str:
    """An estimated duration in whole seconds, such as `4 s` or `2 min 5 s`."""
    whole = math.ceil(seconds)
    return duration(whole) if whole > _IN_SECONDS else f"{whole} s"


def natural(text: str) -> tuple[object, ...]:
    """A sort key for texts in which 9 comes before 10.

    Texts whose numbers have the same value are ordered by their characters.
    """
    parts: list[object] = []
    for place, part in enumerate(_DIGITS.split(text)):
        number = part.lstrip("0")
        parts.append((len(number), number) if place % 2 else part)
    return (tuple(parts), text)


def encodable(text: str) -> str:
    """The text with unpaired surrogates escaped, which UTF-8 cannot encode.

    JavaScript produces them when it cuts an emoji in two.
    """
    return text.encode(errors="backslashreplace").decode()
