"""Looking at both sides: what the sink holds, and what has to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from catalogsync.changes import Action, Ambiguous, Change, Held, Stranger
from catalogsync.errors import InvalidValueError, RefusedError, TransientError
from catalogsync.models import Field, Product
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.planning import plan, supplied
from catalogsync.protocols import ShapingSink, Sink
from catalogsync.retry import RetryPolicy

from .references import ReferenceBook
from .tally import Tally

__all__ = ["Planned", "Survey", "by_action"]


@attrs.frozen
class Planned:
    """A wanted product and the change that brings it about."""

    wanted: Product
    change: Change


def by_action(items: Iterable[Planned]) -> list[list[Planned]]:
    """Creations apart from updates; a sink never gets both at once."""
    parts: dict[Action, list[Planned]] = {}
    for item in items:
        parts.setdefault(item.change.action, []).append(item)
    return list(parts.values())


@attrs.define(kw_only=True)
class Survey:
    """Finds and plans; nothing is written but references.

    Attributes:
        sink: Where the products go.
        book: The sink's references; None for a sink without such.
        policy: When finding is repeated.
        tally: Takes the outcomes that are clear without writing.
    """

    sink: Sink
    book: ReferenceBook | None
    policy: RetryPolicy
    tally: Tally
    _shape: Callable[[Product], Product] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Asking a protocol is slow, and shaping happens for every product.
        sink = self.sink
        self._shape = sink.shape if isinstance(sink, ShapingSink) else None

    async def look(self, products: Sequence[Product]) -> list[Planned]:
        """Say what has to change for these; repeated by the policy.

        Products that need no change, or can have none, get their outcome.

        Raises:
            TransientError: No try was left.
        """
        wanted = [p for product in products if (p := self._shaped(product))]
        if self.book is not None:
            await self.book.prepare(wanted)
        last = ""
        async for attempt in self.policy.tries():
            with attempt:
                if attempt.num > 1:
                    self.tally.retry("find products", attempt.num, last)
                try:
                    return await self.compare(wanted)
                except TransientError as error:
                    last = str(error)
                    raise
        raise AssertionError("unreachable")

    async def compare(self, wanted: Sequence[Product]) -> list[Planned]:
        """Find once and plan; the products are in the sink's shape already."""
        if not wanted:
            return []
        fields = frozenset[Field]().union(*map(supplied, wanted))
        with self.tally.phase("find"):
            held = await self.sink.find(wanted, fields=fields)
        with self.tally.phase("plan"):
            planned = [self._plan(product, held.get(product.key)) for product in wanted]
        return [item for item in planned if item is not None]

    def _shaped(self, product: Product) -> Product | None:
        if self._shape is None:
            return product
        try:
            return self._shape(product)
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
        except InvalidValueError as error:
            self._fail(product, f"the sink cannot hold it: {error}")
        return None

    def _plan(self, product: Product, held: Held | None) -> Planned | None:
        if isinstance(held, Stranger | Ambiguous):
            self._fail(product, held.reason)
            return None
        try:
            references = self.book.resolve(product) if self.book else None
            change = plan(product, held, references)
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
            return None
        except InvalidValueError as error:
            self._fail(product, f"cannot stand beside what others added: {error}")
            return None
        if change is None:
            self.tally.settle(Outcome(product.key, OutcomeStatus.UNCHANGED))
            return None
        return Planned(product, change)

    def _fail(self, product: Product, reason: str, said: str = "") -> None:
        self.tally.settle(Outcome(product.key, OutcomeStatus.FAILED, reason, said))
