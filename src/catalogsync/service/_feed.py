"""Publishing events to readers that may be slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class Reader(Generic[T]):
    """One reader of a feed: an async iterator over its items.

    Attributes:
        dropped: Whether the iterator ended because the reader was too slow.
    """

    _queue: asyncio.Queue[T | None]
    dropped: bool = False

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        item = await self._queue.get()
        if item is None:
            raise StopAsyncIteration
        return item

    def put(self, item: T | None) -> bool:
        """Queue an item; False: the queue is full."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            return False
        return True

    def drop(self) -> None:
        """End the iterator, discard unread items, and set `dropped`."""
        self.dropped = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


@attrs.define
class Feed(Generic[T]):
    """Publishes items to readers without waiting for them.

    Attributes:
        room: Number of unread items at which a reader is dropped.
        most: Largest number of readers.
    """

    room: int = 1000
    most: int = 500
    _readers: list[Reader[T]] = attrs.field(factory=list[Reader[T]], init=False)

    @property
    def readers(self) -> int:
        """Number of readers."""
        return len(self._readers)

    def publish(self, item: T) -> None:
        """Publish an item to all readers, and drop readers that are too slow."""
        slow = [reader for reader in self._readers if not reader.put(item)]
        for reader in slow:
            self._readers.remove(reader)
            reader.drop()

    @contextmanager
    def reading(self) -> Generator[Reader[T]]:
        """Read for the length of a block.

        Raises:
            RuntimeError: There are too many readers.
        """
        if len(self._readers) >= self.most:
            raise RuntimeError(f"there are {self.most} readers already")
        reader: Reader[T] = Reader(asyncio.Queue(self.room))
        self._readers.append(reader)
        try:
            yield reader
        finally:
            if reader in self._readers:
                self._readers.remove(reader)

    def close(self) -> None:
        """End all readers after their unread items."""
        for reader in self._readers:
            if not reader.put(None):
                reader.drop()
        self._readers.clear()
