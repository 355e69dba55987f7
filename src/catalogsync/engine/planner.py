"""The planner: finds products in the sink and works out what has to change.

For each group of products it

1. reduces them to what the sink can hold (`normalizing`),
2. makes sure that their categories and tags exist (`references`),
3. asks the sink for them (`find`, which has no side effects), and
4. compares both sides (`catalogsync.diff.compare`, which is pure).

If the sink stores images itself (`images`), the addresses of uploaded files replace
those of the source before step 3, and what is new is uploaded after step 4.

Products that are not built, because their records are known, join after step 2: the
sink is asked for their digests only (`recognizing`). Those that are as they were are
unchanged; the others are built, and go through the steps like all.

Products that need no change, or cannot have one, get their outcome here. The others
leave as `Planned`. The writer comes back for steps 3 and 4 (`plan_once`) whenever it
does not know what an earlier write did.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType

import attrs

from catalogsync.catalog.changes import (
    Conflict,
    Create,
    Existing,
    Found,
    Write,
)
from catalogsync.catalog.drafts import Outline
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus, Rejected
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.diff.compare import Comparison, compare, supplied
from catalogsync.diff.ownership import Rules
from catalogsync.errors import RefusedError
from catalogsync.protocols import AdoptingSink, HandleSink, Sink
from catalogsync.retry import RetryPolicy

from . import promises
from .hash_set import HashSet
from .images import IMAGE_FIELDS, ImageStore
from .journal import Journal
from .normalizing import Normalizer
from .options import OnDeleted, Options
from .recognizing import Fetched, Recognizer
from .recorder import Recorder
from .references import ReferenceResolver
from .snapshots import without_stock

__all__ = [
    "Objection",
    "Planned",
    "Planner",
    "conflict_text",
    "no_objection",
]

_NOT_THERE = "skipped, because the sink does not have it: a full run creates it"
_OLDER = "stock not written, because the sink has had a newer count"
_INCOMPLETE = "skipped, because it is incomplete in the sink: a full run repairs it"

Objection = Callable[[Write], Outcome | None]
"""Gives the outcome of a change that must not be made; None: it may."""


@attrs.frozen
class Planned:
    """A desired product and the change that it needs."""

    desired: Product
    change: Write


@attrs.frozen
class _Compared:
    """A product, what the sink has of it, and what differs.

    `allowed`: the change was already allowed.
    """

    desired: Product
    existing: Existing | None
    result: Comparison
    allowed: bool = False


def conflict_text(key: ProductKey, conflict: str) -> str:
    """The warning that a part of a product is not written."""
    return f"{key}: {conflict}"


def no_objection(_: Write) -> None:
    """Allow every change."""


def ignore(_: Product) -> None:
    """Need no products that are unchanged."""


@attrs.define(kw_only=True)
class Planner:
    """Finds products and plans their changes.

    Attributes:
        sink: The sink.
        references: Resolves categories and tags; None if the sink has none of its own.
        options: Options of the run.
        recorder: Receives outcomes, warnings and manual edits.
        journal: Knows which writes of earlier runs were not finished.
        recognizer: Recognises products that need no change.
        rules: Which fields a change may write.
        objection: Asked about each change.
        on_unchanged: Receives each product that needs no change, unless it is only
            recognised.
        images: Replaces the addresses of images; None: they stay.
        stores: Whether images that are not in the sink yet are uploaded.
        dropped: Hashes of what `Comparison.dropped` lists, with the product's key.
    """

    sink: Sink
    references: ReferenceResolver | None
    options: Options
    recorder: Recorder
    journal: Journal
    recognizer: Recognizer
    rules: Rules
    objection: Objection = no_objection
    on_unchanged: Callable[[Product], None] = ignore
    images: ImageStore | None = None
    stores: bool = True
    dropped: HashSet = attrs.field(factory=HashSet, init=False)
    _normalizer: Normalizer = attrs.field(init=False)
    _warned: bool = attrs.field(default=False, init=False)
    _handle: Callable[[Product], str] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # isinstance() with a protocol is slow, and this is needed for every product.
        sink = self.sink
        self._normalizer = Normalizer(
            sink=sink, recorder=self.recorder, rules=self.rules
        )
        self._handle = (
            partial(promises.handle, sink) if isinstance(sink, HandleSink) else None
        )
        if self.options.adopt and not isinstance(sink, AdoptingSink):
            self.recorder.warn("`adopt` ignored: not supported by this sink")
        if self.options.on_deleted is OnDeleted.LEAVE and self.journal.store is None:
            self.recorder.warn("`on_deleted = leave` ignored: it needs a state store")

    async def plan(
        self, group: Sequence[Fetched], policy: RetryPolicy
    ) -> list[Planned]:
        """Plan a group of fetched products.

        Args:
            group: As the reader delivers them.
            policy: When finding them is repeated.

        Raises:
            TransientError: The last retry failed.
        """
        shapes = [self._shape_of(item) for item in group]
        if self.references is not None:
            await self.references.ensure_for(shape for shape in shapes if shape)
        confirmed = await self._confirmed(group, policy)
        fetched: dict[ProductKey, Fetched] = {}
        desired: list[Product] = []
        for item, shape in zip(group, shapes, strict=True):
            if item.key in confirmed:
                self._note_snapshot(item)
                self.recorder.record(Outcome(item.key, OutcomeStatus.UNCHANGED))
                continue
            product = shape if isinstance(shape, Product) else self._build(item)
            if product is not None:
                desired.append(product)
                fetched[item.key] = item
        if self.references is not None:
            await self.references.ensure_for(desired)  # what was known may be wrong
        if self.images is not None:
            with self.recorder.phase("images"):
                desired = await self.images.resolve(desired)
        on_retry = self.recorder.retrying("find products")
        async for attempt in policy.tries(on_retry=on_retry):
            with attempt:
                return await self.plan_once(desired, fetched)
        raise AssertionError("unreachable")

    def _shape_of(self, item: Fetched) -> Product | Outline | None:
        """What is to be in the sink; an outline if the product is not built yet."""
        if item.product is not None:
            return self._normalizer.normalize(item.product)
        return item.known.outline if item.known else None

    async def _confirmed(
        self, group: Sequence[Fetched], policy: RetryPolicy
    ) -> Collection[ProductKey]:
        """The products that need no change, as far as this is known."""
        known = [item for item in group if item.product is None]
        if not known:
            return ()
        on_retry = self.recorder.retrying("find products")
        async for attempt in policy.tries(on_retry=on_retry):
            with attempt, self.recorder.phase("find"):
                return await self.recognizer.confirmed(known)
        raise AssertionError("unreachable")

    def _build(self, item: Fetched) -> Product | None:
        """The product of a known record that has to be compared after all."""
        if item.product is not None or item.draft is None:
            return None  # it has its outcome
        product = promises.build(item.draft)
        if isinstance(product, Rejected):
            reason = f"{product.reason} ({product.where})"
            self.recorder.record(Outcome(item.key, OutcomeStatus.FAILED, reason))
            return None
        product = self.journal.snapshots.dated(product, item.as_of)
        self.recorder.record_built(product)
        return self._normalizer.normalize(product)

    async def plan_once(
        self,
        desired: Sequence[Product],
        fetched: Mapping[ProductKey, Fetched] = MappingProxyType({}),
    ) -> list[Planned]:
        """Find products and plan them, without retries.

        Args:
            desired: Open products, as the sink can hold them.
            fetched: As the reader delivered them, to keep those that need no change.

        Raises:
            TransientError: The sink cannot be asked now.
        """
        if not desired:
            return []
        desired = await self._without_older(desired)
        fields = self._fields(desired)
        found = await self.find(desired, fields)
        if self.options.only is not None:
            desired = self._without_rest(desired, found)
        absent = [p.key for p in desired if p.key not in found]
        deleted = await self.journal.deleted_by_people(absent)
        for key in deleted:
            reason = (
                "a person deleted it in the sink, and `on_deleted` says to leave it"
            )
            self.recorder.record(Outcome(key, OutcomeStatus.SKIPPED, reason))
        with self.recorder.phase("plan"):
            compared = [
                result
                for product in desired
                if product.key not in deleted
                and (result := self._compared(product, found.get(product.key)))
            ]
        if self.images is not None and self.stores:
            compared = await self._with_files(self.images, compared)
        planned: list[Planned] = []
        for each in compared:
            existing, item = each.existing, fetched.get(each.desired.key)
            change = self._plan(each)
            if change is not None:
                planned.append(change)
            elif item is not None and existing is not None:
                self._keep(item, each.desired, existing, fields)
        return planned

    def _note_snapshot(self, item: Fetched) -> None:
        if item.draft is not None and item.known is not None:
            self.journal.snapshots.recognize(item.draft, item.known, item.as_of)

    async def _without_older(self, desired: Sequence[Product]) -> Sequence[Product]:
        """The products, without stock that is older than what the sink has had."""
        newer = await self.journal.snapshots.newer(desired)
        for product in desired if newer else ():
            at = newer.get(product.key)
            if at is None or product.as_of is None:
                continue
            if self._normalizer.noteworthy.add(hash(product.key)):
                times = f"{_text(product.as_of)} is older than {_text(at)}"
                self.recorder.count_warning(_OLDER, f"{product.key} ({times})")
        return without_stock(desired, newer.keys()) if newer else desired

    async def _with_files(
        self, images: ImageStore, compared: Sequence[_Compared]
    ) -> list[_Compared]:
        """Upload the images of the changes that may be made, and compare again."""
        writes = {
            each.desired.key: each
            for each in compared
            if (change := each.result.change) is not None
            and change.fields & IMAGE_FIELDS
            and self.objection(change) is None
        }
        with self.recorder.phase("images"):
            stored = await images.store([each.desired for each in writes.values()])
        for before, product in zip([*writes.values()], stored, strict=True):
            rules = self._rules(product.key)
            result = self._compare(product, before.existing, rules)
            writes[product.key] = attrs.evolve(
                before, desired=product, result=result, allowed=True
            )
        return [writes.get(each.desired.key, each) for each in compared]

    def _without_rest(
        self, desired: Sequence[Product], found: Mapping[ProductKey, Found]
    ) -> list[Product]:
        """The products that a lane can write; the others are skipped."""
        ready: list[Product] = []
        for product in desired:
            existing = found.get(product.key)
            if existing is None:
                self._skip(product.key, _NOT_THERE)
            elif isinstance(existing, Existing) and existing.missing_parts:
                self._skip(product.key, _INCOMPLETE)
            else:
                ready.append(product)
        return ready

    def _skip(self, key: ProductKey, why: str) -> None:
        self.recorder.record(Outcome(key, OutcomeStatus.SKIPPED, why))
        self.recorder.count_warning(why, str(key))

    def _fields(self, desired: Sequence[Product]) -> frozenset[Field]:
        """The fields to read in the sink."""
        fields = frozenset[Field]().union(*map(supplied, desired))
        if self.options.only is not None:
            return fields & (self.options.only | {Field.VARIANTS})
        # A product that we unpublished is published again, whatever the source says.
        return fields | {Field.STATUS}

    async def find(
        self, desired: Sequence[Product], fields: frozenset[Field] | None = None
    ) -> Mapping[ProductKey, Found]:
        """Ask the sink for products under our key, and for those to adopt.

        Raises:
            TransientError: The sink cannot be asked now.
        """
        fields = self._fields(desired) if fields is None else fields
        with self.recorder.phase("find"):
            found = await promises.find(self.sink, desired, fields)
            missing = [p for p in desired if not isinstance(found.get(p.key), Existing)]
            if missing and self.options.adopt and isinstance(self.sink, AdoptingSink):
                foreign = await self._find_foreign(self.sink, missing, fields)
                found = {**found, **foreign}
        return found

    async def _find_foreign(
        self, sink: AdoptingSink, missing: Sequence[Product], fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        found: dict[ProductKey, Found] = {}
        for by in self.options.adopt:
            rest = [product for product in missing if product.key not in found]
            if rest:
                found.update(await promises.find_foreign(sink, rest, by, fields))
        return found

    def _compared(self, product: Product, found: Found | None) -> _Compared | None:
        """Both sides of a product and what differs; None: it has its outcome."""
        if isinstance(found, Conflict):
            self._fail(product, found.reason)
            return None
        try:
            result = self._compare(product, found, self._rules(product.key))
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
            return None
        if result.change and (why := self._withheld(result.change)):
            self.recorder.record(Outcome(product.key, OutcomeStatus.SKIPPED, why))
            return None
        return _Compared(product, found, result)

    def _plan(self, compared: _Compared) -> Planned | None:
        """The change of a product; None: it has its outcome."""
        product, result = compared.desired, compared.result
        if result.conflicts or result.manual_edits or result.dropped:
            self._normalizer.noteworthy.add(hash(product.key))
        for conflict in result.conflicts:
            self.recorder.warn(conflict_text(product.key, conflict))
        self.recorder.record_manual_edits(product.key, result.manual_edits)
        for variant, name in result.dropped:
            self.dropped.add(hash((product.key, variant, name)))
        if result.change is None:
            self._check_last_applied(product.key, compared.existing)
            self.on_unchanged(product)
            self.recorder.record(Outcome(product.key, OutcomeStatus.UNCHANGED))
            return None
        return self._approved(product, result.change, allowed=compared.allowed)

    def _keep(
        self,
        item: Fetched,
        desired: Product,
        existing: Existing,
        fields: frozenset[Field],
    ) -> None:
        """Let the next run recognise a product that needed no change."""
        is_new = existing.last_applied is None or existing.foreign
        begun = (
            item.key in self.journal.intents
            or hash(item.key) in self._normalizer.noteworthy
        )
        if not is_new and not begun:
            self.recognizer.keep(item, desired, existing, fields)

    def compare_written(self, product: Product, existing: Existing) -> Comparison:
        """Compare a product that this run wrote with what the sink has now.

        Raises:
            RefusedError: One of its categories or tags was refused.
        """
        return self._compare(product, existing, self._rules_after(product.key))

    def _compare(
        self, product: Product, existing: Existing | None, rules: Rules
    ) -> Comparison:
        references = self.references.resolve(product) if self.references else None
        return compare(product, existing, references, rules=rules)

    def _check_last_applied(self, key: ProductKey, existing: Existing | None) -> None:
        """Warn once if the sink does not return the last-applied state of a product."""
        if existing is not None and existing.last_applied is None and not self._warned:
            self._warned = True
            lost = f"the sink has no last-applied state for {key}, and maybe for others"
            self.recorder.warn(
                f"{lost}: list items that the source drops stay in the sink, and manual"
                " edits go unnoticed; `find` must return the `change.last_applied`"
                " of the last write"
            )

    def _withheld(self, change: Write) -> str:
        """Why `writes` withholds a change; empty: it does not.

        An update of what we began to create belongs to the creation.
        """
        if not isinstance(change, Create) and self._has_begun(change.key):
            return ""
        return self.options.withheld(change)

    def _has_begun(self, key: ProductKey) -> bool:
        """Whether we began to write a product and do not know that it is finished."""
        return key in self.journal.intents or self.recorder.was_attempted(key)

    def _rules(self, key: ProductKey) -> Rules:
        """The rules for one product.

        A write that began and was not finished leaves differences that look like
        manual edits, so they do not count as such.
        """
        return self._rules_after(key) if self._has_begun(key) else self.rules

    def _rules_after(self, key: ProductKey) -> Rules:
        """Rules by which only the manual edits found before our write are any."""
        known = self.recorder.manual_edits.get(key, ())
        paths = frozenset(edit.diff.path for edit in known)
        return attrs.evolve(self.rules, edited=paths)

    def _approved(
        self, product: Product, change: Write, *, allowed: bool
    ) -> Planned | None:
        """The change with a handle, if nothing speaks against it."""
        if not allowed and (outcome := self.objection(change)):
            self.recorder.record(outcome)
            return None
        if isinstance(change, Create) and self._handle is not None:
            # The same handle again, even if the title has changed since: two requests
            # that create the same product must collide.
            handle = self.journal.intents.handle(product.key) or self._handle(product)
            change = attrs.evolve(change, handle=handle)
        return Planned(product, change)

    def _fail(self, product: Product, reason: str, said: str = "") -> None:
        self.recorder.record(Outcome(product.key, OutcomeStatus.FAILED, reason, said))


def _text(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")
