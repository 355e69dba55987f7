"""Handing events to readers that may be slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

import attrs

__all__ = ["Feed", "Reader"]

T = TypeVar("T")


@attrs.define(eq=False)
class Reader(Generic[T]):
    """One reader of a feed: an async iterator that ends when it was too slow.

    Attributes:
        dropped: Whether it was.
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
        """Hand an item over; False: there was no room for it."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            return False
        return True

    def drop(self) -> None:
        """End it: what it has not read yet is lost, and it is told so."""
        self.dropped = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


@attrs.define
class Feed(Generic[T]):
    """Hands items to any number of readers and waits for none of them.

    Attributes:
        room: Items that a reader may be behind; then it is dropped.
        most: Readers at once.
    """

    room: int = 1000
    most: int = 500
    _readers: list[Reader[T]] = attrs.field(factory=list[Reader[T]], init=False)

    @property
    def readers(self) -> int:
        """How many there are."""
        return len(self._readers)

    def publish(self, item: T) -> None:
        """Hand an item to all readers, and drop those that are too slow."""
        slow = [reader for reader in self._readers if not reader.put(item)]
        for reader in slow:
            self._readers.remove(reader)
            reader.drop()

    @contextmanager
    def reading(self) -> Generator[Reader[T]]:
        """Read for the length of a block.

        Raises:
            RuntimeError: There are as many readers as there may be.
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
        """End all readers, after what they have not read yet."""
        for reader in self._readers:
            if not reader.put(None):
                reader.drop()
        self._readers.clear()
