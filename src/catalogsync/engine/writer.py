"""The writer: applies batches of planned changes until each product has an outcome.

**The unit of work is find, plan, write.** When a write fails and nobody knows how much
of it was done, the batch is planned again and only what is still missing is written.
So a lost answer never makes a duplicate.

**Bisecting.** A sink may refuse a batch as a whole because of one product. Culprits
that it names are taken out. Otherwise the batch is halved until they stand alone.

**Suspects.** Some errors have no reason, such as a bare 500: either one product is bad,
or the sink is. A product that still fails alone is a *suspect*. As soon as the sink
takes any other product, the sink works, so each suspect is tried once more by itself
and refused if it fails again. If the sink takes nothing, suspects are evidence against
the sink, and the breaker decides when to give it up; then they become unresolved, not
failed.

**Requests in flight.** A request that we gave up may still be carried out. Incomplete
products, and creations that a dead process began, are left alone until that cannot
be the case any more (`Options.grace`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from catalogsync.catalog.changes import Create, Write
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
from .answers import SomeAgainError, error_of, sort_answers
from .breaker import Breaker
from .journal import Journal
from .options import Options
from .planner import Planned, Planner, by_action, conflict_text
from .recorder import Recorder
from .waiting import WaitingRoom

__all__ = ["Writer"]

_WRITTEN = frozenset({OutcomeStatus.CREATED, OutcomeStatus.UPDATED})

Suspect = tuple[Planned, Exception]
"""A product whose write failed without a reason, and the error."""


class _Bisect(Exception):  # noqa: N818 - a signal, not an error
    """A batch cannot be written as a whole.

    Attributes:
        items: What is left of it.
        error: Why.
        unexplained: Whether the sink may be at fault instead of a product.
    """

    def __init__(
        self, items: Sequence[Planned], error: Exception, *, unexplained: bool
    ) -> None:
        super().__init__(str(error))
        self.items = items
        self.error = error
        self.unexplained = unexplained


@attrs.define(kw_only=True)
class Writer:
    """Writes batches; several calls of `write` may run at once.

    Attributes:
        sink: The sink.
        planner: Plans again where the state of the sink is uncertain.
        options: Options of the run.
        recorder: Receives outcomes.
        journal: Receives intents before each write.
        on_written: Called with each product that was written.
        breaker: Decides when to give up the sink.
        waiting: Keeps products that need a value which another product still has.
    """

    sink: Sink
    planner: Planner
    options: Options
    recorder: Recorder
    journal: Journal
    on_written: Callable[[Planned], None]
    breaker: Breaker
    waiting: WaitingRoom = attrs.field(factory=WaitingRoom)
    _successes: int = attrs.field(default=0, init=False)
    _failed: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _suspects: list[Suspect] = attrs.field(factory=list[Suspect], init=False)
    _to_retry: list[Suspect] = attrs.field(factory=list[Suspect], init=False)

    @property
    def verdict(self) -> str:
        """Why the run must stop writing; empty: it may go on."""
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

    async def write(self, batch: Sequence[Planned]) -> None:
        """Write a batch; afterwards each product has an outcome, waits or is a suspect.

        Raises:
            CatalogSyncError: The sink cannot be used any more; products without an
                outcome stay open.
        """
        started = time.perf_counter()
        await self._apply(batch, None)
        await self._retry_suspects()
        await self.journal.flush()
        event = BatchWritten(
            run_id=self.recorder.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.recorder.emit(event)

    def leave_unresolved(
        self, products: Iterable[Product], error: TransientError
    ) -> None:
        """Leave products to the next run."""
        for product in products:
            reason = str(error_of(product.key, error))
            self._failed.add(product.key)
            outcome = Outcome(product.key, OutcomeStatus.UNRESOLVED, reason)
            self.recorder.record(outcome)

    def close(self) -> None:
        """Decide on the suspects, once everything else is written.

        Too few of them are no evidence against the sink, so they are refused.
        """
        if self.breaker.is_enough:
            self._acquit()
        self._refuse(self._suspects)
        self._suspects.clear()

    # Applying: one batch, with retries.

    async def _apply(
        self, items: Sequence[Planned], suspects: list[Suspect] | None
    ) -> None:
        """Write a batch, and bisect it if that does not work.

        Args:
            items: The batch.
            suspects: Receives products that fail alone and without a reason; None: no
                unexplained error so far.
        """
        if self.verdict:
            return
        deferred: list[Sequence[Planned]] = []
        try:
            await self._apply_whole(items, deferred, suspected=suspects is not None)
        except _Bisect as signal:
            await self._bisect(signal, suspects)
        for part in deferred:
            await self._apply(part, suspects)

    async def _apply_whole(
        self,
        items: Sequence[Planned],
        deferred: list[Sequence[Planned]],
        *,
        suspected: bool,
    ) -> None:
        """Write a batch as a whole, with retries.

        A new plan may need other actions than the old one: a product that turns out
        to be incomplete is updated, not created. Those parts are added to *deferred*.

        Raises:
            _Bisect: It cannot be written as a whole.
        """
        current, unexplained = items, 0
        on_retry = self.recorder.retrying("write a batch")
        uncertain = suspected or any(map(self._may_be_in_flight, items))
        # While the sink is failing anyway, an unexplained error says little about
        # products, so the retries are used up before the batch is taken apart.
        sink_is_failing = self.breaker.is_suspect and not suspected
        try:
            policy = self.breaker.policy(self.options.retry)
            async for attempt in policy.tries(on_retry=on_retry):
                with attempt:
                    try:
                        if attempt.num > 1 or uncertain:
                            before = current
                            current, *more = await self._replan(current)
                            deferred += more
                            self._check_ready(current, before)
                        await self._write(current)
                    except TransientError as error:
                        current = self._still_open(current)
                        unexplained += error.unexplained
                        free_retries = 1 if len(current) == 1 or not suspected else 0
                        if unexplained > free_retries and not sink_is_failing:
                            raise _Bisect(current, error, unexplained=True) from error
                        raise
        except TransientError as error:
            if error.unexplained:
                raise _Bisect(current, error, unexplained=True) from error
            self._give_up(current, error)

    async def _replan(self, items: Sequence[Planned]) -> list[list[Planned]]:
        """What is still to be written, by action; at least one part, maybe empty."""
        try:
            planned = await self.planner.plan_once([item.desired for item in items])
        except TransientError as error:
            # An unexplained error of `find` is the sink's fault, never a product's.
            raise TransientError(str(error), retry_after=error.retry_after) from error
        return by_action(planned) or [[]]

    def _still_open(self, items: Sequence[Planned]) -> list[Planned]:
        """Those that have no outcome and do not wait for one."""
        return [
            item
            for item in items
            if self.recorder.is_open(item.desired.key)
            and item.desired.key not in self.waiting
        ]

    def _give_up(self, items: Sequence[Planned], error: TransientError) -> None:
        """The last retry failed, which may be the sink's fault."""
        self.leave_unresolved([item.desired for item in items], error)
        # A conflict only says that others are changing the product.
        errors = [error_of(item.desired.key, error) for item in items]
        against_sink = [e for e in errors if not isinstance(e, ConflictError)]
        if against_sink:
            self._blame_sink(len(against_sink), against_sink[-1])

    # Requests in flight.

    def _may_be_in_flight(self, item: Planned) -> bool:
        """Whether an old request may still be creating or completing a product."""
        waits = not self.sink.limits.collides and self.journal.ready_in(
            item.desired.key
        )
        return item.is_repair or bool(waits)

    def _check_ready(self, items: Sequence[Planned], before: Sequence[Planned]) -> None:
        """Leave products alone that an old request may still be changing.

        Raises:
            ConflictError: There are some; its `retry_after` says when to try again.
        """
        known = {item.desired.key: item for item in before}
        waits = [
            wait
            for item in items
            if (wait := self._ready_in(item, known[item.desired.key])) is not None
        ]
        if waits:
            problem = "incomplete, or an earlier request may still be creating it"
            keys = ", ".join(str(item.desired.key) for item in items[:3])
            raise ConflictError(f"{problem}: {keys}", retry_after=max(waits) or None)

    def _ready_in(self, item: Planned, before: Planned) -> float | None:
        """Seconds until a product may be created or repaired; None: now.

        A sink that knows the age of an incomplete product answers by that. Otherwise
        the product is repaired when two looks in a row find it unchanged.
        """
        existing, previous = item.existing, before.existing
        if existing is None:
            if self.sink.limits.collides:
                return None
            return self.journal.ready_in(item.desired.key) or None
        if not item.is_repair:
            return None
        grace, age = self.options.grace, existing.age
        if age is not None and age < grace:
            return grace - age
        is_unchanged = previous is not None and (
            existing.product == previous.product
            and existing.missing_parts == previous.missing_parts
        )
        return None if is_unchanged else 0.0

    def _with_grace(self, change: Write, error: TransientError) -> TransientError:
        """The error, with a wait of `grace` where a second creation would duplicate.

        An error without a reason is an answer, and so is a conflict: then the request
        is over and there is nothing to wait for.
        """
        answered = error.unexplained or isinstance(error, ConflictError)
        if answered or self.sink.limits.collides or not isinstance(change, Create):
            return error
        wait = max(self.options.grace, error.retry_after or 0.0)
        return TransientError(str(error), retry_after=wait)

    # Writing: one call of the sink, and its answers.

    async def _write(self, items: Sequence[Planned]) -> None:
        """Write once; culprits that the sink names are taken out.

        Raises:
            _Bisect: The sink refuses all and names nobody.
            TransientError: The outcome of some is not known.
        """
        while items:
            for item in items:
                expected = item.change.done().status
                self.recorder.record_attempt(item.desired.key, expected)
            await self.journal.add_intents([item.change for item in items])
            self.recorder.add_batch(len(items))
            self.recorder.touched = True
            try:
                await self._send(items)
            except RefusedError as error:
                items = self._without_culprits(items, error)
            else:
                return

    async def _send(self, items: Sequence[Planned]) -> None:
        """Call the sink and record its answers.

        Raises:
            BrokenPromiseError: Some answers are not valid.
            TransientError: Some changes have to be tried again.
        """
        changes = [item.change for item in items]
        try:
            with self.recorder.phase("write"):
                answers = await promises.write(self.sink, changes)
        except TransientError as error:
            later = self._with_grace(changes[0], error)
            if later is error:
                raise
            raise later from error
        valid, broken = promises.check_answers(self.sink, changes, answers)
        outcomes, again = sort_answers(changes, valid)
        self._record(items, outcomes)
        if broken:
            raise broken
        if again:
            errors = {key: self._with_grace(changes[0], e) for key, e in again.items()}
            raise SomeAgainError(errors)

    def _without_culprits(
        self, items: Sequence[Planned], error: RefusedError
    ) -> Sequence[Planned]:
        culprits: Mapping[ProductKey, str] = {}
        if isinstance(error, BatchRefusedError):
            culprits = error.culprits
        rest = [item for item in items if item.desired.key not in culprits]
        if len(rest) == len(items):
            raise _Bisect(items, error, unexplained=False) from error
        for item in items:
            key = item.desired.key
            if key in culprits:
                self._fail(item, _refusal(key, error))
        return [] if self.verdict else rest

    def _record(self, items: Sequence[Planned], outcomes: Iterable[Outcome]) -> None:
        sent = {item.desired.key: item for item in items}
        successes = 0
        for outcome in outcomes:
            if outcome.status is OutcomeStatus.FAILED:
                self._fail(sent[outcome.key], outcome)
                continue
            self.recorder.record(outcome)
            if outcome.status in _WRITTEN:
                successes += 1
                if outcome.reason:
                    self.recorder.warn(conflict_text(outcome.key, outcome.reason))
                self.on_written(sent[outcome.key])
            else:
                self._failed.add(outcome.key)
        if successes:
            self._note_successes(successes)

    def _fail(self, item: Planned, outcome: Outcome) -> None:
        self._failed.add(outcome.key)
        if not self.waiting.admit(item.desired, outcome):
            self.recorder.record_refusal(outcome)

    # Bisecting, and suspects.

    async def _bisect(self, signal: _Bisect, suspects: list[Suspect] | None) -> None:
        """Write the halves of a batch; refuse or suspect a product that is alone."""
        mine: list[Suspect] | None = suspects
        if signal.unexplained and suspects is None:
            mine = []
        before = self._successes
        items = signal.items
        if len(items) > 1:
            middle = len(items) // 2
            first, second = items[:middle], items[middle:]
            await self._apply(first, mine)
            if len(second) > 1 and self._all_written(first):
                # The culprit is in the second half, so writing it whole is in vain.
                rest = _Bisect(second, signal.error, unexplained=signal.unexplained)
                await self._bisect(rest, mine)
            else:
                await self._apply(second, mine)
        elif signal.unexplained and mine is not None:
            mine.extend((item, signal.error) for item in items)
        else:
            self._refuse((item, signal.error) for item in items)
        if mine and suspects is None:
            self._judge(mine, before)

    def _all_written(self, items: Iterable[Planned]) -> bool:
        """Whether the sink has all of these as desired."""
        keys = [item.desired.key for item in items]
        return not any(
            self.recorder.is_open(key) or key in self._failed for key in keys
        )

    def _judge(self, suspects: Sequence[Suspect], successes_before: int) -> None:
        """Refuse suspects if the sink took other products meanwhile, else hold them."""
        if self._successes > successes_before:
            self._refuse(suspects)
            return
        self._suspects += suspects
        _, error = suspects[-1]
        self._blame_sink(len(suspects), error)

    def _note_successes(self, number: int) -> None:
        """The sink works, so each suspect deserves one more try by itself."""
        self._successes += number
        self.breaker.worked()
        self._to_retry += self._suspects
        self._suspects.clear()

    async def _retry_suspects(self) -> None:
        """Refuse those that fail again although the sink takes other products."""
        while self._to_retry and not self.verdict:
            item, _ = self._to_retry.pop()
            suspects: list[Suspect] = []
            await self._apply([item], suspects)
            self._refuse(suspects)

    def _blame_sink(self, products: int, error: Exception) -> None:
        self.breaker.failed(products, error)
        if self.breaker.verdict:
            self._acquit()

    def _acquit(self) -> None:
        """The sink is at fault, so the suspects are unresolved, not failed."""
        for item, error in self._suspects:
            self.leave_unresolved([item.desired], TransientError(str(error)))
        self._suspects.clear()

    def _refuse(self, suspects: Iterable[Suspect]) -> None:
        for item, error in suspects:
            self._fail(item, _refusal(item.desired.key, error))


def _refusal(key: ProductKey, error: Exception) -> Outcome:
    """The outcome of a product that a sink refused."""
    reason, said, holder = str(error), "", None
    if isinstance(error, RefusedError):
        said = error.said
    if isinstance(error, BatchRefusedError):
        reason = error.culprits.get(key, reason)
        holder = error.holders.get(key)
    return Outcome(key, OutcomeStatus.FAILED, reason, said, holder)
