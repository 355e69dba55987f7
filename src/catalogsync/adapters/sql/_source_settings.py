"""The settings of the SQL source; SQLAlchemy is imported when it is opened."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import attrs

from catalogsync._lib.bounds import above, at_least
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError, MissingExtraError
from catalogsync.mapping import RecordMapping, refuse_of_files

from ._settings import driver_of

if TYPE_CHECKING:
    from ._source import LookupSQLSource, SQLSource

__all__ = ["ChangedRows", "SQLSourceSettings"]


@attrs.frozen(kw_only=True)
class ChangedRows:
    """Reads only products of which a row changed a short time ago.

    Attributes:
        column: The column with the time of the last change of a row.
        window: How far back to look, in seconds. Several times the time from one run to
            the next: the windows must overlap, also after a run that failed.
        format: What is in the column. `time`: a time of the database, in UTC if it has
            no time zone; in SQLite, text as `CURRENT_TIMESTAMP` writes it. `iso`: text
            such as `2026-05-01T12:00:00`. `unix` and `unix_ms`: seconds or milliseconds
            since 1970.
    """

    column: str
    window: float = attrs.field(validator=above(0))
    format: Literal["time", "iso", "unix", "unix_ms"] = "time"


def _name(_: object, __: object, value: str) -> None:
    try:
        ProductKey(value, "1")
    except InvalidValueError as error:
        raise MisconfiguredError("name", error.problem) from None


def _columns(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _a_url(_: object, __: object, value: str) -> None:
    scheme, separator, _rest = value.partition("://")
    if not (scheme and separator):
        problem = "must be the URL of a database, such as postgresql://host/shop"
        raise MisconfiguredError("url", problem)


@attrs.frozen(kw_only=True)
class SQLSourceSettings:
    """A table or a query in a SQL database as a source.

    Attributes:
        url: `sqlite:///catalog.db`, `postgresql://user:password@host:port/database`, or
            the URL of any other asynchronous driver of SQLAlchemy that is installed. It
            may contain a password and appears in no message.
        name: Name of the source, for product keys; never change it while a store is in
            use.
        map: Where the fields of a product come from; columns by their name.
        key: The columns that together identify a row. The rows of a product have the
            same value in the first one. Rows are read in this order, so an index on
            these columns makes it fast.
        table: A table or view to read, perhaps with its schema: `shop.products`.
        query: A SELECT to read, in place of `table`.
        changed_since: Reads only products that changed a short time ago; None: all.
        complete: Whether the table or query has the whole catalog. If not, no run
            counts as one over all products, and none may prune.
        page_size: Rows in a page.
        timeout: Seconds to wait for a connection or a statement.
    """

    url: str = attrs.field(repr=False, validator=_a_url)
    name: str = attrs.field(validator=_name)
    map: RecordMapping = attrs.field(validator=refuse_of_files)
    key: str | tuple[str, ...] = attrs.field(converter=_columns)
    table: str | None = None
    query: str | None = None
    changed_since: ChangedRows | None = None
    complete: bool = True
    page_size: int = attrs.field(default=1000, validator=at_least(1))
    timeout: float = attrs.field(default=30.0, validator=above(0))

    def __attrs_post_init__(self) -> None:
        if (self.table is None) == (self.query is None):
            raise MisconfiguredError("table", "set either `table` or `query`")
        if not self.key or not all(self.key):
            raise MisconfiguredError("key", "must name one column or more")
        if self.table is not None and not all(self.table.split(".")):
            raise MisconfiguredError("table", f"{self.table!r} is not a name")

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[SQLSource | LookupSQLSource]:
        """Open the source for the length of a block; reads nothing yet.

        Raises:
            MissingExtraError: The extra `sql` is not installed.
            MisconfiguredError: The URL or a file that the mapping names cannot be used.
        """
        driver = (driver_of(self.url) or "").partition("+")[2]
        try:
            for module in ("greenlet", "sqlalchemy", *filter(None, [driver])):
                import_module(module)
        except ImportError as error:
            raise MissingExtraError("the source `sql`", "sql") from error
        from ._source import open_source

        settings = attrs.evolve(self, map=self.map.reloaded())
        async with open_source(settings) as source:
            yield source
