"""Numbered updates of a catalog: each is valid only after the one before it.

The report of each run keeps the version that its job applied last. Reports outlive runs
in the state store, so the next run of the job refuses an update that is out of order.
"""

from __future__ import annotations

import attrs

from catalogsync.errors import MisconfiguredError
from catalogsync.protocols import CatalogVersion

from .journal import Journal

__all__ = ["Updates"]


@attrs.define(kw_only=True)
class Updates:
    """What a job applied last, and what this run reads.

    Attributes:
        journal: Knows the runs before.
        read: The version that this run reads; empty: none so far.
        applied: The version that the job applied before; empty: not known.
    """

    journal: Journal
    read: str = attrs.field(default="", init=False)
    applied: str = attrs.field(default="", init=False)

    async def check(self, version: CatalogVersion | None) -> None:
        """Take note of what is read.

        Raises:
            MisconfiguredError: It is an update for another version.
        """
        if version is None:
            return
        if not self.applied:
            self.applied = await self.journal.catalog_version()
        # The update that was applied last may be read again; it changes nothing.
        accepted = version.follows in {None, self.applied}
        if not accepted and version.number != self.applied:
            setting = version.override or "source"
            raise MisconfiguredError(setting, self._problem(version))
        self.read = version.number

    def after(self, *, written: bool) -> str:
        """The version that the job has applied after the run.

        Args:
            written: Whether the run wrote all that it read.
        """
        return self.read if written and self.read else self.applied

    def _problem(self, version: CatalogVersion) -> str:
        follows = version.follows
        update = f"{version.name} is an update for version {follows}"
        setting = version.override
        anyway = f"set `{setting} = {follows}` for one run" if setting else ""
        if self.applied:
            text = (
                f"{update}, but this job applied version {self.applied} last; read the"
                f" update for version {self.applied} first, or a whole catalogue"
            )
            return f"{text}; to apply this one anyway, {anyway}" if anyway else text
        if not self.journal.job or self.journal.store is None:
            text = (
                f"{update}, and nothing remembers which one was applied last: the job"
                " needs a name and a state store"
            )
        else:
            text = (
                f"{update}, and this job has not applied any version yet; read the whole"
                " catalogue first"
            )
        return f"{text}; if version {follows} was applied, {anyway}" if anyway else text
