"""Leaving products to the people of the shop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from catalogsync.catalog.changes import (
    Action,
    Change,
    Existing,
    Reference,
    ReferenceChange,
)
from catalogsync.diff.last_applied import LastApplied
from catalogsync.protocols import Cursor, Page, RemovingSink

from . import promises
from .removing import is_writer, removal

__all__ = ["Nothing", "ReleaseApproval"]


@attrs.frozen
class Nothing:
    """A source of nothing, with the name of the one whose products are meant."""

    name: str

    async def read(self, _: Cursor | None, /) -> Page:
        """An empty page."""
        return Page(products=())


@attrs.define
class ReleaseApproval:
    """Allows one thing: to take our key off the products of a job."""

    job: str
    removes: bool = True
    references: Iterable[Reference] = ()
    unmet: str = ""
    absent: str = ""

    def change(self, _: Change, /) -> str:
        """Nothing is written."""
        return "products are released only"

    def reference(self, _: ReferenceChange, /) -> bool:
        """Nothing is written."""
        return False

    async def removals(self, sink: RemovingSink, source: str, /) -> Sequence[Change]:
        """What releases the products of the job."""
        existing = [
            existing async for page in promises.owned(sink, source) for existing in page
        ]
        unclear = sum(
            LastApplied.parse(each.last_applied).job is None for each in existing
        )
        self.absent = (
            f"{unclear} products keep our key, because their last-applied states do not say which"
            f" job wrote them; run the job to write them again"
            if unclear
            else ""
        )
        ours = (each for each in existing if self._is_ours(each))
        return [removal(each, Action.RELEASE) for each in ours]

    def remains(self, _: Change, existing: Existing, /) -> bool:
        """Whether a product is still the job's to release."""
        return self._is_ours(existing)

    def _is_ours(self, existing: Existing) -> bool:
        return is_writer(LastApplied.parse(existing.last_applied), self.job)
