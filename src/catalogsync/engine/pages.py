"""Reading pages ahead and handing them out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

from catalogsync.errors import BrokenReplyError
from catalogsync.protocols import Cursor, Page

__all__ = ["LEAK", "is_cancelled", "read_ahead"]

LEAK = "an adapter let the cancellation of a task of its own escape"

ReadPage = Callable[[Cursor | None], Awaitable[Page | None]]


async def read_ahead(
    read: ReadPage, *, ahead: int, group: asyncio.TaskGroup
) -> AsyncGenerator[Page | None, None]:
    """Read a source from its beginning to its end.

    Args:
        read: Reads one page; None is a page that could not be read.
        ahead: Pages that are read before they are asked for, at most.
        group: Owns the tasks; those under way are cancelled when this is closed.

    Yields:
        The pages in order, None in the place of one that could not be read.

    Raises:
        BrokenReplyError: The source named a page twice.
    """
    first = await read(None)
    cursors = deque(first.next if first else ())
    known = set(cursors)
    window: deque[asyncio.Task[Page | Exception | None]] = deque()

    def fill() -> None:
        while cursors and len(window) < ahead:
            work = _settled(read, cursors.popleft())
            window.append(group.create_task(work, name="catalogsync-read"))

    try:
        fill()
        yield first
        while window:
            page = await window.popleft()
            if isinstance(page, Exception):
                raise page
            named = page.next if page else ()
            cursors.extend(cursor for cursor in named if cursor not in known)
            fill()
            yield page
            for cursor in known.intersection(named):
                raise BrokenReplyError(f"the source named page {cursor} twice")
            known.update(named)
    finally:
        for task in window:
            task.cancel()


async def _settled(read: ReadPage, cursor: Cursor) -> Page | Exception | None:
    """The page or the error, so that it is raised where the page is awaited."""
    try:
        return await read(cursor)
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        return RuntimeError(LEAK)
    except Exception as error:  # noqa: BLE001 - raised again by the reader
        return error


def is_cancelled() -> bool:
    """Whether the current task is what was cancelled, and not something it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
