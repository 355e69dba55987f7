"""When stock was counted: an older snapshot never overwrites a newer one.

Each product with stock has the time of its snapshot: its own, that of its page, or the
start of the run. The state store keeps the newest snapshot that the sink was compared
with, by product, for all jobs and lanes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import attrs

from catalogsync.catalog.drafts import Draft, Unchanged
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Product,
    ProductKey,
    evolve_unchecked,
)
from catalogsync.state.protocols import ProductMemory

__all__ = ["Snapshots", "without_stock"]

_COMPARED = frozenset(
    {OutcomeStatus.CREATED, OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED}
)


_EPOCH = datetime.fromtimestamp(0, UTC)


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.define(kw_only=True)
class Snapshots:
    """The times of the snapshots of one run, and those in the state store.

    Attributes:
        store: The state store; None: earlier runs are not known.
        endpoint: Endpoint of the sink.
        started: Start of the run, once it has its lease.
        newest: The newest snapshot of the run; None: it has read no stock.
    """

    store: ProductMemory | None
    endpoint: str
    started: datetime = attrs.field(factory=_now, init=False)
    newest: datetime | None = attrs.field(default=None, init=False)
    _open: dict[ProductKey, float] = attrs.field(
        factory=dict[ProductKey, float], init=False
    )

    def begin(self) -> None:
        """The run has its lease, and reads its source from now on."""
        self.started = _now()

    def dated(self, product: Product, as_of: datetime | None) -> Product:
        """A product with stock, with the time of its snapshot.

        Args:
            product: The product.
            as_of: The time of its page; None: the page has none.
        """
        if not any(variant.stock for variant in product.variants or ()):
            return product
        counted = self._clamped(product.as_of or as_of)
        if counted == product.as_of:
            return product
        return evolve_unchecked(product, as_of=counted)

    def _clamped(self, as_of: datetime | None) -> datetime:
        """A time that is not in the future: a wrong clock must not stop all updates."""
        counted = self.started if as_of is None else min(as_of, self.started)
        counted = max(counted, _EPOCH)
        self.newest = counted if self.newest is None else max(self.newest, counted)
        return counted

    def recognize(self, draft: Draft, known: Unchanged, as_of: datetime | None) -> None:
        """Note a product that is not built, because it needs no change.

        What its record says of the time is as it was when it was built.
        """
        if Field.STOCK in known.outline.fields and not draft.dated:
            self._open[draft.key] = self._clamped(as_of).timestamp()

    async def newer(self, desired: Sequence[Product]) -> Mapping[ProductKey, datetime]:
        """The snapshots in the state store that are newer than those of products."""
        mine = {p.key: p.as_of.timestamp() for p in desired if p.as_of is not None}
        if self.store is None or not mine:
            return {}
        kept = await self.store.snapshots(self.endpoint, mine)
        newer = {key: at for key, at in kept.items() if at > mine[key]}
        self._open |= {key: at for key, at in mine.items() if key not in newer}
        return {key: datetime.fromtimestamp(at, UTC) for key, at in newer.items()}

    def resolved(self, outcome: Outcome) -> float | None:
        """The snapshot to keep of a product that has its outcome; None: there is none.

        A product that left the source was not there in the newest snapshot.
        """
        counted = self._open.pop(outcome.key, None)
        if outcome.status is OutcomeStatus.REMOVED:
            return None if self.newest is None else self.newest.timestamp()
        return counted if outcome.status in _COMPARED else None


def without_stock(
    desired: Sequence[Product], keys: Collection[ProductKey]
) -> list[Product]:
    """The products; those with one of these keys leave the sink's stock as it is."""
    return [_without(each) if each.key in keys else each for each in desired]


def _without(product: Product) -> Product:
    variants = [evolve_unchecked(v, stock=UNSET) for v in product.variants or ()]
    return evolve_unchecked(product, variants=tuple(variants), as_of=None)
