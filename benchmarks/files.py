"""What a row of a file costs, beside a script on csv.DictReader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import processes
from .reading import write
from .rounds import interleaved, median, table

_NAMES = {
    "script": "a careful script with csv.DictReader",
    "source": "the source alone",
    "library": "catalogsync into SQLite",
    "created": "the same with a state store",
    "compared": "second run: compares",
    "recognised": "third run: recognises",
    "one price": "one price has changed",
}


def measure(rows: int, rounds: int, folder: Path) -> None:
    """Measure a file of this size and print it."""
    file, changed = folder / "rows.csv", folder / "changed.csv"
    write(file, rows)
    _change_one_price(file, changed)

    def contender(kind: str) -> Callable[[], dict[str, Any]]:
        def run() -> dict[str, Any]:
            database = folder / "rows.db"
            if kind in {"script", "library", "created"}:
                for old in folder.glob("rows.db*"):
                    old.unlink()
            read = changed if kind == "one price" else file
            job = {"file": str(read), "database": str(database)}
            how = kind if kind in {"script", "source", "library"} else "state"
            return processes.run(["-m", "benchmarks.reading", how], job)

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
            f"{median(results, kind, 'products'):,.0f}",
        ]
        for kind, shown in _NAMES.items()
    ]
    head = ["", "CPU us/row", "x script", "seconds", "peak MB", "products"]
    table(f"A file of {rows:,} rows, 4 a product, far apart, 1 % damaged", head, lines)


def _change_one_price(file: Path, changed: Path) -> None:
    """A copy of a file in which the second product has another price."""
    with file.open("rb") as source, changed.open("wb") as target:
        for number, line in enumerate(source):
            target.write(line.replace(b",11.01,", b",99.95,") if number == 2 else line)
