"""Trees of categories: the source's, the sink's, and what has to change. No I/O.

A category cannot be moved below itself. Whether a move is possible depends on where
the others are in the sink at that moment, which `SinkTree` keeps up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from catalogsync._lib.trees import ancestors
from catalogsync.catalog.changes import (
    ExistingReference,
    FieldDiff,
    Reference,
    ReferenceChange,
    ReferenceKind,
)
from catalogsync.catalog.products import Category, ProductKey
from catalogsync.diff.last_applied import LastApplied, digest
from catalogsync.diff.ownership import ManualEdit

__all__ = ["Decision", "SinkTree", "SourceTree", "decide", "levels"]

_NAME, _PARENT = "name", "parent"


@attrs.define
class SourceTree:
    """The source's tree; the first parent that it names for a category counts.

    A category is added after its parent, so there is never a cycle.

    Attributes:
        warn: Called with a message when the source contradicts itself.
    """

    source: str
    warn: Callable[[str], None]
    _known: dict[str, Reference] = attrs.field(factory=dict[str, Reference])

    def add(self, category: Category | Reference) -> Reference:
        """Add a category and its ancestors; returns it with the parent that counts."""
        new: dict[str, Category | Reference] = {}
        here: Category | Reference | None = category
        while here and here.id not in self._known and here.id not in new:
            new[here.id] = here
            here = here.parent
        parent = self._known.get(here.id) if here else None
        for item in reversed(new.values()):
            parent = self._known[item.id] = Reference(
                kind=ReferenceKind.CATEGORY,
                source=self.source,
                id=item.id,
                name=item.name,
                parent=parent,
            )
        self._check_parents(category)
        return self._known[category.id]

    def _check_parents(self, category: Category | Reference) -> None:
        """Warn of the first category with another parent than before.

        Its ancestors then are those of another place, and need no warning.
        """
        here: Category | Reference | None = category
        seen: set[str] = set()
        while here and here.id not in seen and (known := self._known.get(here.id)):
            seen.add(here.id)
            first, now = known.parent, here.parent
            if (first and first.id) != (now and now.id):
                return self._warn(here.id, first, now)
            here = now
        return None

    def _warn(
        self, id_: str, first: Reference | None, now: Category | Reference | None
    ) -> None:
        what = f"category {id_!r} has more than one parent in the source"
        if now and id_ in self._ancestry(now.id):
            what = f"category {id_!r} lies below itself in the source, in {now.id!r}"
        place = f"below {first.id!r}" if first else "at the top level"
        self.warn(f"{what}; it is put {place}, its first place in the source")

    def _ancestry(self, id_: str) -> set[str]:
        line = {id_}
        here = self._known.get(id_)
        while here and here.parent:
            here = here.parent
            line.add(here.id)
        return line


@attrs.define
class SinkTree:
    """The sink's tree as far as it is known, by the sink's ids."""

    _parents: dict[str, str | None] = attrs.field(factory=dict[str, str | None])
    _names: dict[str, str] = attrs.field(factory=dict[str, str])

    def learn(self, existing: ExistingReference) -> None:
        """Add a category as the sink has it."""
        self.place(existing.id, existing.name, existing.parent)
        self._parents.update(zip(existing.above, existing.above[1:], strict=False))
        if existing.above and existing.above[-1] not in (
            existing.id,
            *existing.above[:-1],
        ):
            self._parents[existing.above[-1]] = None

    def place(self, id_: str, name: str, parent: str | None) -> None:
        """Set the name and parent of a category."""
        self._parents[id_], self._names[id_] = parent, name

    def contains(self, id_: str, other: str) -> bool:
        """Whether the other category is this one or lies below it."""
        return id_ == other or id_ in ancestors(other, self._parents)

    def is_circular(self, id_: str) -> bool:
        """Whether a category lies below itself."""
        return id_ in ancestors(id_, self._parents)

    def label(self, id_: str | None) -> str | None:
        """The name of a category, or its id if the name is not known."""
        return None if id_ is None else self._names.get(id_, id_)


@attrs.frozen(kw_only=True)
class Decision:
    """What has to happen to a category or tag.

    Attributes:
        change: The change; None: nothing has to be written.
        manual_edits: Names and parents that people edited.
        problem: Why it cannot be moved to its parent; empty: it can.
    """

    change: ReferenceChange | None = None
    manual_edits: tuple[ManualEdit, ...] = ()
    problem: str = ""


def decide(
    reference: Reference,
    parent: str | None,
    existing: ExistingReference | None,
    tree: SinkTree,
    *,
    keep: bool,
) -> Decision:
    """Compare a category or tag of the source with the sink.

    Args:
        reference: The category or tag in the source.
        parent: The sink's id of its parent; None: it belongs at the top level.
        existing: The category or tag in the sink; None: there is none.
        tree: The sink's tree.
        keep: Whether manual edits stay.
    """
    applied = {_NAME: digest(reference.name), _PARENT: digest(parent)}
    if existing is None:
        return Decision(change=_change(reference, parent, None, applied))
    if not existing.ours or reference.kind is not ReferenceKind.CATEGORY:
        return Decision()
    before = LastApplied.parse(existing.last_applied).fields
    manual_edits = _manual_edits(reference, parent, existing, before, tree, keep=keep)
    kept = {edit.diff.path for edit in manual_edits if edit.kept}
    name = existing.name if _path(_NAME) in kept else reference.name
    target = existing.parent if _path(_PARENT) in kept else parent
    problem = ""
    if target not in {None, existing.parent} and tree.contains(
        existing.id, str(target)
    ):
        problem = _impossible(reference, target, tree)
        target = existing.parent
        applied = {**before, _NAME: applied[_NAME]}
    change = _change(reference, target, existing, applied, name=name)
    is_noted = existing.last_applied is None or before == applied
    if is_noted and (name, target) == (existing.name, existing.parent):
        return Decision(manual_edits=manual_edits, problem=problem)
    return Decision(change=change, manual_edits=manual_edits, problem=problem)


def _change(
    reference: Reference,
    parent: str | None,
    existing: ExistingReference | None,
    applied: Mapping[str, str],
    *,
    name: str | None = None,
) -> ReferenceChange:
    return ReferenceChange(
        reference=reference,
        name=reference.name if name is None else name,
        parent=parent,
        existing=existing,
        last_applied=LastApplied(fields=applied).text(),
    )


def _manual_edits(
    reference: Reference,
    parent: str | None,
    existing: ExistingReference,
    before: Mapping[str, str],
    tree: SinkTree,
    *,
    keep: bool,
) -> tuple[ManualEdit, ...]:
    """Differences although the source still has what we wrote.

    A cycle never stays, whoever made it.
    """
    circular = tree.is_circular(existing.id)
    above = reference.parent
    values = (
        (_NAME, (existing.name, reference.name), (existing.name, reference.name), keep),
        (
            _PARENT,
            (existing.parent, parent),
            (tree.label(existing.parent), above.name if above else None),
            keep and not circular,
        ),
    )
    return tuple(
        ManualEdit(
            key=ProductKey(reference.source, reference.id),
            diff=FieldDiff(path=_path(part), old=shown[0], new=shown[1]),
            kept=stays,
        )
        for part, (old, new), shown, stays in values
        if old != new and before.get(part) == digest(new)
    )


def _path(part: str) -> str:
    return f"category.{part}"


def _impossible(reference: Reference, target: str | None, tree: SinkTree) -> str:
    return (
        f"category {reference.id!r} stays where it is: {tree.label(target)!r}, where"
        " the source puts it, lies below it in the sink; move one of them by hand"
    )


def levels(references: Sequence[Reference]) -> Iterator[Sequence[Reference]]:
    """Levels of the tree, the top one first."""
    depths: dict[int, list[Reference]] = {}
    for reference in references:
        depth, parent = 0, reference.parent
        while parent is not None:
            depth, parent = depth + 1, parent.parent
        depths.setdefault(depth, []).append(reference)
    for depth in sorted(depths):
        yield depths[depth]
