"""Messages for errors that no adapter should raise: they name class and place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from types import FrameType, TracebackType

from catalogsync.errors import CatalogSyncError

__all__ = ["DefectError", "explained"]

_ADAPTERS = "catalogsync.adapters"


class DefectError(RuntimeError):
    """An adapter raised an error that asyncio or a loop takes for a signal.

    Such as `StopIteration`, or `CancelledError` although nobody cancelled the run. The
    text describes the original error, which is the cause of this one.
    """


def explained(error: BaseException, *adapters: object) -> str:
    """One line for an error; a defect with its class and deepest place in an adapter."""
    message = _message(error)
    if isinstance(error, CatalogSyncError | DefectError):
        return message
    place = _place(error, adapters)
    return f"{message} in {place}" if place else message


def _message(error: BaseException) -> str:
    kind, text = type(error).__name__, str(error)
    if isinstance(error, CatalogSyncError | DefectError):
        return text or kind
    if part := _part(error):
        text = _message(part)
    return f"{kind}: {text}" if text else kind


def _part(error: BaseException) -> BaseException | None:
    """The first error of a group; None: it is not a group."""
    parts: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return parts[0] if parts and isinstance(error, BaseExceptionGroup) else None


def _place(error: BaseException, adapters: Iterable[object]) -> str:
    """Where it was raised, for example `PriceSink.write (things.py:57)`."""
    roots = {root for adapter in adapters for root in _roots(adapter)}
    traces = [list(_frames(each.__traceback__)) for each in _related(error)]
    within = [[at for at in trace if _is_within(at[0], roots)] for trace in traces]
    trace = next((trace for trace in (*within, *traces) if trace), None)
    if trace is None:
        return ""
    frame, line = trace[-1]
    code = frame.f_code
    name = code.co_qualname.split(".<locals>.<", 1)[0]  # a comprehension or lambda
    return f"{name} ({PurePath(code.co_filename).name}:{line})"


def _related(error: BaseException) -> Iterator[BaseException]:
    """The first error of a group, the error itself, and its causes."""
    if part := _part(error):
        yield from _related(part)
    yield error
    # Python replaces a StopIteration by another error, without its place.
    if error.__cause__ is not None:
        yield from _related(error.__cause__)


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _roots(adapter: object) -> Iterator[str]:
    """The packages that the classes of an adapter come from."""
    for kind in type(adapter).__mro__:
        root = kind.__module__.partition(".")[0]
        if root not in {"builtins", "typing", "abc"}:
            yield _ADAPTERS if root == "catalogsync" else root


def _is_within(frame: FrameType, roots: Iterable[str]) -> bool:
    module = f"{frame.f_globals.get('__name__', '')}."
    return any(module.startswith(f"{root}.") for root in roots)
