"""Doing what a plan says, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import attrs

from catalogsync.catalog.changes import (
    Action,
    Change,
    Existing,
    Reference,
    ReferenceChange,
)
from catalogsync.catalog.products import ProductKey
from catalogsync.diff.last_applied import LastApplied
from catalogsync.plans import Plan, basis
from catalogsync.protocols import RemovingSink

from . import promises
from .removing import in_full, is_writer, removal

__all__ = ["PlanApproval"]

_CHANGED = "it is no longer as it was when the plan was made; make a new plan"
_REMOVALS = frozenset({Action.UNPUBLISH, Action.DELETE})
_SHOWN = 10


@attrs.frozen
class PlanApproval:
    """Lets through what stands in a plan, as long as its basis holds.

    Attributes:
        plan: The plan.
    """

    plan: Plan
    _unmet: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _absent: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)

    def change(self, change: Change, /) -> str:
        """Why a change must not be made; empty if it may."""
        planned = self.plan.changes.get(change.key)
        same = planned == (change.action, basis(change))
        return "" if same else _CHANGED

    def reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        return self.plan.references.get(change.reference) == basis(change)

    @property
    def references(self) -> Iterable[Reference]:
        """Those that are written, also if no planned product needs them."""
        return self.plan.references

    @property
    def removes(self) -> bool:
        """Whether products are removed."""
        return bool(self._removed())

    def _removed(self) -> dict[ProductKey, Action]:
        changes = self.plan.changes.items()
        return {key: action for key, (action, _) in changes if action in _REMOVALS}

    async def removals(self, sink: RemovingSink, source: str, /) -> Sequence[Change]:
        """The removals of those that are as they were when the plan was made."""
        removed = self._removed()
        there = [
            removal(existing, removed[existing.product.key])
            async for page in promises.owned(sink, source)
            for existing in page
            if existing.product.key in removed
        ]
        deleted = [
            c.existing for c in there if c.existing and c.action is Action.DELETE
        ]
        full = await in_full(sink, deleted)
        self._unmet.clear()
        self._absent.clear()
        self._absent.update(removed)
        changes: list[Change] = []
        for change in (
            *(change for change in there if change.action is Action.UNPUBLISH),
            *(removal(existing, Action.DELETE) for existing in full),
        ):
            done = change.action is Action.UNPUBLISH and _is_unpublished(change)
            met = basis(change) == self.plan.changes[change.key][1]
            met = met and is_writer(_last_applied(change.existing), self.plan.head.job)
            self._absent.discard(change.key)
            if done:
                continue
            if met:
                changes.append(change)
            else:
                self._unmet.add(change.key)
        return changes

    def remains(self, change: Change, existing: Existing, /) -> bool:
        """Whether a product is still as it was when its removal was approved."""
        if change.action is Action.DELETE:
            same = basis(removal(existing, change.action)) == basis(change)
        else:
            same = change.existing is not None and _shown(existing) == _shown(
                change.existing
            )
        if not same:
            self._unmet.add(change.key)
        return same

    @property
    def unmet(self) -> str:
        """Which products stay though they were to be removed; empty: none."""
        return f"not removed: {_told(self._unmet)}: {_CHANGED}" if self._unmet else ""

    @property
    def absent(self) -> str:
        """Which products were to be removed and are not ours to remove; empty: none."""
        if not self._absent:
            return ""
        return f"not removed: {_told(self._absent)}: not there any more, or not ours"


def _told(keys: Collection[ProductKey]) -> str:
    texts = sorted(map(str, keys))
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _is_unpublished(change: Change) -> bool:
    return _last_applied(change.existing).unpublished


def _last_applied(existing: Existing | None) -> LastApplied:
    return LastApplied.parse(existing.last_applied if existing else None)


def _shown(existing: Existing) -> tuple[object, ...]:
    """What is looked at before a product is retired."""
    return existing.last_applied, existing.product.title, existing.product.status
