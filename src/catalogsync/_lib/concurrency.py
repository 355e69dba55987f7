"""Doing several things at once, within bounds."""

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
    """Do the same work for several items.

    Args:
        work: Done for each item.
        items: The items.
        at_once: How many are under way at most.

    Returns:
        The results in the items' order.

    Raises:
        Exception: The first that any work raised; what is under way is cancelled
            and nothing more begins.
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
