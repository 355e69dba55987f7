"""Reading pages ahead and handing them out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)

import attrs

from catalogsync.batching import ROOM, weight_of
from catalogsync.errors import BrokenReplyError
from catalogsync.protocols import Cursor, Page

from .marks import Marks

__all__ = ["Read", "is_cancelled", "read_ahead"]

_AHEAD = 4 * ROOM


@attrs.frozen
class Read:
    """A page that was read.

    Attributes:
        page: The page.
        weights: How heavy each of its products is.
    """

    page: Page
    weights: Sequence[int]

    @classmethod
    def of(cls, page: Page) -> Read:
        """Weigh a page."""
        return cls(page, [weight_of(product) for product in page.products])


ReadPage = Callable[[Cursor | None], Awaitable[Read | None]]


@attrs.define
class _Cursors:
    """The cursors that a source named, taken one by one and each once.

    Attributes:
        twice: One that was named twice; then there are no more.
    """

    twice: Cursor | None = None
    _named: deque[Iterator[Cursor]] = attrs.field(factory=deque[Iterator[Cursor]])
    _known: Marks = attrs.field(factory=Marks)

    def add(self, named: Iterable[Cursor]) -> None:
        """The source named these."""
        self._named.append(iter(named))

    def pop(self) -> Cursor | None:
        """The next one; None: there is none now."""
        while self._named and self.twice is None:
            cursor = next(self._named[0], None)
            if cursor is None:
                self._named.popleft()
            elif self._known.add(hash(cursor)):
                return cursor
            else:
                self.twice = cursor
        return None


async def read_ahead(
    read: ReadPage, *, ahead: int, group: asyncio.TaskGroup
) -> AsyncGenerator[Read | None, None]:
    """Read a source from its beginning to its end.

    Args:
        read: Reads one page; None is a page that could not be read.
        ahead: Pages that are read before they are asked for, at most. There are
            fewer where pages are heavy.
        group: Owns the tasks; those under way are cancelled when this is closed.

    Yields:
        The pages in order, None in the place of one that could not be read.

    Raises:
        BrokenReplyError: The source named a page twice.
    """
    cursors, heaviest = _Cursors(), 1
    window: deque[asyncio.Task[Read | Exception | None]] = deque()

    def take(page: Read | None) -> None:
        nonlocal heaviest
        if page is not None:
            cursors.add(page.page.next)
            heaviest = max(heaviest, sum(page.weights))
        most = min(ahead, max(1, _AHEAD // heaviest))
        while len(window) < most and (cursor := cursors.pop()) is not None:
            work = _settled(read, cursor)
            window.append(group.create_task(work, name="catalogsync-read"))

    try:
        page = await read(None)
        take(page)
        yield page
        while window:
            page = None  # it is through: two heavy pages at once would be one too many
            page = _raised(await window.popleft())
            take(page)
            yield page
    finally:
        for task in window:
            task.cancel()
    if cursors.twice is not None:
        raise BrokenReplyError(f"the source named page {cursors.twice} twice")


def _raised(result: Read | Exception | None) -> Read | None:
    if isinstance(result, Exception):
        raise result
    return result


async def _settled(read: ReadPage, cursor: Cursor) -> Read | Exception | None:
    """The page or the error, so that it is raised where the page is awaited."""
    try:
        return await read(cursor)
    except Exception as error:  # noqa: BLE001 - raised again by the reader
        return error


def is_cancelled() -> bool:
    """Whether the current task is what was cancelled, and not something it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
