"""Reading and writing JSON, with orjson if it is installed; the results are the same.

The standard library handles texts that orjson refuses, such as huge numbers or an
unpaired surrogate, which JavaScript writes when it cuts an emoji in two. So they affect
one value and not the whole page. Integers beyond 64 bits become floats.
"""

from __future__ import annotations

import codecs
import json
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["dumps", "loads", "loads_exact"]

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_LONGEST = len(str(_LEAST))


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
        ValueError: It is not JSON, or nested too deeply.
    """
    data = data.removeprefix(codecs.BOM_UTF8)  # some PHP shops send it
    if _orjson is not None:
        try:
            return _orjson.loads(data)
        except ValueError:
            pass  # The standard library decides.
    try:
        return json.loads(data.decode(), parse_constant=_refuse, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def loads_exact(data: bytes) -> Any:
    """Read JSON as `loads` does, but with `Decimal` instead of `float`.

    A number with an exponent beyond every use becomes an infinite one.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    text = data.removeprefix(codecs.BOM_UTF8).decode()
    try:
        return json.loads(
            text, parse_constant=_refuse, parse_float=_exact, parse_int=_exact_whole
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: object) -> bytes:
    """Write JSON, without white space.

    Raises:
        TypeError: It contains something that JSON cannot represent.
        ValueError: It contains an unpaired surrogate.
    """
    if _orjson is not None:
        try:
            encoded: bytes = _orjson.dumps(value)
        except TypeError:
            pass  # The standard library also writes integers beyond 64 bits.
        else:
            return encoded
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _whole(text: str) -> float:
    if len(text) > _LONGEST:
        return float(text)
    number = int(text)
    return number if _LEAST <= number <= _MOST else float(text)


def _exact_whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST else Decimal(text)


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
