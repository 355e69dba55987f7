"""Plays many cases and prints what became of them."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
from hypothesis import Phase, given, seed, settings, strategies as st

from .files import files_cases, play_file
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
    parser.add_argument("--kind", choices=_KINDS, help="only cases of this kind")
    options = parser.parse_args()
    logging.disable()
    faulthandler.enable()
    rows = list(_rows(options.cases, options.seed, options.kind))
    table = [_HEAD, *(row.texts() for row in rows)]
    widths = [max(len(texts[n]) for texts in table) for n in range(len(_HEAD))]
    for texts in table:
        print(*(t.rjust(w) for t, w in zip(texts, widths, strict=True)), sep="  ")  # noqa: T201
    return int(any(row.crashes + row.hangs + row.lost + row.wrong for row in rows))


Kind: TypeAlias = tuple[st.SearchStrategy[Any], Callable[[Any], Verdict], float]
"""A strategy, what plays a case of it, and its share of all cases."""
_KINDS: Mapping[str, Kind] = {
    "records": (records_cases(), play_records, 0.4),
    "source replies": (source_cases(), play_source, 0.25),
    "sink replies": (sink_cases(), play_sink, 0.1),
    "files": (files_cases(), play_file, 0.25),
}


def _rows(cases: int, first_seed: int, only: str | None) -> Iterator[_Row]:
    for name, (strategy, play, share) in _KINDS.items():
        if only not in {None, name}:
            continue
        row, started = _Row(name), time.perf_counter()
        count = cases if only else round(cases * share)
        for number, size in enumerate(_chunks(count)):
            _play_all(strategy, play, row, size, first_seed * 1_000_000 + number)
            row.seconds = time.perf_counter() - started
            if number % 10 == 9:
                print(*row.texts(), file=sys.stderr)  # noqa: T201
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
