"""What a row of a file costs, beside a script on csv.DictReader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import processes
from .reading import write
from .rounds import interleaved, median, table

_NAMES = {
    "script": "csv.DictReader and sqlite3, no comparison",
    "source": "the source alone",
    "library": "catalogsync into SQLite",
}


def measure(rows: int, rounds: int, folder: Path) -> None:
    """Measure a file of this size and print it."""
    file = folder / "rows.csv"
    write(file, rows)

    def contender(kind: str) -> Callable[[], dict[str, Any]]:
        def run() -> dict[str, Any]:
            database = folder / "rows.db"
            database.unlink(missing_ok=True)
            job = {"file": str(file), "database": str(database)}
            return processes.run(["-m", "benchmarks.reading", kind], job)

        return run

    contenders = {kind: contender(kind) for kind in _NAMES}
    results = interleaved(rounds, contenders, f"{rows:,} rows")
    floor = median(results, "script", "cpu")
    lines = [
        [
            shown,
            f"{median(results, kind, 'cpu') / rows * 1e6:.1f}",
            f"{median(results, kind, 'cpu') / floor:.1f}",
            f"{median(results, kind, 'wall'):.2f}",
            f"{median(results, kind, 'mb'):.0f}",
        ]
        for kind, shown in _NAMES.items()
    ]
    head = ["", "CPU us/row", "x script", "seconds", "peak MB"]
    table(f"A file of {rows:,} rows, 4 a product, far apart, 1 % damaged", head, lines)
