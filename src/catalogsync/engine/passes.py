"""What one pass over a source saw, and whether it was consistent.

A pass keeps the hash of each key. The `reader` asks for its verdict and decides whether
there is a second one.
"""

from __future__ import annotations

from collections import Counter

import attrs

from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import BrokenReplyError, TransientError
from catalogsync.protocols import Page

from .hash_set import HashSet

__all__ = ["Pass", "Repeat"]

_MAX_REPEATING_PAGES = 100
_MAX_IDLE_PAGES = 1000


@attrs.frozen
class Repeat:
    """A key that appears twice in a source.

    Attributes:
        key: The key.
        first: Number of its first record, from 1 in the order of reading.
        second: Number of the record that repeats it.
    """

    key: ProductKey
    first: int
    second: int

    def rejected(self) -> Rejected:
        """The second record, as a rejected one."""
        reason = f"{self.key} appears twice in the source, first in record {self.first}"
        return Rejected(key=self.key, reason=reason, where=f"record {self.second}")


@attrs.define
class Pass:
    """What one pass saw.

    Attributes:
        keys: Hashes of all keys, each with the number of its first record.
        keyless: Records without a readable key, and how often each appeared.
        repeats: Keys that appeared again.
        records: Number of records.
        total: Number of records that the source announced; None: it did not.
        last: Last key of the page before; None: not known.
        lost: Pages that could not be read, and why.
        problem: What was inconsistent, other than repeated keys.
    """

    keys: HashSet = attrs.field(factory=HashSet)
    keyless: Counter[Rejected] = attrs.field(factory=Counter[Rejected])
    repeats: list[Repeat] = attrs.field(factory=list[Repeat])
    records: int = 0
    total: int | None = None
    last: ProductKey | None = None
    lost: list[str] = attrs.field(factory=list[str])
    problem: str = ""
    _number: int = 0
    _keys_before: int = 0
    _repeats_before: int = 0
    _idle: int = 0
    _repeating: int = 0

    def add_lost(self, what: str, error: TransientError) -> None:
        """Note that a page could not be read."""
        text = f"could not {what}: {error}"
        self.lost.append(text)
        if isinstance(error, BrokenReplyError):
            self.problem = text

    def begin(self, page: Page) -> None:
        """Begin a page; its records follow."""
        self._keys_before, self._repeats_before = len(self.keys), len(self.repeats)
        self.records += sum(map(len, (page.products, page.rejected, page.deleted)))
        self._check_order(page)
        if page.total is None:
            return
        if self.total is not None and page.total != self.total:
            self.problem = f"the source's total moved from {self.total} to {page.total}"
        self.total = page.total

    def _check_order(self, page: Page) -> None:
        before, last = page.before, self.last
        if before is not None and last is not None and before != last:
            moved = f"{before} is now where {last} was"
            self.problem = f"the source's list moved while it was read ({moved})"
        self.last = page.last

    def add_key(self, key: ProductKey) -> bool:
        """Add the key of the next record; whether it is the first with this key."""
        self._number += 1
        first = self.keys.number_of(hash(key), self._number)
        if first == self._number:
            return True
        self.repeats.append(Repeat(key, first, self._number))
        return False

    def add_keyless(self, record: Rejected) -> int:
        """Add a record without a key; how many equal ones there are now."""
        self._number += 1
        self.keyless[record] += 1
        return self.keyless[record]

    def end(self, page: Page) -> None:
        """End a page.

        Raises:
            BrokenReplyError: The source seems to go on forever.
        """
        if len(self.keys) > self._keys_before:
            self._idle = self._repeating = 0
            return
        self._idle += 1
        self._repeating += len(self.repeats) > self._repeats_before
        if why := self._why_endless(page):
            raise BrokenReplyError(f"the source does not end: {why}")

    def _why_endless(self, page: Page) -> str:
        """Why pages seem to go on forever; empty: they do not."""
        distinct = len(self.keys) + self.keyless.total()
        if page.next and self.total is not None and 0 < self.total <= distinct:
            complete = f"all {self.total} products of its total were read"
            return f"a page with nothing new names another one, though {complete}"
        if self._repeating >= _MAX_REPEATING_PAGES:
            return f"{self._idle} pages in a row only repeat what was read"
        if self._idle >= _MAX_IDLE_PAGES:
            return f"{self._idle} pages in a row contain no product"
        return ""

    def verdict(self) -> str:
        """What was inconsistent; empty: nothing."""
        if self.problem:
            return self.problem
        if self.repeats:
            return f"the source gave {self.repeats[0].key} twice"
        if not self.lost and self.total not in {None, self.records}:
            return f"the source gave {self.records} of {self.total} products"
        return ""

    def repeats_as(self, before: Pass) -> bool:
        """Whether exactly the same records repeat keys as in the pass before.

        Then the list did not move: the duplicates are a mistake in the source.
        """
        whole = not self.problem and not self.lost
        counted = self.total in {None, self.records}
        return whole and counted and self.repeats == before.repeats
