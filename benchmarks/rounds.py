"""Interleaved rounds: each round measures every contender once, one after the other.

What disturbs a minute disturbs all of them; medians leave the worst moments out.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from typing import Any

Results = dict[str, list[dict[str, Any]]]


def interleaved(
    rounds: int, contenders: Mapping[str, Callable[[], dict[str, Any]]], what: str
) -> Results:
    """Measure all contenders in turn, *rounds* times."""
    results: Results = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name, measure in contenders.items():
            progress(f"{what}, round {number} of {rounds}: {name}")
            results[name].append(measure())
    progress("")
    return results


def median(results: Results, name: str, value: str) -> float:
    """The median of one value of one contender."""
    return statistics.median(float(result[value]) for result in results[name])


def progress(text: str) -> None:
    """Say what goes on: on a terminal in one line, else a line each."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
    elif text:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    """Print a table whose first column is text."""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    print(f"\n{title}\n")
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
