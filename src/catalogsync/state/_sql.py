"""Transactions of SQLite and PostgreSQL: the same SQL, with a few words of each."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

from catalogsync._lib.databases import PROBLEMS, code_of, first_match

from .protocols import StateError

T = TypeVar("T")

Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Any, ...]
_Execute: TypeAlias = Callable[[str, Mapping[str, Value]], Awaitable[Sequence[Row]]]

_MARK = "\\"  # begins encoded text; text that begins with it is encoded, too


@attrs.frozen
class Dialect:
    """SQL that differs between databases, by placeholder.

    Attributes:
        now: `{now}`: the clock of the store, in seconds since the epoch.
        rows: `{rows}`: the table of the rows given to a statement.
        cell: `{0}`, `{1}`...: a column of that table; `%d` is its number.
        text: `{text}`: the type of text, ordered by code points.
        digest: The index entry for the id of a product, `%s`, which may be too long for
            an index: `{key}` for the column `id`, `{key1}` for the cell `{1}`, and
            `{sought}` for the parameter `:id`.
    """

    now: str
    rows: str
    cell: str
    text: str
    digest: str


@attrs.frozen(eq=False)
class Transaction:
    """Executes the statements of one transaction."""

    dialect: Dialect
    execute: _Execute

    async def __call__(
        self,
        sql: str,
        rows: Iterable[Sequence[Value]] = (),
        /,
        **parameters: Value,
    ) -> Sequence[Row]:
        """Execute a statement; returns the rows that it finds.

        Args:
            sql: SQL with `:name` for parameters and the placeholders of `Dialect`.
            rows: Any number of rows for `{rows}`.
            parameters: The values of the parameters; more than it has are ignored.
        """
        values = {name: _encoded(value) for name, value in parameters.items()}
        if "{rows}" in sql:
            values["rows"] = json.dumps([[_encoded(v) for v in row] for row in rows])
        found = await self.execute(_rendered(self.dialect, sql), values)
        return [tuple(map(_decoded, row)) for row in found]


Work: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]
"""What happens in one transaction; it awaits nothing but its statements."""


class Database(Protocol):
    """Runs work, each in a transaction of its own.

    Both methods raise `StateError` if the database cannot be used.
    """

    async def read(self, work: Work[T], /) -> T:
        """Run work that changes nothing."""
        ...

    async def write(self, work: Work[T], /) -> T:
        """Run work as the only writer, atomically."""
        ...


@cache
def _rendered(dialect: Dialect, sql: str) -> str:
    cells = [dialect.cell % number for number in range(10)]
    return sql.format(
        *cells,
        now=dialect.now,
        rows=dialect.rows,
        text=dialect.text,
        key=dialect.digest % "id",
        key1=dialect.digest % cells[1],
        sought=dialect.digest % ":id",
    )


def _encoded(value: Value) -> Value:
    """The value; text that some database does not accept is marked and escaped."""
    if isinstance(value, str) and _is_odd(value):
        return _MARK + value.encode("unicode_escape").decode()
    return value


def _is_odd(text: str) -> bool:
    if "\x00" in text or text.startswith(_MARK):
        return True
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_MARK):
        raw = value.removeprefix(_MARK).encode()
        try:
            return raw.decode("unicode_escape")
        except UnicodeDecodeError:
            return raw  # bytes, which readers of rows refuse
    return value


def explain(
    where: str, cause: BaseException, words: str, known: Mapping[str, str]
) -> StateError:
    """The error for a failure of the database.

    Args:
        where: Address of the store, without a password.
        cause: Error of the driver.
        words: Its message, without secrets.
        known: More problems than `PROBLEMS` has.
    """
    problem = first_match(code_of(cause), (known, PROBLEMS)) or "fails"
    message = " ".join(words.split())
    return StateError(f"the state store {where} {problem} ({message})")
