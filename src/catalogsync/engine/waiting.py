"""Products that wait for a unique value, such as an SKU, which another one has.

SKUs trade places, move along a chain, or are freed by a product that leaves in this
run. A sink names the holder of the value (`BatchRefusedError.holders`); the product
then waits for the end of the run, when all others are written and removed. If it is
still refused, holders let go first of values that they are due to lose (those that
wait themselves), and of values that we wrote and that nobody changed since, if the
source supplies them no more, or if we unpublished the product. What is refused after
that fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import attrs

from catalogsync.changes import Action, Change, Ours, VariantChange
from catalogsync.errors import RefusedError
from catalogsync.models import (
    Field,
    Product,
    ProductKey,
    ProductStatus,
    Variant,
    evolve_unchecked,
)
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.planning import UNIQUE
from catalogsync.protocols import Sink
from catalogsync.receipt import Receipt, interim

from . import promises
from .answers import SomeAgainError, sorted_answers
from .ledger import Ledger
from .options import Options
from .removing import repeated
from .survey import Planned, Survey
from .tally import Tally

__all__ = ["Waiting", "WaitingRoom"]

_MOST = 10_000
_LOOK_AT = frozenset({Field.STATUS, Field.VARIANTS, *UNIQUE})


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
        survey: Finds and plans.
        write: Carries out what was planned, as in the rest of the run.
        options: When a request is repeated.
        tally: Takes the outcomes of products that are refused for good.
        ledger: Is told before holders are changed.
    """

    room: WaitingRoom
    sink: Sink
    survey: Survey
    write: Callable[[list[Planned]], Awaitable[None]]
    options: Options
    tally: Tally
    ledger: Ledger
    _asked: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _kept: dict[ProductKey, str] = attrs.field(
        factory=dict[ProductKey, str], init=False
    )

    async def run(self) -> None:
        """Write what can be written by now; the rest is refused.

        Raises:
            TransientError: The sink could not be asked.
        """
        waiting = self.room.take()
        while waiting:
            before = len(waiting)
            await self._try(waiting)
            waiting = self.room.take()
            if len(waiting) == before and not await self._let_go(waiting):
                break
        for item in waiting:
            self.tally.refuse(self._explained(item.outcome))

    def _explained(self, outcome: Outcome) -> Outcome:
        """The outcome, with the reason why the holder keeps the value."""
        why = self._kept.get(outcome.holder) if outcome.holder else None
        return (
            attrs.evolve(outcome, reason=f"{outcome.reason}; {why}") if why else outcome
        )

    async def _try(self, waiting: Sequence[Waiting]) -> None:
        desired = [item.desired for item in waiting]
        await self.write(await self._planned(desired))

    async def _planned(self, desired: Sequence[Product]) -> list[Planned]:
        look = partial(self.survey.compare, desired)
        return await repeated(look, "find products", self.tally, self.options)

    async def _let_go(self, waiting: Sequence[Waiting]) -> bool:
        """Take the values that products wait for off those that are to lose them.

        Each lets go once, and then of all that is needed.

        Returns:
            Whether any did.
        """
        needed = {
            value
            for item in waiting
            for variant in item.desired.variants or ()
            for value in _values(variant)
        }
        planned = await self._planned([item.desired for item in waiting])
        found = [(each.change.held, each.change) for each in planned]
        source = waiting[0].desired.key.source
        keys = {key for item in waiting if (key := item.outcome.holder)}
        keys -= {item.desired.key for item in waiting}
        held = await self._held(key for key in keys if key.source == source)
        done = False
        for each, change in (*found, *((one, None) for one in held)):
            if each is None or each.product.key in self._asked:
                continue
            if letting_go := self._without(each, change, needed):
                self._asked.add(each.product.key)
                done |= await self._carry_out(letting_go)
        return done

    def _without(
        self, held: Ours, change: Change | None, needed: set[tuple[str, str]]
    ) -> Change | None:
        """The change that takes off a product what it loses anyway, or can spare.

        Args:
            held: The product.
            change: What this run still has to write to it.
            needed: The values.
        """
        receipt = Receipt.parse(held.receipt)
        leaves = _leaving(held, change, needed)
        given = {
            variant.id: {
                name
                for name, value in _values(variant)
                if (name, value) in needed
                and name not in leaves.get(variant.id, ())
                and self._may_take(held, receipt, variant, name, back=bool(change))
            }
            for variant in held.product.variants or ()
        }
        if change and any(leaves.values()):
            receipt = Receipt.parse(interim(held.receipt, change.receipt))
        losing = {id_: leaves.get(id_, set()) | names for id_, names in given.items()}
        if not any(losing.values()):
            return None
        return _clearing(held, losing, receipt.without(given).text())

    def _may_take(
        self, held: Ours, receipt: Receipt, variant: Variant, name: str, *, back: bool
    ) -> bool:
        """Whether we wrote a value that the variant no longer needs.

        Args:
            held: The product.
            receipt: Its receipt.
            variant: One of its variants.
            name: Which value.
            back: Whether this run still has to write the product.
        """
        key, job = held.product.key, self.ledger.job
        if not receipt.has(variant.id, name, getattr(variant, name)):
            what = "we did not write that value, so it stays"
            self._kept[key] = f"{what}: change it in the store"
            return False
        hidden = held.product.status is not ProductStatus.PUBLISHED
        if receipt.retired and hidden and not back:
            return True
        if receipt.job and receipt.job != job:
            what = f"the job {receipt.job!r} wrote it"
            self._kept[key] = f"{what}: correct the source, or let that job prune it"
            return False
        return hash((key, variant.id, name)) in self.survey.dropped

    async def _held(self, keys: Iterable[ProductKey]) -> list[Ours]:
        asked = [Product(key=key, title="?") for key in keys]
        if not asked:
            return []
        look = partial(promises.find, self.sink, asked, _LOOK_AT)
        found = await repeated(look, "find products", self.tally, self.options)
        return [one for one in found.values() if isinstance(one, Ours)]

    async def _carry_out(self, change: Change) -> bool:
        await self.ledger.announce([change])
        self.tally.touched = True
        try:
            write = partial(self._write, change)
            done = await repeated(write, "free unique values", self.tally, self.options)
        except RefusedError:
            return False  # the product that waits is refused then, with the reason
        if done and not self.tally.is_open(change.key):
            reason = "gave up a unique value that another product needs"
            outcome = Outcome(change.key, OutcomeStatus.UPDATED, reason)
            self.tally.on_settled(outcome, None)
        return done

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
    for name in UNIQUE.values():
        if value := getattr(variant, name):
            yield name, value


