"""Running work concurrently, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["each", "ended", "is_cancelled", "uninterrupted"]

T = TypeVar("T")
R = TypeVar("R")


async def each(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int
) -> list[R]:
    """Call a function for several items concurrently.

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


async def ended(
    task: asyncio.Future[Any], *, on_cancel: Callable[[], object] = lambda: None
) -> None:
    """Wait until a task has ended, however often the current one is cancelled.

    Args:
        task: The task; its result or error is left to the caller.
        on_cancel: Called each time that the current task is cancelled.

    Raises:
        CancelledError: The current task was cancelled; *task* has ended nevertheless.
    """
    cut: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cut = error
            on_cancel()
    if cut is None:
        return
    if not task.cancelled():
        task.exception()  # otherwise asyncio logs that it was never retrieved
    try:
        raise cut
    finally:
        del cut  # the error and its traceback would be a reference cycle


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Finish something short even if the current task is cancelled meanwhile.

    Raises:
        CancelledError: The current task was cancelled; the work is done nevertheless.
    """
    task = asyncio.get_running_loop().create_task(work)
    await ended(task)
    return task.result()


def is_cancelled() -> bool:
    """Whether the current task itself was cancelled, not only something it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
