"""Plays many cases and prints what became of them."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from hypothesis import Phase, given, seed, settings, strategies as st

from .records import play_records, records_cases
from .replies import play_sink, play_source, sink_cases, source_cases
from .verdicts import Verdict

_CHUNK = 1000
_SHOWN = 20
_HEAD = (
    "cases of",
    "cases",
    "outcomes",
    "crashes",
    "hangs",
    "lost",
    "wrong",
    "seconds",
)


@attrs.define
class _Row:
    """What became of all cases of a kind."""

    name: str
    cases: int = 0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    crashes: int = 0
    hangs: int = 0
    lost: int = 0
    wrong: int = 0
    seconds: float = 0.0

    def add(self, verdict: Verdict) -> None:
        self.cases += 1
        self.outcomes[verdict.outcome] += 1
        self.crashes += bool(verdict.crashes)
        self.hangs += bool(verdict.hangs)
        self.lost += bool(verdict.lost)
        self.wrong += bool(verdict.wrong)

    def texts(self) -> tuple[str, ...]:
        numbers = (self.crashes, self.hangs, self.lost, self.wrong)
        counts = (self.cases, len(self.outcomes), *numbers, f"{self.seconds:.0f}")
        return (self.name, *map(str, counts))


def main() -> int:
    """Play them; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable()
    rows = list(_rows(options.cases, options.seed))
    table = [_HEAD, *(row.texts() for row in rows)]
    widths = [max(len(texts[n]) for texts in table) for n in range(len(_HEAD))]
    for texts in table:
        print(*(t.rjust(w) for t, w in zip(texts, widths, strict=True)), sep="  ")  # noqa: T201
    return int(any(row.crashes + row.hangs + row.lost + row.wrong for row in rows))


def _rows(cases: int, first_seed: int) -> Iterator[_Row]:
    kinds: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Verdict], float]] = {
        "records": (records_cases(), play_records, 0.5),
        "source replies": (source_cases(), play_source, 0.35),
        "sink replies": (sink_cases(), play_sink, 0.15),
    }
    for name, (strategy, play, share) in kinds.items():
        row, started = _Row(name), time.perf_counter()
        for number, size in enumerate(_chunks(round(cases * share))):
            _play_all(strategy, play, row, size, first_seed * 1_000_000 + number)
        row.seconds = time.perf_counter() - started
        yield row


def _chunks(cases: int) -> Iterator[int]:
    """Sizes of parts; one alone would fill the memory of Hypothesis."""
    for begin in range(0, cases, _CHUNK):
        yield min(_CHUNK, cases - begin)


def _play_all(
    strategy: st.SearchStrategy[Any],
    play: Callable[[Any], Verdict],
    row: _Row,
    size: int,
    number: int,
) -> None:
    @seed(number)
    @settings(max_examples=size, database=None, deadline=None, phases=[Phase.generate])
    @given(strategy)
    def body(case: Any) -> None:
        verdict = play(case)
        row.add(verdict)
        if verdict.problems and row.crashes + row.hangs + row.lost + row.wrong < _SHOWN:
            print(case, *verdict.problems, sep="\n  ")  # noqa: T201

    body()


if __name__ == "__main__":
    sys.exit(main())
