"""Closing batches by count or by weight, without any input or output."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

__all__ = ["batched", "batcher"]

T = TypeVar("T")


def batcher(
    size: int = 15,
    *,
    weight: int | None = None,
    weigh: Callable[[T], int] | None = None,
) -> Generator[list[T] | None, T | None, None]:
    """Collect items into batches; a generator that is fed by `send`.

    Prime it with `next()`. `send(item)` gives the batch that this item closed,
    or None. `send(None)` closes and gives what is left, or None.

    A batch is closed when it has *size* items, or before an item that would
    bring it over *weight*. An item that is heavier by itself travels alone.

    ```python
    collect = batcher(2)
    next(collect)
    collect.send("a")  # None
    collect.send("b")  # ["a", "b"]
    ```

    Args:
        size: Most items in a batch.
        weight: Most weight in a batch; needs *weigh*.
        weigh: Weight of one item.

    Raises:
        ValueError: *size* or *weight* is below 1, or only one of *weight* and
            *weigh* is given.
    """
    if size < 1 or (weight is not None and weight < 1):
        raise ValueError("size and weight must be 1 or more")
    if (weight is None) != (weigh is None):
        raise ValueError("weight and weigh go together")
    return _collect(size, weight or 0, weigh)


def _collect(
    size: int, most: int, weigh: Callable[[T], int] | None
) -> Generator[list[T] | None, T | None, None]:
    batch: list[T] = []
    total = 0
    ready: list[T] | None = None
    while True:
        item = yield ready
        ready = None
        if item is None:
            ready, batch, total = batch or None, [], 0
            continue
        added = weigh(item) if weigh else 0
        if batch and total + added > most and weigh:
            ready, batch, total = batch, [], 0
        batch.append(item)
        total += added
        if len(batch) >= size:
            ready, batch, total = batch, [], 0


def batched(
    items: Iterable[T],
    size: int = 15,
    *,
    weight: int | None = None,
    weigh: Callable[[T], int] | None = None,
) -> Iterator[list[T]]:
    """Cut an iterable into batches; arguments as in `batcher`."""
    collect = batcher(size, weight=weight, weigh=weigh)
    next(collect)
    for item in items:
        batch = collect.send(item)
        if batch:
            yield batch
    rest = collect.send(None)
    if rest:
        yield rest
