"""The settings of the SQL sink; SQLAlchemy is imported when it is opened."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING

import attrs

from catalogsync._lib.bounds import above
from catalogsync.errors import MisconfiguredError, MissingExtraError

if TYPE_CHECKING:
    from ._sink import SQLSink

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_MOST = 5000


def driver_of(url: str) -> str | None:
    """SQLAlchemy's name of the dialect and driver; None: the URL is not supported."""
    scheme, separator, _ = url.partition("://")
    return _DRIVERS.get(scheme) if separator else None


def _check_url(_: object, __: object, value: str) -> None:
    if driver_of(value) is None:
        problem = "must begin with sqlite:// or postgresql://"
        raise MisconfiguredError("url", problem)


@attrs.frozen(kw_only=True)
class SQLSettings:
    """A SQLite or PostgreSQL database as a sink.

    Attributes:
        url: `sqlite:///catalog.db` (a path relative to the working directory;
            four slashes for an absolute one), `sqlite://` (in memory, lost when
            closed) or `postgresql://user:password@host:port/database`. It may
            contain a password and appears in no message.
        name: Name of the sink, for reports and logs.
        batch: Most products in one transaction, from 1 to 5000.
        timeout: Seconds to wait for a connection, a lock or a statement.
    """

    url: str = attrs.field(repr=False, validator=_check_url)
    name: str = "sql"
    batch: int = 500
    timeout: float = attrs.field(default=30.0, validator=above(0))

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.batch <= _MOST:
            raise MisconfiguredError("batch", f"must be 1 to {_MOST}, is {self.batch}")

    def open(self) -> AbstractAsyncContextManager[SQLSink]:
        """Open the sink for the length of a block.

        The sink creates its tables, and a SQLite file, before the first write.

        Raises:
            MissingExtraError: The extra `sql` is not installed.
            MisconfiguredError: The database cannot be used with this URL.
            TransientError: The database cannot be reached now.
        """
        driver = (driver_of(self.url) or "").partition("+")[2]
        try:
            for module in ("greenlet", "sqlalchemy", driver):
                import_module(module)
        except ImportError as error:
            raise MissingExtraError("the SQL sink", "sql") from error
        from ._sink import open_sink

        return open_sink(self)
