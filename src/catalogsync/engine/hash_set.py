"""A set of hashes that stays small, however large the catalog is."""

from __future__ import annotations

from array import array

__all__ = ["HashSet"]

_INITIAL_SLOTS = 1024
_BITS = (1 << 64) - 1


class HashSet:
    """Hashes, each with a number, in 18 to 36 bytes; a dict takes about 100.

    Open addressing in arrays of integers, at most two thirds full. Two values with the
    same 64-bit hash count as one.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _INITIAL_SLOTS))
        self._numbers = array("I", bytes(4 * _INITIAL_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, hash_: int) -> bool:
        return self._slots[self._find(hash_)] != 0

    def add(self, hash_: int) -> bool:
        """Add a hash; whether it is new."""
        before = self._count
        self.number_of(hash_, 0)
        return self._count > before

    def number_of(self, hash_: int, number: int) -> int:
        """Add a hash with a number, and return the number that it was added with."""
        slot = self._find(hash_)
        if self._slots[slot]:
            return self._numbers[slot]
        self._slots[slot] = hash_ & _BITS or 1
        self._numbers[slot] = number
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return number

    def _find(self, hash_: int) -> int:
        """The slot of this hash, or the empty one where it belongs; 0 is empty."""
        slots = self._slots
        key = hash_ & _BITS or 1
        last = len(slots) - 1
        slot = key & last
        while slots[slot] not in {0, key}:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        slots, numbers = self._slots, self._numbers
        self._slots = array("Q", bytes(16 * len(slots)))
        self._numbers = array("I", bytes(8 * len(slots)))
        for hash_, number in zip(slots, numbers, strict=True):
            if hash_:
                slot = self._find(hash_)
                self._slots[slot], self._numbers[slot] = hash_, number
