"""Measure and print: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

from . import costs, engine, files, imports, lanes, page, processes, store
from .rounds import table


def main() -> None:
    options = _options()
    sizes, rounds = ([1_000, 5_000], 1) if options.quick else ([10_000, 100_000], 3)
    sizes, rounds = options.products or sizes, options.rounds or rounds
    where = processes.machine()
    print(f"catalogsync on {where}")
    print("What else the machine does moves these figures; ratios move less.")
    with _folder(options.data) as folder:
        if "imports" in options.parts:
            imports.measure(rounds + 2)
        if {"store", "lanes"} & {*options.parts}:
            _real(options, rounds, folder)
        if "costs" in options.parts:
            _costs(options, rounds, where, folder)
        if "engine" in options.parts:
            for products in sizes:
                engine.measure(products, rounds, folder)
        if "files" in options.parts:
            default = 10_000 if options.quick else 1_000_000
            files.measure(options.rows or default, rounds, folder)


def _real(options: argparse.Namespace, rounds: int, folder: Path) -> None:
    if not shutil.which("node"):
        print("\nNo real Medusa: Node.js is not installed.")
        return
    if "store" in options.parts:
        store.measure(rounds + 2, options.batch_size, folder, options.file)
    if "lanes" in options.parts:
        sizes = options.products or [1_000 if options.quick else 5_000]
        lanes.measure(sizes[0], options.changed, rounds, folder)


def _costs(options: argparse.Namespace, rounds: int, where: str, folder: Path) -> None:
    sizes = options.products or ([10_000] if options.quick else [10_000, 100_000])
    if options.write:
        page.around(options.write)  # Fails now rather than after minutes.
    tables = costs.measure(sizes, rounds, folder)
    for each in tables:
        table(f"{each.title} (medians of {rounds})", each.head, each.rows)
    if options.write:
        measured = f"{where}; medians of {rounds} rounds."
        page.write(options.write, measured, tables)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    add = parser.add_argument
    parts = ["imports", "store", "costs", "engine", "files"]
    help_ = f"of {parts}, and lanes"
    add("parts", nargs="*", default=parts, metavar="PART", help=help_)
    add("--changed", type=int, default=100, help="quantities that change for lanes")
    add(
        "--quick",
        action="store_true",
        help="smaller sizes and one round; for the costs only 10,000",
    )
    add("--rounds", type=int, help="how often everything is measured")
    add("--products", type=int, action="append", help="a size")
    add("--rows", type=int, help="rows of the file")
    add("--write", type=Path, help="page that gets the tables of the costs")
    add("--batch-size", type=int, default=100, help="for the real Medusa (100)")
    add("--file", type=Path, help="products for the real Medusa, as DummyJSON has them")
    add("--data", type=Path, help="folder that keeps the real Medusa's database")
    return parser.parse_args()


@contextlib.contextmanager
def _folder(kept: Path | None) -> Generator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="catalogsync-bench-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
