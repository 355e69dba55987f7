"""Transactions as generators, independent of the database driver.

A generator of steps yields statements, receives the rows of each one, and returns the
result. All its statements run in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

__all__ = [
    "Database",
    "Dialect",
    "Row",
    "Statement",
    "Steps",
    "Value",
    "rows",
    "run_async",
    "run_blocking",
]

T = TypeVar("T")

Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Any, ...]

_MARK = "\\"  # begins encoded text; text that begins with it is encoded, too


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


def _encode_all(parameters: Mapping[str, Value]) -> Mapping[str, Value]:
    return {name: _encoded(value) for name, value in parameters.items()}


@attrs.frozen
class Statement:
    """One statement.

    Attributes:
        sql: SQL with `:name` for parameters and the placeholders of `Dialect`.
        parameters: The values of the parameters.
    """

    sql: str
    parameters: Mapping[str, Value] = attrs.field(
        factory=dict[str, Value], converter=_encode_all
    )


Steps: TypeAlias = Generator[Statement, Sequence[Row], T]


def rows(values: Iterable[Sequence[Value]]) -> dict[str, Value]:
    """The parameter of `{rows}`, which passes any number of rows to a statement."""
    return {"rows": json.dumps([[_encoded(v) for v in row] for row in values])}


@attrs.frozen
class Dialect:
    """SQL that differs between databases, by placeholder.

    Attributes:
        now: `{now}`: the clock of the store, in seconds since the epoch.
        rows: `{rows}`: the table passed by `rows`.
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


def run_blocking(
    steps: Steps[T],
    dialect: Dialect,
    execute: Callable[[str, Mapping[str, Value]], Sequence[Row]],
) -> T:
    """Run steps with a blocking function."""
    try:
        statement = next(steps)
        while True:
            found = execute(_rendered(dialect, statement.sql), statement.parameters)
            statement = steps.send([tuple(map(_decoded, row)) for row in found])
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(
    steps: Steps[T],
    dialect: Dialect,
    execute: Callable[[str, Mapping[str, Value]], Awaitable[Sequence[Row]]],
) -> T:
    """Run steps with an async function."""
    try:
        statement = next(steps)
        while True:
            sql = _rendered(dialect, statement.sql)
            found = await execute(sql, statement.parameters)
            statement = steps.send([tuple(map(_decoded, row)) for row in found])
    except StopIteration as end:
        result: T = end.value
        return result


class Database(Protocol):
    """Runs steps, each generator in a transaction of its own.

    Both methods raise `StateError` if the database cannot be used.
    """

    async def read(self, steps: Steps[T], /) -> T:
        """Run steps that change nothing."""
        ...

    async def write(self, steps: Steps[T], /) -> T:
        """Run steps as the only writer, atomically."""
        ...
