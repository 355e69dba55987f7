"""Prints the results of the fault matrix, one row for each fault."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence

from .doubling import play_doubling
from .matrix import Verdict, cases, play

_HEAD = ("fault", "cases", "duplicates", "lost", "unexplained", "at once", "seconds")


def main() -> int:
    """Run everything; gives the exit code."""
    logging.disable()
    verdicts = asyncio.run(_all())
    rows = [_HEAD, *_rows(verdicts)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD))]
    for row in rows:
        first, *rest = (
            text.rjust(width) for text, width in zip(row, widths, strict=True)
        )
        print(first.strip().ljust(widths[0]), *rest, sep="  ")  # noqa: T201
    wrong = [f"{each.case}: {text}" for each in verdicts for text in each.wrong]
    for text in wrong:
        print(text)  # noqa: T201
    return 1 if wrong else 0


async def _all() -> list[Verdict]:
    verdicts = [await play(case) for case in cases()]
    doubling = [
        await play_doubling(seed, late=late)
        for late in (False, True)
        for seed in (0, 1, 2)
    ]
    return [*verdicts, *doubling]


def _rows(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    rows: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault(verdict.row, []).append(verdict)
    return [_row(name, some) for name, some in rows.items()]


def _row(name: str, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    return (
        name,
        str(len(verdicts)),
        str(sum(each.duplicates for each in verdicts)),
        str(sum(each.lost for each in verdicts)),
        str(sum(each.unexplained for each in verdicts)),
        str(sum(each.finished for each in verdicts)),
        f"{sum(each.seconds for each in verdicts):.1f}",
    )


sys.exit(main())
