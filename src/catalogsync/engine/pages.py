"""Reading pages ahead and handing them out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

from catalogsync.protocols import Cursor, Page

__all__ = ["read_ahead"]

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
    """
    first = await read(None)
    cursors = deque(first.next if first else ())
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
            cursors.extend(page.next if page else ())
            fill()
            yield page
    finally:
        for task in window:
            task.cancel()


async def _settled(read: ReadPage, cursor: Cursor) -> Page | Exception | None:
    """The page or the error, so that it is raised where the page is awaited."""
    try:
        return await read(cursor)
    except Exception as error:  # noqa: BLE001 - raised again by the reader
        return error
