"""Removing what left the source, with every doubt in favour of leaving it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from catalogsync.batching import batched
from catalogsync.changes import Action, Change, Ours
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import BatchSettled
from catalogsync.models import Field, ProductKey, ProductStatus
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.protocols import LookupSource, PruningSink, Sink, Source
from catalogsync.receipt import Receipt

from .ledger import Ledger
from .options import Options, Prune
from .tally import Tally

__all__ = ["Pruner", "Remover", "in_full", "is_removed", "removal", "repeated"]

_LOOKUP = 50
_GIVE_UP = 2
_ROUNDING = 1e-9  # 0.29 of 100 is 29, also in binary

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


def is_removed(held: Ours, prune: Prune, job: str) -> bool:
    """Whether a product of ours that left the source is this job's to remove."""
    ours = Receipt.parse(held.receipt).job in {"", job}
    return ours and not _left_alone(held, prune)


def _left_alone(held: Ours, prune: Prune) -> bool:
    """Whether a product stays as it is, though it left the source.

    One that people published again is theirs now. One that they hid is out of the
    shoppers' sight as it is, and not ours to publish when it comes back.
    """
    retired = Receipt.parse(held.receipt).retired
    if retired and held.product.status is ProductStatus.PUBLISHED:
        return True
    hidden = held.product.status is ProductStatus.DRAFT
    return prune is Prune.DRAFT and (retired or hidden)


async def in_full(sink: Sink, held: Sequence[Ours]) -> list[Ours]:
    """The same products with all fields, without those that are gone meanwhile.

    Raises:
        TransientError: They may be had later.
    """
    full: list[Ours] = []
    for some in batched(held, sink.limits.find):
        found = await sink.find([h.product for h in some], fields=frozenset(Field))
        ours = (found.get(h.product.key) for h in some)
        full += [each for each in ours if isinstance(each, Ours)]
    return full


