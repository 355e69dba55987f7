"""Query strings as Medusa reads them: filters, pages and order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs
from multidict import MultiMapping

from ._errors import Row, invalid, unknown_error

_NULL = "null"
_PARTS = re.compile(r"\[([^\]]*)\]")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda have, want: have > want,
    "$gte": lambda have, want: have >= want,
    "$lt": lambda have, want: have < want,
    "$lte": lambda have, want: have <= want,
}

Filter: TypeAlias = Callable[[Row, "Wish"], bool]


@attrs.define
class Wish:
    """What one parameter asks for.

    Attributes:
        values: The texts it was given, one or, as ``name[]``, several.
        listed: Whether it was written as a list.
        operator: Such as ``$gt``, or nothing.
    """

    values: list[str]
    listed: bool = False
    operator: str = ""


@attrs.frozen
class Query:
    """A parsed query string.

    Attributes:
        wishes: What is asked for, by the name of the parameter; that of
            ``variants[sku][]`` is ``variants.sku``.
        limit: How many rows at most.
        offset: How many rows to leave out first.
        order: The column to sort by, with a minus for the other way; or nothing.
        fields: The ``fields`` parameter, if there is one.
    """

    wishes: Mapping[str, Wish]
    limit: int
    offset: int
    order: str
    fields: str | None

    @classmethod
    def parse(cls, query: MultiMapping[str], *, limit: int) -> Query:
        """Read the parameters.

        Raises:
            MedusaError: For a limit or an offset that is no number.
        """
        wishes: dict[str, Wish] = {}
        for name, value in query.items():
            _note(wishes, name, value)
        wish = wishes.pop("fields", None)
        fields = wish.values[-1] if wish else None
        order = wishes.pop("order", Wish([""])).values[-1]
        offset = _number(wishes, "offset", 0)
        if offset < 0:
            raise unknown_error()
        return cls(wishes, _number(wishes, "limit", limit), offset, order, fields)

    def asks(self, name: str) -> bool:
        """Whether a parameter says yes."""
        wish = self.wishes.get(name)
        return wish is not None and wish.values[-1] == "true"

    def page(self, rows: Iterable[Row]) -> tuple[list[Row], int]:
        """The rows of this page in order, and how many there are in all."""
        found = list(rows)
        if self.order:
            found = self._sorted(found)
        return found[self.offset :][: self.limit], len(found)

    def _sorted(self, rows: list[Row]) -> list[Row]:
        column = self.order.lstrip("-")
        if rows and column not in rows[0]:
            raise unknown_error()
        return sorted(
            rows,
            key=lambda row: (row[column] is None, str(row[column])),
            reverse=self.order.startswith("-"),
        )


def _note(wishes: dict[str, Wish], name: str, value: str) -> None:
    head = name.split("[", 1)[0]
    parts = _PARTS.findall(name)
    listed = bool(parts) and (not parts[-1] or parts[-1].isdigit())
    if listed:
        parts.pop()
    operator = parts.pop() if parts and parts[-1].startswith("$") else ""
    wish = wishes.setdefault(".".join([head, *parts]), Wish([], listed, operator))
    wish.values.append(value)


def _number(wishes: dict[str, Wish], name: str, default: int) -> int:
    if name not in wishes:
        return default
    text = wishes.pop(name).values[-1]
    try:
        return int(float(text))
    except ValueError:
        message = f"Expected type: 'number' for field '{name}', got: '{text}'"
        raise invalid(f"Invalid request: {message}") from None


def matches_column(column: str) -> Filter:
    """Match one of the wanted values, with ``null`` for none."""

    def matches(row: Row, wish: Wish) -> bool:
        return _is_one_of(row.get(column), wish)

    return matches


def matches_moment(column: str) -> Filter:
    """Match a time, with the operators that Medusa has for it."""

    def matches(row: Row, wish: Wish) -> bool:
        have, want = str(row[column]), wish.values[-1]
        compare = _OPERATORS.get(wish.operator)
        return compare(have, want) if compare else have == want

    return matches


def matches_related(relation: str, column: str = "id") -> Filter:
    """Match rows that have a relative with one of the wanted values."""

    def matches(row: Row, wish: Wish) -> bool:
        return any(
            _is_one_of(relative[column], wish, splits=False)
            for relative in row[relation]
            if relative
        )

    return matches


def contains(*columns: str) -> Filter:
    """Match rows with the wanted text anywhere in these columns."""

    def matches(row: Row, wish: Wish) -> bool:
        wanted = wish.values[-1].lower()
        if wanted == _NULL:  # nothing is asked for
            return True
        return any(wanted in str(row.get(column) or "").lower() for column in columns)

    return matches


def _is_one_of(value: object, wish: Wish, *, splits: bool = True) -> bool:
    """Whether a value is asked for; the text ``null`` always means none.

    A single value in a list is taken for several where it has commas.
    """
    wanted = wish.values
    if splits and wish.listed and len(wanted) == 1:
        wanted = wanted[0].split(",")
    if value is None:
        return _NULL in wanted
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text != _NULL and text in wanted
