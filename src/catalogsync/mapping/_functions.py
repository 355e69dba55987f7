"""Functions of the user that a mapping names: `module:function`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from catalogsync.errors import InvalidValueError

__all__ = ["Function", "load_function"]

Function: TypeAlias = Callable[[Mapping[str, object]], object]
"""Receives the values of a record and returns the value of a field; pure."""


def load_function(name: str) -> Function:
    """Import a function.

    Args:
        name: `module:function`; the module is found on Python's path.

    Raises:
        InvalidValueError: There is no such function.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise InvalidValueError("python", "must be `module:function`")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidValueError("python", f"cannot be imported: {error}") from None
    if not callable(found):
        raise InvalidValueError("python", "is not a function")
    return _guarded(found, name)


def _guarded(function: Callable[..., object], name: str) -> Function:
    """The function; what it raises is a problem of the record."""

    def call(values: Mapping[str, object]) -> object:
        try:
            result = function(values)
        except Exception as error:
            problem = f"`{name}` raised {type(error).__name__}: {error}"
            raise InvalidValueError("", problem) from error
        if isinstance(result, float):
            return Decimal(repr(result))
        return result

    return call
