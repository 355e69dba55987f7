"""Doing several things at once."""

from __future__ import annotations

import asyncio

import pytest

from catalogsync._lib.concurrency import each


async def test_results_in_the_order_of_the_items() -> None:
    turns = [asyncio.Event() for _ in range(4)]
    turns[3].set()

    async def work(number: int) -> int:
        await turns[number].wait()
        if number:
            turns[number - 1].set()
        return number * 10

    assert await each(work, range(4), at_once=4) == [0, 10, 20, 30]


async def test_nothing_to_do() -> None:
    async def work(_: object) -> None:
        raise AssertionError

    assert await each(work, [], at_once=3) == []


@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_no_more_at_once(at_once: int) -> None:
    busy = most = 0

    async def work(_: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        for _ in range(3):
            await asyncio.sleep(0)
        busy -= 1

    await each(work, range(12), at_once=at_once)
    assert most == at_once


async def test_the_first_error_ends_the_rest() -> None:
    cancelled: list[int] = []

    async def work(number: int) -> None:
        if number == 1:
            raise KeyError(number)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(KeyError) as caught:
        await each(work, range(3), at_once=3)
    assert caught.value.args == (1,)
    assert sorted(cancelled) == [0, 2]


async def test_what_waits_for_its_turn_does_not_begin_after_an_error() -> None:
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        raise KeyError(number)

    with pytest.raises(KeyError):
        await each(work, range(3), at_once=1)
    assert begun == [0]


async def test_cancelled_from_outside() -> None:
    async def work(_: int) -> None:
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(each(work, range(3), at_once=2))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
