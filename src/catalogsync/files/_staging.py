"""Rows on disk, ordered by product, in a temporary DuckDB: memory stays bounded.

Rows of one product may stand anywhere in the file. They are written as lines of text,
which DuckDB loads, orders by the first row of their product, and returns page by page.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import attrs

from catalogsync.errors import MissingExtraError, TransientError
from catalogsync.mapping import Record, RecordMapping

from ._lines import id_of, noting_members, parts_of, values_of, write_lines
from ._records import FileRecords
from ._repeating import repeating

__all__ = ["Staged", "Staging"]

_SETTINGS = {"threads": "1", "preserve_insertion_order": "true"}
_LEAST_BUFFER = 4 << 20
_MEMORY = 32 << 20
_READING = 12 << 20
_TRIES = 5

_Found: TypeAlias = Sequence[tuple[int, str | None, str]]


@attrs.frozen(kw_only=True, eq=False)
class Staged:
    """The rows of one product, or one row that is not valid.

    Attributes:
        id: Id of the product; empty: not known.
        rows: Position and values of each row, as they are kept.
        where: Position of the row that is not valid.
        problem: What is wrong with that row; empty: nothing.
    """

    id: str
    rows: Sequence[tuple[str, str]]
    where: str = ""
    problem: str = ""
    _values: Callable[[str], Mapping[str, object]] = attrs.field(
        alias="values", repr=False
    )

    @property
    def records(self) -> tuple[Record, ...]:
        """The rows."""
        values = self._values
        return tuple(
            Record(where=where, values=values(kept)) for where, kept in self.rows
        )

    @property
    def content(self) -> bytes:
        """The values of all rows, without their positions."""
        kept = "\n".join([kept for _, kept in self.rows])
        return kept.encode(errors="surrogatepass")


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
        records: FileRecords,
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
        records = repeating(records, mapping)
        file, members = folder / "rows", folder / "members"
        if mapping.members is not None:
            rows = noting_members(records, mapping, members)
            records = attrs.evolve(records, rows=rows)
        longest = max(_LEAST_BUFFER, 2 * write_lines(records, mapping, file))
        try:
            connection = _loaded(folder, file, members, longest)
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
        found = self._fetched(_PAGE, [low, later[0] if later else 1 << 62])
        return list(self._grouped(found))

    def page_of(self, first: int) -> int:
        """Number of the page with the product that begins at this row."""
        return bisect_right(self.bounds, first) - 1

    def find(self, key: str) -> list[Staged]:
        """The product with this key, in a list; empty: there is none."""
        return list(self._grouped(self._fetched(_FIND, [json.dumps(key)])))

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    def _fetched(self, query: str, values: Sequence[object]) -> _Found:
        """The rows of a query, which has more memory if it needs it."""
        import duckdb

        for number in range(_TRIES):
            cursor = self.connection.cursor()
            try:
                return cast("_Found", cursor.execute(query, values).fetchall())
            except duckdb.OutOfMemoryException:
                if number == _TRIES - 1:
                    raise
                cursor.execute(_limited(_MEMORY << number))
        raise AssertionError

    def _grouped(self, found: _Found) -> Iterator[Staged]:
        key, bad = "", ("", "")
        rows: list[tuple[str, str]] = []
        for _, first, line in found:
            if first is not None:
                if rows:
                    yield self._staged(key, rows, *bad)
                key, rows, bad = first, [], ("", "")
            where, problem, kept = parts_of(line)
            rows.append((where, kept))
            if problem and not bad[1]:
                bad = (where, problem)
        if rows:
            yield self._staged(key, rows, *bad)

    def _staged(
        self, key: str, rows: Sequence[tuple[str, str]], where: str, problem: str
    ) -> Staged:
        return Staged(
            id=id_of(key), rows=rows, where=where, problem=problem, values=self._values
        )

    def _values(self, kept: str) -> Mapping[str, object]:
        return values_of(kept, self.columns, plain=self.plain)


def _loaded(folder: Path, file: Path, members: Path, longest: int) -> Any:
    """A database with the rows in these files, which are removed.

    Few files need more memory than the first try has; the next ones have more.
    """
    import duckdb

    for number in range(_TRIES):
        place = folder / f"rows{number}.duckdb"
        connection: Any = duckdb.connect(
            str(place),
            config={
                **_SETTINGS,
                "memory_limit": f"{(_MEMORY << number) + 4 * longest}B",
                "temp_directory": str(folder / "temp"),
            },
        )
        try:
            connection.execute(_LOAD.replace("LINE", str(longest)), [str(file)])
            if members.exists():
                connection.execute(_MEMBERS, [str(members)])
                connection.execute(_MOVE)
            connection.execute(_ORDER)
            connection.execute("DROP TABLE loaded")
        except duckdb.IOException:  # such as a full disk
            raise
        except duckdb.Error:
            connection.close()
            place.unlink(missing_ok=True)
            if number == _TRIES - 1:
                raise
        else:
            file.unlink()
            members.unlink(missing_ok=True)
            # Otherwise all that was loaded stays in memory, up to the limit.
            connection.execute(_limited(_READING + longest))
            return connection
    raise AssertionError


def _limited(most: int) -> str:
    """A statement that limits the memory of a database to this many bytes."""
    return f"SET memory_limit = '{most}B'"


_LOAD = """
CREATE TABLE loaded AS SELECT * FROM read_csv(
    ?, header = false, delim = '\x1f', quote = '', escape = '', auto_detect = false,
    max_line_size = LINE, buffer_size = LINE,
    columns = {
        'n': 'BIGINT', 'k': 'VARCHAR', 'line': 'VARCHAR'
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
SELECT first, n, k, line FROM loaded JOIN firsts USING (k)
ORDER BY first, n
"""
_BOUNDS = """
SELECT first FROM (SELECT first, row_number() OVER (ORDER BY first) AS rank FROM firsts)
WHERE (rank - 1) % ? = 0 ORDER BY first
"""
_COLUMNS = "SELECT first, CASE WHEN n = first THEN k END, line FROM staged"
_PAGE = f"{_COLUMNS} WHERE first >= ? AND first < ? ORDER BY first, n"
_FIND = f"{_COLUMNS} WHERE k = ? ORDER BY n"
