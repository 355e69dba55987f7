"""Work on a database as generators, told apart from how a driver carries it out.

A generator of steps gives one statement after the other and is sent the rows of each;
what it returns is the result. All its statements are one transaction.
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

_MARK = "\\"  # text that begins with it is marked, too


def _encoded(value: Value) -> Value:
    """The value; text that not every database takes is marked and escaped."""
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
            return raw  # not text, so who reads the row refuses it
    return value


def _encode_all(parameters: Mapping[str, Value]) -> Mapping[str, Value]:
    return {name: _encoded(value) for name, value in parameters.items()}


@attrs.frozen
class Statement:
    """One statement.

    Attributes:
        sql: With `:name` for a parameter, and in braces what databases write
            differently: see `Dialect`.
        parameters: Their values.
    """

    sql: str
    parameters: Mapping[str, Value] = attrs.field(
        factory=dict[str, Value], converter=_encode_all
    )


Steps: TypeAlias = Generator[Statement, Sequence[Row], T]


def rows(values: Iterable[Sequence[Value]]) -> dict[str, Value]:
    """The parameter of `{rows}`; a statement takes any number of them at once."""
    return {"rows": json.dumps([[_encoded(v) for v in row] for row in values])}


@attrs.frozen
class Dialect:
    """What databases write differently.

    Attributes:
        now: Written `{now}`: the store's clock in seconds since the epoch.
        rows: Written `{rows}`: a table of what `rows` gave.
        cell: Written `{0}`, `{1}`...: a column of that table; `%d` is the number.
        text: Written `{text}`: the type of text that is ordered by code points.
        digest: What an index holds for a product's id, `%s`, which may be longer than
            an entry. Written `{key}` for the column `id`, `{key1}` for the cell
            `{1}`, and `{sought}` for the parameter `:id`.
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
    """Carry out steps by a function that waits for the database."""
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
    """Carry out steps by a function that is awaited."""
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
    """Carries out steps, each generator in a transaction of its own.

    Both raise `StateError` where the database cannot be used.
    """

    async def read(self, steps: Steps[T], /) -> T:
        """Carry out steps that change nothing."""
        ...

    async def write(self, steps: Steps[T], /) -> T:
        """Carry out steps while nobody else writes; whole, or not at all."""
        ...
