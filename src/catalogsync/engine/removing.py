"""Removing products: each batch is checked again right before it is written.

Between the decision to remove a product and the request lie seconds or minutes, and
a removal is hard to undo. So each removal is checked once more before each write, the
first one included: the product is found again, only what may still be removed is
removed, and a product is left alone when in doubt. In everything else a removal is a
change like others, and passes through the writer.

`Removals` say which products are removed: those that left the source (`pruning`), those
of a plan (`applying`), or all of a job (`releasing`).
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from functools import partial
from typing import Protocol

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
    SellOut,
    Unpublish,
    VariantChange,
)
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import (
    Field,
    Product,
    ProductKey,
    ProductStatus,
    Variant,
    evolve_unchecked,
)
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import BrokenReplyError, TransientError
from catalogsync.protocols import RemovingSink, Sink

from . import promises
from .batches import cut
from .breaker import Breaker
from .hash_set import HashSet
from .journal import Journal
from .options import Options
from .recorder import Recorder
from .writer import Writer

__all__ = [
    "Removals",
    "Remover",
    "find_whole",
    "is_writer",
    "needed",
    "owned",
    "recheck",
    "removal",
]

_MAX_IDLE_PAGES = 1000
_STATUS = frozenset({Field.STATUS})
_STOCK = _STATUS | {Field.VARIANTS, Field.STOCK}


class Removals(Protocol):
    """Which products a run removes, and whether they may still be removed."""

    @property
    def problem(self) -> str:
        """What the run could not do if removals are left to the next one."""
        ...

    async def choose(self) -> Sequence[Removal]:
        """The removals to make.

        Raises:
            TransientError: They cannot be known now; the last retry failed.
        """
        ...

    async def recheck(self, changes: Sequence[Removal], /) -> Sequence[Removal]:
        """Those that may still be made, as in `recheck`.

        Raises:
            TransientError: A side cannot be asked now.
        """
        ...

    def close(self) -> None:
        """Report what was not removed, once everything else is."""
        ...


async def owned(sink: RemovingSink, source: str) -> AsyncGenerator[Existing]:
    """All products under keys of a source, each once.

    Raises:
        TransientError: The list cannot be read now.
        BrokenReplyError: It does not end.
    """
    listed, idle = HashSet(), 0
    async for page in promises.owned(sink, source):
        new = [each for each in page if listed.add(hash(each.product.key))]
        idle = 0 if new else idle + 1
        if idle >= _MAX_IDLE_PAGES:
            problem = f"{idle} pages in a row list no other product of ours"
            raise BrokenReplyError(f"the sink's list does not end: {problem}")
        for existing in new:
            yield existing


def removal(existing: Existing, action: Action) -> Removal:
    """The change that unpublishes, sells out, deletes or releases a product."""
    match action:
        case Action.SELL_OUT:
            last_applied = LastApplied.parse(existing.last_applied)
            return SellOut(
                existing=existing,
                variants=_without_stock(existing.product, last_applied),
                last_applied=attrs.evolve(last_applied, sold_out=True).text(),
            )
        case Action.DELETE:
            return Delete(existing=existing)
        case Action.RELEASE:
            return Release(existing=existing)
        case _:
            last_applied = LastApplied.parse(existing.last_applied)
            text = attrs.evolve(last_applied, unpublished=True).text()
            return Unpublish(existing=existing, last_applied=text)


def _without_stock(
    product: Product, last_applied: LastApplied
) -> tuple[VariantChange, ...]:
    """The variants of ours whose levels get 0; levels that we never wrote stay."""
    changes: list[VariantChange] = []
    for variant in product.variants or ():
        after = _sold_out(variant, last_applied)
        if after is not variant:
            stock = frozenset({Field.STOCK})
            changes.append(
                VariantChange(action=Action.UPDATE, variant=after, fields=stock)
            )
    return tuple(changes)


def _sold_out(variant: Variant, last_applied: LastApplied) -> Variant:
    if not last_applied.wrote_variant(variant.id):
        return variant
    stock = tuple(
        evolve_unchecked(level, quantity=0)
        if level.quantity != 0 and last_applied.wrote_stock(level.location)
        else level
        for level in variant.stock or ()
    )
    changed = stock != (variant.stock or ())
    return evolve_unchecked(variant, stock=stock) if changed else variant


def needed(actions: Iterable[Action]) -> frozenset[Field]:
    """The fields that these removals are planned from."""
    every = frozenset(actions)
    if Action.DELETE in every:
        return frozenset(Field)
    return _STOCK if Action.SELL_OUT in every else _STATUS


def is_writer(last_applied: LastApplied, job: str) -> bool:
    """Whether a job may remove a product with this last-applied state.

    It may if it wrote the product itself, or if a job without a name did. A state that
    cannot be read names no writer, so no job may remove the product.
    """
    return last_applied.job in {"", job}


async def recheck(
    sink: Sink,
    changes: Sequence[Removal],
    is_allowed: Callable[[Existing, Removal], bool],
    recorder: Recorder,
    *,
    fields: frozenset[Field] = _STATUS,
) -> list[Removal]:
    """Find products once more, right before they are removed.

    Args:
        sink: The sink.
        changes: The planned removals.
        is_allowed: Whether a removal may still be made, given the product as it is now.
        recorder: Receives the outcome of each removal that is not to be made.
        fields: The fields that *is_allowed* needs.

    Returns:
        The removals to make, planned from what the sink has now.

    Raises:
        TransientError: The sink cannot be asked now.
    """
    still: list[Removal] = []
    found: dict[ProductKey, Found] = {}
    with recorder.phase("find"):
        for some in batched(changes, sink.limits.find):
            products = [change.product for change in some]
            found |= await promises.find(sink, products, fields)
    for change in changes:
        existing = found.get(change.key)
        if isinstance(existing, Conflict):
            reason = existing.reason
            recorder.record(Outcome(change.key, OutcomeStatus.FAILED, reason))
        elif existing is None or _is_done(change, existing):
            recorder.record(Outcome(change.key, OutcomeStatus.UNCHANGED))
        elif is_allowed(existing, change):
            still.append(removal(existing, change.action))
        else:
            recorder.record(Outcome(change.key, OutcomeStatus.SKIPPED))
    return still


def _is_done(change: Removal, existing: Existing) -> bool:
    last_applied = LastApplied.parse(existing.last_applied)
    if isinstance(change, SellOut):
        return last_applied.sold_out
    return (
        isinstance(change, Unpublish)
        and existing.product.status is ProductStatus.DRAFT
        and last_applied.unpublished
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


@attrs.frozen(kw_only=True)
class Remover:
    """Gives removals to the writer, once all products are written.

    Attributes:
        in_flight: Runs the work on a batch so that a stop gives it time to end.
        collect: Takes the removals instead of the sink; None: they are written.
    """

    sink: Sink
    options: Options
    recorder: Recorder
    journal: Journal
    in_flight: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
    collect: Callable[[Sequence[Removal], Removals], None] | None = None

    async def remove(self, removals: Removals) -> None:
        """Choose products and remove them; what does not succeed is reported."""
        try:
            changes = await removals.choose()
        except TransientError as error:
            self.recorder.add_problem(f"{removals.problem}: {error}")
            return
        if self.collect is None:
            await self._write(changes, removals)
        else:
            self.collect(changes, removals)
        removals.close()

    async def _write(self, changes: Sequence[Removal], removals: Removals) -> None:
        """Write batch by batch, until nothing of a batch can be removed now.

        Removing is not urgent: what is left is for the next run.
        """
        writer = self._writer(removals)
        for batch in cut(changes, self.sink, self.options):
            successes = writer.successes
            for change in batch:
                self.recorder.open_removal(change)
            await self.in_flight(partial(writer.write, batch))
            is_stuck = (
                self.recorder.unresolved_removal and writer.successes == successes
            )
            if writer.verdict or is_stuck:
                break
        writer.close()
        if reason := self.recorder.unresolved_removal:
            self.recorder.add_problem(f"{removals.problem}: {reason}")

    def _writer(self, removals: Removals) -> Writer[Removal]:
        """A writer with a breaker of its own.

        What made the sink fail before does not speak against removing.
        """

        async def check(changes: Sequence[Removal]) -> Sequence[Removal]:
            still = await removals.recheck(changes)
            return [] if self.journal.stopping.is_set() else still

        def record(_: Removal, outcome: Outcome) -> None:
            self.recorder.record(outcome)

        return Writer(
            sink=self.sink,
            plan=check,
            options=self.options,
            recorder=self.recorder,
            journal=self.journal,
            breaker=Breaker.of(self.options),
            on_written=record,
            on_refused=record,
            checks_first=True,
        )
