"""Releasing products: our key is removed, and everything else stays.

Such a run reads an `EmptySource`, and its `Approval` allows nothing but releases.
"""

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
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.diff.last_applied import LastApplied
from catalogsync.protocols import Cursor, Page, RemovingSink
from catalogsync.retry import RetryPolicy

from .recorder import Recorder
from .removing import is_writer, owned, recheck

__all__ = ["EmptySource", "ReleaseApproval"]


@attrs.frozen
class EmptySource:
    """A source without products, named like the one whose products are released."""

    name: str

    async def read(self, _: Cursor | None, /) -> Page:
        """An empty page."""
        return Page(products=())


@attrs.frozen
class ReleaseApproval:
    """Releases the products of a job, and allows nothing else."""

    job: str
    source: str
    sink: RemovingSink
    policy: RetryPolicy
    recorder: Recorder
    references: Iterable[Reference] = ()
    problem: str = "could not release products"

    def objection(self, change: Write, /) -> Outcome:
        """Refuse every other change."""
        reason = "products are released only"
        return Outcome(change.key, OutcomeStatus.UNRESOLVED, reason)

    def allows_reference(self, _: ReferenceChange, /) -> bool:
        """Refuse every change of a category or tag."""
        return False

    async def choose(self) -> Sequence[Removal]:
        """All products of the job; others with our key are only counted."""
        what = "list our products"
        existing = await self.recorder.repeated(self._owned, what, self.policy)
        unclear = sum(
            LastApplied.parse(each.last_applied).job is None for each in existing
        )
        if unclear:
            self.recorder.warn(
                f"{unclear} products keep our key: their last-applied state does not say"
                " which job wrote them; run the job to write them again"
            )
        return [Release(existing=each) for each in existing if self._is_ours(each)]

    async def _owned(self) -> list[Existing]:
        return [existing async for existing in owned(self.sink, self.source)]

    async def recheck(self, changes: Sequence[Removal], /) -> Sequence[Removal]:
        """Those that are still the job's."""
        return await recheck(self.sink, changes, self._is_ours, self.recorder)

    def close(self) -> None:
        """Nothing to report."""

    def _is_ours(self, existing: Existing, _: object = None) -> bool:
        return is_writer(LastApplied.parse(existing.last_applied), self.job)
