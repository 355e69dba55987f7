"""JSON in and out; orjson does it where it is installed."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["dumps", "loads"]


def _find_orjson() -> Any:
    try:
        import orjson
    except ImportError:
        return None
    return orjson


_orjson = _find_orjson()


def loads(data: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: It is none, or nested beyond all reason.
    """
    if _orjson is not None:
        return _orjson.loads(data)
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: object) -> bytes:
    """Write JSON, without white space."""
    if _orjson is not None:
        encoded: bytes = _orjson.dumps(value)
        return encoded
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
