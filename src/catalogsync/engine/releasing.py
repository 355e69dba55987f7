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
from catalogsync.errors import MisconfiguredError
from catalogsync.events import EventHook
from catalogsync.protocols import Cursor, Page, RemovingSink, Sink
from catalogsync.state.protocols import StateStore

from . import promises
from .options import Options
from .removing import is_writer, removal
from .run import Run, make_run

__all__ = ["open_release"]


@attrs.frozen
class _Nothing:
    """A source of nothing, with the name of the one whose products are meant."""

    name: str

    async def read(self, _: Cursor | None, /) -> Page:
        """An empty page."""
        return Page(products=())


@attrs.define
class _Disowning:
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


def open_release(
    source: str,
    sink: Sink,
    *,
    job: str = "",
    options: Options | None = None,
    hooks: Iterable[EventHook] = (),
    store: StateStore | None = None,
) -> Run:
    """Make a run that takes our key and last-applied state off all products of a source.

    Nothing else of them is changed. The report counts them as `removed`.

    Args:
        source: Name of the source whose products are meant.
        sink: As in `open_run`.
        job: Products that another job wrote are left alone.
        options: As in `open_run`.
        hooks: As in `open_run`.
        store: As in `open_run`.

    Raises:
        MisconfiguredError: The sink cannot do it.
    """
    if not isinstance(sink, RemovingSink):
        raise MisconfiguredError("sink", "cannot release products")
    return make_run(
        _Nothing(source),
        sink,
        options=attrs.evolve(options or Options(), keys=None, limit=None, prune=None),
        job=job,
        hooks=hooks,
        store=store,
        approve=_Disowning(job),
    )
