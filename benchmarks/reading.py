"""A file into SQLite, alone in a process: ``python -m benchmarks.reading library``.

Reads a job as JSON from its standard input and prints what it cost, imports aside.
"""

from __future__ import annotations

import asyncio
import csv
import json
import resource
import sqlite3
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

COLUMNS = ["handle", "title", "description", "sku", "size", "price", "stock", "image"]


def write(file: Path, rows: int) -> None:
    """A file whose variants stand far apart, and in which every 100th row is damaged."""
    products = max(1, rows // 4)
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(COLUMNS)
        for number in range(rows):
            variant, n = divmod(number, products)
            price = f"{10 + n % 90}.{n % 100:02d}"
            cells = [
                f"p{n}",
                f"Thing {n}",
                f"The {n}th of all things",
                f"S{n}-{variant}",
            ]
            cells += [
                f"Size {variant}",
                price,
                str(n % 50),
                f"https://img.example.com/{n}",
            ]
            writer.writerow(cells[:5] if number % 100 == 99 else cells)


def by_script(file: Path, database: Path) -> int:
    """What people write: csv.DictReader, a dictionary of lists, and sqlite3."""
    groups: dict[str, list[dict[str, Any]]] = {}
    with file.open(newline="", encoding="utf-8") as source:
        for row in csv.DictReader(source):
            if row["image"] is not None:
                groups.setdefault(row["handle"], []).append(row)
    connection = sqlite3.connect(database)
    connection.execute(
        "CREATE TABLE product (id PRIMARY KEY, title, description, image)"
    )
    connection.execute(
        "CREATE TABLE variant (id PRIMARY KEY, product, size, price, stock)"
    )
    for handle, rows in groups.items():
        first = rows[0]
        connection.execute(
            "INSERT INTO product VALUES (?, ?, ?, ?)",
            (handle, first["title"], first["description"], first["image"]),
        )
        connection.executemany(
            "INSERT INTO variant VALUES (?, ?, ?, ?, ?)",
            [
                (r["sku"], handle, r["size"], str(Decimal(r["price"])), int(r["stock"]))
                for r in rows
            ],
        )
    connection.commit()
    connection.close()
    return len(groups)


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
    return TableSettings(location=str(file), name="bench", map=map_)


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


async def by_library(file: Path, database: Path) -> int:
    """A whole run into SQLite."""
    from catalogsync import sync
    from catalogsync.adapters.sql import SQLSettings

    sink_settings = SQLSettings(url=f"sqlite:///{database}")
    async with _settings(file).open() as source, sink_settings.open() as sink:
        report = await sync(source, sink)
    return report.counts.created


def main() -> None:
    job = json.loads(sys.stdin.read())
    file, database = Path(job["file"]), Path(job["database"])
    started, cpu = time.perf_counter(), time.process_time()
    if sys.argv[1] == "script":
        products = by_script(file, database)
    else:
        work = by_library if sys.argv[1] == "library" else by_source
        products = asyncio.run(work(file, database))
    result = {
        "products": products,
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - started,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
