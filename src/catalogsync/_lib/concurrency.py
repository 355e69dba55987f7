"""Running work concurrently, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

__all__ = ["each"]

T = TypeVar("T")
R = TypeVar("R")


async def each(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int
) -> list[R]:
    """Do the same work for several items concurrently.

    Args:
        work: Called with each item.
        items: The items.
        at_once: Most calls in flight.

    Returns:
        The results in the order of the items.

    Raises:
        Exception: The first that any call raised; calls in flight are cancelled and no
            more are started.
    """
    numbered = enumerate(items)
    results: dict[int, R] = {}

    async def keep_working() -> None:
        for number, item in numbered:
            results[number] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(keep_working())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [results[number] for number in sorted(results)]
