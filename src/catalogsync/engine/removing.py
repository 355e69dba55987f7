"""Carrying out removals: each batch looks at both sides again before it writes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

import attrs

from catalogsync.batching import batched
from catalogsync.changes import Action, Ambiguous, Change, Held, Ours, Stranger
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import BatchSettled
from catalogsync.models import Field, ProductKey, ProductStatus
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.protocols import Sink
from catalogsync.receipt import Receipt

from . import promises
from .answers import SomeAgainError, sorted_answers
from .ledger import Ledger
from .options import Options
from .tally import Tally

__all__ = [
    "Look",
    "Remover",
    "Sight",
    "in_full",
    "is_writer",
    "look_again",
    "removal",
    "repeated",
]

_GIVE_UP = 2
_STATUS = frozenset({Field.STATUS})

T = TypeVar("T")


def removal(held: Ours, action: Action) -> Change:
    """The change that retires, deletes or disowns a product."""
    receipt = Receipt.parse(held.receipt)
    return Change(
        action=action,
        product=held.product,
        fields=frozenset(),
        receipt=attrs.evolve(receipt, retired=True).text(),
        held=held,
    )


def is_writer(receipt: Receipt, job: str) -> bool:
    """Whether a job may remove what has this receipt.

    It may if it wrote the product itself, or if a job without a name did. A receipt
    that cannot be read names no writer, so the product is nobody's to remove.
    """
    return receipt.job in {"", job}


@attrs.frozen
class Sight:
    """What a second look says of planned removals; what is in neither part stays.

    Attributes:
        changes: Those to carry out, based on what the sink has now.
        done: Products that are already as their removal would leave them.
    """

    changes: Sequence[Change] = ()
    done: Collection[ProductKey] = frozenset()


Look = Callable[[Sequence[Change]], Awaitable[Sight]]
"""Looks again at products that are about to be removed."""


async def look_again(
    sink: Sink,
    changes: Sequence[Change],
    still: Callable[[Change, Ours], bool],
    tally: Tally,
    *,
    fields: frozenset[Field] = _STATUS,
) -> Sight:
    """Find products once more, right before they are removed.

    Args:
        sink: Where they are.
        changes: How they were to be removed.
        still: Whether that may be done to a product as it is now.
        tally: Takes a warning for each that is in doubt.
        fields: What is looked at.

    Raises:
        TransientError: The sink cannot tell now.
    """
    again: list[Change] = []
    done: set[ProductKey] = set()
    found: dict[ProductKey, Held] = {}
    with tally.phase("find"):
        for some in batched(changes, sink.limits.find):
            products = [change.product for change in some]
            found |= await promises.find(sink, products, fields)
    for change in changes:
        held = found.get(change.key)
        if isinstance(held, Stranger | Ambiguous):
            tally.warn(f"{change.key} left the source and stays: {held.reason}")
        elif held is None or _is_done(change.action, held):
            done.add(change.key)
        elif still(change, held):
            again.append(removal(held, change.action))
    return Sight(again, done)


def _is_done(action: Action, held: Ours) -> bool:
    hidden = held.product.status is ProductStatus.DRAFT
    return action is Action.RETIRE and hidden and Receipt.parse(held.receipt).retired


async def in_full(sink: Sink, held: Sequence[Ours]) -> list[Ours]:
    """The same products with all fields, without those that are gone meanwhile.

    Raises:
        TransientError: They may be had later.
    """
    full: list[Ours] = []
    for some in batched(held, sink.limits.find):
        products = [each.product for each in some]
        found = await promises.find(sink, products, frozenset(Field))
        ours = (found.get(h.product.key) for h in some)
        full += [each for each in ours if isinstance(each, Ours)]
    return full


@attrs.define(kw_only=True)
class Remover:
    """Carries removals out, batch by batch.

    Attributes:
        sink: Where the products are.
        options: When a batch is repeated.
        tally: Takes the outcomes.
        ledger: Told before each write.
        carry_out: Does the work on a batch, so that a stop lets it end.
    """

    sink: Sink
    options: Options
    tally: Tally
    ledger: Ledger
    carry_out: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
    _in_doubt: int = attrs.field(default=0, init=False)
    _sent: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)

    async def remove(self, changes: Sequence[Change], look: Look) -> None:
        """Carry these out, as far as *look* still allows it right before each write.

        What the sink refuses becomes a warning.

        Raises:
            TransientError: No try was left.
        """
        most = self.sink.limits.batch
        size = min(most, self.options.batch_size or most)
        for batch in batched(changes, size):
            await self.carry_out(partial(self._bring_about, batch, look))

    async def _bring_about(self, batch: Sequence[Change], look: Look) -> None:
        started = time.perf_counter()
        self._sent.clear()
        await self._settle(batch, look)
        await self.ledger.flush()
        event = BatchSettled(
            run_id=self.tally.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.tally.emit(event)

    async def _settle(self, changes: Sequence[Change], look: Look) -> None:
        left = {change.key: change for change in changes}
        try:
            await repeated(
                partial(self._write, left, look),
                "remove products",
                self.tally,
                self.options,
            )
        except RefusedError as error:
            await self._take_apart(list(left.values()), look, error, error.said)
        except TransientError as error:
            if isinstance(error, SomeAgainError) and len(left) < len(changes):
                self._leave(error)
                return
            if not error.unexplained or self._in_doubt >= _GIVE_UP:
                raise
            await self._take_apart(list(left.values()), look, error)

    def _leave(self, error: SomeAgainError) -> None:
        """The sink removes others, so that these alone stay."""
        for key, reason in error.errors.items():
            outcome = Outcome(key, OutcomeStatus.UNSETTLED, str(reason))
            self.tally.retire(outcome)

    async def _take_apart(
        self, changes: Sequence[Change], look: Look, error: Exception, said: str = ""
    ) -> None:
        """Halve; a product that stands alone stays.

        Raises:
            TransientError: The sink explains nothing and takes nothing.
        """
        if len(changes) > 1:
            middle = len(changes) // 2
            await self._settle(changes[:middle], look)
            await self._settle(changes[middle:], look)
            return
        self._in_doubt += isinstance(error, TransientError)
        failed = OutcomeStatus.FAILED
        self.tally.retire(Outcome(changes[0].key, failed, str(error), said))

    async def _write(self, left: dict[ProductKey, Change], look: Look) -> None:
        """Look, write, and take off *left* what has an outcome.

        What an earlier try sent, and a look finds done, is done by us.
        """
        changes = list(left.values())
        try:
            sight = await look(changes)
        except TransientError as error:
            # Looking fails because of a side, and never because of a product.
            raise TransientError(str(error), retry_after=error.retry_after) from error
        ours = self._sent.intersection(sight.done)
        self._note(left, [c.done() for c in changes if c.key in ours])
        if not sight.changes or self.ledger.stopping.is_set():
            return
        await self.ledger.announce(sight.changes)
        self.tally.batch(len(sight.changes))
        self.tally.touched = True
        self._sent.update(change.key for change in sight.changes)
        with self.tally.phase("write"):
            answers = await promises.write(self.sink, sight.changes)
        good, broken = promises.check_answers(self.sink, sight.changes, answers)
        outcomes, again = sorted_answers(sight.changes, good)
        self._note(left, outcomes)
        if broken:
            raise broken
        if again:
            raise SomeAgainError(again)

    def _note(self, left: dict[ProductKey, Change], outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.status is OutcomeStatus.RETIRED:
                self._in_doubt = 0
            del left[outcome.key]
            self.tally.retire(outcome)


async def repeated(
    work: Callable[[], Awaitable[T]], what: str, tally: Tally, options: Options
) -> T:
    """Do something by the retry policy.

    Raises:
        TransientError: No try was left.
    """
    async for attempt in options.retry.tries(on_retry=tally.retrying(what)):
        with attempt:
            return await work()
    raise AssertionError("unreachable")
