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

from catalogsync.changes import Action
from catalogsync.errors import (
    BatchRefusedError,
    ConflictError,
    RefusedError,
    TransientError,
)
from catalogsync.events import BatchSettled
from catalogsync.models import Product, ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.protocols import Sink

from .ledger import Ledger
from .options import Options
from .survey import Planned, Survey, by_action
from .tally import Tally

__all__ = ["Settler"]

_GIVE_UP = 2
_SILENCE = "the sink did not say what became of it"
_GOOD = frozenset({OutcomeStatus.CREATED, OutcomeStatus.UPDATED})


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
class Settler:
    """Brings batches about; several may be under way at once.

    Attributes:
        sink: Where the products go.
        survey: Finds and plans again where that is needed.
        options: When a batch is repeated, and when the run gives up.
        tally: Takes the outcomes.
        ledger: Told before each write.
        on_written: Told of each product that was written.
    """

    sink: Sink
    survey: Survey
    options: Options
    tally: Tally
    ledger: Ledger
    on_written: Callable[[Product], None]
    _successes: int = 0
    _given_up: int = 0
    _bad: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _doubted: list[tuple[Planned, Exception]] = attrs.field(
        factory=list[tuple[Planned, Exception]], init=False
    )

    @property
    def verdict(self) -> str:
        """Why nothing more is to be written; empty as long as all is well."""
        if self._given_up >= _GIVE_UP:
            return "gave up: the sink failed several times in a row"
        refused = self.tally.refused_in_a_row
        if refused >= self.options.max_refusals:
            last = next(
                (o for o in reversed(self.tally.failures) if o.status == "failed"), ""
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
        await self.ledger.flush()
        event = BatchSettled(
            run_id=self.tally.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.tally.emit(event)

    def give_up(self, products: Iterable[Product], error: TransientError) -> None:
        """Leave these for the next run."""
        # A product that others are at work on says nothing against the sink.
        self._given_up += not isinstance(error, ConflictError)
        reason = str(error)
        for product in products:
            self._bad.add(product.key)
            self.tally.settle(Outcome(product.key, OutcomeStatus.UNSETTLED, reason))

    async def _bring_about(
        self, items: Sequence[Planned], doubts: list[Planned] | None
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
        current, last, unexplained = items, "", 0
        look = in_doubt or any(map(self._needs_a_look, items))
        try:
            async for attempt in self.options.retry.tries():
                with attempt:
                    if attempt.num > 1:
                        self.tally.retry("write a batch", attempt.num, last)
                    try:
                        if attempt.num > 1 or look:
                            before = current
                            current, *more = await self._planned_anew(current)
                            others += more
                            self._check_ripe(current, before)
                        await self._write(current)
                    except TransientError as error:
                        current = self._open(current)
                        last = str(error)
                        unexplained += error.unexplained
                        spare = 1 if len(current) == 1 or not in_doubt else 0
                        if unexplained > spare:
                            raise _TakeApart(current, error, in_doubt=True) from error
                        raise
        except TransientError as error:
            if error.unexplained:
                raise _TakeApart(current, error, in_doubt=True) from error
            self.give_up([item.wanted for item in current], error)

    async def _planned_anew(self, items: Sequence[Planned]) -> list[list[Planned]]:
        """What is still missing of these, by action; at least one part."""
        try:
            planned = await self.survey.compare([item.wanted for item in items])
        except TransientError as error:
            # Looking fails because of the sink, and never because of a product.
            raise TransientError(str(error), retry_after=error.retry_after) from error
        return by_action(planned) or [[]]

    def _needs_a_look(self, item: Planned) -> bool:
        """Whether a request that nobody waits for any more may be at work on it."""
        young = not self.sink.limits.collides and self.ledger.is_young(item.wanted.key)
        return item.half_made or bool(young)

    def _check_ripe(self, items: Sequence[Planned], before: Sequence[Planned]) -> None:
        """Leave alone what may still be in the making.

        Raises:
            ConflictError: Something is; tells when to come again.
        """
        known = {item.wanted.key: item for item in before}
        waits = [
            wait
            for item in items
            if (wait := self._ripens_in(item, known[item.wanted.key])) is not None
        ]
        if waits:
            problem = "half made, or a request that makes it may still be going on"
            keys = ", ".join(str(item.wanted.key) for item in items[:3])
            raise ConflictError(f"{problem}: {keys}", retry_after=max(waits) or None)

    def _ripens_in(self, item: Planned, before: Planned) -> float | None:
        """Seconds until a product may be made or repaired; None: now."""
        if not self.sink.limits.collides and item.change.held is None:
            return self.ledger.is_young(item.wanted.key) or None
        if not item.half_made or item.change.held is None:
            return None
        grace, age = self.options.grace, item.change.held.age
        if age is not None and age < grace:
            return grace - age
        stands = before.change.held is not None and (
            item.change.held.product == before.change.held.product
            and item.change.held.gaps == before.change.held.gaps
        )
        return None if stands else 0.0

    async def _send(self, items: Sequence[Planned]) -> Sequence[Outcome]:
        """Hand them to the sink.

        Where creations do not collide, a second one could double one that is still
        going on, so one that got no answer is given its time.
        """
        try:
            with self.tally.phase("write"):
                return await self.sink.write([item.change for item in items])
        except TransientError as error:
            creates = items[0].change.action is Action.CREATE
            if self.sink.limits.collides or not creates:
                raise
            raise TransientError(
                str(error),
                retry_after=max(self.options.grace, error.retry_after or 0.0),
                unexplained=error.unexplained,
            ) from error

    def _open(self, items: Sequence[Planned]) -> list[Planned]:
        """Those of these that met no end yet."""
        return [item for item in items if self.tally.is_open(item.wanted.key)]

    async def _write(self, items: Sequence[Planned]) -> None:
        """Write once; culprits that the sink names are set aside."""
        while items:
            for item in items:
                self.tally.attempt(item.wanted.key, item.change.done().status)
            await self.ledger.announce([item.change for item in items])
            self.tally.batch(len(items))
            self.tally.touched = True
            try:
                outcomes = await self._send(items)
            except RefusedError as error:
                items = self._without_culprits(items, error)
                continue
            self._note(items, outcomes)
            return

    def _without_culprits(
        self, items: Sequence[Planned], error: RefusedError
    ) -> Sequence[Planned]:
        named: Mapping[ProductKey, str] = {}
        if isinstance(error, BatchRefusedError):
            named = error.culprits
        rest = [item for item in items if item.wanted.key not in named]
        if len(rest) == len(items):
            raise _TakeApart(items, error, in_doubt=False) from error
        for item in items:
            key = item.wanted.key
            if key in named:
                outcome = Outcome(key, OutcomeStatus.FAILED, named[key], error.said)
                self._fail(outcome)
        return [] if self.verdict else rest

    def _note(self, items: Sequence[Planned], outcomes: Sequence[Outcome]) -> None:
        told = {outcome.key: outcome for outcome in outcomes}
        good = 0
        for item in items:
            key = item.wanted.key
            silence = Outcome(key, OutcomeStatus.UNSETTLED, _SILENCE)
            outcome = told.get(key, silence)
            if outcome.status is OutcomeStatus.FAILED:
                self._fail(outcome)
                continue
            self.tally.settle(outcome)
            if outcome.status in _GOOD:
                good += 1
                self.on_written(item.wanted)
            else:
                self._bad.add(key)
        if good:
            self._successes += good
            self._given_up = 0
            self.close()

    async def _take_apart(
        self, signal: _TakeApart, doubts: list[Planned] | None
    ) -> None:
        """Halve; a product that stands alone is refused."""
        mine: list[Planned] | None = doubts
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
            mine.extend(items)
        else:
            self._refuse(items, signal.error)
        if mine is not None and doubts is None:
            self._decide(mine, signal.error, before)

    def _is_right(self, items: Iterable[Planned]) -> bool:
        """Whether the sink has all of these as they should be."""
        keys = [item.wanted.key for item in items]
        return not any(self.tally.is_open(key) or key in self._bad for key in keys)

    def _decide(
        self, doubted: Sequence[Planned], error: Exception, before: int
    ) -> None:
        """Blame the products, or the sink if it takes nothing else.

        A product that is alone in doubt is kept back until another one is written,
        which clears the sink, or comes into doubt as well, which convicts it.
        """
        if self._successes > before:
            self._refuse(doubted, error)
            return
        earlier = len(self._doubted)
        self._doubted += [(item, error) for item in doubted]
        if len(self._doubted) > 1:
            items = [item.wanted for item, _ in self._doubted]
            self._doubted.clear()
            self._given_up += earlier
            self.give_up(items, TransientError(str(error)))

    def close(self) -> None:
        """Nothing speaks against the sink: what is in doubt is refused."""
        for item, error in self._doubted:
            self._refuse([item], error)
        self._doubted.clear()

    def _refuse(self, items: Sequence[Planned], error: Exception) -> None:
        said = error.said if isinstance(error, RefusedError) else ""
        for item in items:
            outcome = Outcome(item.wanted.key, OutcomeStatus.FAILED, str(error), said)
            self._fail(outcome)

    def _fail(self, outcome: Outcome) -> None:
        self._bad.add(outcome.key)
        self.tally.refuse(outcome)