@attrs.define(kw_only=True)
class Remover:
    """Brings removals about; they may be repeated as they are.

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
    carry_out: Callable[[Coroutine[Any, Any, None]], Awaitable[None]]
    _in_doubt: int = attrs.field(default=0, init=False)

    async def remove(self, changes: Sequence[Change]) -> None:
        """Bring these about; what cannot be is told as a warning.

        Raises:
            TransientError: No try was left.
        """
        most = self.sink.limits.batch
        size = min(most, self.options.batch_size or most)
        for batch in batched(changes, size):
            await self.carry_out(self._bring_about(batch))

    async def _bring_about(self, batch: Sequence[Change]) -> None:
        started = time.perf_counter()
        await self._settle(batch)
        await self.ledger.flush()
        event = BatchSettled(
            run_id=self.tally.run_id,
            products=len(batch),
            seconds=time.perf_counter() - started,
        )
        self.tally.emit(event)

    async def _settle(self, changes: Sequence[Change]) -> None:
        try:
            outcomes = await repeated(
                partial(self._write, changes),
                "remove products",
                self.tally,
                self.options,
            )
        except RefusedError as error:
            await self._take_apart(changes, error, error.said)
        except TransientError as error:
            if not error.unexplained or self._in_doubt >= _GIVE_UP:
                raise
            await self._take_apart(changes, error)
        else:
            self._in_doubt = 0
            for outcome in outcomes:
                self.tally.retire(outcome)

    async def _take_apart(
        self, changes: Sequence[Change], error: Exception, said: str = ""
    ) -> None:
        """Halve; a product that stands alone stays.

        Raises:
            TransientError: The sink explains nothing and takes nothing.
        """
        if len(changes) > 1:
            middle = len(changes) // 2
            await self._settle(changes[:middle])
            await self._settle(changes[middle:])
            return
        self._in_doubt += isinstance(error, TransientError)
        failed = OutcomeStatus.FAILED
        self.tally.retire(Outcome(changes[0].key, failed, str(error), said))

    async def _write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        await self.ledger.announce(changes)
        self.tally.batch(len(changes))
        self.tally.touched = True
        with self.tally.phase("write"):
            return await self.sink.write(changes)


async def repeated(
    work: Callable[[], Awaitable[T]], what: str, tally: Tally, options: Options
) -> T:
    """Do something by the retry policy.

    Raises:
        TransientError: No try was left.
    """
    last = ""
    async for attempt in options.retry.tries():
        with attempt:
            if attempt.num > 1:
                tally.retry(what, attempt.num, last)
            try:
                return await work()
            except TransientError as error:
                last = str(error)
                raise
    raise AssertionError("unreachable")


@attrs.define(kw_only=True)
class Pruner:
    """Finds out what left the source, and has it removed.

    Attributes:
        source: What was read, all of it.
        sink: Where the products are.
        options: How much may be removed.
        tally: The books.
        ledger: Knows what earlier runs missed.
        remover: Brings the removals about.
        saw: Whether this run saw a product at the source.
        doubt: Why one that it did not see may be there all the same; empty: it is not.
        show: Takes each change instead of the sink.
    """

    source: Source
    sink: Sink
    options: Options
    tally: Tally
    ledger: Ledger
    remover: Remover
    saw: Callable[[ProductKey], bool]
    doubt: str
    show: Callable[[Change], None] | None = None

    async def run(self, prune: Prune) -> None:
        """Remove what left the source, if nothing speaks against it."""
        if not isinstance(self.sink, PruningSink):
            self.tally.warn("nothing is removed: this sink cannot do it")
            return
        try:
            await self._prune(self.sink, prune)
        except TransientError as error:
            self.tally.problem(f"could not remove what left the source: {error}")

    async def _prune(self, sink: PruningSink, prune: Prune) -> None:
        owned, absent = await repeated(
            partial(self._absent, sink, prune),
            "list what is ours",
            self.tally,
            self.options,
        )
        if self.doubt:
            if owned or self.tally.fetched:
                self.tally.warn(f"nothing is removed: {self.doubt}")
            return
        most = self._most(owned)
        gone = await self._confirmed(absent, most)
        if not gone:
            return
        if len(gone) > most:
            self.tally.warn(self._too_many(len(gone), owned, most))
            return
        action = prune.action
        changes = [removal(held, action) for held in gone]
        if self.show is None:
            await self.remover.remove(changes)
            return
        if action is Action.DELETE:
            look = partial(in_full, sink, gone)
            gone = await repeated(
                look, "look at what is to go", self.tally, self.options
            )
            changes = [removal(held, action) for held in gone]
        for change in changes:
            self.show(change)
            self.tally.retire(change.done())

    async def _absent(
        self, sink: PruningSink, prune: Prune
    ) -> tuple[int, dict[ProductKey, Ours]]:
        """How many are ours, and those that this run should have seen and did not."""
        owned = 0
        absent: dict[ProductKey, Ours] = {}
        with self.tally.phase("find"):
            async for page in sink.owned(self.source.name):
                for held in page:
                    owned += not _left_alone(held, prune)
                    key = held.product.key
                    if is_removed(held, prune, self.ledger.job) and not self.saw(key):
                        absent[key] = held
        return owned, absent

    def _most(self, owned: int) -> int:
        most = self.options.max_prune
        return int(owned * most + _ROUNDING) if most < 1 else int(most)

    def _too_many(self, gone: int, owned: int, most: int) -> str:
        count = f"at least {gone}" if gone < owned else str(gone)
        return (
            f"nothing is removed: {count} of {owned} products left the source, and"
            f" max_prune = {self.options.max_prune:g} allows {most}; if that is right,"
            f" run once with a higher max_prune"
        )

    def _untold(self, count: int) -> str:
        what = f"{count} products of ours were not seen"
        if self.ledger.store is None:
            why = "without a run store nobody knows whether that is lasting"
            return f"nothing is removed: {what}, and {why}"
        return f"{what}; a run removes those that an earlier run missed as well"

    async def _confirmed(self, absent: dict[ProductKey, Ours], most: int) -> list[Ours]:
        """Those that are gone for sure; no more are asked for than may be removed."""
        if not isinstance(self.source, LookupSource):
            missed = await self.ledger.missed_before(absent)
            if missed is None and absent:
                self.tally.warn(self._untold(len(absent)))
            return [absent[key] for key in absent if key in (missed or ())]
        gone: list[Ours] = []
        for keys in batched(absent, _LOOKUP):
            present = await self._present(self.source, keys)
            if None in present:
                what = "a record without a readable key could be any of them"
                self.tally.warn(f"nothing is removed: asked for products, {what}")
                return []
            gone += [absent[key] for key in keys if key not in present]
            if len(gone) > most:
                break
        return gone

    async def _present(
        self, source: LookupSource, keys: Sequence[ProductKey]
    ) -> set[ProductKey | None]:
        with self.tally.phase("read"):
            page = await repeated(
                partial(source.get, keys), "look up products", self.tally, self.options
            )
        products = {product.key for product in page.products}
        return products | {record.key for record in page.rejected}
