"""Products that wait for a unique value, such as an SKU, which another one has.

SKUs trade places, move along a chain, or are freed by a product that leaves in this
run. A sink names the holder of the value (`BatchRefusedError.holders`); the product
then waits for the end of the run, when all others are written and removed. If it is
still refused, holders that are due to change let go first: those that wait themselves,
and those that this job unpublished. What is refused after that fails.
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
from .answers import SomeAgainError, sorted_answers
from .journal import Journal
from .options import Options
from .planner import Planned, Planner
from .recorder import Recorder
from .removing import repeated

__all__ = ["Waiting", "WaitingRoom"]

_MOST = 10_000
_UNIQUE = {Field.SKU: "sku", Field.BARCODE: "barcode"}
_LOOK_AT = frozenset({Field.STATUS, Field.VARIANTS, *_UNIQUE})


@attrs.frozen
class Waiting:
    """A product that waits, and what the sink said."""

    desired: Product
    outcome: Outcome


@attrs.define
class WaitingRoom:
    """Keeps products until the end of the run, in bounded number."""

    _items: dict[ProductKey, Waiting] = attrs.field(
        factory=dict[ProductKey, Waiting], init=False
    )

    def admit(self, desired: Product, outcome: Outcome) -> bool:
        """Let a refused product wait, if that can help and there is room."""
        if outcome.holder is None or len(self._items) >= _MOST:
            return False
        self._items[desired.key] = Waiting(desired, outcome)
        return True

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def take(self) -> list[Waiting]:
        """All of them; the room is empty afterwards."""
        items = [*self._items.values()]
        self._items.clear()
        return items


@attrs.frozen(kw_only=True)
class LastRound:
    """Writes what waited.

    Attributes:
        room: Where products wait; those that are refused again come back to it.
        sink: Where they go.
        planner: Finds and plans.
        write: Carries out what was planned, as in the rest of the run.
        options: When a request is repeated.
        recorder: Takes the outcomes of products that are refused for good.
        journal: Is told before holders are changed.
    """

    room: WaitingRoom
    sink: Sink
    planner: Planner
    write: Callable[[list[Planned]], Awaitable[None]]
    options: Options
    recorder: Recorder
    journal: Journal

    async def run(self) -> None:
        """Write what can be written by now; the rest is refused.

        Raises:
            TransientError: The sink could not be asked.
        """
        waiting = self.room.take()
        let_go = False
        while waiting:
            await self._try(waiting)
            left = self.room.take()
            if len(left) == len(waiting):
                if let_go:
                    break
                await self._let_go(left)
                let_go = True
            waiting = left
        for item in waiting:
            self.recorder.refuse(item.outcome)

    async def _try(self, waiting: Sequence[Waiting]) -> None:
        desired = [item.desired for item in waiting]
        await self.write(await self._planned(desired))

    async def _planned(self, desired: Sequence[Product]) -> list[Planned]:
        look = partial(self.planner.compare, desired)
        return await repeated(look, "find products", self.recorder, self.options)

    async def _let_go(self, waiting: Sequence[Waiting]) -> None:
        """Take the values that products wait for off those that are to lose them."""
        needed = {
            value
            for item in waiting
            for variant in item.desired.variants or ()
            for value in _values(variant)
        }
        planned = await self._planned([item.desired for item in waiting])
        changes = [*_vacated(planned, needed)]
        source = waiting[0].desired.key.source
        keys = {key for item in waiting if (key := item.outcome.holder)}
        keys -= {item.desired.key for item in waiting}
        keys = {key for key in keys if key.source == source}
        changes += [*_released(await self._existing(keys), needed, self.journal.job)]
        for change in changes:
            await self._carry_out(change)

    async def _existing(self, keys: Iterable[ProductKey]) -> list[Existing]:
        asked = [Product(key=key, title="?") for key in keys]
        if not asked:
            return []
        look = partial(promises.find, self.sink, asked, _LOOK_AT)
        found = await repeated(look, "find products", self.recorder, self.options)
        return [one for one in found.values() if isinstance(one, Existing)]

    async def _carry_out(self, change: Change) -> None:
        await self.journal.announce([change])
        self.recorder.touched = True
        try:
            write = partial(self._write, change)
            done = await repeated(
                write, "free unique values", self.recorder, self.options
            )
        except RefusedError:
            return  # the product that waits is refused then, with the reason
        if done and not self.recorder.is_open(change.key):
            reason = "gave up a unique value that another product needs"
            outcome = Outcome(change.key, OutcomeStatus.UPDATED, reason)
            self.recorder.on_settled(outcome, None)

    async def _write(self, change: Change) -> bool:
        """Whether the sink says that it carried out the change."""
        answers = await promises.write(self.sink, [change])
        good, broken = promises.check_answers(self.sink, [change], answers)
        if broken:
            raise broken
        outcomes, again = sorted_answers([change], good)
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
    """Changes of waiting products to which they will lose a value anyway."""
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
    """Changes that take values off products which this job unpublished."""
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
    """The last-applied state without these values, so that losing them is no manual edit."""
    variants = {
        id_: {n: d for n, d in parts.items() if n not in losing.get(id_, ())}
        for id_, parts in last_applied.variants.items()
    }
    return attrs.evolve(last_applied, variants=variants).text()


def _without(
    existing: Existing, losing: Mapping[str, set[str]], last_applied: str
) -> Change:
    """The update that clears values of variants and leaves all else."""
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
