"""Categories and tags: found once, created once, before what needs them."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from catalogsync.changes import (
    HeldReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.errors import RefusedError, TransientError
from catalogsync.events import ReferencesWritten
from catalogsync.models import Category, Field, Product, Unset
from catalogsync.planning import References
from catalogsync.protocols import ReferencingSink
from catalogsync.retry import RetryPolicy

from .tally import Tally

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
        tally: Counts categories.
        confirm: Called before each write; raises if this run may write no more.
        show: Takes each change instead of the sink; references to be created get
            made-up ids then. None: they are written.
        allowed: Asked before each change; False: it is refused.
    """

    sink: ReferencingSink
    source: str
    policy: RetryPolicy
    tally: Tally
    confirm: Confirm
    show: ShowReference | None = None
    allowed: Callable[[ReferenceChange], bool] = _any
    _ids: dict[_Name, str] = attrs.field(factory=dict[_Name, str])
    _refused: dict[_Name, str] = attrs.field(factory=dict[_Name, str])
    _tried: dict[Reference, Fate] = attrs.field(factory=dict[Reference, Fate])

    async def prepare(self, products: Iterable[Product]) -> None:
        """See to it that everything these products refer to is in the sink."""
        unknown: dict[_Name, Reference] = {}
        for product in products:
            self._collect(product, unknown)
        if unknown:
            await self._settle(list(unknown.values()))

    async def bring_about(self, references: Iterable[Reference]) -> None:
        """See to it that these are in the sink as they are wanted.

        Raises:
            TransientError: No try was left.
        """
        wanted: dict[_Name, Reference] = {}
        for reference in references:
            here: Reference | None = reference
            while here is not None:
                wanted.setdefault((here.kind, here.id), here)
                here = here.parent
        if wanted:
            await self._settle(list(wanted.values()))

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
            if self._is_new(ReferenceKind.CATEGORY, category.id):
                for reference in _line(category, self.source):
                    name = (ReferenceKind.CATEGORY, reference.id)
                    if self._is_new(*name):
                        unknown.setdefault(name, reference)
        for tag in product.tags or ():
            if self._is_new(ReferenceKind.TAG, tag):
                unknown[ReferenceKind.TAG, tag] = Reference(
                    kind=ReferenceKind.TAG, source=self.source, id=tag, name=tag
                )

    def _is_new(self, kind: ReferenceKind, id_: str) -> bool:
        return (kind, id_) not in self._ids and (kind, id_) not in self._refused

    async def _settle(self, wanted: Sequence[Reference]) -> None:
        """Bring these about; it goes on as long as it gets any further.

        Each of them may be a request of its own, so that in a large catalog hardly
        any round is without a fault.
        """
        while True:
            known = len(self._ids)
            try:
                return await self._repeat(wanted)
            except TransientError:
                if len(self._ids) == known:
                    raise

    async def _repeat(self, wanted: Sequence[Reference]) -> None:
        """Find these and write what is missing, as one unit that is repeated."""
        on_retry = self.tally.retrying("write categories and tags")
        async for attempt in self.policy.tries(on_retry=on_retry):
            with attempt:
                await self._bring_about(wanted)

    async def _bring_about(self, wanted: Sequence[Reference]) -> None:
        with self.tally.phase("find"):
            held = await self.sink.find_references(frozenset(wanted))
        for level in _levels(wanted):
            changes = list(self._changes(level, held))
            pending = {change.reference for change in changes}
            fates = [
                self._enter(reference, held[reference].id, Fate.EXISTING)
                for reference in level
                if reference in held and reference not in pending
            ]
            self._tell(fates)
            if changes:
                await self._write(changes)

    def _changes(
        self, level: Iterable[Reference], held: Mapping[Reference, HeldReference]
    ) -> Iterator[ReferenceChange]:
        for reference in level:
            parent = self._parent(reference)
            if reference.parent is not None and parent is None:
                reason = f"its parent {reference.parent.id!r} was refused"
                self._refused[reference.kind, reference.id] = reason
                continue
            current = held.get(reference)
            if current is None or _differs(reference, parent, current):
                change = ReferenceChange(
                    reference=reference, parent=parent, held=current
                )
                if self.allowed(change):
                    yield change
                elif current is None:
                    self._refused[reference.kind, reference.id] = _NOT_PLANNED

    def _parent(self, reference: Reference) -> str | None:
        if reference.parent is None:
            return None
        return self._ids.get((reference.kind, reference.parent.id))

    async def _write(self, changes: Sequence[ReferenceChange]) -> None:
        if self.show is not None:
            for change in changes:
                self.show(change)
            outcomes: Sequence[ReferenceOutcome] = list(map(_rehearsed, changes))
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
        self.tally.touched = True
        try:
            with self.tally.phase("write"):
                return await self.sink.write_references(changes)
        except TransientError:
            for change in changes:
                aim = Fate.CREATED if change.held is None else Fate.UPDATED
                self._tried.setdefault(change.reference, aim)
            raise

    def _note(self, change: ReferenceChange, outcome: ReferenceOutcome) -> Fate | None:
        reference = change.reference
        if outcome.id is None:
            self._refused[reference.kind, reference.id] = outcome.reason
            return None
        fate = Fate.CREATED if outcome.created else Fate.EXISTING
        return self._enter(
            reference, outcome.id, Fate.UPDATED if change.held is not None else fate
        )

    def _enter(self, reference: Reference, id_: str, fate: Fate) -> Fate:
        """Remember an id; what a write without an answer made counts as its work."""
        name = (reference.kind, reference.id)
        if fate is Fate.EXISTING:
            fate = self._tried.get(reference, fate)
        if name not in self._ids and reference.kind is ReferenceKind.CATEGORY:
            self.tally.categories[fate] += 1
        self._ids[name] = id_
        return fate

    def _tell(self, fates: Sequence[Fate | None]) -> None:
        created, updated = fates.count(Fate.CREATED), fates.count(Fate.UPDATED)
        if created or updated:
            event = ReferencesWritten(
                run_id=self.tally.run_id, created=created, updated=updated
            )
            self.tally.emit(event)


def _rehearsed(change: ReferenceChange) -> ReferenceOutcome:
    """What a write would give, with a made-up id."""
    id_ = change.held.id if change.held else f"new {change.reference.id}"
    return ReferenceOutcome(
        reference=change.reference, id=id_, created=change.held is None
    )


def _line(category: Category, source: str) -> Sequence[Reference]:
    """A category's references from the root down to itself."""
    line: deque[Category] = deque()
    here: Category | None = category
    while here is not None:
        line.appendleft(here)
        here = here.parent
    references: list[Reference] = []
    for item in line:
        references.append(
            Reference(
                kind=ReferenceKind.CATEGORY,
                source=source,
                id=item.id,
                name=item.name,
                parent=references[-1] if references else None,
            )
        )
    return references


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


def _differs(reference: Reference, parent: str | None, held: HeldReference) -> bool:
    """Whether one of ours is to be renamed or moved; others' are left alone."""
    if not held.ours or reference.kind is ReferenceKind.TAG:
        return False
    moved = parent is not None and held.parent != parent
    return moved or held.name != reference.name
