"""What a case showed."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Verdict:
    """What a case showed.

    Attributes:
        case: Which one.
        row: The row of the table that it belongs to.
        duplicates: Products, categories and tags that are there twice.
        lost: Products of the source that are neither in the sink nor reported.
        unexplained: Products that are wrong and not reported.
        finished: Whether one run did all that can be done.
        wrong: Everything that must not be, in words.
        seconds: How long all runs took.
    """

    case: str
    row: str
    duplicates: int = 0
    lost: int = 0
    unexplained: int = 0
    finished: bool = False
    wrong: tuple[str, ...] = ()
    seconds: float = 0.0
