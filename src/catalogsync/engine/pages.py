"""Reads pages ahead, in parallel where the source allows it, and yields them in order.

A source names the pages that follow in `Page.next`. One name is a chain that is read
page by page; several names may be read at once.

Here drafts become products, except those that the `Recognizer` knows, and each product
is weighed: its *weight* is its size in memory, which bounds what is read ahead.
"""

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
from catalogsync.catalog.products import Product
from catalogsync.errors import BrokenReplyError
from catalogsync.protocols import Cursor, Page

from . import promises
from .hash_set import HashSet
from .recognizing import Fetched, Recognizer, unique_drafts

__all__ = ["Read", "read_ahead"]

_MAX_AHEAD = 4 * ROOM


@attrs.frozen
class Read:
    """A page and the size of its products.

    Attributes:
        page: The page, with drafts of known products only.
        items: The products, as the planner gets them.
        weights: Size of each product in memory, in bytes, about.
    """

    page: Page
    items: Sequence[Fetched]
    weights: Sequence[int]

    @classmethod
    async def of(cls, page: Page, recognizer: Recognizer) -> Read:
        """Build the products of a page that are not known, date and weigh them."""
        drafts = unique_drafts(page)
        known = await recognizer.known(drafts.values())
        page = _dated(promises.built(page, known), recognizer)
        items = [
            Fetched(
                key=item.key,
                product=item if isinstance(item, Product) else None,
                draft=drafts.get(item.key),
                known=known.get(item.key),
                as_of=page.as_of,
            )
            for item in page.products
        ]
        weights = [weight_of(item) for item in page.products]
        return cls(page, items, weights)


def _dated(page: Page, recognizer: Recognizer) -> Page:
    dated = recognizer.journal.snapshots.dated
    products = [
        dated(item, page.as_of) if isinstance(item, Product) else item
        for item in page.products
    ]
    return attrs.evolve(page, products=products)


ReadPage = Callable[[Cursor | None], Awaitable[Read | None]]


@attrs.define
class _Cursors:
    """The cursors that a source named, in order and each once.

    Attributes:
        repeated: A cursor that was named twice; then no more are given out.
    """

    repeated: Cursor | None = None
    _named: deque[Iterator[Cursor]] = attrs.field(factory=deque[Iterator[Cursor]])
    _known: HashSet = attrs.field(factory=HashSet)

    def add(self, named: Iterable[Cursor]) -> None:
        """Add the cursors of a page; they are taken lazily."""
        self._named.append(iter(named))

    def pop(self) -> Cursor | None:
        """Take the next cursor; None: there is none now."""
        while self._named and self.repeated is None:
            cursor = next(self._named[0], None)
            if cursor is None:
                self._named.popleft()
            elif self._known.add(hash(cursor)):
                return cursor
            else:
                self.repeated = cursor
        return None


async def read_ahead(
    read: ReadPage, *, ahead: int, group: asyncio.TaskGroup
) -> AsyncGenerator[Read | None, None]:
    """Read a source from its beginning to its end.

    Args:
        read: Reads one page; it returns None for a page that could not be read.
        ahead: How many pages may be read ahead; fewer are if pages are large.
        group: Owns the tasks; unfinished ones are cancelled when this is closed.

    Yields:
        The pages in order; None in place of a page that could not be read.

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
        most = min(ahead, max(1, _MAX_AHEAD // heaviest))
        while len(window) < most and (cursor := cursors.pop()) is not None:
            work = _caught(read, cursor)
            window.append(group.create_task(work, name="catalogsync-read"))

    try:
        page = await read(None)
        take(page)
        yield page
        while window:
            page = None  # free it before the next one: pages can be large
            page = _raise_if_error(await window.popleft())
            take(page)
            yield page
    finally:
        for task in window:
            task.cancel()
    if cursors.repeated is not None:
        raise BrokenReplyError(f"the source named page {cursors.repeated} twice")


def _raise_if_error(result: Read | Exception | None) -> Read | None:
    if isinstance(result, Exception):
        raise result
    return result


async def _caught(read: ReadPage, cursor: Cursor) -> Read | Exception | None:
    """The page or the error, which is raised when it is the page's turn."""
    try:
        return await read(cursor)
    except Exception as error:  # noqa: BLE001 - raised again by the reader
        return error
