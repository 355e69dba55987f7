"""Which writes are confirmed, for events and for the messages that inform others.

A product is noted before its write, like an intent. When it has an outcome that says
the write happened, it is confirmed. If the process dies in between, or the outcome is
unresolved, the note stays in the outbox until a later run finds out: a product that
needs no change any more was written by the earlier request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import attrs

from catalogsync._lib.concurrency import uninterrupted
from catalogsync.batching import batched
from catalogsync.catalog.changes import (
    Change,
    Conflict,
    Create,
    Found,
    Release,
    Removal,
)
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus, WrittenProduct
from catalogsync.catalog.products import (
    Field,
    Product,
    ProductKey,
    ProductStatus,
)
from catalogsync.protocols import Sink
from catalogsync.state.outbox import Outbox
from catalogsync.state.protocols import StateError

from . import promises

__all__ = ["Informing"]

_MOST = 100
_WRITTEN = frozenset(
    {OutcomeStatus.CREATED, OutcomeStatus.UPDATED, OutcomeStatus.REMOVED}
)
_STATUS = frozenset({Field.STATUS})


@attrs.define(kw_only=True)
class Informing:
    """The written products of one run.

    Attributes:
        outbox: Keeps them for the receivers; None: they are in events only.
        job: Name of the job.
        endpoint: Endpoint of the sink.
        receivers: Names of the receivers.
        lane: Whether the run compares some fields only, so that no difference proves
            nothing about an earlier write.
    """

    outbox: Outbox | None
    job: str
    endpoint: str
    receivers: Sequence[str] = ()
    lane: bool = False
    _noted: dict[ProductKey, WrittenProduct] = attrs.field(
        factory=dict[ProductKey, WrittenProduct], init=False
    )
    _unresolved: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _confirmed: list[WrittenProduct] = attrs.field(
        factory=list[WrittenProduct], init=False
    )
    _dropped: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _written: list[WrittenProduct] = attrs.field(
        factory=list[WrittenProduct], init=False
    )

    async def load(self) -> Sequence[str]:
        """Load what earlier runs left; returns warnings about messages given up."""
        if self.outbox is None:
            return ()
        for product in await self.outbox.unconfirmed(self.job, self.endpoint):
            self._noted[product.key] = product
            self._unresolved.add(product.key)
        await self._pack(least=1)
        return [str(each) for each in await self.outbox.take_given_up(self.job)]

    async def add(
        self, changes: Collection[Change], fields_of: Callable[[Change], Sequence[str]]
    ) -> None:
        """Note products before they are written."""
        new = [
            self._merged(_noted(change, fields_of(change)))
            for change in changes
            if not isinstance(change, Release)  # the product stays as it is
        ]
        # Saving later would delete the note of a product that is written twice.
        if self._confirmed or self._dropped:
            await self.save()
        self._noted |= {product.key: product for product in new}
        if self.outbox is not None and new:
            await self.outbox.put_unconfirmed(self.job, self.endpoint, new)

    def _merged(self, product: WrittenProduct) -> WrittenProduct:
        """The product with what an earlier request may have done to it."""
        earlier = self._noted.get(product.key)
        if earlier is None or product.status is not OutcomeStatus.UPDATED:
            return product
        created = earlier.status is OutcomeStatus.CREATED
        return attrs.evolve(
            product,
            status=OutcomeStatus.CREATED if created else product.status,
            fields=()
            if created
            else (*dict.fromkeys(earlier.fields + product.fields),),
            handle=product.handle or earlier.handle,
            sink_id=product.sink_id or earlier.sink_id,
        )

    def resolve(self, outcome: Outcome) -> None:
        """Confirm or drop a noted product by its outcome; `save` saves it."""
        key, status = outcome.key, outcome.status
        product = self._noted.get(key)
        if product is None:
            return
        if status is OutcomeStatus.UNRESOLVED:
            self._unresolved.add(key)
            return
        if self.lane and status is OutcomeStatus.UNCHANGED:
            return
        removed = product.status is OutcomeStatus.REMOVED
        if status in _WRITTEN or (status is OutcomeStatus.UNCHANGED and not removed):
            self._confirm(product, outcome)
        elif key not in self._unresolved or status is OutcomeStatus.UNCHANGED:
            self._drop(key)

    def _confirm(self, product: WrittenProduct, outcome: Outcome | None = None) -> None:
        if outcome is not None:
            product = attrs.evolve(
                product,
                handle=outcome.handle or product.handle,
                sink_id=outcome.sink_id or product.sink_id,
            )
        self._confirmed.append(product)
        self._noted.pop(product.key, None)
        self._unresolved.discard(product.key)

    def _drop(self, key: ProductKey) -> None:
        self._noted.pop(key, None)
        self._unresolved.discard(key)
        self._dropped.add(key)

    async def save(self) -> None:
        """Save what is confirmed or dropped.

        Raises:
            StateError: The store cannot be used; the next call saves it.
        """
        confirmed, self._confirmed = self._confirmed, []
        dropped, self._dropped = self._dropped, set()
        if self.outbox is None or not (confirmed or dropped):
            self._written += confirmed  # no task: it would take a turn of the loop
        else:
            await uninterrupted(self._try_to_save(self.outbox, confirmed, dropped))

    async def _try_to_save(
        self,
        outbox: Outbox,
        confirmed: Sequence[WrittenProduct],
        dropped: Collection[ProductKey],
    ) -> None:
        try:
            await self._save(outbox, confirmed, dropped)
        except StateError:
            self._confirmed = [*confirmed, *self._confirmed]
            self._dropped |= set(dropped)
            raise
        self._written += confirmed

    async def _save(
        self,
        outbox: Outbox,
        confirmed: Sequence[WrittenProduct],
        dropped: Collection[ProductKey],
    ) -> None:
        if dropped:
            await outbox.drop_unconfirmed(self.job, self.endpoint, dropped)
        if confirmed:
            await outbox.confirm(self.job, self.endpoint, confirmed)
            await self._pack(least=_MOST)

    def take(self) -> tuple[WrittenProduct, ...]:
        """The products confirmed and saved since the last call."""
        written, self._written = self._written, []
        return tuple(written)

    async def close(self) -> None:
        """Pack the rest, at the end of the run."""
        await self._pack(least=1)

    async def _pack(self, *, least: int) -> None:
        if self.outbox is not None:
            await self.outbox.pack(self.job, self.receivers, most=_MOST, least=least)

    async def resolve_absent(
        self, sink: Sink, has_seen: Callable[[ProductKey], bool]
    ) -> None:
        """Look up unresolved products that left the source, which no plan covers.

        Args:
            sink: The sink.
            has_seen: Whether this complete run saw a product at the source.

        Raises:
            TransientError: The sink cannot be asked now.
        """
        absent = [key for key in self._unresolved if not has_seen(key)]
        for keys in batched(absent, sink.limits.find):
            products = [Product(key=key, title=f"{key}") for key in keys]
            found = await promises.find(sink, products, _STATUS)
            for key in keys:
                self._resolve_absent(self._noted[key], found.get(key))

    def _resolve_absent(self, product: WrittenProduct, found: Found | None) -> None:
        if isinstance(found, Conflict):
            return
        if product.status is OutcomeStatus.REMOVED:
            happened = found is None or found.product.status is ProductStatus.DRAFT
        else:
            happened = found is not None
        if happened:
            self._confirm(product)
        else:
            self._drop(product.key)


def _noted(change: Change, fields: Sequence[str]) -> WrittenProduct:
    """The product if its change succeeds."""
    if isinstance(change, Create):
        handle = change.handle or ""
        status = OutcomeStatus.CREATED
        return WrittenProduct(key=change.key, status=status, handle=handle)
    removed = isinstance(change, Removal)
    return WrittenProduct(
        key=change.key,
        status=OutcomeStatus.REMOVED if removed else OutcomeStatus.UPDATED,
        fields=() if removed else tuple(fields),
        handle=change.existing.handle,
        sink_id=change.existing.sink_id,
    )
