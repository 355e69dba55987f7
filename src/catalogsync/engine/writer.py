"""The writer: applies batches of planned changes until each product has an outcome.

It treats all changes alike, those of products and removals. How a change is planned
again, and who records its result, is given to it.

**The unit of work is find, plan, write.** When a write fails and nobody knows how much
of it was done, the batch is planned again and only what is still missing is written.
So a lost answer never makes a duplicate.

**Bisecting.** A sink may refuse a batch as a whole because of one product. Culprits
that it names are taken out. Otherwise the batch is halved until they stand alone.
While the sink takes nothing at all, its products are tried one by one.

Whether an error without a reason is a product's fault is decided in `suspects`, and
what an old request may still be doing to a product in `intents`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Generic

import attrs

from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import (
    BatchRefusedError,
    ConflictError,
    RefusedError,
    TransientError,
)
from catalogsync.events import BatchWritten
from catalogsync.protocols import Sink

from .answers import error_of, refusal, send
from .batches import ChangeT, by_action
from .breaker import Breaker
from .intents import Grace
from .journal import Journal
from .options import Options
from .recorder import Recorder
from .suspects import Suspect, Suspects, Suspicion

__all__ = ["Writer"]

_WRITTEN = frozenset(
    {OutcomeStatus.CREATED, OutcomeStatus.UPDATED, OutcomeStatus.REMOVED}
)


@attrs.define
class _Bisect(Exception):  # noqa: N818 - a signal, not an error
    """A batch cannot be written as a whole.

    Attributes:
        unexplained: Whether the sink may be at fault instead of a product.
    """

    changes: Sequence[Any]
    error: Exception
    unexplained: bool = attrs.field(kw_only=True)


@attrs.define(kw_only=True)
class Writer(Generic[ChangeT]):
    """Writes batches; several calls of `write` may run at once.

    Attributes:
        plan: Finds the products of changes again and plans what is still to be done;
            others get their outcome. It may raise `TransientError`.
        on_written: Records a change that the sink applied.
        on_refused: Records a change that the sink refused.
        checks_first: Whether to plan again before each write, even the first.
    """

    sink: Sink
    plan: Callable[[Sequence[ChangeT]], Awaitable[Sequence[ChangeT]]]
    options: Options
    recorder: Recorder
    journal: Journal
    breaker: Breaker
    on_written: Callable[[ChangeT, Outcome], None]
    on_refused: Callable[[ChangeT, Outcome], None]
    checks_first: bool = False
    _failed: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _suspicion: Suspicion[ChangeT] = attrs.field(init=False)
    _grace: Grace = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._suspicion = Suspicion(self.breaker)
        collides, intents = self.sink.limits.collides, self.journal.intents
        self._grace = Grace(self.options.grace, collides, intents)

    @property
    def successes(self) -> int:
        """How many changes the sink applied."""
        return self._suspicion.successes

    @property
    def verdict(self) -> str:
        """Why the run must stop writing; empty: it may go on."""
        if verdict := self.breaker.verdict:
            return verdict
        refused = self.recorder.refused_in_a_row
        if refused >= self.options.max_refusals:
            failed = [o for o in self.recorder.failures if o.status == "failed"]
            what = f"{refused} products were refused in a row"
            return f"gave up: {what}, the last: {failed[-1] if failed else ''}"
        return ""

    async def write(self, batch: Sequence[ChangeT]) -> None:
        """Write a batch; afterwards each product has an outcome, waits or is a suspect.

        Raises:
            CatalogSyncError: The sink cannot be used any more; products without an
                outcome stay open.
        """
        started = time.perf_counter()
        self._failed.difference_update(change.key for change in batch)
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
        self, keys: Iterable[ProductKey], error: TransientError
    ) -> None:
        """Leave products to the next run."""
        for key in keys:
            reason = str(error_of(key, error))
            self._failed.add(key)
            self.recorder.record(Outcome(key, OutcomeStatus.UNRESOLVED, reason))

    def close(self) -> None:
        """Decide on the suspects, once everything else is written.

        Too few of them are no evidence against the sink, so they are refused.
        """
        if self.breaker.is_enough:
            self._acquit()
        self._refuse(self._suspicion.release())

    # Applying: one batch, with retries.

    async def _apply(
        self, changes: Sequence[ChangeT], suspects: Suspects[ChangeT] | None
    ) -> None:
        """Write a batch, and bisect it if that does not work.

        Without *suspects*, there was no unexplained error so far.
        """
        parts = [changes]
        while parts and not self.verdict:
            part = parts.pop(0)
            try:
                await self._apply_whole(part, parts, suspects)
            except _Bisect as signal:
                await self._bisect(signal, suspects)

    async def _apply_whole(
        self,
        changes: Sequence[ChangeT],
        parts: list[Sequence[ChangeT]],
        suspects: Suspects[ChangeT] | None,
    ) -> None:
        """Write a batch as a whole, with retries.

        A new plan may need other actions than the old one: a product that turns out
        to be incomplete is updated, not created. Those are added to *parts*, and so is
        what is left after the sink refused some.

        Raises:
            _Bisect: It cannot be written as a whole.
        """
        current, unexplained = changes, 0
        uncertain = (
            self.checks_first
            or suspects is not None
            or any(map(self._grace.may_be_in_flight, changes))
        )
        # While the sink is failing anyway, an unexplained error says little about
        # products, so the retries are used up before the batch is taken apart.
        sink_is_failing = self.breaker.is_suspect and suspects is None
        on_retry = self.recorder.retrying("write a batch")
        try:
            policy = self.breaker.policy(self.options.retry)
            async for attempt in policy.tries(on_retry=on_retry):
                with attempt:
                    try:
                        if attempt.num > 1 or uncertain:
                            before = current
                            current, *more = await self._plan_again(current)
                            parts += more
                            self._grace.check(current, before)
                        await self._write(current, parts)
                    except TransientError as error:
                        current = self._still_open(current)
                        unexplained += error.unexplained
                        free_retries = self._free_retries(current, suspects)
                        if unexplained > free_retries and not sink_is_failing:
                            raise _Bisect(current, error, unexplained=True) from error
                        raise
        except TransientError as error:
            if error.unexplained:
                raise _Bisect(current, error, unexplained=True) from error
            self._give_up(current, error)

    async def _plan_again(self, changes: Sequence[ChangeT]) -> list[list[ChangeT]]:
        """What is still to be written, by action; at least one part, maybe empty."""
        try:
            planned = await self.plan(changes)
        except TransientError as error:
            # An unexplained error of `find` is the sink's fault, never a product's.
            raise TransientError(str(error), retry_after=error.retry_after) from error
        return by_action(planned) or [[]]

    def _free_retries(
        self, changes: Sequence[ChangeT], suspects: Suspects[ChangeT] | None
    ) -> int:
        """How often an unexplained error is retried before the batch is bisected."""
        alone = len(changes) == 1 and not self._suspicion.takes_nothing(suspects)
        return 1 if alone or suspects is None else 0

    def _still_open(self, changes: Sequence[ChangeT]) -> list[ChangeT]:
        """Those without an outcome that do not wait for one either."""
        is_open, failed = self.recorder.is_open, self._failed
        return [c for c in changes if is_open(c.key) and c.key not in failed]

    def _give_up(self, changes: Sequence[ChangeT], error: TransientError) -> None:
        """The last retry failed, which may be the sink's fault."""
        keys = [change.key for change in changes]
        self.leave_unresolved(keys, error)
        # A conflict only says that others are changing the product.
        errors = [error_of(key, error) for key in keys]
        against_sink = [e for e in errors if not isinstance(e, ConflictError)]
        if against_sink:
            self.breaker.failed(len(against_sink), against_sink[-1])
            self._acquit_if_given_up()

    # Writing: one call of the sink, and its answers.

    async def _write(
        self, changes: Sequence[ChangeT], parts: list[Sequence[ChangeT]]
    ) -> None:
        """Write once; if the sink names culprits, the others are added to *parts*.

        Raises:
            _Bisect: The sink refuses all and names nobody.
            TransientError: The outcome of some is not known.
        """
        if not changes:
            return
        for change in changes:
            self.recorder.record_attempt(change.key, change.done().status)
        await self.journal.add_intents(changes)
        self.recorder.add_batch(len(changes))
        self.recorder.touched = True
        try:
            await self._send(changes)
        except RefusedError as error:
            parts.insert(0, self._without_culprits(changes, error))

    async def _send(self, changes: Sequence[ChangeT]) -> None:
        """Call the sink and record its answers.

        Raises:
            BrokenPromiseError: Some answers are not valid.
            TransientError: Some changes have to be tried again.
        """
        after = partial(self._grace.after, changes[0])
        try:
            with self.recorder.phase("write"):
                answers = await send(self.sink, changes)
        except TransientError as error:
            later = after(error)
            if later is error:
                raise
            raise later from error
        self._record(changes, answers.outcomes)
        again = {key: after(error) for key, error in answers.again.items()}
        attrs.evolve(answers, again=again).check()

    def _without_culprits(
        self, changes: Sequence[ChangeT], error: RefusedError
    ) -> Sequence[ChangeT]:
        culprits = frozenset(
            error.culprits if isinstance(error, BatchRefusedError) else ()
        )
        rest = [change for change in changes if change.key not in culprits]
        if len(rest) == len(changes):
            raise _Bisect(changes, error, unexplained=False) from error
        for change in changes:
            if change.key in culprits:
                self._fail(change, refusal(change.key, error))
        return rest

    def _record(self, changes: Sequence[ChangeT], outcomes: Iterable[Outcome]) -> None:
        sent = {change.key: change for change in changes}
        successes = 0
        for outcome in outcomes:
            if outcome.status is OutcomeStatus.FAILED:
                self._fail(sent[outcome.key], outcome)
            elif outcome.status in _WRITTEN:
                successes += 1
                self.on_written(sent[outcome.key], outcome)
            else:
                self._failed.add(outcome.key)
                self.recorder.record(outcome)
        if successes:
            self._suspicion.worked(successes)

    def _fail(self, change: ChangeT, outcome: Outcome) -> None:
        self._failed.add(outcome.key)
        self.on_refused(change, outcome)

    # Bisecting, and suspects.

    async def _bisect(
        self, signal: _Bisect, suspects: Suspects[ChangeT] | None
    ) -> None:
        """Write the halves of a batch; refuse or suspect a product that is alone."""
        mine = suspects
        if signal.unexplained and suspects is None:
            mine = self._suspicion.begin()
        changes: Sequence[ChangeT] = signal.changes
        if len(changes) > 1:
            await self._split(changes, mine)
        elif signal.unexplained and mine is not None:
            mine.found += [(change, signal.error) for change in changes]
        else:
            self._refuse((change, signal.error) for change in changes)
        if suspects is None and mine is not None:
            self._refuse(self._suspicion.judge(mine))
            self._acquit_if_given_up()

    async def _split(
        self, changes: Sequence[ChangeT], suspects: Suspects[ChangeT] | None
    ) -> None:
        """Write the first half, and then the rest as a whole if that may succeed.

        If all of the first half are written, the culprit is among the rest, which is
        halved again. While the sink takes nothing at all, halves are in vain, so the
        products are tried one by one.
        """
        rest = changes
        while len(rest) > 1:
            size = 1 if self._suspicion.takes_nothing(suspects) else len(rest) // 2
            first, rest = rest[:size], rest[size:]
            await self._apply(first, suspects)
            if not self._all_written(first) and not self._suspicion.takes_nothing(
                suspects
            ):
                break
        await self._apply(rest, suspects)

    def _all_written(self, changes: Iterable[ChangeT]) -> bool:
        """Whether the sink has all of these as desired."""
        keys = [change.key for change in changes]
        return not any(
            self.recorder.is_open(key) or key in self._failed for key in keys
        )

    async def _retry_suspects(self) -> None:
        """Refuse those that fail again although the sink takes other products."""
        while self._suspicion.to_retry and not self.verdict:
            change, _ = self._suspicion.to_retry.pop()
            suspects = self._suspicion.begin()
            await self._apply([change], suspects)
            self._refuse(suspects.found)

    def _acquit_if_given_up(self) -> None:
        if self.breaker.verdict:
            self._acquit()

    def _acquit(self) -> None:
        """The sink is at fault, so the suspects are unresolved, not failed."""
        for change, error in self._suspicion.release():
            self.leave_unresolved([change.key], TransientError(str(error)))

    def _refuse(self, suspects: Iterable[Suspect[ChangeT]]) -> None:
        for change, error in suspects:
            self._fail(change, refusal(change.key, error))
