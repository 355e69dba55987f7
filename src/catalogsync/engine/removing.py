"""Carrying out removals: each batch looks at both sides again before it writes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.changes import Action, Change, Conflict, Existing, Found
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Field, ProductKey, ProductStatus
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import BatchWritten
from catalogsync.protocols import Sink

from . import promises
from .answers import SomeAgainError, sorted_answers
from .journal import Journal
from .options import Options
from .recorder import Recorder

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


def removal(existing: Existing, action: Action) -> Change:
    """The change that unpublishes, deletes or releases a product."""
    last_applied = LastApplied.parse(existing.last_applied)
    return Change(
        action=action,
        product=existing.product,
        fields=frozenset(),
        last_applied=attrs.evolve(last_applied, unpublished=True).text(),
        existing=existing,
    )


def is_writer(last_applied: LastApplied, job: str) -> bool:
    """Whether a job may remove what has this last-applied state.

    It may if it wrote the product itself, or if a job without a name did. A last-applied state
    that cannot be read names no writer, so the product is nobody's to remove.
    """
    return last_applied.job in {"", job}


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
    still: Callable[[Change, Existing], bool],
    recorder: Recorder,
    *,
    fields: frozenset[Field] = _STATUS,
) -> Sight:
    """Find products once more, right before they are removed.

    Args:
        sink: Where they are.
        changes: How they were to be removed.
        still: Whether that may be done to a product as it is now.
        recorder: Takes a warning for each that is in doubt.
        fields: What is looked at.

    Raises:
        TransientError: The sink cannot tell now.
    """
    again: list[Change] = []
    done: set[ProductKey] = set()
    found: dict[ProductKey, Found] = {}
    with recorder.phase("find"):
        for some in batched(changes, sink.limits.find):
            products = [change.product for change in some]
            found |= await promises.find(sink, products, fields)
    for change in changes:
        existing = found.get(change.key)
        if isinstance(existing, Conflict):
            recorder.warn(f"{change.key} left the source and stays: {existing.reason}")
        elif existing is None or _is_done(change.action, existing):
            done.add(change.key)
        elif still(change, existing):
            again.append(removal(existing, change.action))
    return Sight(again, done)


def _is_done(action: Action, existing: Existing) -> bool:
    hidden = existing.product.status is ProductStatus.DRAFT
    return (
        action is Action.UNPUBLISH
        and hidden
        and LastApplied.parse(existing.last_applied).unpublished
    )


async def in_full(sink: Sink, existing: Sequence[Existing]) -> list[Existing]:
    """The same products with all fields, without those that are gone meanwhile.

    Raises:
        TransientError: They may be had later.
    """
    full: list[Existing] = []
    for some in batched(existing, sink.limits.find):
        products = [each.product for each in some]
        found = await promises.find(sink, products, frozenset(Field))
        ours = (found.get(h.product.key) for h in some)
        full += [each for each in ours if isinstance(each, Existing)]
    return full


@attrs.define(kw_only=True)
class Remover:
    """Carries removals out, batch by batch.

    Attributes:
        sink: Where the products are.
        options: When a batch is repeated.
        recorder: Takes the outcomes.
        journal: Told before each write.
        carry_out: Does the work on a batch, so that a stop lets it end.
    """

    sink: Sink
    options: Options
    recorder: Recorder
    journal: Journal
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
        await self.journal.flush()
        event = BatchWritten(
            run_id=self.recorder.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.recorder.emit(event)

    async def _settle(self, changes: Sequence[Change], look: Look) -> None:
        left = {change.key: change for change in changes}
        try:
            await repeated(
                partial(self._write, left, look),
                "remove products",
                self.recorder,
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
            outcome = Outcome(key, OutcomeStatus.UNRESOLVED, str(reason))
            self.recorder.unpublish(outcome)

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
        self.recorder.unpublish(Outcome(changes[0].key, failed, str(error), said))

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
        if not sight.changes or self.journal.stopping.is_set():
            return
        await self.journal.announce(sight.changes)
        self.recorder.batch(len(sight.changes))
        self.recorder.touched = True
        self._sent.update(change.key for change in sight.changes)
        with self.recorder.phase("write"):
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
            if outcome.status is OutcomeStatus.REMOVED:
                self._in_doubt = 0
            del left[outcome.key]
            self.recorder.unpublish(outcome)


async def repeated(
    work: Callable[[], Awaitable[T]], what: str, recorder: Recorder, options: Options
) -> T:
    """Do something by the retry policy.

    Raises:
        TransientError: No try was left.
    """
    async for attempt in options.retry.tries(on_retry=recorder.retrying(what)):
        with attempt:
            return await work()
    raise AssertionError("unreachable")
