"""Measure and print: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import engine, files, imports, processes, store, waiting


def main() -> None:
    options = _options()
    sizes, rounds = ([1_000, 5_000], 1) if options.quick else ([10_000, 100_000], 3)
    sizes, rounds = options.products or sizes, options.rounds or rounds
    print(f"catalogsync on {processes.machine()}")
    print("What else the machine does moves these figures; ratios move less.")
    with _folder(options.data) as folder:
        if "imports" in options.parts:
            imports.measure(rounds + 2)
        if "waiting" in options.parts:
            waiting.measure(rounds)
        if "store" in options.parts:
            if shutil.which("node"):
                store.measure(rounds + 2, options.batch_size, folder, options.file)
            else:
                print("\nNo real Medusa: Node.js is not installed.")
        if "engine" in options.parts:
            for products in sizes:
                engine.measure(products, rounds, folder)
        if "files" in options.parts:
            default = 10_000 if options.quick else 1_000_000
            files.measure(options.rows or default, rounds, folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    add = parser.add_argument
    parts = ["imports", "waiting", "store", "engine", "files"]
    add("parts", nargs="*", default=parts, metavar="PART", help=f"of {parts}")
    add("--quick", action="store_true", help="smaller sizes and one round")
    add("--rounds", type=int, help="how often everything is measured")
    add("--products", type=int, action="append", help="a size for the engine")
    add("--rows", type=int, help="rows of the file")
    add("--batch-size", type=int, default=100, help="for the real Medusa (100)")
    add("--file", type=Path, help="products for the real Medusa, as DummyJSON has them")
    add("--data", type=Path, help="folder that keeps the real Medusa's database")
    return parser.parse_args()


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="catalogsync-bench-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
