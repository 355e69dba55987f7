"""Batches limited by number or size, products one by one, and their size in memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import (
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from operator import attrgetter
from typing import TypeVar

from .catalog.changes import Change
from .catalog.drafts import Draft
from .catalog.outcomes import Again, Outcome
from .catalog.products import DETAILS, GROUPS, Field, Json, Product, ProductKey
from .errors import BatchRefusedError, RefusedError, TransientError

__all__ = ["batched", "batcher", "one_by_one", "weight_of"]

C = TypeVar("C", bound=Change)
T = TypeVar("T")

ROOM = 4 << 20
"""Most bytes of products in one group, about; a single product may be larger."""

_size = sys.getsizeof
_PRODUCT, _VARIANT, _ITEM = 1200, 800, 200
_variant_texts = attrgetter("id", "title", "sku", "barcode")
_short_texts = attrgetter(Field.BRAND, Field.THUMBNAIL, *DETAILS, *GROUPS)


def batcher(
    size: int = 15,
    *,
    weight: int | None = None,
    weigh: Callable[[T], int] | None = None,
) -> Generator[list[T] | None, T | None, None]:
    """Collect items into batches; a generator that receives items by `send`.

    Prime it with `next()`. `send(item)` returns the batch that this item completed, or
    None. `send(None)` returns the rest, or None.

    A batch is complete when it has *size* items, or before an item that would exceed
    *weight*. An item that exceeds it alone gets a batch of its own.

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


def weight_of(product: Product | Draft) -> int:
    """Size of a product in memory in bytes, about."""
    if isinstance(product, Draft):
        return product.size
    total = _PRODUCT + _size(product.title) + _size(product.description)
    total += sum(map(_size, _short_texts(product)))
    for image in product.images or ():
        total += _ITEM + _size(image.url)
    for tag in product.tags or ():
        total += _size(tag)
    for category in product.categories or ():
        total += _ITEM + _size(category.id) + _size(category.name)
    for variant in product.variants or ():
        total += _VARIANT + sum(map(_size, _variant_texts(variant)))
        total += _ITEM * (len(variant.prices or ()) + len(variant.stock or ()))
        total += sum(map(_size, variant.options.values()))
    if product.attributes:
        total += sum(map(_weight_of_json, product.attributes.values()))
    return total


def _weight_of_json(value: Json) -> int:
    if isinstance(value, dict):
        inner = sum(_size(k) + _weight_of_json(v) for k, v in value.items())
        return _size(value) + inner
    if isinstance(value, list):
        return _size(value) + sum(map(_weight_of_json, value))
    return _size(value)


async def one_by_one(
    write_one: Callable[[C], Awaitable[object]],
    changes: Sequence[C],
    /,
    *,
    at_once: int = 1,
) -> list[Outcome | Again]:
    """Write each change by a call of its own; the answers are those of `Sink.write`.

    ```python
    async def write(self, changes):
        return await one_by_one(self.write_one, changes, at_once=8)
    ```

    Args:
        write_one: Applies one change. A `RefusedError` fails this product, and after a
            `TransientError` the engine tries this product again.
        changes: The changes.
        at_once: Most calls of *write_one* in flight.

    Returns:
        An answer for each change, in the same order.

    Raises:
        Exception: What *write_one* raised otherwise. The other calls in flight are
            cancelled.
    """
    rest = iter(changes)
    answers: dict[ProductKey, Outcome | Again] = {}

    async def work() -> None:
        for change in rest:
            answers[change.key] = await _answer(write_one, change)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [answers[change.key] for change in changes]


async def _answer(
    write_one: Callable[[C], Awaitable[object]], change: C
) -> Outcome | Again:
    try:
        await write_one(change)
    except BatchRefusedError as error:
        reason = error.culprits.get(change.key, error.reason)
        holder = error.holders.get(change.key)
        return change.failed(reason, said=error.said, holder=holder)
    except RefusedError as error:
        return change.failed(error.reason, said=error.said)
    except TransientError as error:
        return change.again(error)
    return change.done()
