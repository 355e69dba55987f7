"""Messages for errors that no adapter should raise: they name class and place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from types import FrameType, TracebackType

from catalogsync.errors import CatalogSyncError

__all__ = ["explained"]

_ADAPTERS = "catalogsync.adapters"


def explained(error: BaseException, *adapters: object) -> str:
    """One line for an error; a defect with its class and its place in an adapter.

    Args:
        error: The error.
        adapters: Objects whose code is searched for the deepest place.
    """
    text = str(error)
    if isinstance(error, CatalogSyncError):
        return text or type(error).__name__
    kind = type(error).__name__
    parts: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if parts and isinstance(error, BaseExceptionGroup):
        return f"{kind}: {explained(parts[0], *adapters)}"
    message = f"{kind}: {text}" if text else kind
    place = _place(error, adapters)
    return f"{message} in {place}" if place else message


def _place(error: BaseException, adapters: Iterable[object]) -> str:
    """Where it was raised, for example `PriceSink.write (things.py:57)`."""
    frames = list(_frames(error.__traceback__))
    if not frames:
        return ""
    roots = {root for adapter in adapters for root in _roots(adapter)}
    within = [(frame, line) for frame, line in frames if _is_within(frame, roots)]
    frame, line = (within or frames)[-1]
    code = frame.f_code
    name = code.co_qualname.split(".<locals>.<", 1)[0]  # a comprehension or lambda
    return f"{name} ({PurePath(code.co_filename).name}:{line})"


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
