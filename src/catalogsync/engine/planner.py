"""Looking at both sides: what the sink holds, and what has to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from catalogsync.catalog.changes import Action, Change, Conflict, Existing, Found
from catalogsync.catalog.checks import shown as cut
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import UNSET, Field, Product, ProductKey
from catalogsync.diff.compare import compare, supplied
from catalogsync.diff.describe import normalised
from catalogsync.diff.ownership import Rules
from catalogsync.errors import BrokenPromiseError, InvalidValueError, RefusedError
from catalogsync.protocols import AdoptingSink, HandleSink, NormalizingSink, Sink
from catalogsync.retry import RetryPolicy

from . import promises
from .journal import Journal
from .options import OnDeleted, Options
from .recorder import Recorder
from .references import ReferenceBook

__all__ = ["Approve", "Planned", "Planner", "by_action", "conflict_text"]

_REFERRING = frozenset({Field.CATEGORIES, Field.TAGS})

Approve = Callable[[Change], str]
"""Why a change must not be made; empty if it may."""


@attrs.frozen
class Planned:
    """A wanted product and the change that brings it about."""

    desired: Product
    change: Change

    @property
    def incomplete(self) -> bool:
        """Whether it repairs a product that is half made."""
        return self.change.existing is not None and bool(
            self.change.existing.missing_parts
        )


def by_action(items: Iterable[Planned]) -> list[list[Planned]]:
    """Creations, updates and repairs apart; a sink never gets two of them at once."""
    parts: dict[tuple[Action, bool], list[Planned]] = {}
    for item in items:
        parts.setdefault((item.change.action, item.incomplete), []).append(item)
    return list(parts.values())


def conflict_text(key: ProductKey, conflict: str) -> str:
    """The warning that a part of a product is not written."""
    return f"{key}: {conflict}"


def _anything(_: Change) -> str:
    return ""


@attrs.define(kw_only=True)
class Planner:
    """Finds and plans; nothing is written but references.

    Attributes:
        sink: Where the products go.
        book: The sink's references; None for a sink without such.
        options: How the run goes about its work.
        recorder: Takes the outcomes that are clear without writing.
        journal: Knows what earlier runs began.
        rules: What may be done to a product that is there.
        approve: Asked for each change.
    """

    sink: Sink
    book: ReferenceBook | None
    options: Options
    recorder: Recorder
    journal: Journal
    rules: Rules
    approve: Approve = _anything
    _warned: bool = attrs.field(default=False, init=False)
    _shape: Callable[[Product], Product] | None = attrs.field(init=False)
    _name: Callable[[Product], str] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Asking a protocol is slow, and this happens for every product.
        sink = self.sink
        self._shape = sink.shape if isinstance(sink, NormalizingSink) else None
        self._name = sink.handle if isinstance(sink, HandleSink) else None
        if self.options.adopt and not isinstance(sink, AdoptingSink):
            self.recorder.warn("nothing is adopted: this sink cannot do it")
        if self.options.on_deleted is OnDeleted.LEAVE and self.journal.store is None:
            what = "without a state store nobody knows what people deleted"
            self.recorder.warn(f"on_deleted = leave does nothing: {what}")

    async def look(
        self, products: Sequence[Product], policy: RetryPolicy
    ) -> list[Planned]:
        """Say what has to change for these; repeated by the policy.

        Products that need no change, or can have none, get their outcome.

        Raises:
            TransientError: No try was left.
        """
        desired = [p for product in products if (p := self._shaped(product))]
        if self.book is not None:
            await self.book.prepare(desired)
        on_retry = self.recorder.retrying("find products")
        async for attempt in policy.tries(on_retry=on_retry):
            with attempt:
                return await self.compare(desired)
        raise AssertionError("unreachable")

    async def compare(self, desired: Sequence[Product]) -> list[Planned]:
        """Find once and plan; the products are in the sink's shape already."""
        if not desired:
            return []
        existing = await self.find(desired)
        with self.recorder.phase("plan"):
            planned = [
                self._plan(product, existing.get(product.key)) for product in desired
            ]
        return [item for item in planned if item is not None]

    async def find(self, desired: Sequence[Product]) -> Mapping[ProductKey, Found]:
        """What the sink has for these, of ours or to be adopted."""
        # One that we retired may be among them, whatever the source speaks of.
        fields = frozenset({Field.STATUS}).union(*map(supplied, desired))
        with self.recorder.phase("find"):
            existing = await promises.find(self.sink, desired, fields)
            missing = [
                p for p in desired if not isinstance(existing.get(p.key), Existing)
            ]
            if missing and self.options.adopt and isinstance(self.sink, AdoptingSink):
                existing = {
                    **existing,
                    **await self._foreign(self.sink, missing, fields),
                }
        gone = [p.key for p in desired if p.key not in existing]
        for key in await self.journal.left(gone):
            reason = (
                "a person deleted it in the sink, and `on_deleted` says to leave it"
            )
            self.recorder.settle(Outcome(key, OutcomeStatus.SKIPPED, reason))
        return existing

    async def _foreign(
        self, sink: AdoptingSink, missing: Sequence[Product], fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        found: dict[ProductKey, Found] = {}
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
            shaped = promises.check_shape(self.sink, product, self._shape(product))
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
                self.recorder.warn_of(
                    f"the sink cannot keep {field} as supplied", example
                )

    def _plan(self, product: Product, existing: Found | None) -> Planned | None:
        if not self.recorder.is_open(product.key):
            return None
        if isinstance(existing, Conflict):
            self._fail(product, existing.reason)
            return None
        try:
            references = self.book.resolve(product) if self.book else None
            result = compare(
                product, existing, references, rules=self._rules(product.key)
            )
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
            return None
        for conflict in result.conflicts:
            self.recorder.warn(conflict_text(product.key, conflict))
        self.recorder.note_manual_edits(product.key, result.manual_edits)
        if result.change is None:
            self._look_for_last_applied(product.key, existing)
            self.recorder.settle(Outcome(product.key, OutcomeStatus.UNCHANGED))
            return None
        return self._approved(product, result.change)

    def _look_for_last_applied(self, key: ProductKey, existing: Found | None) -> None:
        """Say once if the sink does not keep what a change tells it to keep."""
        if (
            isinstance(existing, Existing)
            and existing.last_applied is None
            and not self._warned
        ):
            self._warned = True
            lost = f"the sink has no last-applied state for {key}, perhaps for others neither"
            self.recorder.warn(
                f"{lost}: values of lists that the source drops stay there, and"
                " manual edits go unnoticed; `find` must return the `change.last_applied`"
                " of the last write"
            )

    def _rules(self, key: ProductKey) -> Rules:
        """What was begun and not seen to its end is no edit of a person."""
        begun = self.journal.is_open(key) or self.recorder.was_attempted(key)
        return self.rules_after(key) if begun else self.rules

    def rules_after(self, key: ProductKey) -> Rules:
        """Those for a product of ours that was written: no edits but those known."""
        known = self.recorder.manual_edits.get(key, ())
        paths = frozenset(edit.diff.path for edit in known)
        return attrs.evolve(self.rules, edited=paths)

    def _approved(self, product: Product, change: Change) -> Planned | None:
        problem = self.approve(change)
        if problem:
            self.recorder.settle(
                Outcome(product.key, OutcomeStatus.UNRESOLVED, problem)
            )
            return None
        if change.action is Action.CREATE and self._name is not None:
            handle = self.journal.handle(product.key) or promises.check_handle(
                self.sink, self._name(product)
            )
            change = attrs.evolve(change, handle=handle)
        return Planned(product, change)

    def _fail(self, product: Product, reason: str, said: str = "") -> None:
        self.recorder.settle(Outcome(product.key, OutcomeStatus.FAILED, reason, said))
