"""Releasing products: our key is removed, and everything else stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from catalogsync.catalog.changes import (
    Existing,
    Reference,
    ReferenceChange,
    Release,
    Removal,
    Write,
)
from catalogsync.diff.last_applied import LastApplied
from catalogsync.protocols import Cursor, Page, RemovingSink

from . import promises
from .removing import is_writer

__all__ = ["EmptySource", "ReleaseApproval"]


@attrs.frozen
class EmptySource:
    """A source without products, named like the one whose products are released."""

    name: str

    async def read(self, _: Cursor | None, /) -> Page:
        """An empty page."""
        return Page(products=())


@attrs.define
class ReleaseApproval:
    """Allows to release the products of a job, and nothing else.

    Attributes:
        job: Name of the job.
    """

    job: str
    removes: bool = True
    references: Iterable[Reference] = ()
    stale: str = ""
    gone: str = ""

    def objection(self, _: Write, /) -> str:
        """Refuse every other change."""
        return "products are released only"

    def allows_reference(self, _: ReferenceChange, /) -> bool:
        """Refuse every change of a category or tag."""
        return False

    async def removals(self, sink: RemovingSink, source: str, /) -> Sequence[Removal]:
        """The changes that release the products of the job."""
        existing = [
            existing async for page in promises.owned(sink, source) for existing in page
        ]
        unclear = sum(
            LastApplied.parse(each.last_applied).job is None for each in existing
        )
        if unclear:
            self.gone = (
                f"{unclear} products keep our key: their last-applied state does not say"
                " which job wrote them; run the job to write them again"
            )
        ours = (each for each in existing if self._is_ours(each))
        return [Release(existing=each) for each in ours]

    def is_removable(self, _: Removal, existing: Existing, /) -> bool:
        """Whether a product is still the job's to release."""
        return self._is_ours(existing)

    def _is_ours(self, existing: Existing) -> bool:
        return is_writer(LastApplied.parse(existing.last_applied), self.job)
