"""Numbers, durations, order and characters for people, the same in every place."""

from __future__ import annotations

import math
import re

__all__ = ["about", "counted", "duration", "encodable", "natural"]

_DIGITS = re.compile(r"([0-9]+)")
_MINUTE, _HOUR = 60, 3600
_SHORTEST = 0.01
_IN_SECONDS = 99.995


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what is counted, such as `1 write` or `2 batches`.

    Args:
        number: How many.
        one: What, if it is one.
        many: What, if it is not; empty: the same with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """A duration, such as `0.25 s`, `2 min 5 s` or `3 h 10 min`; none is `0.00 s`."""
    if seconds < _IN_SECONDS:
        return f"{max(seconds, _SHORTEST) if seconds else 0:.2f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def about(seconds: float) -> str:
    """A duration that is only estimated, in whole seconds: `4 s`, `2 min 5 s`."""
    whole = math.ceil(seconds)
    return duration(whole) if whole > _IN_SECONDS else f"{whole} s"


def natural(text: str) -> tuple[object, ...]:
    """What to sort a text by so that 9 comes before 10.

    Texts with numbers of equal value are ordered by their characters.
    """
    parts: list[object] = []
    for place, part in enumerate(_DIGITS.split(text)):
        number = part.lstrip("0")
        parts.append((len(number), number) if place % 2 else part)
    return (tuple(parts), text)


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs written out, which no UTF-8 can hold.

    JavaScript makes such text where it cuts an emoji in two.
    """
    return text.encode(errors="backslashreplace").decode()
