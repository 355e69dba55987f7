"""The statements of the source: pages by key, with every name quoted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from ._cells import Key

if TYPE_CHECKING:
    from ._source_settings import SQLSourceSettings

__all__ = ["Selecting"]

_NAME = "catalog"


@attrs.frozen(kw_only=True)
class Selecting:
    """What the settings select.

    Attributes:
        rows: The table, or the query in parentheses.
        key: Names of the columns that identify a row; the first one a product.
        recent: Whether a row's product has changed; None: all products are read.
    """

    rows: sa.FromClause
    key: tuple[str, ...]
    recent: sa.ColumnElement[bool] | None = None

    @classmethod
    def of(cls, settings: SQLSourceSettings, *, dialect: str, now: float) -> Selecting:
        """The statements for these settings.

        Args:
            settings: The settings.
            dialect: SQLAlchemy's name of the dialect.
            now: Seconds since the epoch.
        """
        changed = settings.changed_since
        rows = _rows(settings, _NAME)
        if changed is None:
            return cls(rows=rows, key=tuple(settings.key))
        then = dt.datetime.fromtimestamp(max(0.0, now - changed.window), tz=dt.UTC)
        again = _rows(settings, "changed")
        since = again.c[changed.column] >= _moment(then, changed.format, dialect)
        first = settings.key[0]
        recent = rows.c[first].in_(sa.select(again.c[first]).where(since))
        return cls(rows=rows, key=tuple(settings.key), recent=recent)

    def page(self, after: Key | None, most: int) -> sa.Select[Any]:
        """The rows that follow a key, in the order of the keys."""
        columns = [self.rows.c[name] for name in self.key]
        statement = self._all().order_by(*columns).limit(most)
        if self.recent is not None:
            statement = statement.where(self.recent)
        return statement if after is None else statement.where(_after(columns, after))

    def of_products(self, keys: Sequence[object]) -> sa.Select[Any]:
        """All rows of these products."""
        columns = [self.rows.c[name] for name in self.key]
        chosen = sa.or_(*(self._first() == _wide(key) for key in keys))
        return self._all().where(chosen).order_by(*columns)

    def without_key(self) -> sa.Select[Any]:
        """A row that has NULL in a key column."""
        columns = [self.rows.c[name] for name in self.key]
        is_null = sa.or_(*(column.is_(None) for column in columns))
        return sa.select(*columns).where(is_null).limit(1)

    def count(self) -> sa.Select[Any]:
        """The number of rows."""
        return sa.select(sa.func.count()).select_from(self.rows)

    def _all(self) -> sa.Select[Any]:
        return sa.select(sa.text(f"{_NAME}.*")).select_from(self.rows)

    def _first(self) -> sa.ColumnElement[Any]:
        return self.rows.c[self.key[0]]


def _rows(settings: SQLSourceSettings, name: str) -> sa.FromClause:
    """The table or the query, under a name."""
    changed = settings.changed_since
    names = [*settings.key, *([changed.column] if changed else [])]
    columns: list[Any] = [sa.column(_quoted(each)) for each in dict.fromkeys(names)]
    if settings.table is not None:
        schema, _, table = settings.table.rpartition(".")
        of_schema = _quoted(schema) if schema else None
        return sa.table(_quoted(table), *columns, schema=of_schema).alias(name)
    # A colon would begin a parameter, and the last line may be a comment.
    text = (settings.query or "").strip().rstrip(";").replace(":", "\\:")
    return sa.text(f"{text}\n").columns(*columns).subquery(name)


def _quoted(name: str) -> quoted_name:
    return quoted_name(name, quote=True)


def _raw(value: object) -> sa.BindParameter[Any]:
    """A parameter of the type that the column has."""
    return sa.literal(value, sa.types.NullType())


def _wide(value: object) -> sa.BindParameter[Any]:
    """A parameter that may be too large for the column's type."""
    return sa.literal(value, sa.BigInteger()) if type(value) is int else _raw(value)


def _after(
    columns: Sequence[sa.ColumnElement[Any]], key: Sequence[object]
) -> sa.ColumnElement[bool]:
    """Whether a row follows a key; written so that an index on the columns is used."""
    column, value = columns[0], _raw(key[0])
    if len(columns) == 1:
        return column > value
    rest = _after(columns[1:], key[1:])
    later = sa.or_(column > value, sa.and_(column == _raw(key[0]), rest))
    return sa.and_(column >= _raw(key[0]), later)


def _moment(then: dt.datetime, form: str, dialect: str) -> Any:
    seconds = int(then.timestamp())
    match form:
        case "iso":
            return f"{then:%Y-%m-%dT%H:%M:%S}"
        case "unix":
            return seconds
        case "unix_ms":
            return seconds * 1000
        case _ if dialect == "sqlite":
            return f"{then:%Y-%m-%d %H:%M:%S}"
        case _ if dialect == "postgresql":
            return sa.literal(then, sa.DateTime(timezone=True))
        case _:
            return then.replace(tzinfo=None)
