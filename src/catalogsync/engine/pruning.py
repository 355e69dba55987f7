"""Removing what left the source, with every doubt in favour of leaving it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.changes import Action, Change, Existing
from catalogsync.catalog.products import ProductKey, ProductStatus
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import BrokenReplyError, TransientError
from catalogsync.protocols import LookupSource, RemovingSink, Sink, Source

from . import promises
from .journal import Journal
from .marks import Marks
from .options import Options, Prune
from .recorder import Recorder
from .removing import Remover, Sight, in_full, is_writer, look_again, removal, repeated

__all__ = ["Pruner", "is_removed"]

_LOOKUP = 50
_MOST_IDLE = 1000
_ROUNDING = 1e-9  # 0.29 of 100 is 29, also in binary
_UNREADABLE = (
    "nothing is removed: asked for products, a record without a readable key could"
    " be any of them"
)


def is_removed(existing: Existing, prune: Prune, job: str) -> bool:
    """Whether a product of ours that left the source is this job's to remove."""
    last_applied = LastApplied.parse(existing.last_applied)
    return is_writer(last_applied, job) and not _left_alone(
        existing, last_applied, prune
    )


def _writer(existing: Existing) -> str | None:
    return LastApplied.parse(existing.last_applied).job


def _left_alone(existing: Existing, last_applied: LastApplied, prune: Prune) -> bool:
    """Whether a product stays as it is, though it left the source.

    One that people published again is theirs now. One that they hid is out of the
    shoppers' sight as it is, and not ours to publish when it comes back.
    """
    hidden = existing.product.status is ProductStatus.DRAFT
    if last_applied.unpublished and not hidden:
        return True
    return prune is Prune.UNPUBLISH and hidden


@attrs.frozen
class _Owned:
    """The products that a job may remove, wherever they are at the source.

    Attributes:
        writers: How many there are of each writer: this job, and jobs without a name.
        absent: Those that this run should have seen and did not.
    """

    writers: Counter[str | None] = attrs.field(factory=Counter[str | None])
    absent: dict[ProductKey, Existing] = attrs.field(factory=dict[ProductKey, Existing])

    def excess(self, gone: Counter[str | None], most: float) -> str:
        """Why so many of each writer may not be removed; empty: they may.

        A share is taken of each writer's products by themselves, so that one with
        many does not make room for removing all of another's.
        """
        if most >= 1:
            return _too_many(gone.total(), self.writers.total(), int(most), most)
        for writer, count in gone.items():
            owned = self.writers[writer]
            if told := _too_many(count, owned, int(owned * most + _ROUNDING), most):
                return told
        return ""


def _too_many(gone: int, owned: int, allowed: int, most: float) -> str:
    if gone <= allowed:
        return ""
    count = f"at least {gone}" if gone < owned else str(gone)
    return (
        f"nothing is removed: {count} of {owned} products left the source, and"
        f" max_prune = {most:g} allows {allowed}; if that is right,"
        f" run once with a higher max_prune"
    )


