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
from .options import Options
from .recorder import Recorder
from .removing import is_writer, recheck
from .repeating import repeated

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
    """Allows to release the products of a job, and nothing else.

    Attributes:
        job: Name of the job.
    """

    job: str
    references: Iterable[Reference] = ()

    def objection(self, _: Write, /) -> str:
        """Refuse every other change."""
        return "products are released only"

    def allows_reference(self, _: ReferenceChange, /) -> bool:
        """Refuse every change of a category or tag."""
        return False

    def removals(
        self, sink: RemovingSink, source: str, recorder: Recorder, options: Options, /
    ) -> _Releases:
        """The products of the job."""
        return _Releases(self.job, sink, source, recorder, options)


@attrs.frozen
class _Releases:
    """Releases the products of a job; see `Removals`."""

    job: str
    sink: RemovingSink
    source: str
    recorder: Recorder
    options: Options
    problem: str = "could not release products"

    async def choose(self) -> Sequence[Removal]:
        """All products of the job; others with our key are only counted."""
        what, policy = "list our products", self.options.retry
        existing = await repeated(self._owned, what, self.recorder, policy)
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
        pages = promises.owned(self.sink, self.source)
        return [existing async for page in pages for existing in page]

    async def recheck(self, changes: Sequence[Removal], /) -> Sequence[Removal]:
        """Those that are still the job's."""

        def is_allowed(_: Removal, existing: Existing) -> bool:
            return self._is_ours(existing)

        return await recheck(self.sink, changes, is_allowed, self.recorder)

    def close(self) -> None:
        """Nothing to report."""

    def _is_ours(self, existing: Existing) -> bool:
        return is_writer(LastApplied.parse(existing.last_applied), self.job)
