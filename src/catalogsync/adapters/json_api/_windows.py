"""Pages by offset or by number: which records to ask for next.

Each page except the first begins with the last record of the page before, so that a
list that moves in between is noticed. With an offset that is simple. With page numbers,
the size of the page varies a little: page 3 of 98 records begins at record 196, inside
page 2 of 99.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from catalogsync.errors import BrokenReplyError

__all__ = ["Window", "following", "windows"]

_CANDIDATES = 64


@attrs.frozen
class Window:
    """Some neighbouring records of a list.

    Attributes:
        begin: Index of the first one, from 0.
        size: How many to ask for.
        known: How many of them, at the beginning, belong to the page before.
    """

    begin: int
    size: int
    known: int = 0

    def __str__(self) -> str:
        return f"{self.begin}:{self.size}:{self.known}"

    @classmethod
    def parse(cls, cursor: str) -> Window:
        """The window that a cursor names.

        Raises:
            BrokenReplyError: It names none.
        """
        try:
            begin, size, known = map(int, cursor.split(":"))
        except ValueError:
            raise BrokenReplyError(f"{cursor!r} is not a page of this source") from None
        return cls(begin, size, known)


def following(end: int, most: int, *, numbered: bool, overlap: bool) -> Window:
    """The window that continues at *end*.

    Args:
        end: Number of records read so far.
        most: Largest size of a window.
        numbered: Whether a window must begin at a multiple of its size.
        overlap: Whether it should begin with a record that was read before.
    """
    if not numbered:
        known = min(end, 1) if overlap and most > 1 else 0
        return Window(end - known, most, known)
    sizes = range(most, max(most - _CANDIDATES, 1), -1) if overlap else ()
    usable = [size for size in sizes if end % size]
    best = [size for size in usable if _leads_on(end, size, most)] or usable
    size = max(best, key=lambda size: size - end % size, default=most)
    return Window(end - end % size, size, end % size)


def _leads_on(end: int, size: int, most: int) -> bool:
    """Whether the window after one of this size can overlap, too."""
    after = end - end % size + size
    return any(after % size for size in range(2, most + 1))


def windows(
    total: int, first: int, most: int, *, numbered: bool, overlap: bool
) -> Iterator[Window]:
    """The windows after the first page, up to the end of a list.

    Args:
        total: Number of records in the list.
        first: Number of records in the first page.
        most: Largest size of a window.
        numbered: Whether a window must begin at a multiple of its size.
        overlap: Whether each should begin with a record of the one before.
    """
    end = first
    while end < total:
        window = following(end, most, numbered=numbered, overlap=overlap)
        yield window
        end = window.begin + window.size
