"""JSON in and out; orjson does it where it is installed, with the same result.

What orjson refuses is left to the standard library: half of a surrogate pair, which
JavaScript writes when it cuts an emoji in two, or a number beyond all bounds spoils
a value then and not the whole page. Whole numbers beyond 64 bits become floats.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

__all__ = ["dumps", "loads"]

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
        ValueError: It is none, or nested beyond all reason.
    """
    data = data.removeprefix(codecs.BOM_UTF8)  # some PHP shops send one
    if _orjson is not None:
        try:
            return _orjson.loads(data)
        except ValueError:
            pass  # The other one has the last word.
    try:
        return json.loads(data.decode(), parse_constant=_refuse, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: object) -> bytes:
    """Write JSON, without white space.

    Raises:
        TypeError: It holds something that JSON cannot.
        ValueError: It holds half of a surrogate pair.
    """
    if _orjson is not None:
        try:
            encoded: bytes = _orjson.dumps(value)
        except TypeError:
            pass  # The other one takes whole numbers beyond 64 bits, too.
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
