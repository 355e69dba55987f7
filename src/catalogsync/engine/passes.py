"""What one pass over a source saw, to tell whether the source kept its word."""

from __future__ import annotations

from collections import Counter

import attrs

from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import BrokenReplyError, TransientError
from catalogsync.protocols import Page

from .marks import Marks

__all__ = ["Pass", "Repeat"]

_MOST_REPEATING = 100
_MOST_IDLE = 1000


@attrs.frozen
class Repeat:
    """A key that stands twice in a source.

    Attributes:
        key: Which.
        first: The record that has it first, counted from 1 in the order of reading.
        second: The record that has it again.
    """

    key: ProductKey
    first: int
    second: int

    def rejected(self) -> Rejected:
        """The second record, as one that is set aside."""
        reason = f"{self.key} stands twice in the source: first as record {self.first}"
        return Rejected(key=self.key, reason=reason, where=f"record {self.second}")


@attrs.define
class Pass:
    """What one pass saw.

    Attributes:
        keys: Of all records, by their hash, with their places.
        nameless: Records without a readable key, and how often each came.
        repeats: Keys that came again.
        records: How many records there were.
        total: How many the source told of.
        last: Where the page before ended; None: it cannot be said, or was lost.
        lost: Pages that could not be read, and why.
        problem: How the source broke its word, other than by repeats.
    """

    keys: Marks = attrs.field(factory=Marks)
    nameless: Counter[Rejected] = attrs.field(factory=Counter[Rejected])
    repeats: list[Repeat] = attrs.field(factory=list[Repeat])
    records: int = 0
    total: int | None = None
    last: ProductKey | None = None
    lost: list[str] = attrs.field(factory=list[str])
    problem: str = ""
    _place: int = 0
    _known: int = 0
    _repeated: int = 0
    _idle: int = 0
    _repeating: int = 0

    def lose(self, what: str, error: TransientError) -> None:
        """A page could not be read."""
        text = f"could not {what}: {error}"
        self.lost.append(text)
        if isinstance(error, BrokenReplyError):
            self.problem = text

    def begin(self, page: Page) -> None:
        """A page came; its records follow."""
        self._known, self._repeated = len(self.keys), len(self.repeats)
        self.records += len(page.products) + len(page.rejected)
        self._follow(page)
        if page.total is None:
            return
        if self.total is not None and page.total != self.total:
            self.problem = f"the source's total moved from {self.total} to {page.total}"
        self.total = page.total

    def _follow(self, page: Page) -> None:
        before, last = page.before, self.last
        if before is not None and last is not None and before != last:
            stands = f"{before} stands where {last} stood"
            self.problem = f"the source's list moved while it was read ({stands})"
        self.last = page.last

    def first_time(self, key: ProductKey) -> bool:
        """Whether the next record is the first with its key."""
        self._place += 1
        first = self.keys.note(hash(key), self._place)
        if first == self._place:
            return True
        self.repeats.append(Repeat(key, first, self._place))
        return False

    def first_nameless(self, record: Rejected) -> int:
        """The next record has no key; says how many like it there are."""
        self._place += 1
        self.nameless[record] += 1
        return self.nameless[record]

    def end(self, page: Page) -> None:
        """All records of a page are in.

        Raises:
            BrokenReplyError: By all that was read, the source does not end.
        """
        if len(self.keys) > self._known:
            self._idle = self._repeating = 0
            return
        self._idle += 1
        self._repeating += len(self.repeats) > self._repeated
        if why := self._endless(page):
            raise BrokenReplyError(f"the source does not end: {why}")

    def _endless(self, page: Page) -> str:
        """Why there seem to be pages for ever, after one with nothing new."""
        distinct = len(self.keys) + self.nameless.total()
        if page.next and self.total is not None and 0 < self.total <= distinct:
            in_full = f"all {self.total} products of its total are in"
            return f"a page with nothing new names another one, though {in_full}"
        if self._repeating >= _MOST_REPEATING:
            return f"{self._idle} pages in a row only repeat what was read"
        if self._idle >= _MOST_IDLE:
            return f"{self._idle} pages in a row hold no product"
        return ""

    def verdict(self) -> str:
        """What the source did wrong; empty if it kept its word."""
        if self.problem:
            return self.problem
        if self.repeats:
            return f"the source gave {self.repeats[0].key} twice"
        if not self.lost and self.total not in {None, self.records}:
            return f"the source gave {self.records} of {self.total} products"
        return ""

    def repeats_as(self, before: Pass) -> bool:
        """Whether the same keys stand twice in the same places as in the pass before.

        Then it is no sign of a list that moves, but a mistake in the source.
        """
        whole = not self.problem and not self.lost
        counted = self.total in {None, self.records}
        return whole and counted and self.repeats == before.repeats
