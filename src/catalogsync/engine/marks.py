"""A set of hashes that stays small, however large the catalog is."""

from __future__ import annotations

from array import array

__all__ = ["Marks"]

_START = 1024
_BITS = (1 << 64) - 1


class Marks:
    """Remembers hashes, each with a number, in 18 to 36 bytes; a dict takes about 100.

    Open addressing in arrays of whole numbers, at most two thirds full.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _START))
        self._numbers = array("I", bytes(4 * _START))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, mark: int) -> bool:
        return self._slots[self._find(mark)] != 0

    def add(self, mark: int) -> bool:
        """Remember a hash; says whether it is new."""
        before = self._count
        self.note(mark, 0)
        return self._count > before

    def note(self, mark: int, number: int) -> int:
        """Remember a hash with a number; gives the number that it came with first."""
        slot = self._find(mark)
        if self._slots[slot]:
            return self._numbers[slot]
        self._slots[slot] = mark & _BITS or 1
        self._numbers[slot] = number
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return number

    def _find(self, mark: int) -> int:
        """The slot where this hash is, or would be; 0 marks an empty one."""
        slots = self._slots
        desired = mark & _BITS or 1
        last = len(slots) - 1
        slot = desired & last
        while slots[slot] not in {0, desired}:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        slots, numbers = self._slots, self._numbers
        self._slots = array("Q", bytes(16 * len(slots)))
        self._numbers = array("I", bytes(8 * len(slots)))
        for mark, number in zip(slots, numbers, strict=True):
            if mark:
                slot = self._find(mark)
                self._slots[slot], self._numbers[slot] = mark, number
