"""Faults at the caller's side of an adapter, which work for any adapter."""

from __future__ import annotations

import asyncio
import types
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import attrs

from catalogsync.catalog.changes import Change
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import TransientError
from catalogsync.protocols import Cursor, Page

T = TypeVar("T")

Pages: TypeAlias = Mapping[Cursor | None, Page]
"""All pages of a source by cursor, in order."""
_CALL = ContextVar("_CALL", default=False)

Strikes = Callable[[int, Sequence[Change]], bool]
"""Whether a fault strikes a write, by its number from 1 and its changes."""


def replaced(adapter: T, **members: Callable[..., Any]) -> T:
    """The same adapter, with the same abilities, but with other methods."""
    names = [name for name in dir(adapter) if not name.startswith("_")]
    body: dict[str, Any] = {name: _passed_on(adapter, name) for name in names}
    body |= {name: staticmethod(member) for name, member in members.items()}
    return cast("T", type(type(adapter).__name__, (), body)())


def _passed_on(adapter: object, name: str) -> property:
    return property(lambda _: getattr(adapter, name))


def faulty(
    sink: T, error: Callable[[], Exception], strikes: Strikes, *, after: bool = False
) -> T:
    """A sink whose writes fail.

    Args:
        sink: The sink.
        error: Makes the error of a call that fails.
        strikes: Which calls fail.
        after: Whether the work is done first: the answer is lost.
    """
    numbers = iter(range(1, 1_000_000))
    inner: Any = sink

    async def write(changes: Sequence[Change], /) -> object:
        if not strikes(next(numbers), changes):
            return await inner.write(changes)
        if after:
            await inner.write(changes)
        raise error()

    return replaced(sink, write=write)


def spoiled(sink: T, bad: ProductKey, error: Exception | None) -> T:
    """A sink that always fails for one product.

    Args:
        sink: The sink.
        bad: The product.
        error: Raised for each call with the product; None: only the product gets the
            answer of a server that is busy, and its neighbours are written.
    """
    inner: Any = sink

    async def write(changes: Sequence[Change], /) -> object:
        ours = [change for change in changes if change.key == bad]
        if ours and error is not None:
            raise error
        others = [change for change in changes if change.key != bad]
        answers: Sequence[object] = await inner.write(others) if others else ()
        return [*answers, *(change.again(TransientError("503")) for change in ours)]

    return replaced(sink, write=write)


def truncated(source: T, pages: Pages, at: Cursor | None) -> T:
    """A source one of whose pages lost its last record on the way.

    Args:
        source: The source.
        pages: All its pages, in order.
        at: The page.
    """
    page = pages[at]
    kept = page.products[:-1]
    last = kept[-1].key if kept and page.last is not None else None
    return _replaying(
        source, {**pages, at: attrs.evolve(page, products=kept, last=last)}
    )


def shifted(source: T, pages: Pages) -> T:
    """A source whose first record vanished after the first page was read.

    All records move up by one, so the first record of the second page is never seen.

    Args:
        source: The source.
        pages: All its pages, in order.
    """
    moved: dict[Cursor | None, Page] = {}
    following = [*pages.values()][1:]
    for at, (cursor, page) in enumerate(pages.items()):
        if cursor is None:
            moved[cursor] = page
            continue
        products = [*page.products[1:]]
        if len(following) > at:
            products += following[at].products[:1]
        moved[cursor] = attrs.evolve(
            page,
            products=products,
            total=None if page.total is None else page.total - 1,
            before=page.products[0].key if page.before is not None else None,
            last=products[-1].key if products and page.last is not None else None,
        )
    return _replaying(source, moved)


def _replaying(source: T, pages: Pages) -> T:
    async def read(cursor: Cursor | None, /) -> Page:
        return pages[cursor]

    return replaced(source, read=read)


async def left_running(call: Coroutine[Any, Any, object]) -> list[str]:
    """Names of the tasks that a call started and that outlive it.

    The tasks of a server in the same loop have another context and do not count.
    """
    loop, started = asyncio.get_running_loop(), list[asyncio.Task[Any]]()

    def record(
        loop: asyncio.AbstractEventLoop, coro: Any, **how: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **how)
        if _CALL.get():
            started.append(task)
        return task

    _CALL.set(True)
    loop.set_task_factory(record)
    try:
        await call
        await asyncio.sleep(0)
    finally:
        _CALL.set(False)
        loop.set_task_factory(None)
    return [task.get_name() for task in started if not task.done()]


def busy_once(adapter: T, error: Callable[[], Exception], *methods: str) -> T:
    """An adapter whose methods fail at the first call with the same arguments."""
    asked: set[str] = set()

    def failing(name: str) -> Callable[..., Awaitable[Any]]:
        async def method(*args: Any, **named: Any) -> Any:
            call = f"{name}{args!r}"
            if call not in asked:
                asked.add(call)
                raise error()
            return await getattr(adapter, name)(*args, **named)

        return method

    return replaced(adapter, **{name: failing(name) for name in methods})


async def interrupted(call: Coroutine[Any, Any, object], at: int) -> str:
    """Cancel a call when it waits for the *at*-th time, as the end of a process does.

    Returns:
        `cancelled`, `swallowed` if the call went on as if nothing had happened, or
        `done` if it does not wait so often.
    """

    async def stepped() -> object:
        return await _cancelled(call, at)

    task = asyncio.get_running_loop().create_task(stepped())
    await asyncio.wait([task])
    if task.cancelled():
        return "cancelled"
    task.result()
    return "swallowed" if task.cancelling() else "done"


@types.coroutine
def _cancelled(call: Coroutine[Any, Any, T], at: int) -> Generator[object, object, T]:
    waits, step = 0, partial(call.send, None)
    while True:
        try:
            waiting = step()
        except StopIteration as end:
            return cast("T", end.value)
        waits += 1
        if waits == at:
            cast("asyncio.Task[T]", asyncio.current_task()).cancel()
        try:
            yield waiting
        except BaseException as error:  # noqa: BLE001 - it is passed on
            step = partial(call.throw, error)
        else:
            step = partial(call.send, None)
