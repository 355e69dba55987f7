"""Approvals: restricting a run to changes that somebody has allowed.

The planner asks an `Approval` about each change of a product, the references about each
of theirs, and at the end it says what is removed. A run of `apply` has a
`PlanApproval`, which allows what is in a saved plan, and one of `release` a
`ReleaseApproval`. The second pass of a guarded run allows what the first one kept back
(`guarding`). Other runs have none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import attrs

from catalogsync.catalog.changes import (
    Action,
    Delete,
    Existing,
    Reference,
    ReferenceChange,
    Removal,
    SellOut,
    Unpublish,
    Write,
)
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.diff.last_applied import LastApplied
from catalogsync.plans import Plan, fingerprint
from catalogsync.protocols import RemovingSink, Sink
from catalogsync.retry import RetryPolicy

from .recorder import Recorder
from .removing import (
    Removals,
    find_whole,
    is_writer,
    needed,
    owned,
    recheck,
    removal,
)

__all__ = ["Approval", "PlanApproval"]

_CHANGED = "it has changed since the plan was made; make a new plan"
_REMOVALS = frozenset({Action.UNPUBLISH, Action.SELL_OUT, Action.DELETE})
_MAX_LISTED = 10


class Approval(Removals, Protocol):
    """Decides which changes a run may make, and what it removes."""

    @property
    def references(self) -> Iterable[Reference]:
        """Categories and tags to write, whether a product needs them or not."""
        ...

    def objection(self, change: Write, /) -> Outcome | None:
        """The outcome of a change that must not be made; None: it may."""
        ...

    def allows_reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        ...


@attrs.frozen
class PlanApproval:
    """Allows the changes of a plan whose products are still as they were."""

    plan: Plan
    sink: Sink
    policy: RetryPolicy
    recorder: Recorder
    problem: str = "could not remove products"
    _changed: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _gone: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)

    @property
    def references(self) -> Iterable[Reference]:
        """Those of the plan."""
        return self.plan.references

    def objection(self, change: Write, /) -> Outcome | None:
        """The outcome of a change that the plan does not have."""
        planned = self.plan.changes.get(change.key)
        if planned == (change.action, fingerprint(change)):
            return None
        return Outcome(change.key, OutcomeStatus.UNRESOLVED, _CHANGED)

    def allows_reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        return self.plan.references.get(change.reference) == fingerprint(change)

    async def choose(self) -> Sequence[Removal]:
        """Those whose product has not changed since the plan was made."""
        changes = self.plan.changes.items()
        removed = {key: action for key, (action, _) in changes if action in _REMOVALS}
        if not removed or not isinstance(self.sink, RemovingSink):
            return []
        find = partial(self._still_there, self.sink, removed)
        candidates = await self.recorder.repeated(
            find, "list our products", self.policy
        )
        self._gone.update(removed.keys() - {change.key for change in candidates})
        return [change for change in candidates if self._is_as_planned(change)]

    async def _still_there(
        self, sink: RemovingSink, removed: Mapping[ProductKey, Action]
    ) -> list[Removal]:
        """The removals of planned products that exist."""
        found = [
            removal(existing, removed[existing.product.key])
            async for existing in owned(sink, self.plan.head.source)
            if existing.product.key in removed
        ]
        others = [c.existing for c in found if not isinstance(c, Unpublish)]
        whole = await find_whole(sink, others)
        return [
            *(change for change in found if isinstance(change, Unpublish)),
            *(removal(each, removed[each.product.key]) for each in whole),
        ]

    def _is_as_planned(self, change: Removal) -> bool:
        last_applied = LastApplied.parse(change.existing.last_applied)
        if isinstance(change, Unpublish) and last_applied.unpublished:
            return False  # it is done
        if isinstance(change, SellOut) and last_applied.sold_out:
            return False
        same = fingerprint(change) == self.plan.changes[change.key][1]
        ours = is_writer(last_applied, self.plan.head.job)
        return self._noted(change, same=same and ours)

    async def recheck(self, changes: Sequence[Removal], /) -> Sequence[Removal]:
        """Those whose product is still as it was when it was chosen."""
        fields = needed(change.action for change in changes)
        same, recorder = self._is_same, self.recorder
        return await recheck(self.sink, changes, same, recorder, fields=fields)

    def _is_same(self, existing: Existing, change: Removal) -> bool:
        if isinstance(change, Delete):
            same = fingerprint(Delete(existing=existing)) == fingerprint(change)
        else:
            same = _relevant(existing) == _relevant(change.existing)
        return self._noted(change, same=same)

    def _noted(self, change: Removal, *, same: bool) -> bool:
        if not same:
            self._changed.add(change.key)
        return same

    def close(self) -> None:
        """Report products that changed or are gone since the plan was made."""
        if self._changed:
            text = f"not removed: {_listed(self._changed)}: {_CHANGED}"
            self.recorder.add_problem(text)
        if self._gone:
            what = f"not removed: {_listed(self._gone)}"
            self.recorder.warn(f"{what}: no longer there, or not ours")


def _listed(keys: Collection[ProductKey]) -> str:
    texts = sorted(map(str, keys))
    more = f" and {len(texts) - _MAX_LISTED} more" if len(texts) > _MAX_LISTED else ""
    return ", ".join(texts[:_MAX_LISTED]) + more


def _relevant(existing: Existing) -> tuple[object, ...]:
    """What must not have changed before a product is unpublished or sold out."""
    return existing.last_applied, existing.product.title, existing.product.status
