"""Which changes a run may make: those of a saved plan, or only releases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from catalogsync.catalog.changes import Reference, ReferenceChange, Write

from .removing import Removals

__all__ = ["Approval"]


class Approval(Removals, Protocol):
    """Decides which changes a run may make, and what it removes."""

    @property
    def references(self) -> Iterable[Reference]:
        """Categories and tags to write, whether a product needs them or not."""
        ...

    def objection(self, change: Write, /) -> str:
        """Why a change must not be made; empty: it may."""
        ...

    def allows_reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        ...
