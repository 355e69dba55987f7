"""Rows on disk, ordered by product, in a temporary DuckDB: memory stays bounded.

Rows of one product may stand anywhere in the file. They are written as lines of text,
which DuckDB loads, orders by the first row of their product, and returns page by page.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import attrs

from catalogsync._lib.strict_json import dumps, loads
from catalogsync.errors import InvalidValueError, MissingExtraError, TransientError
from catalogsync.mapping import Record, RecordMapping

from ._records import Records, Row, Rows

__all__ = ["Staged", "Staging"]

_SETTINGS = {"threads": "1", "preserve_insertion_order": "true"}
_SEPARATOR = "\x1f"
_NUMBER = "\x1e"
_LONGEST_CELLS = 32_000_000
_NO_CELLS = "[]"
_LEAST_BUFFER = 4 << 20
_MEMORY = 64 << 20


@attrs.frozen
class Staged:
    """The rows of one product, or one row that is not valid.

    Attributes:
        records: The rows.
        where: Position of the row that is not valid.
        problem: What is wrong with that row; empty: nothing.
    """

    records: tuple[Record, ...]
    where: str = ""
    problem: str = ""


@attrs.define(kw_only=True)
class Staging:
    """A temporary database of the rows of one file.

    Attributes:
        folder: The folder for its files.
        columns: Names of the columns; empty: each row has its own names.
        plain: Whether all values are texts, or lists and mappings of texts.
        connection: The database.
        bounds: Number of the first row of each page.
        products: Number of products, invalid rows included.
    """

    folder: Path
    columns: Sequence[str]
    plain: bool
    connection: Any = attrs.field(repr=False)
    bounds: Sequence[int] = ()
    products: int = 0

    @classmethod
    def of(
        cls,
        records: Records,
        mapping: RecordMapping,
        folder: Path,
        *,
        page_size: int,
    ) -> Staging:
        """Stage the records of a file.

        Args:
            records: The records; read once.
            mapping: Says which rows belong together.
            folder: An empty folder for temporary files.
            page_size: Products in a page.

        Raises:
            MissingExtraError: The extra `files` is not installed.
            TransientError: There is no room for them now.
        """
        try:
            import duckdb
        except ImportError as error:
            raise MissingExtraError("reading files", "files") from error
        file, members = folder / "rows", folder / "members"
        if mapping.members is not None:
            rows = _noting_members(records, mapping, members)
            records = attrs.evolve(records, rows=rows)
        longest = max(_LEAST_BUFFER, 2 * _write(records, mapping, file))
        try:
            connection: Any = duckdb.connect(
                str(folder / "rows.duckdb"),
                config={
                    **_SETTINGS,
                    "memory_limit": f"{_MEMORY + 4 * longest}B",
                    "temp_directory": str(folder / "temp"),
                },
            )
            connection.execute(_LOAD.replace("LINE", str(longest)), [str(file)])
            file.unlink()
            if members.exists():
                connection.execute(_MEMBERS, [str(members)])
                connection.execute(_MOVE)
                members.unlink()
            connection.execute(_ORDER)
            connection.execute("DROP TABLE loaded")
            (products,) = connection.execute("SELECT count(*) FROM firsts").fetchone()
            found = connection.execute(_BOUNDS, [page_size]).fetchall()
        except duckdb.Error as error:
            first = str(error).partition("\n")[0]
            raise TransientError(f"rows cannot be kept on the disk: {first}") from error
        return cls(
            folder=folder,
            columns=records.columns,
            plain=records.plain,
            connection=connection,
            bounds=[bound for (bound,) in found],
            products=products,
        )

    def page(self, number: int) -> list[Staged]:
        """The products of a page, in the order of the file."""
        low = self.bounds[number]
        later = self.bounds[number + 1 : number + 2]
        cursor = self.connection.cursor()
        found = cursor.execute(_PAGE, [low, later[0] if later else 1 << 62]).fetchall()
        return list(self._grouped(found))

    def page_of(self, first: int) -> int:
        """Number of the page with the product that begins at this row."""
        return bisect_right(self.bounds, first) - 1

    def find(self, key: str) -> list[Staged]:
        """The product with this key, in a list; empty: there is none."""
        cursor = self.connection.cursor()
        found = cursor.execute(_FIND, [json.dumps(key)]).fetchall()
        return list(self._grouped(found))

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    def _grouped(self, rows: Sequence[tuple[int, str, str, str]]) -> Iterator[Staged]:
        records: list[Record] = []
        bad: tuple[str, str] = ("", "")
        last = None
        for first, where, problem, cells in rows:
            if first != last and last is not None:
                yield Staged(tuple(records), *bad)
                records, bad = [], ("", "")
            last = first
            records.append(Record(where=where, values=self._values(cells)))
            if problem and not bad[1]:
                bad = (where, problem)
        if last is not None:
            yield Staged(tuple(records), *bad)

    def _values(self, cells: str) -> Mapping[str, object]:
        if self.plain:
            return _named(self.columns, loads(cells.encode()))
        return _named(self.columns, json.loads(cells, object_hook=_untagged))


_LOAD = """
CREATE TABLE loaded AS SELECT * FROM read_csv(
    ?, header = false, delim = '\x1f', quote = '', escape = '', auto_detect = false,
    max_line_size = LINE, buffer_size = LINE,
    columns = {
        'n': 'BIGINT', 'k': 'VARCHAR', 'place': 'VARCHAR', 'problem': 'VARCHAR',
        'cells': 'VARCHAR'
    }
)
"""
_MEMBERS = """
CREATE TABLE member AS
SELECT k, first(parent ORDER BY n) AS parent FROM read_json(
    ?, format = 'newline_delimited',
    columns = {'n': 'BIGINT', 'k': 'VARCHAR', 'parent': 'VARCHAR'}
) WHERE k != parent GROUP BY k
"""
_MOVE = """
UPDATE loaded SET n = n + (1::BIGINT << 40), k = member.parent
FROM member WHERE loaded.k = member.k
"""
_ORDER = """
CREATE TABLE firsts AS SELECT k, min(n) AS first FROM loaded GROUP BY k;
CREATE TABLE staged AS
SELECT first, n, k, place, problem, cells FROM loaded JOIN firsts USING (k)
ORDER BY first, n
"""
_BOUNDS = """
SELECT first FROM (SELECT first, row_number() OVER (ORDER BY first) AS rank FROM firsts)
WHERE (rank - 1) % ? = 0 ORDER BY first
"""
_PAGE = """
SELECT first, place, problem, cells FROM staged WHERE first >= ? AND first < ?
ORDER BY first, n
"""
_FIND = "SELECT first, place, problem, cells FROM staged WHERE k = ? ORDER BY n"


def _write(records: Records, mapping: RecordMapping, file: Path) -> int:
    """Write rows as lines: number, key, position, problem, cells.

    Returns:
        About the length of the longest line, in bytes.
    """
    longest = 0
    values_for_key = _values_for_key(records.columns, mapping)
    key = ""
    with file.open("w", encoding="utf-8", newline="\n", buffering=1 << 20) as target:
        for number, row in enumerate(records.rows):
            group, problem = _group(row, values_for_key, mapping)
            cells = _dumped(row.cells, plain=records.plain)
            if _size(cells) > _LONGEST_CELLS:
                group, problem, cells = None, "has too much text", _NO_CELLS
            if group is not None:
                written = json.dumps(group)
                key = key if problem else written
            elif problem or not key:
                written = f"!{number}"
                problem = problem or "key: is missing"
            else:
                written = key
            parts = (str(number), written, row.where, _one_line(problem), cells)
            line = _SEPARATOR.join(parts)
            longest = max(longest, len(line) if line.isascii() else 4 * len(line))
            target.write(line + "\n")
    return longest


def _noting_members(records: Records, mapping: RecordMapping, file: Path) -> Rows:
    """The rows; which others belong to their products is written as lines of JSON."""
    with file.open("w", encoding="utf-8") as target:
        for number, row in enumerate(records.rows):
            if row.problem:
                yield row
                continue
            record = Record(where=row.where, values=_named(records.columns, row.cells))
            try:
                parent, keys = mapping.group_of(record), mapping.members_of(record)
            except InvalidValueError as error:
                of_key = not error.path.startswith("members")
                yield row if of_key else attrs.evolve(row, problem=str(error))
                continue
            for key in keys if parent is not None else ():
                line = {"n": number, "k": json.dumps(key), "parent": json.dumps(parent)}
                target.write(json.dumps(line) + "\n")
            yield row


def _group(
    row: Row, values: Callable[[Row], Mapping[str, object]], mapping: RecordMapping
) -> tuple[str | None, str]:
    """The key of a row, and what is wrong with it.

    The key of a row that is not valid is trusted only if it stands in the first column,
    before anything that could have moved it.
    """
    if row.problem and not _key_is_first(row, values, mapping):
        return None, row.problem
    try:
        group = mapping.group_of(Record(where=row.where, values=values(row)))
    except InvalidValueError as error:
        return None, row.problem or str(error.under("key"))
    return group, row.problem


def _key_is_first(
    row: Row, values: Callable[[Row], Mapping[str, object]], mapping: RecordMapping
) -> bool:
    return bool(row.cells) and [*values(row)][:1] == [*mapping.key.columns]


def _values_for_key(
    columns: Sequence[str], mapping: RecordMapping
) -> Callable[[Row], Mapping[str, object]]:
    """Returns the values of a row that its key may depend on, without the others."""
    specs = (mapping.key, mapping.title)
    needed = {name for spec in specs for name in spec.columns}
    if not columns or any(spec.complex for spec in specs):
        return lambda row: _named(columns, row.cells)
    places = [(name, at) for at, name in enumerate(columns) if name in needed]

    def values(row: Row) -> Mapping[str, object]:
        cells = cast("Sequence[object]", row.cells)
        return {name: cells[at] for name, at in places if at < len(cells)}

    return values


def _named(
    columns: Sequence[str], cells: Sequence[object] | Mapping[str, object]
) -> Mapping[str, object]:
    if isinstance(cells, Mapping):
        return cells
    return dict(zip(columns, cells, strict=False))


def _size(text: str) -> int:
    """Bytes of a text in UTF-8; a short one is not measured exactly."""
    if text.isascii() or len(text) < _LONGEST_CELLS // 4:
        return len(text)
    return len(text.encode())


def _one_line(text: str) -> str:
    """A text that fits into a line."""
    return " ".join(text.replace(_SEPARATOR, " ").split())


def _dumped(cells: object, *, plain: bool) -> str:
    """Cells as JSON; those that JSON cannot contain are left out."""
    try:
        if plain:
            return dumps(cells).decode()
        return json.dumps(cells, default=_tagged)
    except (TypeError, ValueError):
        return _NO_CELLS


def _tagged(value: object) -> object:
    if isinstance(value, Decimal):
        return {_NUMBER: str(value)}
    raise TypeError


def _untagged(found: dict[str, object]) -> object:
    return Decimal(str(found[_NUMBER])) if _NUMBER in found else found
