"""The settings of the state store; drivers are imported when it is opened."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

import attrs

from catalogsync._lib.bounds import above
from catalogsync.errors import MisconfiguredError, MissingExtraError

from .protocols import StateError

if TYPE_CHECKING:
    from .protocols import StateStore

_MEMORY = "memory:"
_FILE = "sqlite:///"
_SERVER = ("postgresql://", "postgres://", "postgresql+asyncpg://")


def _check_url(_: object, __: object, value: str) -> None:
    if value == _MEMORY or value.startswith(_SERVER):
        return
    if not value.startswith(_FILE):
        problem = "must be memory:, sqlite:///file or begin with postgresql://"
        raise MisconfiguredError("url", problem)
    if value.removeprefix(_FILE) in {"", ":memory:"} or "?" in value:
        problem = "must name a file after sqlite:///, without parameters"
        raise MisconfiguredError("url", problem)


@attrs.frozen(kw_only=True)
class StateSettings:
    """Where a state store is, and how long it keeps runs.

    Attributes:
        url: `memory:` (lost when closed), `sqlite:///runs.db` (a path relative to
            the working directory; four slashes for an absolute one) or
            `postgresql://user:password@host:port/database`. It may contain a password
            and appears in no message.
        keep_days: Days after which runs are deleted.
        keep_runs: Number of runs to keep of each job, and of its partial runs.
    """

    url: str = attrs.field(default=_MEMORY, repr=False, validator=_check_url)
    keep_days: float = attrs.field(default=90, validator=above(0))
    keep_runs: int = attrs.field(default=200, validator=above(0))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[StateStore]:
        """Open the store for the length of a block, and delete old runs at its end.

        Creates the file, its folder and the tables if they are missing.

        Raises:
            MissingExtraError: The store is on PostgreSQL, and the extra `sql` is not
                installed.
            MisconfiguredError: The URL is not valid.
            StateError: The store cannot be used.
        """
        async with self._opening() as store:
            yield store
            with suppress(StateError):
                await store.trim(days=self.keep_days, runs=self.keep_runs)

    def _opening(self) -> AbstractAsyncContextManager[StateStore]:
        if not self.url.startswith(_SERVER):
            from ._sqlite import open_sqlite

            return open_sqlite(self.url.removeprefix(_FILE))
        try:
            for module in ("greenlet", "sqlalchemy", "asyncpg"):
                import_module(module)
        except ImportError as error:
            raise MissingExtraError("a state store on PostgreSQL", "sql") from error
        from ._postgres import open_postgres

        return open_postgres(self.url)