def _leaving(
    held: Ours, change: Change | None, needed: set[tuple[str, str]]
) -> Mapping[str, set[str]]:
    """The needed values that a product loses anyway."""
    if change is None or change.action is not Action.UPDATE:
        return {}
    after = {variant.id: variant for variant in change.product.variants or ()}
    return {
        variant.id: {
            name
            for name, value in _values(variant)
            if (name, value) in needed
            and getattr(after.get(variant.id), name, None) != value
        }
        for variant in held.product.variants or ()
    }


def _clearing(held: Ours, losing: Mapping[str, set[str]], receipt: str) -> Change:
    """The update that clears values of variants and leaves all else."""
    items = tuple(
        VariantChange(
            action=Action.UPDATE,
            variant=evolve_unchecked(variant, **dict.fromkeys(names)),
            fields=frozenset(f for f, name in UNIQUE.items() if name in names),
        )
        for variant in held.product.variants or ()
        if (names := losing.get(variant.id))
    )
    after = {item.variant.id: item.variant for item in items}
    variants = [after.get(v.id, v) for v in held.product.variants or ()]
    return Change(
        action=Action.UPDATE,
        product=evolve_unchecked(held.product, variants=tuple(variants)),
        fields=frozenset[Field]().union(*(item.fields for item in items)),
        variants=items,
        receipt=receipt,
        held=held,
    )