@attrs.define(kw_only=True)
class Pruner:
    """Finds out what left the source, and has it removed.

    Attributes:
        source: What was read, all of it.
        sink: Where the products are.
        options: How much may be removed.
        recorder: The books.
        journal: Knows what earlier runs missed.
        remover: Carries the removals out.
        saw: Whether this run saw a product at the source.
        doubt: Why one that it did not see may be there all the same; empty: it is not.
        on_change: Takes each change instead of the sink.
    """

    source: Source
    sink: Sink
    options: Options
    recorder: Recorder
    journal: Journal
    remover: Remover
    saw: Callable[[ProductKey], bool]
    doubt: str
    on_change: Callable[[Change], None] | None = None

    async def run(self, prune: Prune) -> None:
        """Remove what left the source, if nothing speaks against it."""
        if not isinstance(self.sink, RemovingSink):
            self.recorder.warn("nothing is removed: this sink cannot do it")
            return
        try:
            await self._prune(self.sink, prune)
        except TransientError as error:
            self.recorder.problem(f"could not remove what left the source: {error}")

    async def _prune(self, sink: RemovingSink, prune: Prune) -> None:
        owned = await repeated(
            partial(self._owned, sink, prune),
            "list what is ours",
            self.recorder,
            self.options,
        )
        if self.doubt:
            if owned.writers or self.recorder.fetched:
                self.recorder.warn(f"nothing is removed: {self.doubt}")
            return
        gone = await self._confirmed(owned)
        writers = Counter(map(_writer, gone))
        if excess := owned.excess(writers, self.options.max_prune):
            self.recorder.warn(excess)
            return
        if self.on_change is None:
            changes = [removal(existing, prune.action) for existing in gone]
            await self.remover.remove(changes, partial(self._again, sink, prune))
            return
        if prune.action is Action.DELETE:
            look = partial(in_full, sink, gone)
            gone = await repeated(
                look, "look at what is to go", self.recorder, self.options
            )
        for existing in gone:
            change = removal(existing, prune.action)
            self.on_change(change)
            self.recorder.unpublish(change.done())

    async def _owned(self, sink: RemovingSink, prune: Prune) -> _Owned:
        """What this job may remove, each product once."""
        owned, listed, idle = _Owned(), Marks(), 0
        with self.recorder.phase("find"):
            async for page in promises.owned(sink, self.source.name):
                new = [
                    existing
                    for existing in page
                    if listed.add(hash(existing.product.key))
                ]
                idle = 0 if new else idle + 1
                if idle >= _MOST_IDLE:
                    problem = f"{idle} pages in a row list no other product of ours"
                    raise BrokenReplyError(f"the sink's list does not end: {problem}")
                for existing in new:
                    if is_removed(existing, prune, self.journal.job):
                        owned.writers[_writer(existing)] += 1
                        if not self.saw(existing.product.key):
                            # It is found again before it is removed.
                            found = attrs.evolve(existing, native=None)
                            owned.absent[existing.product.key] = found
        return owned

    async def _again(
        self, sink: RemovingSink, prune: Prune, changes: Sequence[Change]
    ) -> Sight:
        """What of a batch is still gone from the source and ours to remove."""
        present: set[ProductKey | None] = set()
        if isinstance(self.source, LookupSource):
            for some in batched(changes, _LOOKUP):
                keys = [change.key for change in some]
                present |= await self._present(self.source, keys)

        def still(_: Change, existing: Existing) -> bool:
            return is_removed(existing, prune, self.journal.job)

        sight = await look_again(sink, changes, still, self.recorder)
        if None in present:
            self.recorder.warn(_UNREADABLE)
            return Sight((), sight.done)
        changes = [change for change in sight.changes if change.key not in present]
        return Sight(changes, sight.done)

    def _untold(self, count: int) -> str:
        what = f"{count} products of ours were not seen"
        if self.journal.store is None:
            why = "without a state store nobody knows whether that is lasting"
            return f"nothing is removed: {what}, and {why}"
        return f"{what}; a run removes those that an earlier run missed as well"

    async def _confirmed(self, owned: _Owned) -> list[Existing]:
        """Those that are gone for sure; no more are asked for than may be removed."""
        absent = owned.absent
        if not isinstance(self.source, LookupSource):
            missed = await self.journal.missed_before(absent)
            if missed is None and absent:
                self.recorder.warn(self._untold(len(absent)))
            return [absent[key] for key in absent if key in (missed or ())]
        gone: list[Existing] = []
        writers = Counter[str | None]()
        for keys in batched(absent, _LOOKUP):
            look = partial(self._present, self.source, keys)
            present = await repeated(
                look, "look up products", self.recorder, self.options
            )
            if None in present:
                self.recorder.warn(_UNREADABLE)
                return []
            more = [absent[key] for key in keys if key not in present]
            gone += more
            writers.update(map(_writer, more))
            if owned.excess(writers, self.options.max_prune):
                break
        return gone

    async def _present(
        self, source: LookupSource, keys: Sequence[ProductKey]
    ) -> set[ProductKey | None]:
        with self.recorder.phase("read"):
            page = await promises.get(source, keys)
        products = {product.key for product in page.products}
        return products | {record.key for record in page.rejected}
