"""Looking at both sides: what the sink holds, and what has to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import attrs

from catalogsync._checks import shown as cut
from catalogsync.changes import Action, Ambiguous, Change, Held, Ours, Stranger
from catalogsync.differences import normalised
from catalogsync.errors import BrokenPromiseError, InvalidValueError, RefusedError
from catalogsync.models import UNSET, Field, Product, ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus
from catalogsync.ownership import Rules
from catalogsync.planning import compare, supplied
from catalogsync.protocols import AdoptingSink, NamingSink, ShapingSink, Sink
from catalogsync.retry import RetryPolicy

from . import promises
from .ledger import Ledger
from .marks import Marks
from .options import Missing, Options
from .references import ReferenceBook
from .tally import Tally

__all__ = ["Approve", "Planned", "Survey", "by_action", "conflict_text"]

_REFERRING = frozenset({Field.CATEGORIES, Field.TAGS})

Approve = Callable[[Change], str]
"""Why a change must not be made; empty if it may."""


@attrs.frozen
class Planned:
    """A wanted product and the change that brings it about."""

    wanted: Product
    change: Change

    @property
    def half_made(self) -> bool:
        """Whether it repairs a product that is half made."""
        return self.change.held is not None and bool(self.change.held.gaps)


def by_action(items: Iterable[Planned]) -> list[list[Planned]]:
    """Creations, updates and repairs apart; a sink never gets two of them at once."""
    parts: dict[tuple[Action, bool], list[Planned]] = {}
    for item in items:
        parts.setdefault((item.change.action, item.half_made), []).append(item)
    return list(parts.values())


def conflict_text(key: ProductKey, conflict: str) -> str:
    """The warning that a part of a product is not written."""
    return f"{key}: {conflict}"


def _anything(_: Change) -> str:
    return ""


@attrs.define(kw_only=True)
class Survey:
    """Finds and plans; nothing is written but references.

    Attributes:
        sink: Where the products go.
        book: The sink's references; None for a sink without such.
        options: How the run goes about its work.
        tally: Takes the outcomes that are clear without writing.
        ledger: Knows what earlier runs began.
        rules: What may be done to a product that is there.
        approve: Asked for each change.
        dropped: Marks of what `Comparison.dropped` names, with the product's key.
    """

    sink: Sink
    book: ReferenceBook | None
    options: Options
    tally: Tally
    ledger: Ledger
    rules: Rules
    approve: Approve = _anything
    dropped: Marks = attrs.field(factory=Marks, init=False)
    _warned: bool = attrs.field(default=False, init=False)
    _shape: Callable[[Product], Product] | None = attrs.field(init=False)
    _name: Callable[[Product], str] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Asking a protocol is slow, and this happens for every product.
        sink = self.sink
        self._shape = (
            partial(promises.shape, sink) if isinstance(sink, ShapingSink) else None
        )
        self._name = (
            partial(promises.handle, sink) if isinstance(sink, NamingSink) else None
        )
        if self.options.adopt and not isinstance(sink, AdoptingSink):
            self.tally.warn("nothing is adopted: this sink cannot do it")
        if self.options.missing is Missing.LEAVE and self.ledger.store is None:
            what = "without a run store nobody knows what people deleted"
            self.tally.warn(f"missing = leave does nothing: {what}")

    async def look(
        self, products: Sequence[Product], policy: RetryPolicy
    ) -> list[Planned]:
        """Say what has to change for these; repeated by the policy.

        Products that need no change, or can have none, get their outcome.

        Raises:
            TransientError: No try was left.
        """
        wanted = [p for product in products if (p := self._shaped(product))]
        if self.book is not None:
            await self.book.prepare(wanted)
        on_retry = self.tally.retrying("find products")
        async for attempt in policy.tries(on_retry=on_retry):
            with attempt:
                return await self.compare(wanted)
        raise AssertionError("unreachable")

    async def compare(self, wanted: Sequence[Product]) -> list[Planned]:
        """Find once and plan; the products are in the sink's shape already."""
        if not wanted:
            return []
        held = await self.find(wanted)
        with self.tally.phase("plan"):
            planned = [self._plan(product, held.get(product.key)) for product in wanted]
        return [item for item in planned if item is not None]

    async def find(self, wanted: Sequence[Product]) -> Mapping[ProductKey, Held]:
        """What the sink has for these, of ours or to be adopted."""
        # One that we retired may be among them, whatever the source speaks of.
        fields = frozenset({Field.STATUS}).union(*map(supplied, wanted))
        with self.tally.phase("find"):
            held = await promises.find(self.sink, wanted, fields)
            missing = [p for p in wanted if not isinstance(held.get(p.key), Ours)]
            if missing and self.options.adopt and isinstance(self.sink, AdoptingSink):
                held = {**held, **await self._foreign(self.sink, missing, fields)}
        gone = [p.key for p in wanted if p.key not in held]
        for key in await self.ledger.left(gone):
            reason = "a person deleted it in the sink, and `missing` says to leave it"
            self.tally.settle(Outcome(key, OutcomeStatus.SKIPPED, reason))
        return held

    async def _foreign(
        self, sink: AdoptingSink, missing: Sequence[Product], fields: frozenset[Field]
    ) -> Mapping[ProductKey, Held]:
        found: dict[ProductKey, Held] = {}
        for by in self.options.adopt:
            rest = [product for product in missing if product.key not in found]
            if rest:
                found.update(await promises.find_foreign(sink, rest, by, fields))
        return found

    def _shaped(self, product: Product) -> Product | None:
        never = self.rules.without(creating=True) & _REFERRING
        if never:
            # Else they would be created, though no product gets them.
            product = attrs.evolve(product, **dict.fromkeys(never, UNSET))  # type: ignore[arg-type]
        if self._shape is None:
            return product
        try:
            shaped = self._shape(product)
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
        except InvalidValueError as error:
            self._fail(product, f"the sink cannot hold it: {error}")
        except BrokenPromiseError as error:
            self._fail(product, str(error))
        else:
            if shaped is not product:
                self._tell_normalised(product, shaped)
            return shaped
        return None

    def _tell_normalised(self, product: Product, shaped: Product) -> None:
        """Warn of what the sink keeps otherwise, once for each field."""
        told = set[str]()
        for item in normalised(product, shaped):
            field = item.path.split(".", 1)[0]
            if field == "variants":
                field = "stock" if item.path.endswith(".stock") else "prices"
            if field not in told:
                told.add(field)
                values = f"{cut(item.old)} becomes {cut(item.new)}"
                example = f"{product.key} {item.path} ({values})"
                self.tally.warn_of(f"the sink cannot keep {field} as supplied", example)

    def _plan(self, product: Product, held: Held | None) -> Planned | None:
        if not self.tally.is_open(product.key):
            return None
        if isinstance(held, Stranger | Ambiguous):
            self._fail(product, held.reason)
            return None
        try:
            references = self.book.resolve(product) if self.book else None
            result = compare(product, held, references, rules=self._rules(product.key))
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
            return None
        for conflict in result.conflicts:
            self.tally.warn(conflict_text(product.key, conflict))
        self.tally.note_edits(product.key, result.edits)
        for variant, name in result.dropped:
            self.dropped.add(hash((product.key, variant, name)))
        if result.change is None:
            self._look_for_receipt(product.key, held)
            self.tally.settle(Outcome(product.key, OutcomeStatus.UNCHANGED))
            return None
        return self._approved(product, result.change)

    def _look_for_receipt(self, key: ProductKey, held: Held | None) -> None:
        """Say once if the sink does not keep what a change tells it to keep."""
        if isinstance(held, Ours) and held.receipt is None and not self._warned:
            self._warned = True
            lost = f"the sink has no receipt for {key}, perhaps for others neither"
            self.tally.warn(
                f"{lost}: values of lists that the source drops stay there, and"
                " manual edits go unnoticed; `find` must return the `change.receipt`"
                " of the last write"
            )

    def _rules(self, key: ProductKey) -> Rules:
        """What was begun and not seen to its end is no edit of a person."""
        begun = self.ledger.is_open(key) or self.tally.was_attempted(key)
        return self.rules_after(key) if begun else self.rules

    def rules_after(self, key: ProductKey) -> Rules:
        """Those for a product of ours that was written: no edits but those known."""
        known = self.tally.edits.get(key, ())
        paths = frozenset(edit.diff.path for edit in known)
        return attrs.evolve(self.rules, edited=paths)

    def _approved(self, product: Product, change: Change) -> Planned | None:
        problem = self.approve(change)
        if problem:
            self.tally.settle(Outcome(product.key, OutcomeStatus.UNSETTLED, problem))
            return None
        if change.action is Action.CREATE and self._name is not None:
            handle = self.ledger.handle(product.key) or self._name(product)
            change = attrs.evolve(change, handle=handle)
        return Planned(product, change)

    def _fail(self, product: Product, reason: str, said: str = "") -> None:
        self.tally.settle(Outcome(product.key, OutcomeStatus.FAILED, reason, said))
