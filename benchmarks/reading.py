"""A file into SQLite, alone in a process: ``python -m benchmarks.reading library``.

Reads a job as JSON from its standard input and prints what it cost, imports aside.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import by_hand

COLUMNS = ["handle", "title", "description", "sku", "size", "price", "stock", "image"]


def write(file: Path, rows: int) -> None:
    """A file whose variants stand far apart, and in which every 100th row is damaged."""
    products = max(1, rows // 4)
    with file.open("wb") as target:
        target.write(",".join(COLUMNS).encode() + b"\n")
        for number in range(rows):
            variant, n = divmod(number, products)
            cells = [f"p{n}", f"Thing {n}", f"The {n}th of all things"]
            cells += [f"S{n}-{variant}", f"Size {variant}"]
            cells += [f"{10 + n % 90}.{n % 100:02d}", str(n % 50)]
            cells.append(f"https://img.example.com/{n}")
            if number % 100 == 99:
                cells = DAMAGE[number // 100 % len(DAMAGE)](cells)
            line = ",".join(cells).encode(errors="surrogateescape")
            target.write(line + b"\n")


def _set(name: str, text: str) -> Callable[[list[str]], list[str]]:
    place = COLUMNS.index(name)
    return lambda cells: [*cells[:place], text, *cells[place + 1 :]]


DAMAGE: Sequence[Callable[[list[str]], list[str]]] = (
    lambda cells: cells[:5],
    lambda cells: cells[:1],
    lambda cells: [*cells, "one more"],
    *(_set("handle", text) for text in ("", "  ")),
    *(_set("price", text) for text in ("cheap", "-5.00", "1.2.3", "NaN", "1e5", "?")),
    *(_set("stock", text) for text in ("many", "1.5", "--3", "0x10")),
    *(_set(name, "a\0b") for name in ("sku", "size")),
    _set("title", '"not closed'),
    _set("title", '"closed" too early'),
    _set("title", "not UTF-8: \udcff"),
)
"""Twenty ways in which rows are damaged."""


def _settings(file: Path) -> Any:
    from catalogsync.adapters.table import TableSettings
    from catalogsync.mapping import Expression, RecordMapping

    fields = {
        name: Expression(from_=column)
        for name, column in (
            ("key", "handle"),
            ("title", "title"),
            ("description", "description"),
            ("sku", "sku"),
            ("stock", "stock"),
            ("images", "image"),
        )
    }
    price = Expression(from_="price", currency="EUR")
    options = {"Size": Expression(from_="size")}
    map_ = RecordMapping(price=price, options=options, **fields)  # type: ignore[arg-type]
    return TableSettings(location=str(file), name="bench", map=map_, encoding="utf-8")


async def by_source(file: Path, _: Path) -> int:
    """The source alone: its pages are read and forgotten."""
    count = 0
    async with _settings(file).open() as source:
        page = await source.read(None)
        count += _built(page)
        for cursor in page.next:
            count += _built(await source.read(cursor))
    return count


def _built(page: Any) -> int:
    """Number of the products of a page, all of which are built."""
    from catalogsync import Product

    made = [draft.build() for draft in page.products]
    return sum(isinstance(each, Product) for each in made)


async def by_library(file: Path, database: Path, *, state: bool = False) -> int:
    """A whole run into SQLite; returns the number of products that were written."""
    from catalogsync import StateSettings, sync
    from catalogsync.adapters.sql import SQLSettings

    sink_settings = SQLSettings(url=f"sqlite:///{database}")
    memory = StateSettings(url=f"sqlite:///{database}.state")
    async with _settings(file).open() as source, sink_settings.open() as sink:
        if not state:
            report = await sync(source, sink)
        else:
            async with memory.open() as store:
                report = await sync(source, sink, state=store)
    return report.counts.created + report.counts.updated


def _prepare() -> None:
    """Import what is measured, and collect garbage as the command line does."""
    for name in (
        *("aiosqlite", "duckdb", "sqlalchemy.ext.asyncio"),
        *("catalogsync.engine", "catalogsync.adapters.table", "catalogsync.mapping"),
    ):
        importlib.import_module(name)
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def main() -> None:
    job = json.loads(sys.stdin.read())
    file, database = Path(job["file"]), Path(job["database"])
    kind = sys.argv[1]
    if kind != "script":
        _prepare()
    started, cpu = time.perf_counter(), time.process_time()
    if kind == "script":
        products = by_hand.run(file, database)
    elif kind == "source":
        products = asyncio.run(by_source(file, database))
    else:
        products = asyncio.run(by_library(file, database, state=kind == "state"))
    result = {
        "products": products,
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - started,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
