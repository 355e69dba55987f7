"""Publishing events never waits; slow readers are dropped."""

from __future__ import annotations

import pytest

from catalogsync.service import Feed, Reader


async def read(reader: Reader[int]) -> list[int]:
    return [item async for item in reader]


async def test_readers_get_what_comes_while_they_read() -> None:
    feed: Feed[int] = Feed()
    feed.publish(1)
    with feed.reading() as early:
        feed.publish(2)
        with feed.reading() as late:
            feed.publish(3)
            feed.close()
            assert await read(early) == [2, 3]
            assert await read(late) == [3]
    assert feed.readers == 0


async def test_a_slow_reader_is_dropped_alone() -> None:
    """Its `dropped` is set, and its unread items are lost."""
    feed: Feed[int] = Feed(room=2)
    with feed.reading() as slow, feed.reading() as quick:
        for number in range(3):
            feed.publish(number)
            assert await anext(quick) == number
        assert (slow.dropped, quick.dropped, feed.readers) == (True, False, 1)
        assert await read(slow) == []


async def test_a_full_reader_at_the_end() -> None:
    """Its queue has no room for the end, so it is dropped."""
    feed: Feed[int] = Feed(room=1)
    with feed.reading() as reader:
        feed.publish(1)
        feed.close()
        assert await read(reader) == []
        assert reader.dropped


async def test_only_so_many_readers() -> None:
    feed: Feed[int] = Feed(most=1)
    with feed.reading(), pytest.raises(RuntimeError, match="1 readers"):
        feed.reading().__enter__()
    with feed.reading():
        assert feed.readers == 1
