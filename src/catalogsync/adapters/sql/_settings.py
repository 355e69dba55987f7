"""The settings of the SQL sink; imports nothing of SQLAlchemy until it is opened."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING

import attrs

from catalogsync.errors import MisconfiguredError, MissingExtraError

if TYPE_CHECKING:
    from ._sink import SQLSink

__all__ = ["SQLSettings", "driver_of"]

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_MOST = 5000


def driver_of(url: str) -> str | None:
    """The dialect and driver that SQLAlchemy is asked for."""
    scheme, separator, _ = url.partition("://")
    return _DRIVERS.get(scheme) if separator else None


def _check_url(_: object, __: object, value: str) -> None:
    if driver_of(value) is None:
        problem = "must begin with sqlite:// or postgresql://"
        raise MisconfiguredError("url", problem)


@attrs.frozen(kw_only=True)
class SQLSettings:
    """Where the catalog is kept.

    Attributes:
        url: `sqlite:///catalog.db` (a path relative to the working directory;
            four slashes for an absolute one), `sqlite://` (in memory, gone when
            closed) or `postgresql://user:password@host:port/database`. It may
            hold a password and is shown nowhere.
        name: Names the sink in reports and logs.
        batch: Products in one transaction, at most.
        timeout: Seconds to wait for a connection, a lock or a statement.
    """

    url: str = attrs.field(repr=False, validator=_check_url)
    name: str = "sql"
    batch: int = 500
    timeout: float = 30.0

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.batch <= _MOST:
            raise MisconfiguredError("batch", f"must be 1 to {_MOST}, is {self.batch}")
        if not self.timeout > 0:
            problem = f"must be more than 0, is {self.timeout}"
            raise MisconfiguredError("timeout", problem)

    def open(self) -> AbstractAsyncContextManager[SQLSink]:
        """Connect, and disconnect at the end.

        The tables, and a SQLite file, are made before the first write.

        Raises:
            MissingExtraError: The extra `sql` is not installed.
            MisconfiguredError: The database cannot be used as the URL has it.
            TransientError: It cannot be reached now.
        """
        driver = (driver_of(self.url) or "").partition("+")[2]
        try:
            for module in ("greenlet", "sqlalchemy", driver):
                import_module(module)
        except ImportError as error:
            raise MissingExtraError("the SQL sink", "sql") from error
        from ._sink import open_sink

        return open_sink(self)
