"""Conversion of values between requests and the database, as in Medusa."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from catalogsync.adapters.medusa.normalize import float4

from ._errors import Row, invalid
from ._fields import KINDS

MEASURES = ("weight", "length", "height", "width")
_SWITCHES = ("is_giftcard", "discountable", "allow_backorder", "manage_inventory")

PRODUCT_DEFAULTS: Row = {
    **dict.fromkeys(KINDS["product"].columns),
    "status": "draft",
    "is_giftcard": False,
    "discountable": True,
}
VARIANT_DEFAULTS: Row = {
    **dict.fromkeys(KINDS["variant"].columns),
    "allow_backorder": False,
    "manage_inventory": True,
    "variant_rank": 0,
}
ITEM_DEFAULTS: Row = {
    **dict.fromkeys(KINDS["item"].columns),
    "requires_shipping": True,
    "reserved_quantity": 0,
    "stocked_quantity": 0,
}

_EPSILON = 0.0001
_EXACT = 2**53
_NO_NAME = "__proto__"

_NOT_IN_HANDLES = re.compile(r"[^\w-]+")
_BAD_HANDLE = re.compile(r"[^\w.~-]|[A-Z]")


def clean(columns: Row) -> Row:
    """The columns as the database stores them."""
    for name in MEASURES:
        value = columns.get(name)
        if value is not None:
            columns[name] = _single(value)
    for name in _SWITCHES:
        if name in columns:
            columns[name] = columns[name] in {True, "true"}
    return columns


def counted(value: float) -> float:
    """An amount or a quantity as answers show it; tiny values become 0."""
    return 0 if abs(value) <= _EPSILON else value


def as_javascript(value: Any) -> Any:
    """JSON as JavaScript reads it: large integers are rounded, `__proto__` is lost."""
    match value:
        case bool():
            return value
        case int() if abs(value) > _EXACT:
            return float(value)
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {n: as_javascript(v) for n, v in items if n != _NO_NAME}
        case list():
            return [as_javascript(item) for item in cast("Sequence[Any]", value)]
        case _:
            return value


def _single(value: float) -> float:
    """The shortest number with the same value in single precision."""
    short = float(float4(Decimal(repr(value))))
    return int(short) if short.is_integer() else short


def merge(old: dict[str, Any] | None, new: dict[str, Any] | None) -> Row | None:
    """Metadata after an update: keys are merged, an empty text removes a key.

    None and an empty object remove all keys.
    """
    if not new:
        return new
    merged = {**(old or {}), **new}
    return {key: value for key, value in merged.items() if value != ""}


def to_handle(title: str) -> str:
    """The handle that Medusa derives from a title; it may be empty."""
    return _NOT_IN_HANDLES.sub("", title.lower().strip().replace(" ", "-")).replace(
        "--", "-"
    )


def require_url_safe(handle: str) -> None:
    """Refuse a handle that Medusa does not accept."""
    if _BAD_HANDLE.search(handle):
        raise invalid(
            f"Invalid product handle '{handle}'. It must contain URL safe characters"
        )
