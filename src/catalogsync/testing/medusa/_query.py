"""Query strings as Medusa reads them: filters, pages and order."""

from __future__ import annotations

import functools
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

Filter: TypeAlias = Callable[[Row, "Condition"], bool]


@attrs.define
class Condition:
    """One filter of a query.

    Attributes:
        values: The values of the parameter; several for ``name[]``.
        listed: Whether it was written as a list.
        operator: An operator such as ``$gt``; empty: none.
    """

    values: list[str]
    listed: bool = False
    operator: str = ""


@attrs.frozen
class Query:
    """A parsed query string.

    Attributes:
        conditions: Filters by name of the parameter; ``variants[sku][]`` becomes
            ``variants.sku``.
        limit: Largest number of rows.
        offset: Number of rows to skip.
        order: The column to sort by, with a minus for descending order; empty: none.
        fields: The ``fields`` parameter; None: there is none.
    """

    conditions: Mapping[str, Condition]
    limit: int
    offset: int
    order: str
    fields: str | None

    @classmethod
    def parse(cls, query: MultiMapping[str], *, limit: int) -> Query:
        """Read the parameters.

        Raises:
            MedusaError: The limit or the offset is not a number.
        """
        conditions: dict[str, Condition] = {}
        for name, value in query.items():
            _note(conditions, name, value)
        condition = conditions.pop("fields", None)
        fields = condition.values[-1] if condition else None
        order = conditions.pop("order", Condition([""])).values[-1]
        offset = _number(conditions, "offset", 0)
        if offset < 0:
            raise unknown_error()
        return cls(
            conditions, _number(conditions, "limit", limit), offset, order, fields
        )

    def asks(self, name: str) -> bool:
        """Whether a parameter is ``true``."""
        condition = self.conditions.get(name)
        return condition is not None and condition.values[-1] == "true"

    def page(self, rows: Iterable[Row]) -> tuple[list[Row], int]:
        """The rows of this page in order, and the number of all rows."""
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


def _note(conditions: dict[str, Condition], name: str, value: str) -> None:
    head = name.split("[", 1)[0]
    parts = _PARTS.findall(name)
    listed = bool(parts) and (not parts[-1] or parts[-1].isdigit())
    if listed:
        parts.pop()
    operator = parts.pop() if parts and parts[-1].startswith("$") else ""
    condition = conditions.setdefault(
        ".".join([head, *parts]), Condition([], listed, operator)
    )
    condition.values.append(value)


def _number(conditions: dict[str, Condition], name: str, default: int) -> int:
    if name not in conditions:
        return default
    text = conditions.pop(name).values[-1]
    try:
        return int(float(text))
    except ValueError:
        message = f"Expected type: 'number' for field '{name}', got: '{text}'"
        raise invalid(f"Invalid request: {message}") from None


def by_columns(names: str) -> dict[str, Filter]:
    """Match one of the given values of a column; ``null`` matches an empty one."""

    def matches(row: Row, condition: Condition, *, column: str) -> bool:
        return _is_one_of(row.get(column), condition)

    return {name: functools.partial(matches, column=name) for name in names.split()}


def by_moments(names: str) -> dict[str, Filter]:
    """Match a time, with Medusa's operators."""

    def matches(row: Row, condition: Condition, *, column: str) -> bool:
        have, want = str(row[column]), condition.values[-1]
        compare = _OPERATORS.get(condition.operator)
        return compare(have, want) if compare else have == want

    return {name: functools.partial(matches, column=name) for name in names.split()}


def by_related(relation: str, column: str = "id") -> Filter:
    """Match rows that have a related row with one of the given values."""

    def matches(row: Row, condition: Condition) -> bool:
        return any(
            _is_one_of(relative[column], condition, splits=False)
            for relative in row[relation]
            if relative
        )

    return matches


def by_text(columns: str) -> dict[str, Filter]:
    """Match rows with the text ``q`` anywhere in these columns."""

    def matches(row: Row, condition: Condition) -> bool:
        desired = condition.values[-1].lower()
        if desired == _NULL:  # matches all rows
            return True
        texts = (str(row.get(column) or "").lower() for column in columns.split())
        return any(desired in text for text in texts)

    return {"q": matches}


def _is_one_of(value: object, condition: Condition, *, splits: bool = True) -> bool:
    """Whether a value matches; the text ``null`` always means an empty column.

    A single value in a list is split at its commas.
    """
    desired = condition.values
    if splits and condition.listed and len(desired) == 1:
        desired = desired[0].split(",")
    if value is None:
        return _NULL in desired
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text != _NULL and text in desired
