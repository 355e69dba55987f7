"""Approving what a saved plan contains, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import attrs

from catalogsync.catalog.changes import (
    Action,
    Delete,
    Existing,
    Reference,
    ReferenceChange,
    Removal,
    Unpublish,
    Write,
)
from catalogsync.catalog.products import ProductKey
from catalogsync.diff.last_applied import LastApplied
from catalogsync.plans import Plan, fingerprint
from catalogsync.protocols import RemovingSink

from . import promises
from .removing import find_whole, is_writer, removal

__all__ = ["PlanApproval"]

_CHANGED = "it has changed since the plan was made; make a new plan"
_REMOVALS = frozenset({Action.UNPUBLISH, Action.DELETE})
_MAX_LISTED = 10


@attrs.frozen
class PlanApproval:
    """Allows the changes of a plan whose products are still as they were.

    Attributes:
        plan: The plan.
    """

    plan: Plan
    _stale: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _gone: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)

    def objection(self, change: Write, /) -> str:
        """Why a change must not be made; empty: it may."""
        planned = self.plan.changes.get(change.key)
        same = planned == (change.action, fingerprint(change))
        return "" if same else _CHANGED

    def allows_reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        return self.plan.references.get(change.reference) == fingerprint(change)

    @property
    def references(self) -> Iterable[Reference]:
        """Categories and tags to write, whether a planned product needs them or not."""
        return self.plan.references

    @property
    def removes(self) -> bool:
        """Whether there are removals."""
        return bool(self._removed())

    def _removed(self) -> dict[ProductKey, Action]:
        changes = self.plan.changes.items()
        return {key: action for key, (action, _) in changes if action in _REMOVALS}

    async def removals(self, sink: RemovingSink, source: str, /) -> Sequence[Removal]:
        """The planned removals of products that have not changed since."""
        removed = self._removed()
        found = [
            removal(existing, removed[existing.product.key])
            async for page in promises.owned(sink, source)
            for existing in page
            if existing.product.key in removed
        ]
        deleted = [c.existing for c in found if isinstance(c, Delete)]
        whole = await find_whole(sink, deleted)
        self._stale.clear()
        self._gone.clear()
        self._gone.update(removed)
        changes: list[Removal] = []
        candidates: Iterable[Removal] = (
            *(change for change in found if isinstance(change, Unpublish)),
            *(Delete(existing=existing) for existing in whole),
        )
        for change in candidates:
            last_applied = LastApplied.parse(change.existing.last_applied)
            done = isinstance(change, Unpublish) and last_applied.unpublished
            same = fingerprint(change) == self.plan.changes[change.key][1]
            ours = is_writer(last_applied, self.plan.head.job)
            self._gone.discard(change.key)
            if done:
                continue
            if same and ours:
                changes.append(change)
            else:
                self._stale.add(change.key)
        return changes

    def is_removable(self, change: Removal, existing: Existing, /) -> bool:
        """Whether a product is still as it was when `removals` approved it."""
        if isinstance(change, Delete):
            same = fingerprint(Delete(existing=existing)) == fingerprint(change)
        else:
            same = _relevant(existing) == _relevant(change.existing)
        if not same:
            self._stale.add(change.key)
        return same

    @property
    def stale(self) -> str:
        """Removals that were not made because the product changed; empty: none."""
        return f"not removed: {_listed(self._stale)}: {_CHANGED}" if self._stale else ""

    @property
    def gone(self) -> str:
        """Removals without a product of ours to remove; empty: none."""
        if not self._gone:
            return ""
        return f"not removed: {_listed(self._gone)}: no longer there, or not ours"


def _listed(keys: Collection[ProductKey]) -> str:
    texts = sorted(map(str, keys))
    more = f" and {len(texts) - _MAX_LISTED} more" if len(texts) > _MAX_LISTED else ""
    return ", ".join(texts[:_MAX_LISTED]) + more


def _relevant(existing: Existing) -> tuple[object, ...]:
    """What must not have changed before a product is unpublished."""
    return existing.last_applied, existing.product.title, existing.product.status
