"""A file into SQLite as a careful person writes it by hand, with csv.DictReader.

It does what a run of catalogsync does with the same file the first time: it groups rows
that stand far apart, reads and checks numbers, leaves out products with a damaged row
and says why, and fills the same tables. It compares nothing, keeps the whole file in
memory, and would lose rows to a quotation mark that is not closed, so it reads none.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import count
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE product (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, source_id TEXT,
    title TEXT NOT NULL, description TEXT, UNIQUE (source, source_id)
);
CREATE TABLE image (
    id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES product (id),
    position INTEGER NOT NULL, url TEXT NOT NULL
);
CREATE INDEX image_product ON image (product_id);
CREATE TABLE variant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id INTEGER NOT NULL REFERENCES product (id), source_id TEXT NOT NULL,
    sku TEXT, UNIQUE (product_id, source_id)
);
CREATE INDEX variant_sku ON variant (sku);
CREATE TABLE variant_option (
    variant_id INTEGER REFERENCES variant (id), name TEXT, value TEXT NOT NULL,
    PRIMARY KEY (variant_id, name)
);
CREATE TABLE price (
    variant_id INTEGER REFERENCES variant (id), currency TEXT, amount TEXT NOT NULL,
    PRIMARY KEY (variant_id, currency)
);
CREATE TABLE stock_level (
    id INTEGER PRIMARY KEY, variant_id INTEGER NOT NULL REFERENCES variant (id),
    location TEXT, quantity INTEGER NOT NULL, UNIQUE (variant_id, location)
);
PRAGMA foreign_keys = ON;
"""
_NAMES = "handle", "title", "description", "sku", "size", "price", "stock", "image"
_Row = dict[str, Any]


class DamagedError(Exception):
    """A row is not valid."""


def run(file: Path, database: Path) -> int:
    """Read the file into a new database; returns the number of products."""
    problems: list[str] = []
    products = dict(_good(_grouped(file, problems), problems))
    connection = sqlite3.connect(database)
    connection.executescript(_TABLES)
    with connection:
        _write(connection, products)
    connection.close()
    return len(products)


def _grouped(file: Path, problems: list[str]) -> dict[str, list[_Row]]:
    groups: dict[str, list[_Row]] = {}
    with file.open(newline="", encoding="utf-8", errors="replace") as source:
        reader = csv.DictReader(source, restkey="more", quoting=csv.QUOTE_NONE)
        for row in reader:
            key = row["handle"].strip()
            if not key:
                problems.append(f"line {reader.line_num}: no handle")
                continue
            row["line"] = reader.line_num
            groups.setdefault(key, []).append(row)
    return groups


def _good(
    groups: dict[str, list[_Row]], problems: list[str]
) -> Iterator[tuple[str, list[_Row]]]:
    for key, rows in groups.items():
        try:
            _check_all(rows)
        except DamagedError as error:
            problems.append(str(error))
        else:
            yield key, rows


def _check_all(rows: list[_Row]) -> None:
    for row in rows:
        _check(row)
    for name in ("sku", "size"):
        if len({row[name] for row in rows}) < len(rows):
            raise DamagedError(f"line {rows[0]['line']}: two variants are the same")


def _check(row: _Row) -> None:
    """Check a row, and replace its texts by values."""
    line = row["line"]
    if "more" in row or row["image"] is None:
        raise DamagedError(f"line {line}: wrong number of cells")
    for name in _NAMES:
        row[name] = text = row[name].strip()
        if not text or "\0" in text or "\ufffd" in text:
            raise DamagedError(f"line {line}: {name} is not valid")
    try:
        row["price"] = price = Decimal(row["price"])
        row["stock"] = int(row["stock"])
    except (InvalidOperation, ValueError):
        raise DamagedError(f"line {line}: not a number") from None
    if not price.is_finite() or price < 0:
        raise DamagedError(f"line {line}: the price is {price}")


def _write(connection: sqlite3.Connection, products: dict[str, list[_Row]]) -> None:
    variants = count(1)
    for id_, (key, rows) in enumerate(products.items(), 1):
        first = rows[0]
        connection.execute(
            "INSERT INTO product VALUES (?, 'shop', ?, ?, ?)",
            (id_, key, first["title"], first["description"]),
        )
        images = enumerate(dict.fromkeys(row["image"] for row in rows))
        connection.executemany(
            "INSERT INTO image (product_id, position, url) VALUES (?, ?, ?)",
            [(id_, place, url) for place, url in images],
        )
        of_product = [(next(variants), row) for row in rows]
        connection.executemany(
            "INSERT INTO variant VALUES (?, ?, ?, ?)",
            [(v, id_, row["sku"], row["sku"]) for v, row in of_product],
        )
        connection.executemany(
            "INSERT INTO variant_option VALUES (?, 'Size', ?)",
            [(v, row["size"]) for v, row in of_product],
        )
        connection.executemany(
            "INSERT INTO price VALUES (?, 'EUR', ?)",
            [(v, f"{row['price']:f}") for v, row in of_product],
        )
        connection.executemany(
            "INSERT INTO stock_level (variant_id, quantity) VALUES (?, ?)",
            [(v, row["stock"]) for v, row in of_product],
        )
