"""A method of an adapter: called, and its answer checked.

`promises` uses it for each call. The messages name the method; an error that would act
as a signal in the engine, such as a stray `CancelledError`, becomes a `DefectError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    Awaitable,
    Collection,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any, cast

import attrs

from catalogsync._lib.concurrency import is_cancelled
from catalogsync.catalog.changes import Reference
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import BrokenPromiseError, CatalogSyncError, TransientError

from .defects import DefectError, explained

__all__ = ["Method", "is_a", "kind_of", "named"]


@attrs.frozen
class Method:
    """A method of an adapter, with checks whose messages name it."""

    adapter: object
    name: str

    def broke(self, problem: str) -> BrokenPromiseError:
        """The error that says how it broke its protocol."""
        return BrokenPromiseError(
            f"{type(self.adapter).__qualname__}.{self.name}", problem
        )

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Turn errors of the adapter that would act as signals into `DefectError`."""
        task = asyncio.current_task()
        try:
            yield
        except BaseExceptionGroup as group:
            if (error := _decisive(group)) is None:
                raise
            raise error from None
        except BaseException as error:
            if _is_meant(error, task):
                raise
            raise DefectError(explained(error, self.adapter)) from error

    async def awaited(self, *args: Any, **named: Any) -> Any:
        """Call a method that must be `async def`.

        Raises:
            DefectError: It raised an error that would act as a signal.
        """
        with self.guarded():
            answer = getattr(self.adapter, self.name)(*args, **named)
            if not is_a(answer, Awaitable):
                problem = (
                    f"must be `async def` with a return, returned {kind_of(answer)}"
                )
                raise self.broke(problem)
            return await answer

    def called(self, *args: Any, **named: Any) -> Any:
        """Call a method that must be a plain `def`.

        Raises:
            DefectError: It raised an error that would act as a signal.
        """
        try:
            answer = getattr(self.adapter, self.name)(*args, **named)
        except BaseException:
            with self.guarded():
                raise
        if is_a(answer, Coroutine):
            answer.close()
            raise self.broke("must be a plain `def`, not `async def`")
        return answer

    def must_be(
        self, value: object, kind: type[Any] | tuple[type[Any], ...], what: str = ""
    ) -> None:
        """Check the class of a value; any of several will do."""
        if isinstance(value, bool) and kind is not bool:
            pass  # True is an int, and never meant as one
        elif isinstance(value, kind):
            return
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join("None" if k is type(None) else k.__name__ for k in kinds)
        raise self.broke(f"{what or 'its answer'} must be {names}, is {kind_of(value)}")

    def listed(self, value: object, what: str = "") -> Sequence[Any]:
        """Check that a value is a sequence, but not text."""
        if is_a(value, str, bytes) or not is_a(value, Sequence):
            problem = f"{what or 'its answer'} must be a list, is {kind_of(value)}"
            raise self.broke(problem)
        return cast("Sequence[Any]", value)

    def mapped(self, value: object, what: str = "") -> Mapping[Any, Any]:
        """Check that a value is a mapping."""
        if not is_a(value, Mapping):
            problem = f"{what or 'its answer'} must be a mapping, is {kind_of(value)}"
            raise self.broke(problem)
        return cast("Mapping[Any, Any]", value)

    def of_source(self, key: ProductKey, name: str) -> None:
        """Check that a key belongs to this source."""
        if key.source != name:
            problem = f"returned {key}, but the name of the source is {name!r}"
            raise self.broke(problem)

    def asked_for(
        self, key: object, asked: Collection[object], kind: type[Any]
    ) -> None:
        """Check that an answer was asked for."""
        self.must_be(key, kind, "each key")
        if key not in asked:
            raise self.broke(f"answered for {named(key)}, which was not asked for")


def _decisive(group: BaseExceptionGroup[BaseException]) -> CatalogSyncError | None:
    """The error that a group stands for; None: it contains a defect, too.

    A `TaskGroup` of an adapter raises a group even for one error. An error that will not
    go away counts more than one that may.
    """
    errors = _leaves(group)
    ours = [error for error in errors if isinstance(error, CatalogSyncError)]
    if len(ours) < len(errors):
        return None
    return min(ours, key=lambda error: isinstance(error, TransientError))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors in a group, and in the groups in it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            inner = cast("BaseExceptionGroup[BaseException]", error)
            found += _leaves(inner)
        else:
            found.append(error)
    return found


def _is_meant(error: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Whether an error may pass as it is, given the task that it was raised in."""
    match error:
        case StopIteration() | StopAsyncIteration():
            return False
        case GeneratorExit():  # raised when an unfinished generator is closed
            return asyncio.current_task() is not task
        case asyncio.CancelledError():
            return is_cancelled()
        case _:  # one that is not an `Exception` ends the process, not only the run
            return True


def is_a(value: object, *kinds: type[Any]) -> bool:
    """`isinstance` that does not narrow the type of an unchecked value."""
    return isinstance(value, kinds)


def kind_of(value: object) -> str:
    """The class of a value, or short text itself, which often shows the mistake."""
    if value is None:
        return "None"
    if isinstance(value, str) and len(value) < 60:
        return f"the text {value!r}"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"


def named(key: object) -> str:
    """A key of a product, category or tag for a message."""
    if isinstance(key, Reference):
        return f"the {key.kind.value} {key.id!r}"
    return str(key)
