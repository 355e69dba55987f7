"""Categories and tags: found once, created once, before what needs them."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import attrs

from catalogsync.catalog.changes import (
    ExistingReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.catalog.products import Field, Product, Unset
from catalogsync.diff.compare import References
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import ReferencesWritten
from catalogsync.protocols import ReferencingSink
from catalogsync.retry import RetryPolicy

from . import promises
from .categories import Decision, SinkTree, SourceTree, decide
from .recorder import Recorder

__all__ = ["Confirm", "ReferenceBook", "ShowReference"]

_Name = tuple[ReferenceKind, str]
_NOT_PLANNED = "it is not in the plan"

Confirm = Callable[[], Awaitable[None]]
ShowReference = Callable[[ReferenceChange], None]


def _any(_: ReferenceChange) -> bool:
    return True


class Fate(enum.StrEnum):
    """What became of a reference."""

    CREATED = "created"
    UPDATED = "updated"
    EXISTING = "existing"


@attrs.define
class ReferenceBook:
    """Knows the sink's ids of all references that a run has met.

    Attributes:
        sink: Where they are.
        source: Name of the source that speaks of them.
        policy: When finding and writing them is repeated.
        recorder: Counts categories.
        confirm: Called before each write; raises if this run may write no more.
        keep: Whether names and places of categories that people edited stay.
        on_change: Takes each change instead of the sink; references to be created get
            made-up ids then. None: they are written.
        allowed: Asked before each change; False: it is refused.
    """

    sink: ReferencingSink
    source: str
    policy: RetryPolicy
    recorder: Recorder
    confirm: Confirm
    keep: bool = True
    on_change: ShowReference | None = None
    allowed: Callable[[ReferenceChange], bool] = _any
    _desired: SourceTree = attrs.field(
        default=attrs.Factory(
            lambda self: SourceTree(self.source, self.recorder.warn), takes_self=True
        ),
        init=False,
    )
    _there: SinkTree = attrs.field(factory=SinkTree, init=False)
    _existing: dict[Reference, ExistingReference] = attrs.field(
        factory=dict[Reference, ExistingReference], init=False
    )
    _ids: dict[_Name, str] = attrs.field(factory=dict[_Name, str])
    _refused: dict[_Name, str] = attrs.field(factory=dict[_Name, str])
    _tried: dict[Reference, Fate] = attrs.field(factory=dict[Reference, Fate])
    _fates: dict[Reference, Fate] = attrs.field(factory=dict[Reference, Fate])
    _stuck: dict[Reference, str] = attrs.field(factory=dict[Reference, str])
    _shown: dict[Reference, ExistingReference] = attrs.field(
        factory=dict[Reference, ExistingReference], init=False
    )

    async def prepare(self, products: Iterable[Product]) -> None:
        """See to it that everything these products refer to is in the sink."""
        unknown: dict[_Name, Reference] = {}
        for product in products:
            self._collect(product, unknown)
        if unknown:
            await self._settle(unknown.values())

    async def bring_about(self, references: Iterable[Reference]) -> None:
        """See to it that these are in the sink as they are wanted.

        Raises:
            TransientError: No try was left.
        """
        desired: dict[_Name, Reference] = {}
        for reference in references:
            is_tag = reference.kind is ReferenceKind.TAG
            here = reference if is_tag else self._desired.add(reference)
            self._collect_line(here, desired)
        if desired:
            await self._settle(desired.values())

    async def close(self) -> None:
        """Nothing more will move: rename what stays, and say why it does."""
        on_retry = self.recorder.retrying("rename categories")
        try:
            async for attempt in self.policy.tries(on_retry=on_retry):
                with attempt:
                    for reference in self._stuck:
                        await self._rename(reference)
        except TransientError as error:
            self.recorder.problem(f"could not rename categories: {error}")
        for problem in self._stuck.values():
            self.recorder.warn(problem)

    def resolve(self, product: Product) -> References:
        """The sink's ids of a product's categories and tags.

        Raises:
            RefusedError: The sink refused one of them.
        """
        found: dict[Field, tuple[str, ...]] = {}
        if not isinstance(product.categories, Unset):
            names = [category.id for category in product.categories]
            found[Field.CATEGORIES] = self._known(ReferenceKind.CATEGORY, names)
        if not isinstance(product.tags, Unset):
            found[Field.TAGS] = self._known(ReferenceKind.TAG, product.tags)
        return found

    def _known(self, kind: ReferenceKind, names: Iterable[str]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys([self._ids[kind, name] for name in names]))
        except KeyError as error:
            name = error.args[0]
            reason = f"the sink refused its {kind.value} {name[1]!r}"
            raise RefusedError(reason, said=self._refused.get(name, "")) from None

    def _collect(self, product: Product, unknown: dict[_Name, Reference]) -> None:
        for category in product.categories or ():
            self._collect_line(self._desired.add(category), unknown)
        for tag in product.tags or ():
            kind = ReferenceKind.TAG
            if self._is_new(kind, tag):
                reference = Reference(kind=kind, source=self.source, id=tag, name=tag)
                unknown[kind, tag] = reference

    def _collect_line(
        self, reference: Reference, unknown: dict[_Name, Reference]
    ) -> None:
        """Add one that is new, and all that contain it, which may be gone by now."""
        here: Reference | None = reference
        while here is not None and self._is_new(reference.kind, reference.id):
            if (here.kind, here.id) not in self._refused:
                unknown[here.kind, here.id] = here
            here = here.parent

    def _is_new(self, kind: ReferenceKind, id_: str) -> bool:
        return (kind, id_) not in self._ids and (kind, id_) not in self._refused

    async def _settle(self, desired: Iterable[Reference]) -> None:
        """Bring these about; it goes on as long as it gets any further.

        Each of them may be a request of its own, so that in a large catalog hardly
        any round is without a fault. What could not be moved before is tried again:
        what was in its way may move now.
        """
        everything = list(dict.fromkeys([*desired, *self._stuck]))
        while True:
            known = len(self._ids)
            try:
                return await self._repeat(everything)
            except TransientError:
                if len(self._ids) == known:
                    raise

    async def _repeat(self, desired: Sequence[Reference]) -> None:
        """Find these and write what is missing, as one unit that is repeated."""
        on_retry = self.recorder.retrying("write categories and tags")
        async for attempt in self.policy.tries(on_retry=on_retry):
            with attempt:
                await self._bring_about(desired)

    async def _bring_about(self, desired: Sequence[Reference]) -> None:
        """From the top level down, so that nothing is moved below itself."""
        with self.recorder.phase("find"):
            found = await promises.find_references(self.sink, frozenset(desired))
            self._existing = {**found}
        for existing in self._existing.values():
            self._there.learn(existing)
        for reference, existing in self._shown.items():
            self._there.place(existing.id, existing.name, existing.parent)
            self._existing[reference] = existing
        for level in _levels(desired):
            moving = await self._write_level(level)
            await self._move(dict.fromkeys([*moving, *self._stuck]))

    async def _write_level(self, level: Iterable[Reference]) -> Sequence[Reference]:
        """Create and rename; gives those that have to be moved."""
        changes: list[ReferenceChange] = []
        moving: list[Reference] = []
        for reference in level:
            decision = self._decide(reference)
            if decision is None:
                continue
            if decision.problem or (decision.change and decision.change.moves):
                moving.append(reference)
            elif change := self._allowed(decision):
                changes.append(change)
            else:
                self._leave(reference)
        if changes:
            await self._write(changes)
        return moving

    async def _move(self, waiting: dict[Reference, None]) -> None:
        """Move one after the other: each move depends on where all others are.

        What has something in its way waits until that has moved, which may be for a
        later group of products to say.
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
                    self._leave(reference)
                    continue
                del waiting[reference]
                self._stuck.pop(reference, None)
                if change := self._allowed(decision):
                    await self._write([change])
                    moved = True
                else:
                    self._leave(reference)

    async def _rename(self, reference: Reference) -> None:
        """Do what can be done for a category that cannot be moved."""
        decision = self._decide(reference)
        if decision and (change := self._allowed(decision)):
            await self._write([change])

    def _decide(self, reference: Reference) -> Decision | None:
        """What has to happen to it; None: nothing, as its parent was refused."""
        existing, parent = self._existing.get(reference), self._parent(reference)
        if reference.parent is not None and parent is None:
            reason = f"its parent {reference.parent.id!r} was refused"
            if existing is None:
                self._refused[reference.kind, reference.id] = reason
                return None
            self.recorder.warn(f"category {reference.id!r} stays where it is: {reason}")
            parent = existing.parent
        decision = decide(reference, parent, existing, self._there, keep=self.keep)
        if decision.manual_edits:
            self.recorder.category_manual_edits[reference.id] = decision.manual_edits
        return decision

    def _parent(self, reference: Reference) -> str | None:
        if reference.parent is None:
            return None
        return self._ids.get((reference.kind, reference.parent.id))

    def _allowed(self, decision: Decision) -> ReferenceChange | None:
        """The change, if there is one and it may be made."""
        change = decision.change
        if change is None or self.allowed(change):
            return change
        if change.existing is None:
            reference = change.reference
            self._refused[reference.kind, reference.id] = _NOT_PLANNED
        return None

    def _leave(self, reference: Reference) -> None:
        """Use it as it is."""
        if existing := self._existing.get(reference):
            self._tell([self._enter(reference, existing.id, Fate.EXISTING)])

    async def _write(self, changes: Sequence[ReferenceChange]) -> None:
        if self.on_change is not None:
            for change in changes:
                self.on_change(change)
            outcomes: Sequence[ReferenceOutcome] = list(map(_planned, changes))
        else:
            outcomes = await self._send(changes)
        told = {outcome.reference: outcome for outcome in outcomes}
        fates = [
            self._note(change, told[change.reference])
            for change in changes
            if change.reference in told
        ]
        self._tell(fates)
        if len(fates) < len(changes):
            raise TransientError("the sink did not say what became of all references")

    async def _send(
        self, changes: Sequence[ReferenceChange]
    ) -> Sequence[ReferenceOutcome]:
        await self.confirm()
        self.recorder.touched = True
        try:
            with self.recorder.phase("write"):
                return await promises.write_references(self.sink, changes)
        except TransientError:
            for change in changes:
                aim = Fate.CREATED if change.existing is None else Fate.UPDATED
                self._tried.setdefault(change.reference, aim)
            raise

    def _note(self, change: ReferenceChange, outcome: ReferenceOutcome) -> Fate | None:
        reference, existing = change.reference, change.existing
        if outcome.id is None:
            return self._refuse(change, outcome.reason)
        self._there.place(outcome.id, change.name, change.parent)
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
            self._shown[reference] = now
        if existing is not None:
            return self._enter(reference, outcome.id, Fate.UPDATED)
        fate = Fate.CREATED if outcome.created else Fate.EXISTING
        return self._enter(reference, outcome.id, fate)

    def _refuse(self, change: ReferenceChange, reason: str) -> Fate | None:
        """One that is there already is used as it is."""
        reference, existing = change.reference, change.existing
        if existing is None:
            self._refused[reference.kind, reference.id] = reason
            return None
        what = f"the sink refused to rename or move category {reference.id!r}"
        self.recorder.warn(f"{what}; it stays as it is: {reason}")
        return self._enter(reference, existing.id, Fate.EXISTING)

    def _enter(self, reference: Reference, id_: str, fate: Fate) -> Fate:
        """Remember an id; what a write without an answer made counts as its work."""
        tried = self._tried.pop(reference, fate)
        if fate is Fate.EXISTING:
            fate = tried
        self._ids[reference.kind, reference.id] = id_
        before = self._fates.get(reference)
        if before is None or (before is Fate.EXISTING and fate is not before):
            self._fates[reference] = fate
            if reference.kind is ReferenceKind.CATEGORY:
                self.recorder.categories[fate] += 1
                self.recorder.categories[before or fate] -= before is not None
        return fate

    def _tell(self, fates: Sequence[Fate | None]) -> None:
        created, updated = fates.count(Fate.CREATED), fates.count(Fate.UPDATED)
        if created or updated:
            event = ReferencesWritten(
                run_id=self.recorder.run_id, created=created, updated=updated
            )
            self.recorder.emit(event)


def _planned(change: ReferenceChange) -> ReferenceOutcome:
    """What a write would give, with a made-up id."""
    id_ = change.existing.id if change.existing else f"new {change.reference.id}"
    return ReferenceOutcome(
        reference=change.reference, id=id_, created=change.existing is None
    )


def _levels(references: Sequence[Reference]) -> Iterator[Sequence[Reference]]:
    """Roots first, each level after the one that contains it."""
    depths: dict[int, list[Reference]] = {}
    for reference in references:
        depth, parent = 0, reference.parent
        while parent is not None:
            depth, parent = depth + 1, parent.parent
        depths.setdefault(depth, []).append(reference)
    for depth in sorted(depths):
        yield depths[depth]
