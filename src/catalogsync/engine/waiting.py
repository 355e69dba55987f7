"""Products that wait for a unique value, such as an SKU, which another product has.

Two products may swap SKUs, SKUs may move along a chain, or a product that leaves in
this run may free one. The sink names the holder of the value
(`BatchRefusedError.holders`), and the product waits until all others are written and
removed. If it is still refused, the holders give up the value first, where they are
going to lose it anyway: those that wait themselves, and those that this job
unpublished. A product that is refused after that fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import attrs

from catalogsync.catalog.changes import Action, Change, Existing, VariantChange
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import (
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
from .answers import SomeAgainError, sort_answers
from .journal import Journal
from .options import Options
from .planner import Planned, Planner
from .recorder import Recorder
from .removing import repeated

__all__ = ["LastRound", "Waiting", "WaitingRoom"]

_MAX_WAITING = 10_000
_UNIQUE = {Field.SKU: "sku", Field.BARCODE: "barcode"}
_FIELDS = frozenset({Field.STATUS, Field.VARIANTS, *_UNIQUE})


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

    def __contains__(self, key: object) -> bool:
        return key in self._items

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
        sink: The sink.
        planner: Plans again.
        write: Writes planned changes, as in the rest of the run.
        options: Options of the run.
        recorder: Receives refusals.
        journal: Receives intents and outcomes of holders.
    """

    room: WaitingRoom
    sink: Sink
    planner: Planner
    write: Callable[[list[Planned]], Awaitable[None]]
    options: Options
    recorder: Recorder
    journal: Journal

    async def run(self) -> None:
        """Write until nothing more succeeds; refuse the rest.

        Raises:
            TransientError: The sink cannot be asked now.
        """
        waiting = self.room.take()
        values_freed = False
        while waiting:
            await self.write(await self._plan([item.desired for item in waiting]))
            refused = self.room.take()
            if len(refused) == len(waiting):
                if values_freed:
                    break
                await self._free_values(refused)
                values_freed = True
            waiting = refused
        for item in waiting:
            self.recorder.record_refusal(item.outcome)

    async def _plan(self, desired: Sequence[Product]) -> list[Planned]:
        work = partial(self.planner.plan_once, desired)
        return await repeated(work, "find products", self.recorder, self.options)

    async def _free_values(self, waiting: Sequence[Waiting]) -> None:
        """Clear the needed values of holders that are going to lose them."""
        needed = {
            value
            for item in waiting
            for variant in item.desired.variants or ()
            for value in _values(variant)
        }
        planned = await self._plan([item.desired for item in waiting])
        changes = [*_vacated(planned, needed)]
        source = waiting[0].desired.key.source
        keys = {key for item in waiting if (key := item.outcome.holder)}
        keys -= {item.desired.key for item in waiting}
        keys = {key for key in keys if key.source == source}
        changes += [*_released(await self._existing(keys), needed, self.journal.job)]
        for change in changes:
            await self._apply(change)

    async def _existing(self, keys: Iterable[ProductKey]) -> list[Existing]:
        products = [Product(key=key, title="?") for key in keys]
        if not products:
            return []
        find = partial(promises.find, self.sink, products, _FIELDS)
        found = await repeated(find, "find products", self.recorder, self.options)
        return [one for one in found.values() if isinstance(one, Existing)]

    async def _apply(self, change: Change) -> None:
        await self.journal.add_intents([change])
        self.recorder.touched = True
        try:
            write = partial(self._write, change)
            done = await repeated(
                write, "free unique values", self.recorder, self.options
            )
        except RefusedError:
            return  # then the product that waits is refused, with the reason
        if done and not self.recorder.is_open(change.key):
            # It has its outcome in this run, or was not fetched: only the history and
            # the intent are left to update.
            reason = "gave up a unique value that another product needs"
            outcome = Outcome(change.key, OutcomeStatus.UPDATED, reason)
            self.journal.add_outcome(outcome, None)

    async def _write(self, change: Change) -> bool:
        """Write one change; whether the sink applied it."""
        answers = await promises.write(self.sink, [change])
        valid, broken = promises.check_answers(self.sink, [change], answers)
        if broken:
            raise broken
        outcomes, again = sort_answers([change], valid)
        if again:
            raise SomeAgainError(again)
        return any(outcome.status is change.done().status for outcome in outcomes)


def _values(variant: Variant) -> Iterator[tuple[str, str]]:
    for name in _UNIQUE.values():
        if value := getattr(variant, name):
            yield name, value


def _vacated(
    planned: Iterable[Planned], needed: set[tuple[str, str]]
) -> Iterator[Change]:
    """Changes that clear values which waiting products are going to lose anyway."""
    for item in planned:
        existing = item.change.existing
        if existing is None or item.change.action is not Action.UPDATE:
            continue
        after = {v.id: v for v in item.change.product.variants or ()}
        losing = {
            variant.id: {
                name
                for name, value in _values(variant)
                if (name, value) in needed
                and getattr(after.get(variant.id), name, None) != value
            }
            for variant in existing.product.variants or ()
        }
        last_applied = interim(existing.last_applied, item.change.last_applied)
        if any(losing.values()):
            yield _without(existing, losing, last_applied)


def _released(
    holders: Iterable[Existing], needed: set[tuple[str, str]], job: str
) -> Iterator[Change]:
    """Changes that clear values of products which this job unpublished."""
    for existing in holders:
        last_applied = LastApplied.parse(existing.last_applied)
        hidden = existing.product.status is not ProductStatus.PUBLISHED
        if not (last_applied.unpublished and hidden and last_applied.job == job):
            continue
        losing = {
            variant.id: {name for name, _ in _values(variant)}
            for variant in existing.product.variants or ()
            if needed.intersection(_values(variant))
        }
        if any(losing.values()):
            yield _without(existing, losing, _forgetting(last_applied, losing))


def _forgetting(last_applied: LastApplied, losing: Mapping[str, set[str]]) -> str:
    """The last-applied state without these values.

    Otherwise their absence would look like a manual edit.
    """
    variants = {
        id_: {n: d for n, d in parts.items() if n not in losing.get(id_, ())}
        for id_, parts in last_applied.variants.items()
    }
    return attrs.evolve(last_applied, variants=variants).text()


def _without(
    existing: Existing, losing: Mapping[str, set[str]], last_applied: str
) -> Change:
    """The update that clears values of variants and nothing else."""
    items = tuple(
        VariantChange(
            action=Action.UPDATE,
            variant=evolve_unchecked(variant, **dict.fromkeys(names)),
            fields=frozenset(f for f, name in _UNIQUE.items() if name in names),
        )
        for variant in existing.product.variants or ()
        if (names := losing.get(variant.id))
    )
    after = {item.variant.id: item.variant for item in items}
    variants = [after.get(v.id, v) for v in existing.product.variants or ()]
    return Change(
        action=Action.UPDATE,
        product=evolve_unchecked(existing.product, variants=tuple(variants)),
        fields=frozenset[Field]().union(*(item.fields for item in items)),
        variants=items,
        last_applied=last_applied,
        existing=existing,
    )
