"""Collecting changes instead of writing them.

A run that only plans shows each change (`PlanCollector`). A run with a guard keeps all of
them back until it has seen the last one (`guarding`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import attrs

from catalogsync.catalog.changes import Change, ReferenceChange, Removal, Write
from catalogsync.catalog.products import Product

from .recorder import Recorder
from .removing import Removals

__all__ = ["Collector", "OnChange", "PlanCollector"]

OnChange: TypeAlias = Callable[[Change | ReferenceChange], None]


class Collector(Protocol):
    """Takes the changes of a run in place of the sink."""

    def batch(self, changes: Sequence[Write], /) -> None:
        """Take what would be one write."""
        ...

    def unchanged(self, product: Product, /) -> None:
        """Take a product that needs no change, unless it is only recognised."""
        ...

    def reference(self, change: ReferenceChange, /) -> None:
        """Take the change of a category or tag."""
        ...

    def removals(self, changes: Sequence[Removal], of: Removals, /) -> None:
        """Take all removals of the run, and what chose them."""
        ...

    @property
    def on_excess(self) -> Callable[[str], None] | None:
        """As in `Pruner`, for more removals than `max_prune` allows."""
        ...


@attrs.frozen
class PlanCollector:
    """Shows each change, and records the outcome that a real run would have."""

    on_change: OnChange
    recorder: Recorder
    on_excess: None = None

    def batch(self, changes: Sequence[Write], /) -> None:
        """Show the changes of a batch."""
        self.recorder.add_batch(len(changes))
        for change in changes:
            self.on_change(change)
            self.recorder.record(change.done())

    def unchanged(self, _: Product, /) -> None:
        """Nothing to show."""

    def reference(self, change: ReferenceChange, /) -> None:
        """Show the change of a category or tag."""
        self.on_change(change)

    def removals(self, changes: Sequence[Removal], _: Removals, /) -> None:
        """Show the removals."""
        for change in changes:
            self.on_change(change)
            self.recorder.open_removal(change)
            self.recorder.record(change.done())
