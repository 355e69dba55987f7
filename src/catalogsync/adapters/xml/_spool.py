"""Records on disk, by product, in a temporary SQLite file: memory stays bounded.

Records of one product may stand anywhere in the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import cast

import attrs

from catalogsync._lib import strict_json
from catalogsync.errors import InvalidValueError
from catalogsync.mapping import Record, RecordMapping

from ._parser import Parsed

__all__ = ["Spool", "Spooled"]

_BATCH = 1000
_CREATE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE record (
    n INTEGER PRIMARY KEY, product TEXT, place TEXT, problem TEXT, content BLOB
);
CREATE TABLE product (rank INTEGER PRIMARY KEY, product TEXT);
"""
_ORDER = """
CREATE INDEX of_product ON record (product, n);
INSERT INTO product (product)
SELECT product FROM record GROUP BY product ORDER BY min(n);
"""
_PAGE = """
SELECT product.rank, place, problem, content
FROM product JOIN record USING (product) WHERE product.rank BETWEEN ? AND ?
ORDER BY product.rank, n
"""
_FIND = "SELECT 0, place, problem, content FROM record WHERE product = ? ORDER BY n"


@attrs.frozen
class Spooled:
    """The records of one product.

    Attributes:
        records: Its records.
        where: Position of a record that cannot be used.
        problem: What is wrong with that record; empty: nothing.
    """

    records: tuple[Record, ...]
    where: str = ""
    problem: str = ""


@attrs.define
class Spool:
    """The records of one file.

    Attributes:
        connection: The SQLite file.
        products: Number of products, unusable records included.
    """

    connection: sqlite3.Connection
    products: int

    @classmethod
    def of(cls, parsed: Iterable[Parsed], mapping: RecordMapping, file: Path) -> Spool:
        """Write records to disk, and find out which belong together.

        Args:
            parsed: The records; read once.
            mapping: Says which records belong together.
            file: A SQLite file that does not exist yet.
        """
        connection = sqlite3.connect(file, check_same_thread=False)
        try:
            connection.executescript(_CREATE)
            with connection:
                for rows in _batched(_rows(parsed, mapping)):
                    connection.executemany(
                        "INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows
                    )
            connection.executescript(_ORDER)
            (count,) = connection.execute("SELECT count(*) FROM product").fetchone()
        except BaseException:
            connection.close()
            raise
        return cls(connection, count)

    def page(self, first: int, size: int) -> list[Spooled]:
        """Products in the order of the file.

        Args:
            first: Number of the first one, from 0.
            size: Most products.
        """
        rows = self.connection.execute(_PAGE, (first + 1, first + size))
        return list(_grouped(rows))

    def find(self, product: str) -> list[Spooled]:
        """The product with this id, in a list; empty: there is none."""
        return list(_grouped(self.connection.execute(_FIND, (f"={product}",))))

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


_Row = tuple[int, str, str, str, bytes]


def _rows(parsed: Iterable[Parsed], mapping: RecordMapping) -> Iterator[_Row]:
    """Rows of the table; a record without a key continues the one before."""
    product = ""
    for number, each in enumerate(parsed):
        group, problem = None, each.problem
        if not problem:
            try:
                record = Record(where=each.where, values=each.values)
                group = mapping.group_of(record)
            except InvalidValueError as error:
                problem = str(error.under("key"))
        if group is not None:
            product = f"={group}"
        elif not product:
            problem = problem or "key: is missing"
        own = f"!{number}" if problem else product
        content = b"{}" if problem else strict_json.dumps(each.values)
        yield number, own, each.where, problem, content


def _batched(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _grouped(rows: Iterable[Sequence[object]]) -> Iterator[Spooled]:
    for _, members in groupby(rows, key=lambda row: row[0]):
        records: list[Record] = []
        where = problem = ""
        for _, place, wrong, content in cast(
            "Iterable[tuple[int, str, str, bytes]]", members
        ):
            records.append(Record(where=place, values=strict_json.loads(content)))
            where, problem = (place, wrong) if wrong else (where, problem)
        yield Spooled(tuple(records), where, problem)
