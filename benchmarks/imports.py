"""What importing takes, and who takes it."""

from __future__ import annotations

import statistics
from collections import defaultdict

from .processes import import_times
from .rounds import table

_RUN = (
    "import catalogsync.engine, catalogsync.adapters.dummyjson,"
    " catalogsync.adapters.medusa"
)
_MOST = 10


def measure(rounds: int) -> None:
    """Import in fresh processes and print medians."""
    nothing = [_own_times("pass") for _ in range(rounds)]
    package = [_own_times("import catalogsync") for _ in range(rounds)]
    run = [_own_times(_RUN) for _ in range(rounds)]
    base = _total(nothing)
    rows = [
        ["import catalogsync", f"{_total(package) - base:.1f}"],
        ["what a run needs", f"{_total(run) - base:.1f}"],
    ]
    shares = {
        name: statistics.median(times[name] for times in run)
        for name in run[0].keys() - nothing[0].keys()
    }
    largest = sorted(shares, key=lambda name: -shares[name])[:_MOST]
    rows += [[f"  {name}", f"{shares[name]:.1f}"] for name in largest]
    table(f"Importing (medians of {rounds})", ["", "ms"], rows)


def _total(times: list[dict[str, float]]) -> float:
    return statistics.median(sum(each.values()) for each in times)


def _own_times(code: str) -> dict[str, float]:
    """Milliseconds by top-level package, without what it imports in turn."""
    times: dict[str, float] = defaultdict(float)
    for line in import_times(code).splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            times[name.strip().split(".")[0]] += int(own) / 1000
    return times
