"""Doing what a plan says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from catalogsync.changes import Action, Change, Ours, Reference, ReferenceChange
from catalogsync.errors import MisconfiguredError
from catalogsync.events import EventHook
from catalogsync.models import ProductKey
from catalogsync.planfile import Plan, PlanSource, basis
from catalogsync.protocols import Located, Sink
from catalogsync.receipt import Receipt
from catalogsync.runstore import RunStore

from .options import Options
from .pruning import removal
from .run import Run, make_run

__all__ = ["open_apply"]

_CHANGED = "it is no longer as it was when the plan was made; make a new plan"
_REMOVALS = frozenset({Action.RETIRE, Action.DELETE})
_SHOWN = 10


@attrs.frozen
class PlanApproval:
    """Lets through what stands in a plan, as long as its basis holds.

    Attributes:
        plan: The plan.
    """

    plan: Plan
    _unmet: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)

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
        return any(action in _REMOVALS for action, _ in self.plan.changes.values())

    def removal(self, held: Ours, /) -> Change | None:
        """The removal of a product, if the plan has it and it is as it was."""
        key = held.product.key
        action, planned = self.plan.changes.get(key, (None, ""))
        if action is None or action not in _REMOVALS:
            return None
        if action is Action.RETIRE and Receipt.parse(held.receipt).retired:
            return None
        change = removal(held, action)
        if basis(change) == planned:
            return change
        self._unmet.add(key)
        return None

    @property
    def unmet(self) -> str:
        """Which products stay though they were to be removed; empty: none."""
        if not self._unmet:
            return ""
        keys = sorted(map(str, self._unmet))
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        return f"not removed: {', '.join(keys[:_SHOWN])}{more}: {_CHANGED}"


def open_apply(
    plan: Plan,
    sink: Sink,
    *,
    options: Options | None = None,
    hooks: Iterable[EventHook] = (),
    store: RunStore | None = None,
) -> Run:
    """Make a run that does what a plan says, and nothing else.

    Products that are no longer as they were when the plan was made are left alone
    and listed as unsettled.

    Args:
        plan: The plan.
        sink: The sink that it was made for, open.
        options: Those with which it was made.
        hooks: Called for each event.
        store: As in `open_run`.

    Raises:
        MisconfiguredError: The plan was made for another sink.
    """
    place = sink.place if isinstance(sink, Located) else sink.name
    if place != plan.head.place:
        problem = f"was made for {plan.head.place}, and this is {place}"
        raise MisconfiguredError(str(plan.path), problem)
    return make_run(
        PlanSource(plan),
        sink,
        options=attrs.evolve(
            options or Options(), transform=None, prune=None, keys=None, limit=None
        ),
        job=plan.head.job,
        hooks=hooks,
        store=store,
        approve=PlanApproval(plan),
    )
