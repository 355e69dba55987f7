"""Products that wait for a unique value, such as an SKU, which another product has.

Two products may swap SKUs, SKUs may move along a chain, or a product that leaves in
this run may free one. The sink names the holder of the value
(`BatchRefusedError.holders`), and the product waits until all others are written and
removed. If it is still refused, the holders give up values that they are going to lose
anyway (because they wait themselves), and values that we wrote and nobody changed since,
if the source no longer supplies them or we unpublished the product. A product that is
refused after that fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import attrs

from catalogsync.catalog.changes import Action, Existing, Update, VariantChange, Write
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import (
    UNIQUE,
    Field,
    Product,
    ProductKey,
    ProductStatus,
    Variant,
    evolve_unchecked,
)
from catalogsync.diff.last_applied import LastApplied, interim
from catalogsync.errors import RefusedError
from catalogsync.protocols import Sink

from . import promises
from .answers import send
from .batches import existing_of
from .journal import Journal
from .options import Options, Writes
from .planner import Planner
from .recorder import Recorder

__all__ = ["LastRound", "Waiting", "WaitingRoom"]

_MAX_WAITING = 10_000
_FIELDS = frozenset({Field.STATUS, Field.VARIANTS, *UNIQUE})


@attrs.frozen
class Waiting:
    """A product that waits, and the refusal that it will have if nothing changes."""

    desired: Product
    outcome: Outcome


@attrs.define
class WaitingRoom:
    """Keeps products until the end of the run; their number is bounded."""

    _items: dict[ProductKey, Waiting] = attrs.field(
        factory=dict[ProductKey, Waiting], init=False
    )

    def admit(self, desired: Product, outcome: Outcome) -> bool:
        """Let a refused product wait if the sink named a holder and there is room."""
        if outcome.holder is None or len(self._items) >= _MAX_WAITING:
            return False
        self._items[desired.key] = Waiting(desired, outcome)
        return True

    def take(self) -> list[Waiting]:
        """Take all of them out."""
        items = [*self._items.values()]
        self._items.clear()
        return items


@attrs.frozen(kw_only=True)
class LastRound:
    """Writes the products that waited, at the end of the run.

    Attributes:
        room: The products that wait; those that are refused again return to it.
        write: Writes planned changes, as in the rest of the run.
        journal: Receives intents and outcomes of holders.
    """

    room: WaitingRoom
    sink: Sink
    planner: Planner
    write: Callable[[list[Write]], Awaitable[None]]
    options: Options
    recorder: Recorder
    journal: Journal
    _asked: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _kept: dict[ProductKey, str] = attrs.field(
        factory=dict[ProductKey, str], init=False
    )

    async def run(self) -> None:
        """Write until nothing more succeeds; refuse the rest.

        Raises:
            TransientError: The sink cannot be asked now.
        """
        waiting = self.room.take()
        while waiting:
            before = len(waiting)
            await self.write(await self._plan([item.desired for item in waiting]))
            waiting = self.room.take()
            if len(waiting) < before:
                continue
            # Freeing a value is an update of the product that has it.
            if self.options.writes is Writes.CREATE_ONLY:
                break
            if not await self._free_values(waiting):
                break
        for item in waiting:
            self.recorder.record_refusal(self._explained(item.outcome))

    def _explained(self, outcome: Outcome) -> Outcome:
        """The outcome, with the reason why the holder keeps its value."""
        why = self._kept.get(outcome.holder) if outcome.holder else None
        return (
            attrs.evolve(outcome, reason=f"{outcome.reason}; {why}") if why else outcome
        )

    async def _plan(self, desired: Sequence[Product]) -> list[Write]:
        work = partial(self.planner.plan_once, desired)
        policy = self.options.retry
        planned = await self.recorder.repeated(work, "find products", policy)
        return [each.change for each in planned]

    async def _free_values(self, waiting: Sequence[Waiting]) -> bool:
        """Clear needed values of holders that lose them anyway, or no longer need them.

        Each holder is cleared once, of all needed values.

        Returns:
            Whether any value was freed.
        """
        needed = {
            value
            for item in waiting
            for variant in item.desired.variants or ()
            for value in _values(variant)
        }
        planned = await self._plan([item.desired for item in waiting])
        found = [(existing_of(change), change) for change in planned]
        source = waiting[0].desired.key.source
        keys = {key for item in waiting if (key := item.outcome.holder)}
        keys -= {item.desired.key for item in waiting}
        existing = await self._existing(key for key in keys if key.source == source)
        done = False
        for each, change in (*found, *((one, None) for one in existing)):
            if each is None or each.product.key in self._asked:
                continue
            if clearing := self._without(each, change, needed):
                self._asked.add(each.product.key)
                done |= await self._apply(clearing)
        return done

    def _without(
        self, existing: Existing, change: Write | None, needed: set[tuple[str, str]]
    ) -> Update | None:
        """The change that clears the needed values that a product loses or can spare.

        *change* is what this run still has to write to it, if anything.
        """
        last_applied = LastApplied.parse(existing.last_applied)
        leaves = _leaving(existing, change, needed)
        given = {
            variant.id: {
                name
                for name, value in _values(variant)
                if (name, value) in needed
                and name not in leaves.get(variant.id, ())
                and self._may_take(
                    existing, last_applied, variant, name, back=bool(change)
                )
            }
            for variant in existing.product.variants or ()
        }
        if change and any(leaves.values()):
            last_applied = LastApplied.parse(
                interim(existing.last_applied, change.last_applied)
            )
        losing = {id_: leaves.get(id_, set()) | names for id_, names in given.items()}
        if not any(losing.values()):
            return None
        return _clearing(existing, losing, last_applied.without(given).text())

    def _may_take(
        self,
        existing: Existing,
        last_applied: LastApplied,
        variant: Variant,
        name: str,
        *,
        back: bool,
    ) -> bool:
        """Whether we wrote a value that the variant no longer needs.

        With *back*, this run still has to write the product.
        """
        key, job = existing.product.key, self.journal.job
        if not last_applied.has(variant.id, name, getattr(variant, name)):
            what = "we did not write that value, so it stays"
            self._kept[key] = f"{what}: change it in the store"
            return False
        hidden = existing.product.status is not ProductStatus.PUBLISHED
        if last_applied.unpublished and hidden and not back:
            return True
        if last_applied.job and last_applied.job != job:
            what = f"the job {last_applied.job!r} wrote it"
            self._kept[key] = f"{what}: correct the source, or let that job prune it"
            return False
        return hash((key, variant.id, name)) in self.planner.dropped

    async def _existing(self, keys: Iterable[ProductKey]) -> list[Existing]:
        products = [Product(key=key, title="?") for key in keys]
        if not products:
            return []
        find = partial(promises.find, self.sink, products, _FIELDS)
        found = await self.recorder.repeated(find, "find products", self.options.retry)
        return [one for one in found.values() if isinstance(one, Existing)]

    async def _apply(self, change: Update) -> bool:
        await self.journal.add_intents([change])
        self.recorder.touched = True
        try:
            write = partial(self._write, change)
            done = await self.recorder.repeated(
                write, "free unique values", self.options.retry
            )
        except RefusedError:
            return False  # the waiting product is then refused, with the reason
        if done and not self.recorder.is_open(change.key):
            # It has its outcome in this run, or was not fetched: only the history and
            # the intent are left to update.
            reason = "gave up a unique value that another product needs"
            outcome = Outcome(change.key, OutcomeStatus.UPDATED, reason)
            self.journal.add_outcome(outcome, None)
        return done

    async def _write(self, change: Update) -> bool:
        """Write one change; whether the sink applied it."""
        answers = await send(self.sink, [change])
        answers.check()
        return any(o.status is change.done().status for o in answers.outcomes)


def _values(variant: Variant) -> Iterator[tuple[str, str]]:
    for name in UNIQUE.values():
        if value := getattr(variant, name):
            yield name, value


def _leaving(
    existing: Existing, change: Write | None, needed: set[tuple[str, str]]
) -> Mapping[str, set[str]]:
    """The needed values that a product loses anyway, by variant."""
    if not isinstance(change, Update):
        return {}
    after = {variant.id: variant for variant in change.product.variants or ()}
    return {
        variant.id: {
            name
            for name, value in _values(variant)
            if (name, value) in needed
            and getattr(after.get(variant.id), name, None) != value
        }
        for variant in existing.product.variants or ()
    }


def _clearing(
    existing: Existing, losing: Mapping[str, set[str]], last_applied: str
) -> Update:
    """The update that clears values of variants and nothing else."""
    items = tuple(
        VariantChange(
            action=Action.UPDATE,
            variant=evolve_unchecked(variant, **dict.fromkeys(names)),
            fields=frozenset(f for f, name in UNIQUE.items() if name in names),
        )
        for variant in existing.product.variants or ()
        if (names := losing.get(variant.id))
    )
    after = {item.variant.id: item.variant for item in items}
    variants = [after.get(v.id, v) for v in existing.product.variants or ()]
    return Update(
        product=evolve_unchecked(existing.product, variants=tuple(variants)),
        fields=frozenset[Field]().union(*(item.fields for item in items)),
        variants=items,
        last_applied=last_applied,
        existing=existing,
    )
