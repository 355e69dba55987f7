"""The pruner: finds products that left the source, and leaves them when in doubt.

A product that was not seen in one run may still be there: a page was lost, a record
was unreadable, the list moved. So a product is removed only after a complete run,
and only if the source says that it is gone (`LookupSource`) or an earlier complete run
missed it too. `Options.max_prune` stops removals that look like an accident.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.changes import Existing, Removal
from catalogsync.catalog.products import Field, ProductKey, ProductStatus
from catalogsync.diff.last_applied import LastApplied
from catalogsync.protocols import LookupSource, RemovingSink, Source

from . import promises
from .journal import Journal
from .options import Options, Prune
from .recorder import Recorder
from .removing import find_whole, is_writer, needed, owned, recheck, removal

__all__ = ["Pruner", "is_removable"]

_LOOKUP = 50
_ROUNDING = 1e-9  # 0.29 of 100 is 29, also in binary
_ONCE = "if that is right, run once with a higher max_prune"
_UNREADABLE = (
    "nothing is removed: the source returned a record without a readable key, which"
    " could be any product that it was asked for"
)


def is_removable(existing: Existing, prune: Prune, job: str) -> bool:
    """Whether a job may remove this product once it has left the source."""
    last_applied = LastApplied.parse(existing.last_applied)
    return is_writer(last_applied, job) and not _left_alone(
        existing, last_applied, prune
    )


def _writer(existing: Existing) -> str | None:
    return LastApplied.parse(existing.last_applied).job


def _left_alone(existing: Existing, last_applied: LastApplied, prune: Prune) -> bool:
    """Whether a product that left the source stays as it is.

    One that we unpublished and people published again is theirs now. One that people
    unpublished themselves needs no unpublishing, and must not be published by us if
    it comes back. One that we sold out gets no further change: stock that people give
    it is theirs, and so is the stock of one for which we never wrote any.
    """
    hidden = existing.product.status is ProductStatus.DRAFT
    if last_applied.unpublished and not hidden:
        return True
    if prune is Prune.SOLD_OUT:
        return last_applied.sold_out or not last_applied.lists.get(Field.STOCK)
    return prune is Prune.UNPUBLISH and hidden


@attrs.frozen
class _Owned:
    """The products that a job may remove, whether they left the source or not.

    Attributes:
        writers: Number of products by the job that wrote them: this one, or one without
            a name.
        absent: Those that this run did not see at the source.
    """

    writers: Counter[str | None] = attrs.field(factory=Counter[str | None])
    absent: dict[ProductKey, Existing] = attrs.field(factory=dict[ProductKey, Existing])

    def excess(self, gone: Counter[str | None], most: float, *, exact: bool) -> str:
        """Why this many must not be removed; empty: they may.

        A share applies to each writer separately: the many products of one job must
        not make room for removing all products of another.
        """
        if most >= 1:
            return _too_many(
                gone.total(), self.writers.total(), int(most), most, exact=exact
            )
        for writer, count in gone.items():
            owned = self.writers[writer]
            if text := _too_many(
                count, owned, int(owned * most + _ROUNDING), most, exact=exact
            ):
                return text
        return ""


def _too_many(gone: int, owned: int, allowed: int, most: float, *, exact: bool) -> str:
    if gone <= allowed:
        return ""
    count = str(gone) if exact or gone == owned else f"at least {gone}"
    return (
        f"{count} of {owned} products left the source, and max_prune = {most:g}"
        f" allows {allowed}"
    )


@attrs.frozen(kw_only=True)
class Pruner:
    """Finds the products that left the source; see `Removals`.

    Attributes:
        source: The source, which was read completely.
        journal: Knows which products earlier runs missed.
        has_seen: Whether this run saw a product at the source.
        uncertainty: Why a product that it did not see may still be there; empty: it
            is not.
        explicit: Whether the source said of each product that was not seen that it was
            deleted, so that no second look is needed.
        plans: Whether the changes are collected; then they need all fields.
        on_excess: Receives the reason if `max_prune` forbids removing so many, and they
            are chosen all the same; None: there is a warning, and none is chosen.
    """

    source: Source
    sink: RemovingSink
    prune: Prune
    options: Options
    recorder: Recorder
    journal: Journal
    has_seen: Callable[[ProductKey], bool]
    uncertainty: str
    explicit: bool = False
    plans: bool = False
    on_excess: Callable[[str], None] | None = None
    problem: str = "could not remove what left the source"

    async def choose(self) -> Sequence[Removal]:
        """Those that certainly left, unless something speaks against removing."""
        repeated, retry = self.recorder.repeated, self.options.retry
        ours = await repeated(self._owned, "list our products", retry)
        if self.uncertainty:
            if ours.writers or self.recorder.fetched:
                self.recorder.warn(f"nothing is removed: {self.uncertainty}")
            return []
        gone = await self._confirmed(ours)
        writers = Counter(map(_writer, gone))
        excess = ours.excess(
            writers, self.options.max_prune, exact=self.on_excess is not None
        )
        if excess:
            if self.on_excess is None:
                self.recorder.warn(f"nothing is removed: {excess}; {_ONCE}")
                return []
            self.on_excess(excess)
        if self.plans and self.prune is not Prune.UNPUBLISH:
            find = partial(find_whole, self.sink, gone)
            gone = await repeated(find, "find products to remove", retry)
        return [removal(existing, self.prune.action) for existing in gone]

    async def recheck(self, changes: Sequence[Removal], /) -> Sequence[Removal]:
        """Those that are still gone from the source and ours to remove."""
        present: set[ProductKey | None] = set()
        if isinstance(self.source, LookupSource):
            for some in batched(changes, _LOOKUP):
                keys = [change.key for change in some]
                present |= await self._present(self.source, keys)
        if None in present:
            self.recorder.warn(_UNREADABLE)

        def is_allowed(existing: Existing, change: Removal) -> bool:
            may_be_there = None in present or change.key in present
            return not may_be_there and self._is_removable(existing)

        fields = needed([self.prune.action])
        return await recheck(
            self.sink, changes, is_allowed, self.recorder, fields=fields
        )

    def close(self) -> None:
        """Nothing to report: what stays had its warning before."""

    def _is_removable(self, existing: Existing) -> bool:
        return is_removable(existing, self.prune, self.journal.job)

    async def _owned(self) -> _Owned:
        """List the products that this job may remove."""
        found = _Owned()
        with self.recorder.phase("find"):
            async for existing in owned(self.sink, self.source.name):
                if self._is_removable(existing):
                    found.writers[_writer(existing)] += 1
                    if not self.has_seen(existing.product.key):
                        # It is found again right before it is removed.
                        small = attrs.evolve(existing, native=None)
                        found.absent[existing.product.key] = small
        return found

    def _unconfirmed(self, count: int) -> str:
        what = f"{count} products of ours were not seen"
        if self.journal.store is None:
            why = "without a state store it is not known whether they were seen before"
            return f"nothing is removed: {what}, and {why}"
        return f"{what}; a run removes those that an earlier run missed as well"

    async def _confirmed(self, ours: _Owned) -> list[Existing]:
        """Those that have certainly left the source.

        The source is not asked for more once there are too many to be removed.
        """
        absent = ours.absent
        if self.explicit:
            return list(absent.values())
        if not isinstance(self.source, LookupSource):
            missed = await self.journal.missed_before(absent)
            if missed is None and absent:
                self.recorder.warn(self._unconfirmed(len(absent)))
            return [absent[key] for key in absent if key in (missed or ())]
        gone: list[Existing] = []
        writers = Counter[str | None]()
        for keys in batched(absent, _LOOKUP):
            look_up = partial(self._present, self.source, keys)
            present = await self.recorder.repeated(
                look_up, "look up products", self.options.retry
            )
            if None in present:
                self.recorder.warn(_UNREADABLE)
                return []
            more = [absent[key] for key in keys if key not in present]
            gone += more
            writers.update(map(_writer, more))
            excess = ours.excess(
                writers, self.options.max_prune, exact=self.on_excess is not None
            )
            if excess and self.on_excess is None:
                break
        return gone

    async def _present(
        self, source: LookupSource, keys: Sequence[ProductKey]
    ) -> set[ProductKey | None]:
        """The keys that the source has; None is among them for an unreadable record."""
        with self.recorder.phase("read"):
            page = await promises.get(source, keys)
        products = {product.key for product in page.products}
        return products | {record.key for record in page.rejected}
