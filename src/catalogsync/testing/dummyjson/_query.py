"""Query strings as DummyJSON reads them, with JavaScript's numbers and order."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

import attrs
from multidict import MultiMapping

from ._records import Record

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_OTHER_BASE = re.compile(r"0x[0-9a-f]+|0o[0-7]+|0b[01]+", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)

T = TypeVar("T")


class BadQuery(Exception):  # noqa: N818 - becomes an answer
    """A parameter that DummyJSON refuses with status 400."""


@attrs.frozen(kw_only=True)
class Query:
    """The parameters that DummyJSON knows, checked; None is JavaScript's NaN."""

    limit: int | None
    skip: int | None
    select: tuple[str, ...] = ()
    sort_by: str = ""
    descending: bool = False
    search: str = ""
    delay: float = 0.0

    @classmethod
    def parse(cls, query: MultiMapping[str]) -> Query:
        """Read the parameters of a request.

        Raises:
            BadQuery: DummyJSON would refuse one of them.
        """
        limit, skip = _joined(query, "limit", "30"), _joined(query, "skip", "0")
        for name, text in (("limit", limit), ("skip", skip)):
            if number(text) is None:
                message = f"Invalid '{name}' - must be a number"
                raise BadQuery(message)
        return cls(
            limit=_parse_int(limit),
            skip=_parse_int(skip),
            search=_search(query),
            delay=_delay(query),
            select=_select(query.getall("select", [])),
            sort_by=_joined(query, "sortBy", ""),
            descending=_descending(query),
        )

    def page(self, products: Sequence[T]) -> Sequence[T]:
        """The products that `skip` and `limit` select."""
        if self.skip is not None and self.skip > 0:
            products = products[self.skip :]
        if self.limit is None:
            return ()
        if self.limit == 0 or self.limit > len(products):
            return products
        return products[: self.limit]

    def selected(self, record: Record) -> Record:
        """The record with the requested fields and its id."""
        if not self.select:
            return record
        return {name: record[name] for name in self.select if name in record}

    def sorted(self, records: Iterable[Record]) -> list[Record]:
        """The records in the requested order."""

        def compare(one: Record, other: Record) -> int:
            a, b = one.get(self.sort_by), other.get(self.sort_by)
            if a == b and _is_primitive(a):
                return 0
            # If neither is greater, as with a missing value, the comparison gives -1
            # in both directions, and the result depends on the sorting algorithm,
            # which is the same in JavaScript and Python.
            return 1 if (_less(a, b) if self.descending else _less(b, a)) else -1

        return sorted(records, key=functools.cmp_to_key(compare))


def number(text: str) -> float | None:
    """JavaScript's ``Number(text)``, None for NaN."""
    text = text.strip()
    if not text:
        return 0.0
    if _OTHER_BASE.fullmatch(text):
        return float(int(text, 0))
    if _DECIMAL.fullmatch(text) or text in {"Infinity", "+Infinity", "-Infinity"}:
        return float(text)
    return None


def _joined(query: MultiMapping[str], name: str, default: str) -> str:
    # A repeated parameter is a list in JavaScript, which reads as text with commas.
    return ",".join(query.getall(name, [default]))


def _parse_int(text: str) -> int | None:
    """JavaScript's ``parseInt(text, 10)``, None for NaN."""
    found = _INTEGER.match(text.strip())
    return int(found[0]) if found else None


def _search(query: MultiMapping[str]) -> str:
    texts = query.getall("q", [""])
    if len(texts) > 1:
        message = "Invalid 'q' - must be a string"
        raise BadQuery(message)
    return texts[0].strip().lower().replace("-", " ")


def _delay(query: MultiMapping[str]) -> float:
    text = _joined(query, "delay", "")
    milliseconds = number(text)
    if milliseconds is None:
        message = "Delay must be a number in milliseconds"
    elif milliseconds > 5000:
        message = "Delay cannot be greater than 5 seconds"
    elif milliseconds < 0:
        message = "Delay cannot be less than 0"
    else:
        return (_parse_int(text) or 0) / 1000
    raise BadQuery(message)


def _select(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) == 1:
        values = values[0].split(",") if values[0] else []
    return ("id", *values) if values else ()


def _descending(query: MultiMapping[str]) -> bool:
    order = _joined(query, "order", "").lower()
    if order not in {"", "asc", "desc"} and _joined(query, "sortBy", ""):
        message = "Order can be: 'asc' or 'desc'"
        raise BadQuery(message)
    return order == "desc"


def _is_primitive(value: object) -> bool:
    # In JavaScript, two lists are never equal.
    return not isinstance(value, list | dict)


def _less(a: object, b: object) -> bool:
    """JavaScript's ``a < b`` for JSON values."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a < b
    if (
        a is None
        or b is None
        or isinstance(a, int | float)
        or isinstance(b, int | float)
    ):
        return False
    return _text(a).encode("utf-16-be") < _text(b).encode("utf-16-be")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_text(item) for item in cast("list[object]", value))
    return "[object Object]" if isinstance(value, dict) else str(value)
