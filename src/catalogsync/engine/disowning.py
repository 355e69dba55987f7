"""Leaving products to the people of the shop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from catalogsync.changes import Action, Change, Ours, Reference, ReferenceChange
from catalogsync.errors import MisconfiguredError
from catalogsync.events import EventHook
from catalogsync.protocols import Cursor, Page, PruningSink, Sink
from catalogsync.receipt import Receipt
from catalogsync.runstore import RunStore

from . import promises
from .options import Options
from .removing import is_writer, removal
from .run import Run, make_run

__all__ = ["open_disown"]


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
        return "products are disowned only"

    def reference(self, _: ReferenceChange, /) -> bool:
        """Nothing is written."""
        return False

    async def removals(self, sink: PruningSink, source: str, /) -> Sequence[Change]:
        """What disowns the products of the job."""
        held = [held async for page in promises.owned(sink, source) for held in page]
        unclear = sum(Receipt.parse(each.receipt).job is None for each in held)
        self.absent = (
            f"{unclear} products keep our key, because their receipts do not say which"
            f" job wrote them; run the job to write them again"
            if unclear
            else ""
        )
        ours = (each for each in held if self._is_ours(each))
        return [removal(each, Action.DISOWN) for each in ours]

    def remains(self, _: Change, held: Ours, /) -> bool:
        """Whether a product is still the job's to disown."""
        return self._is_ours(held)

    def _is_ours(self, held: Ours) -> bool:
        return is_writer(Receipt.parse(held.receipt), self.job)


def open_disown(
    source: str,
    sink: Sink,
    *,
    job: str = "",
    options: Options | None = None,
    hooks: Iterable[EventHook] = (),
    store: RunStore | None = None,
) -> Run:
    """Make a run that takes our key and receipt off all products of a source.

    Nothing else of them is changed. The report counts them as `retired`.

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
    if not isinstance(sink, PruningSink):
        raise MisconfiguredError("sink", "cannot disown products")
    return make_run(
        _Nothing(source),
        sink,
        options=attrs.evolve(options or Options(), keys=None, limit=None, prune=None),
        job=job,
        hooks=hooks,
        store=store,
        approve=_Disowning(job),
    )
