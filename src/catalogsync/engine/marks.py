"""A set of hashes that stays small, however large the catalog is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

__all__ = ["Marks"]

_START = 1024
_BITS = (1 << 64) - 1


class Marks:
    """Remembers hashes in 12 to 24 bytes each, where a set takes about 100.

    Open addressing in an array of whole numbers, at most two thirds full.
    """

    def __init__(self, marks: Iterable[int] = ()) -> None:
        self._slots = array("Q", bytes(8 * _START))
        self._count = 0
        for mark in marks:
            self.add(mark)

    def __contains__(self, mark: int) -> bool:
        return self._slots[self._find(mark)] != 0

    def add(self, mark: int) -> bool:
        """Remember a hash; says whether it is new."""
        slot = self._find(mark)
        if self._slots[slot]:
            return False
        self._slots[slot] = mark & _BITS or 1
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def _find(self, mark: int) -> int:
        """The slot where this hash is, or would be; 0 marks an empty one."""
        slots = self._slots
        wanted = mark & _BITS or 1
        last = len(slots) - 1
        slot = wanted & last
        while slots[slot] not in {0, wanted}:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", bytes(16 * len(before)))
        for mark in before:
            if mark:
                self._slots[self._find(mark)] = mark
