"""Categories and tags: found or created once, before the products that need them.

Categories form a tree in the source and another one in the sink, and people may have
renamed or moved those in the sink. They are created and renamed level by level from
the top, and moved one by one, because whether a move is possible depends on where all
others are.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial

import attrs

from catalogsync.catalog.changes import (
    KINDS,
    ExistingReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.catalog.drafts import Outline
from catalogsync.catalog.products import Product
from catalogsync.diff.compare import References, own_references
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import ReferencesWritten
from catalogsync.protocols import ReferencingSink
from catalogsync.retry import RetryPolicy

from . import promises
from .categories import Decision, SinkTree, SourceTree, decide, levels
from .recorder import Recorder

__all__ = ["ReferenceResolver", "allow_all"]

_Name = tuple[ReferenceKind, str]
_NOT_IN_PLAN = "it is not in the plan"


def allow_all(_: ReferenceChange) -> bool:
    """Allow every change."""
    return True


class _Status(enum.StrEnum):
    """How a reference came to be in the sink as it is."""

    CREATED = "created"
    UPDATED = "updated"
    EXISTING = "existing"


@attrs.define
class ReferenceResolver:
    """Creates categories and tags, and knows their ids in the sink.

    Attributes:
        confirm_lease: Called before each write; raises if this run lost its lease.
        keep: Whether names and parents of categories that people edited stay.
        on_change: Receives each change instead of the sink, and new references get
            made-up ids. None: they are written.
        is_allowed: Asked about each change; False: it is not made.
        counted: References that an earlier pipeline of the run found, and counted.
    """

    sink: ReferencingSink
    source: str
    policy: RetryPolicy
    recorder: Recorder
    confirm_lease: Callable[[], Awaitable[None]]
    keep: bool = True
    on_change: Callable[[ReferenceChange], None] | None = None
    is_allowed: Callable[[ReferenceChange], bool] = allow_all
    counted: Collection[Reference] = ()
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _source_tree: SourceTree = attrs.field(
        default=attrs.Factory(
            lambda self: SourceTree(self.source, self.recorder.warn), takes_self=True
        ),
        init=False,
    )
    _sink_tree: SinkTree = attrs.field(factory=SinkTree, init=False)
    _existing: dict[Reference, ExistingReference] = attrs.field(
        factory=dict[Reference, ExistingReference], init=False
    )
    _ids: dict[_Name, str] = attrs.field(factory=dict[_Name, str], init=False)
    _refused: dict[_Name, str] = attrs.field(factory=dict[_Name, str], init=False)
    _attempted: dict[Reference, _Status] = attrs.field(
        factory=dict[Reference, _Status], init=False
    )
    _statuses: dict[Reference, _Status] = attrs.field(
        default=attrs.Factory(
            lambda self: dict.fromkeys(self.counted, _Status.EXISTING), takes_self=True
        ),
        init=False,
    )
    _stuck: dict[Reference, str] = attrs.field(factory=dict[Reference, str], init=False)
    _planned: dict[Reference, ExistingReference] = attrs.field(
        factory=dict[Reference, ExistingReference], init=False
    )

    async def ensure_for(self, products: Iterable[Product | Outline]) -> None:
        """Make sure that all categories and tags of these products exist.

        Raises:
            TransientError: The last retry failed.
        """
        async with self._turn:
            unknown: dict[_Name, Reference] = {}
            for product in products:
                self._collect(product, unknown)
            if unknown:
                await self._ensure(unknown.values())

    async def ensure(self, references: Iterable[Reference]) -> None:
        """Make sure that these exist, with the names and parents of the source.

        Raises:
            TransientError: The last retry failed.
        """
        desired: dict[_Name, Reference] = {}
        for reference in references:
            is_category = reference.kind is ReferenceKind.CATEGORY
            here = self._source_tree.add(reference) if is_category else reference
            self._collect_path(here, desired)
        if desired:
            await self._ensure(desired.values())

    async def close(self) -> None:
        """Rename categories that could not be moved, and warn about them."""
        rename = self._rename_stuck
        try:
            await self.recorder.repeated(rename, "rename categories", self.policy)
        except TransientError as error:
            self.recorder.add_problem(f"could not rename categories: {error}")
        for problem in self._stuck.values():
            self.recorder.warn(problem)

    @property
    def existing(self) -> Collection[Reference]:
        """Those that were found and need no change."""
        statuses = self._statuses.items()
        return [each for each, status in statuses if status is _Status.EXISTING]

    def resolve(self, product: Product | Outline) -> References:
        """The ids of a product's categories and tags in the sink.

        Raises:
            RefusedError: The sink refused one of them.
        """
        return {
            field: self._known(KINDS[field], names)
            for field, names in own_references(product).items()
        }

    def _known(self, kind: ReferenceKind, names: Iterable[str]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys([self._ids[kind, name] for name in names]))
        except KeyError as error:
            name = error.args[0]
            reason = f"the sink refused its {kind.value} {name[1]!r}"
            raise RefusedError(reason, said=self._refused.get(name, "")) from None

    def _collect(
        self, product: Product | Outline, unknown: dict[_Name, Reference]
    ) -> None:
        for category in product.categories or ():
            self._collect_path(self._source_tree.add(category), unknown)
        for field, names in own_references(product).items():
            kind = KINDS[field]
            for name in names if kind is not ReferenceKind.CATEGORY else ():
                if self._is_new(kind, name):
                    unknown[kind, name] = Reference(
                        kind=kind, source=self.source, id=name, name=name
                    )

    def _collect_path(
        self, reference: Reference, unknown: dict[_Name, Reference]
    ) -> None:
        """Add a new reference and its ancestors, which may be gone from the sink."""
        here: Reference | None = reference
        while here is not None and self._is_new(reference.kind, reference.id):
            if (here.kind, here.id) not in self._refused:
                unknown[here.kind, here.id] = here
            here = here.parent

    def _is_new(self, kind: ReferenceKind, id_: str) -> bool:
        return (kind, id_) not in self._ids and (kind, id_) not in self._refused

    async def _ensure(self, desired: Iterable[Reference]) -> None:
        """Ensure these, as long as there is progress.

        Each of them may take a request of its own, so in a large catalog on a bad
        network hardly any round succeeds as a whole. Categories that could not be
        moved before are tried again: what was in their way may have moved.
        """
        # Find, decide and write are one unit, which is repeated as a whole.
        work = partial(self._apply, list(dict.fromkeys([*desired, *self._stuck])))
        while True:
            known = len(self._ids)
            try:
                what = "write categories and tags"
                return await self.recorder.repeated(work, what, self.policy)
            except TransientError:
                if len(self._ids) == known:
                    raise

    async def _apply(self, desired: Sequence[Reference]) -> None:
        """Write level by level from the top, so that nothing is moved below itself."""
        with self.recorder.phase("find"):
            found = await promises.find_references(self.sink, frozenset(desired))
            self._existing = {**found}
        for existing in self._existing.values():
            self._sink_tree.learn(existing)
        for reference, existing in self._planned.items():
            self._sink_tree.place(existing.id, existing.name, existing.parent)
            self._existing[reference] = existing
        for level in levels(desired):
            moving = await self._write_level(level)
            await self._move(dict.fromkeys([*moving, *self._stuck]))

    async def _write_level(self, level: Iterable[Reference]) -> Sequence[Reference]:
        """Create and rename; returns those that have to be moved."""
        changes: list[ReferenceChange] = []
        moving: list[Reference] = []
        for reference in level:
            decision = self._decide(reference)
            if decision is None:
                continue
            if decision.problem or (decision.change and decision.change.moves):
                moving.append(reference)
            elif change := self._allowed_change(decision):
                changes.append(change)
            else:
                self._use_existing(reference)
        if changes:
            await self._write(changes)
        return moving

    async def _move(self, waiting: dict[Reference, None]) -> None:
        """Move one after the other: each move depends on where all others are.

        A category cannot move below one that lies below it. It waits until the other
        one has moved, perhaps with a later group of products.
        """
        moved = True
        while moved:
            moved = False
            for reference in list(waiting):
                decision = self._decide(reference)
                if decision is None:
                    continue
                if decision.problem:
                    self._stuck[reference] = decision.problem
                    self._use_existing(reference)
                    continue
                del waiting[reference]
                self._stuck.pop(reference, None)
                if change := self._allowed_change(decision):
                    await self._write([change])
                    moved = True
                else:
                    self._use_existing(reference)

    async def _rename_stuck(self) -> None:
        """Write at least the names of categories that cannot be moved."""
        for reference in self._stuck:
            decision = self._decide(reference)
            if decision and (change := self._allowed_change(decision)):
                await self._write([change])

    def _decide(self, reference: Reference) -> Decision | None:
        """What has to happen to it; None: nothing, because its parent was refused."""
        existing, parent = self._existing.get(reference), self._parent(reference)
        if reference.parent is not None and parent is None:
            reason = f"its parent {reference.parent.id!r} was refused"
            if existing is None:
                self._refused[reference.kind, reference.id] = reason
                return None
            self.recorder.warn(f"category {reference.id!r} stays where it is: {reason}")
            parent = existing.parent
        decision = decide(reference, parent, existing, self._sink_tree, keep=self.keep)
        if decision.manual_edits:
            self.recorder.category_manual_edits[reference.id] = decision.manual_edits
        return decision

    def _parent(self, reference: Reference) -> str | None:
        if reference.parent is None:
            return None
        return self._ids.get((reference.kind, reference.parent.id))

    def _allowed_change(self, decision: Decision) -> ReferenceChange | None:
        """The change, if there is one and it is allowed."""
        change = decision.change
        if change is None or self.is_allowed(change):
            return change
        if change.existing is None:
            reference = change.reference
            self._refused[reference.kind, reference.id] = _NOT_IN_PLAN
        return None

    def _use_existing(self, reference: Reference) -> None:
        """Use a reference as it is in the sink."""
        if existing := self._existing.get(reference):
            self._emit([self._add(reference, existing.id, _Status.EXISTING)])

    async def _write(self, changes: Sequence[ReferenceChange]) -> None:
        if self.on_change is not None:
            for change in changes:
                self.on_change(change)
            outcomes: Sequence[ReferenceOutcome] = list(map(_planned_outcome, changes))
        else:
            outcomes = await self._send(changes)
        by_reference = {outcome.reference: outcome for outcome in outcomes}
        statuses = [
            self._record(change, by_reference[change.reference])
            for change in changes
            if change.reference in by_reference
        ]
        self._emit(statuses)
        if len(statuses) < len(changes):
            raise TransientError("the sink gave no answer for some categories or tags")

    async def _send(
        self, changes: Sequence[ReferenceChange]
    ) -> Sequence[ReferenceOutcome]:
        await self.confirm_lease()
        self.recorder.touched = True
        try:
            with self.recorder.phase("write"):
                return await promises.write_references(self.sink, changes)
        except TransientError:
            for change in changes:
                created = change.existing is None
                status = _Status.CREATED if created else _Status.UPDATED
                self._attempted.setdefault(change.reference, status)
            raise

    def _record(
        self, change: ReferenceChange, outcome: ReferenceOutcome
    ) -> _Status | None:
        reference, existing = change.reference, change.existing
        if outcome.id is None:
            return self._refuse(change, outcome.reason)
        self._sink_tree.place(outcome.id, change.name, change.parent)
        now = ExistingReference(
            id=outcome.id,
            name=change.name,
            parent=change.parent,
            ours=True,
            last_applied=change.last_applied,
            native=existing.native if existing else None,
        )
        self._existing[reference] = now
        if self.on_change is not None:
            self._planned[reference] = now
        if existing is not None:
            return self._add(reference, outcome.id, _Status.UPDATED)
        status = _Status.CREATED if outcome.created else _Status.EXISTING
        return self._add(reference, outcome.id, status)

    def _refuse(self, change: ReferenceChange, reason: str) -> _Status | None:
        """Record a refusal; one that exists is used as it is."""
        reference, existing = change.reference, change.existing
        if existing is None:
            self._refused[reference.kind, reference.id] = reason
            return None
        what = f"the sink refused to rename or move category {reference.id!r}"
        self.recorder.warn(f"{what}; it stays as it is: {reason}")
        return self._add(reference, existing.id, _Status.EXISTING)

    def _add(self, reference: Reference, id_: str, status: _Status) -> _Status:
        """Keep an id, and count its category once, however often it is found.

        A write whose answer was lost may have created what is found now, so it counts
        as what that write would have made of it.
        """
        attempted = self._attempted.pop(reference, status)
        if status is _Status.EXISTING:
            status = attempted
        self._ids[reference.kind, reference.id] = id_
        before = self._statuses.get(reference)
        if before is None or (before is _Status.EXISTING and status is not before):
            self._statuses[reference] = status
            if reference.kind is ReferenceKind.CATEGORY:
                self.recorder.categories[status] += 1
                self.recorder.categories[before or status] -= before is not None
        return status

    def _emit(self, statuses: Sequence[_Status | None]) -> None:
        if self.on_change is not None:
            return
        created = statuses.count(_Status.CREATED)
        updated = statuses.count(_Status.UPDATED)
        if created or updated:
            event = ReferencesWritten(
                run_id=self.recorder.run_id, created=created, updated=updated
            )
            self.recorder.emit(event)


def _planned_outcome(change: ReferenceChange) -> ReferenceOutcome:
    """The outcome of a change in a plan, with a made-up id."""
    id_ = change.existing.id if change.existing else f"new {change.reference.id}"
    return ReferenceOutcome(
        reference=change.reference, id=id_, created=change.existing is None
    )
