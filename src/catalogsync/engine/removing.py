"""Removing products: each batch is checked again right before it is written.

Between the decision to remove a product and the request lie seconds or minutes, and
a removal is hard to undo. So the remover finds each batch once more, removes only what
may still be removed, and leaves a product alone when in doubt.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.changes import (
    Action,
    Conflict,
    Delete,
    Existing,
    Found,
    Release,
    Removal,
    Unpublish,
)
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Field, ProductKey, ProductStatus
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import BatchWritten
from catalogsync.protocols import Sink

from . import promises
from .answers import SomeAgainError, sort_answers
from .journal import Journal
from .options import Options
from .recorder import Recorder

__all__ = [
    "Recheck",
    "Rechecked",
    "Remover",
    "find_whole",
    "is_writer",
    "recheck",
    "removal",
    "repeated",
]

_MAX_SUSPECTS = 2
_STATUS = frozenset({Field.STATUS})

T = TypeVar("T")


def removal(existing: Existing, action: Action) -> Removal:
    """The change that unpublishes, deletes or releases a product."""
    match action:
        case Action.DELETE:
            return Delete(existing=existing)
        case Action.RELEASE:
            return Release(existing=existing)
        case _:
            last_applied = LastApplied.parse(existing.last_applied)
            text = attrs.evolve(last_applied, unpublished=True).text()
            return Unpublish(existing=existing, last_applied=text)


def is_writer(last_applied: LastApplied, job: str) -> bool:
    """Whether a job may remove a product with this last-applied state.

    It may if it wrote the product itself, or if a job without a name did. A state that
    cannot be read names no writer, so no job may remove the product.
    """
    return last_applied.job in {"", job}


@attrs.frozen
class Rechecked:
    """The result of a second look at planned removals; all others stay.

    Attributes:
        changes: Removals to make, planned from what the sink has now.
        done: Products that are already as their removal would leave them.
    """

    changes: Sequence[Removal] = ()
    done: Collection[ProductKey] = frozenset()


Recheck = Callable[[Sequence[Removal]], Awaitable[Rechecked]]
"""Checks a batch of removals again, right before it is written."""


async def recheck(
    sink: Sink,
    changes: Sequence[Removal],
    is_allowed: Callable[[Removal, Existing], bool],
    recorder: Recorder,
    *,
    fields: frozenset[Field] = _STATUS,
) -> Rechecked:
    """Find products once more, right before they are removed.

    Args:
        sink: The sink.
        changes: The planned removals.
        is_allowed: Whether a removal may still be made, given the product as it is now.
        recorder: Receives a warning for each product with a conflict.
        fields: The fields that *is_allowed* needs.

    Raises:
        TransientError: The sink cannot be asked now.
    """
    still: list[Removal] = []
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
        elif existing is None or _is_done(change, existing):
            done.add(change.key)
        elif is_allowed(change, existing):
            still.append(removal(existing, change.action))
    return Rechecked(still, done)


def _is_done(change: Removal, existing: Existing) -> bool:
    return (
        isinstance(change, Unpublish)
        and existing.product.status is ProductStatus.DRAFT
        and LastApplied.parse(existing.last_applied).unpublished
    )


async def find_whole(sink: Sink, existing: Sequence[Existing]) -> list[Existing]:
    """The same products with all fields, without those that are gone by now.

    Raises:
        TransientError: The sink cannot be asked now.
    """
    whole: list[Existing] = []
    for some in batched(existing, sink.limits.find):
        products = [each.product for each in some]
        found = await promises.find(sink, products, frozenset(Field))
        ours = (found.get(product.key) for product in products)
        whole += [each for each in ours if isinstance(each, Existing)]
    return whole


@attrs.define(kw_only=True)
class Remover:
    """Removes products, batch by batch.

    Attributes:
        sink: The sink.
        options: Options of the run.
        recorder: Receives outcomes.
        journal: Receives intents before each write.
        in_flight: Runs the work on a batch so that a stop gives it time to end.
    """

    sink: Sink
    options: Options
    recorder: Recorder
    journal: Journal
    in_flight: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
    _suspects: int = attrs.field(default=0, init=False)
    _sent: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)

    async def remove(self, changes: Sequence[Removal], recheck: Recheck) -> None:
        """Remove products; what the sink refuses becomes a warning.

        Args:
            changes: The planned removals.
            recheck: Called right before each write.

        Raises:
            TransientError: The last retry failed.
        """
        most = self.sink.limits.batch
        size = min(most, self.options.batch_size or most)
        for batch in batched(changes, size):
            await self.in_flight(partial(self._remove_batch, batch, recheck))

    async def _remove_batch(self, batch: Sequence[Removal], recheck: Recheck) -> None:
        started = time.perf_counter()
        self._sent.clear()
        await self._apply(batch, recheck)
        await self.journal.flush()
        event = BatchWritten(
            run_id=self.recorder.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.recorder.emit(event)

    async def _apply(self, changes: Sequence[Removal], recheck: Recheck) -> None:
        """Write a batch with retries, and bisect it if that does not work."""
        open_ = {change.key: change for change in changes}
        try:
            await repeated(
                partial(self._write, open_, recheck),
                "remove products",
                self.recorder,
                self.options,
            )
        except RefusedError as error:
            await self._bisect(list(open_.values()), recheck, error, error.said)
        except TransientError as error:
            if isinstance(error, SomeAgainError) and len(open_) < len(changes):
                # The sink removes others, so only these are left to the next run.
                self._leave_unresolved(error)
                return
            if not error.unexplained or self._suspects >= _MAX_SUSPECTS:
                raise
            await self._bisect(list(open_.values()), recheck, error)

    def _leave_unresolved(self, error: SomeAgainError) -> None:
        for key, reason in error.errors.items():
            outcome = Outcome(key, OutcomeStatus.UNRESOLVED, str(reason))
            self.recorder.record_removal(outcome)

    async def _bisect(
        self,
        changes: Sequence[Removal],
        recheck: Recheck,
        error: Exception,
        said: str = "",
    ) -> None:
        """Remove the halves of a batch; a product that is refused alone stays.

        Raises:
            TransientError: The sink fails without a reason and takes nothing.
        """
        if len(changes) > 1:
            middle = len(changes) // 2
            await self._apply(changes[:middle], recheck)
            await self._apply(changes[middle:], recheck)
            return
        self._suspects += isinstance(error, TransientError)
        failed = OutcomeStatus.FAILED
        self.recorder.record_removal(Outcome(changes[0].key, failed, str(error), said))

    async def _write(self, open_: dict[ProductKey, Removal], recheck: Recheck) -> None:
        """Check again, write, and take what has an outcome out of *open_*.

        A product that an earlier try sent, and that is found removed now, counts as
        removed by this run.
        """
        changes = list(open_.values())
        try:
            rechecked = await recheck(changes)
        except TransientError as error:
            # An unexplained error while looking is never a product's fault.
            raise TransientError(str(error), retry_after=error.retry_after) from error
        ours = self._sent.intersection(rechecked.done)
        self._record(open_, [c.done() for c in changes if c.key in ours])
        if not rechecked.changes or self.journal.stopping.is_set():
            return
        await self.journal.add_intents(rechecked.changes)
        self.recorder.add_batch(len(rechecked.changes))
        self.recorder.touched = True
        self._sent.update(change.key for change in rechecked.changes)
        with self.recorder.phase("write"):
            answers = await promises.write(self.sink, rechecked.changes)
        valid, broken = promises.check_answers(self.sink, rechecked.changes, answers)
        outcomes, again = sort_answers(rechecked.changes, valid)
        self._record(open_, outcomes)
        if broken:
            raise broken
        if again:
            raise SomeAgainError(again)

    def _record(
        self, open_: dict[ProductKey, Removal], outcomes: list[Outcome]
    ) -> None:
        for outcome in outcomes:
            if outcome.status is OutcomeStatus.REMOVED:
                self._suspects = 0
            del open_[outcome.key]
            self.recorder.record_removal(outcome)


async def repeated(
    work: Callable[[], Awaitable[T]], what: str, recorder: Recorder, options: Options
) -> T:
    """Do work with the run's retry policy.

    Raises:
        TransientError: The last retry failed.
    """
    async for attempt in options.retry.tries(on_retry=recorder.retrying(what)):
        with attempt:
            return await work()
    raise AssertionError("unreachable")
