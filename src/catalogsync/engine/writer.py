"""The unit of work: find, plan, write, repeated as one until it is settled.

A batch is not sent, it is brought about. After anything that leaves open what was
done, the sink is asked again and only what is still missing is written, so a lost
answer makes no duplicate. A batch that is refused as a whole is taken apart until
the bad products stand alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from catalogsync.catalog.changes import Action
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import (
    BatchRefusedError,
    ConflictError,
    RefusedError,
    TransientError,
)
from catalogsync.events import BatchWritten
from catalogsync.protocols import Sink

from . import promises
from .answers import SomeAgainError, error_of, sorted_answers
from .breaker import Breaker
from .journal import Journal
from .options import Options
from .planner import Planned, Planner, by_action, conflict_text
from .recorder import Recorder
from .waiting import WaitingRoom

__all__ = ["Writer"]

_GOOD = frozenset({OutcomeStatus.CREATED, OutcomeStatus.UPDATED})

Doubt = tuple[Planned, Exception]
"""A product that failed without a reason, and the error."""


class _TakeApart(Exception):  # noqa: N818 - a signal, not an error
    """This batch will not go as a whole.

    Attributes:
        items: What is left of it.
        error: Why.
        in_doubt: Whether the sink may be at fault instead of a product.
    """

    def __init__(
        self, items: Sequence[Planned], error: Exception, *, in_doubt: bool
    ) -> None:
        super().__init__(str(error))
        self.items = items
        self.error = error
        self.in_doubt = in_doubt


@attrs.define(kw_only=True)
class Writer:
    """Brings batches about; several may be under way at once.

    Attributes:
        sink: Where the products go.
        planner: Finds and plans again where that is needed.
        options: When a batch is repeated, and when the run gives up.
        recorder: Takes the outcomes.
        journal: Told before each write.
        on_written: Told of each product that was written.
        breaker: Says when the sink is given up.
        waiting: Where products wait for a value that another one has.
    """

    sink: Sink
    planner: Planner
    options: Options
    recorder: Recorder
    journal: Journal
    on_written: Callable[[Planned], None]
    breaker: Breaker
    waiting: WaitingRoom = attrs.field(factory=WaitingRoom)
    _successes: int = 0
    _bad: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _doubted: list[Doubt] = attrs.field(factory=list[Doubt], init=False)
    _suspects: list[Doubt] = attrs.field(factory=list[Doubt], init=False)

    @property
    def verdict(self) -> str:
        """Why nothing more is to be written; empty as long as all is well."""
        if verdict := self.breaker.verdict:
            return verdict
        refused = self.recorder.refused_in_a_row
        if refused >= self.options.max_refusals:
            last = next(
                (o for o in reversed(self.recorder.failures) if o.status == "failed"),
                "",
            )
            return (
                f"gave up: {refused} products were refused in a row, the last: {last}"
            )
        return ""

    async def settle(self, batch: Sequence[Planned]) -> None:
        """Bring a batch about; afterwards each of its products has an outcome.

        Raises:
            CatalogSyncError: The sink cannot be used any more; the products that
                have no outcome are open.
        """
        started = time.perf_counter()
        await self._bring_about(batch, None)
        await self._try_suspects()
        await self.journal.flush()
        event = BatchWritten(
            run_id=self.recorder.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.recorder.emit(event)

    def leave(self, products: Iterable[Product], error: TransientError) -> None:
        """Leave these for the next run."""
        for product in products:
            reason = str(error_of(product.key, error))
            self._bad.add(product.key)
            self.recorder.settle(Outcome(product.key, OutcomeStatus.UNRESOLVED, reason))

    def _give_up(self, items: Sequence[Planned], error: TransientError) -> None:
        """No try is left for these, which may be the sink's fault."""
        self.leave([item.desired for item in items], error)
        # A product that others are at work on says nothing against the sink.
        errors = [error_of(item.desired.key, error) for item in items]
        against = [e for e in errors if not isinstance(e, ConflictError)]
        if against:
            self._accuse(len(against), against[-1])

    def _accuse(self, products: int, error: Exception) -> None:
        self.breaker.failed(products, error)
        if self.breaker.verdict:
            self._leave_doubted()

    def _leave_doubted(self) -> None:
        """The sink is to blame, and none of the products."""
        for item, error in self._doubted:
            self.leave([item.desired], TransientError(str(error)))
        self._doubted.clear()

    async def _bring_about(
        self, items: Sequence[Planned], doubts: list[Doubt] | None
    ) -> None:
        """Settle these, or take them apart.

        Args:
            items: What is to be settled.
            doubts: Collects products that the sink refuses without a reason; None
                as long as it gave no cause for doubt.
        """
        if self.verdict:
            return
        others: list[Sequence[Planned]] = []
        try:
            await self._repeat(items, others, in_doubt=doubts is not None)
        except _TakeApart as signal:
            await self._take_apart(signal, doubts)
        for part in others:
            await self._bring_about(part, doubts)

    async def _repeat(
        self,
        items: Sequence[Planned],
        others: list[Sequence[Planned]],
        *,
        in_doubt: bool,
    ) -> None:
        """Write until it is settled.

        What a repeat finds to be of another action (a product that is half made is
        updated) is put aside into *others*.
        """
        current, unexplained = items, 0
        on_retry = self.recorder.retrying("write a batch")
        look = in_doubt or any(map(self._needs_a_look, items))
        patient = self.breaker.is_suspect and not in_doubt
        try:
            policy = self.breaker.policy(self.options.retry)
            async for attempt in policy.tries(on_retry=on_retry):
                with attempt:
                    try:
                        if attempt.num > 1 or look:
                            before = current
                            current, *more = await self._planned_anew(current)
                            others += more
                            self._check_ripe(current, before)
                        await self._write(current)
                    except TransientError as error:
                        current = self._open(current)
                        unexplained += error.unexplained
                        spare = 1 if len(current) == 1 or not in_doubt else 0
                        if unexplained > spare and not patient:
                            raise _TakeApart(current, error, in_doubt=True) from error
                        raise
        except TransientError as error:
            if error.unexplained:
                raise _TakeApart(current, error, in_doubt=True) from error
            self._give_up(current, error)

    async def _planned_anew(self, items: Sequence[Planned]) -> list[list[Planned]]:
        """What is still missing of these, by action; at least one part."""
        try:
            planned = await self.planner.compare([item.desired for item in items])
        except TransientError as error:
            # Looking fails because of the sink, and never because of a product.
            raise TransientError(str(error), retry_after=error.retry_after) from error
        return by_action(planned) or [[]]

    def _needs_a_look(self, item: Planned) -> bool:
        """Whether a request that nobody waits for any more may be at work on it."""
        young = not self.sink.limits.collides and self.journal.is_young(
            item.desired.key
        )
        return item.incomplete or bool(young)

    def _check_ripe(self, items: Sequence[Planned], before: Sequence[Planned]) -> None:
        """Leave alone what may still be in the making.

        Raises:
            ConflictError: Something is; tells when to come again.
        """
        known = {item.desired.key: item for item in before}
        waits = [
            wait
            for item in items
            if (wait := self._ripens_in(item, known[item.desired.key])) is not None
        ]
        if waits:
            problem = "half made, or a request that makes it may still be going on"
            keys = ", ".join(str(item.desired.key) for item in items[:3])
            raise ConflictError(f"{problem}: {keys}", retry_after=max(waits) or None)

    def _ripens_in(self, item: Planned, before: Planned) -> float | None:
        """Seconds until a product may be made or repaired; None: now."""
        if not self.sink.limits.collides and item.change.existing is None:
            return self.journal.is_young(item.desired.key) or None
        if not item.incomplete or item.change.existing is None:
            return None
        grace, age = self.options.grace, item.change.existing.age
        if age is not None and age < grace:
            return grace - age
        stands = before.change.existing is not None and (
            item.change.existing.product == before.change.existing.product
            and item.change.existing.missing_parts
            == before.change.existing.missing_parts
        )
        return None if stands else 0.0

    async def _send(self, items: Sequence[Planned]) -> None:
        """Hand them to the sink, and take note of its answers.

        Raises:
            BrokenPromiseError: Some of them are none.
            TransientError: The sink wants some of the changes again.
        """
        changes = [item.change for item in items]
        action = changes[0].action
        try:
            with self.recorder.phase("write"):
                answers = await promises.write(self.sink, changes)
        except TransientError as error:
            later = self._given_time(action, error)
            if later is error:
                raise
            raise later from error
        good, broken = promises.check_answers(self.sink, changes, answers)
        outcomes, again = sorted_answers(changes, good)
        self._note(items, outcomes)
        if broken:
            raise broken
        if again:
            times = {key: self._given_time(action, e) for key, e in again.items()}
            raise SomeAgainError(times)

    def _given_time(self, action: Action, error: TransientError) -> TransientError:
        """Where a second creation would double the first, one without an answer waits.

        An error without a reason is an answer, and so is a conflict.
        """
        answered = error.unexplained or isinstance(error, ConflictError)
        if answered or self.sink.limits.collides or action is not Action.CREATE:
            return error
        wait = max(self.options.grace, error.retry_after or 0.0)
        return TransientError(str(error), retry_after=wait)

    def _open(self, items: Sequence[Planned]) -> list[Planned]:
        """Those of these that met no end yet, and do not wait for it."""
        return [
            item
            for item in items
            if self.recorder.is_open(item.desired.key)
            and item.desired.key not in self.waiting
        ]

    async def _write(self, items: Sequence[Planned]) -> None:
        """Write once; culprits that the sink names are set aside."""
        while items:
            for item in items:
                self.recorder.attempt(item.desired.key, item.change.done().status)
            await self.journal.announce([item.change for item in items])
            self.recorder.batch(len(items))
            self.recorder.touched = True
            try:
                await self._send(items)
            except RefusedError as error:
                items = self._without_culprits(items, error)
            else:
                return

    def _without_culprits(
        self, items: Sequence[Planned], error: RefusedError
    ) -> Sequence[Planned]:
        named: Mapping[ProductKey, str] = {}
        if isinstance(error, BatchRefusedError):
            named = error.culprits
        rest = [item for item in items if item.desired.key not in named]
        if len(rest) == len(items):
            raise _TakeApart(items, error, in_doubt=False) from error
        for item in items:
            key = item.desired.key
            if key in named:
                self._fail(item, _blamed(key, error))
        return [] if self.verdict else rest

    def _note(self, items: Sequence[Planned], outcomes: Iterable[Outcome]) -> None:
        """Take the outcomes; each stands by itself."""
        sent = {item.desired.key: item for item in items}
        good = 0
        for outcome in outcomes:
            if outcome.status is OutcomeStatus.FAILED:
                self._fail(sent[outcome.key], outcome)
                continue
            self.recorder.settle(outcome)
            if outcome.reason and outcome.status in _GOOD:
                self.recorder.warn(conflict_text(outcome.key, outcome.reason))
            if outcome.status in _GOOD:
                good += 1
                self.on_written(sent[outcome.key])
            else:
                self._bad.add(outcome.key)
        if good:
            self._works(good)

    def _works(self, successes: int) -> None:
        """The sink took something, so what is in doubt is tried by itself."""
        self._successes += successes
        self.breaker.worked()
        self._suspects += self._doubted
        self._doubted.clear()

    async def _try_suspects(self) -> None:
        """What fails again while the sink takes other products is refused."""
        while self._suspects and not self.verdict:
            item, _ = self._suspects.pop()
            doubts: list[Doubt] = []
            await self._bring_about([item], doubts)
            self._blame(doubts)

    async def _take_apart(self, signal: _TakeApart, doubts: list[Doubt] | None) -> None:
        """Halve; a product that stands alone is refused."""
        mine: list[Doubt] | None = doubts
        if signal.in_doubt and doubts is None:
            mine = []
        before = self._successes
        items = signal.items
        if len(items) > 1:
            middle = len(items) // 2
            first, second = items[:middle], items[middle:]
            await self._bring_about(first, mine)
            if len(second) > 1 and self._is_right(first):
                # What is wrong with the whole is in the other half.
                rest = _TakeApart(second, signal.error, in_doubt=signal.in_doubt)
                await self._take_apart(rest, mine)
            else:
                await self._bring_about(second, mine)
        elif signal.in_doubt and mine is not None:
            mine.extend((item, signal.error) for item in items)
        else:
            self._blame((item, signal.error) for item in items)
        if mine and doubts is None:
            self._decide(mine, before)

    def _is_right(self, items: Iterable[Planned]) -> bool:
        """Whether the sink has all of these as they should be."""
        keys = [item.desired.key for item in items]
        return not any(self.recorder.is_open(key) or key in self._bad for key in keys)

    def _decide(self, doubted: Sequence[Doubt], before: int) -> None:
        """Blame the products, unless the sink took nothing else meanwhile.

        Then they are kept back until it takes another product, which clears it, or
        so many are in doubt that it is given up.
        """
        if self._successes > before:
            self._blame(doubted)
            return
        self._doubted += doubted
        _, error = doubted[-1]
        self._accuse(len(doubted), error)

    def close(self) -> None:
        """All is written: too few products in doubt say nothing against the sink."""
        if self.breaker.is_enough:
            self._leave_doubted()
        self._blame(self._doubted)
        self._doubted.clear()

    def _blame(self, doubted: Iterable[Doubt]) -> None:
        for item, error in doubted:
            self._fail(item, _blamed(item.desired.key, error))

    def _fail(self, item: Planned, outcome: Outcome) -> None:
        self._bad.add(outcome.key)
        if not self.waiting.admit(item.desired, outcome):
            self.recorder.refuse(outcome)


def _blamed(key: ProductKey, error: Exception) -> Outcome:
    """The outcome of a product that a sink refused."""
    reason, said, holder = str(error), "", None
    if isinstance(error, RefusedError):
        said = error.said
    if isinstance(error, BatchRefusedError):
        reason = error.culprits.get(key, reason)
        holder = error.holders.get(key)
    return Outcome(key, OutcomeStatus.FAILED, reason, said, holder)
