"""Checking that a reply has the requested shape.

A request names its columns in `fields`, and a column has the same kind wherever it
occurs. Every requested column must be present, except single links to other modules:
Medusa omits those without a target. Other columns are not checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NoReturn, cast

import attrs

from catalogsync.errors import BrokenReplyError, InvalidValueError

__all__ = ["Body", "shaped"]

_ABSENT: Final = object()


def _is_moment(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


@attrs.frozen
class _Kind:
    """A kind of values.

    Attributes:
        words: Its name in messages.
        types: The types of its values; empty: any type.
        fits: A further condition on values of these types; None: no condition.
    """

    words: str
    types: tuple[type, ...]
    fits: Callable[[Any], object] | None = None

    def or_null(self) -> _Kind:
        """This kind or null."""
        return attrs.evolve(self, types=(*self.types, type(None)))

    def fit(self, values: list[Any]) -> bool:
        """Whether all of these values are of this kind."""
        if self.types and set(map(type, values)).difference(self.types):
            return False
        if self.fits is None:
            return True
        return all(map(self.fits, [value for value in values if value is not None]))


_ANYTHING = _Kind("anything", ())
_TEXT = _Kind("text", (str,))
_IDENTITY = _Kind("an id", (str,), re.compile(r"[\w.:~-]{1,200}", re.ASCII).fullmatch)
_NUMBER = _Kind("a number", (int, float), math.isfinite)
_COUNT = _Kind("a whole number", (int,))
_MOMENT = _Kind("a time with its zone", (str,), _is_moment)
_FLAG = _Kind("true or false", (bool,))
_OBJECT = _Kind("an object", (dict,))
_LIST = _Kind("a list", (list,))

_NAMES: tuple[tuple[_Kind, str], ...] = (
    (_IDENTITY, "id inventory_item_id location_id price_set_id shipping_profile_id"),
    (
        _IDENTITY.or_null(),
        "default_location_id default_sales_channel_id parent_category_id",
    ),
    (_TEXT, "currency_code handle name title url value"),
    (
        _TEXT.or_null(),
        "barcode description external_id sku status thumbnail type",
    ),
    (_TEXT.or_null(), "hs_code material mid_code origin_country subtitle"),
    (_NUMBER, "amount reserved_quantity stocked_quantity"),
    (
        _NUMBER.or_null(),
        "height length max_quantity min_quantity rank weight width",
    ),
    (_MOMENT, "created_at updated_at"),
    (_FLAG, "discountable manage_inventory"),
    (_OBJECT.or_null(), "metadata"),
)
_KINDS = {name: kind for kind, names in _NAMES for name in names.split()}
_ANSWERS = frozenset(
    {"collection", "collections", "created", "inventory_items"}
    | {"product_categories", "product_category", "product_type", "product_types"}
    | {"product", "product_option", "product_options", "product_tag", "product_tags"}
    | {"products", "sales_channels", "shipping_profiles", "stock_locations"}
    | {"stores", "updated", "variants"}
)
"""The keys under which bodies have rows, or a single row."""
_SINGLE = frozenset(
    {"inventory", "option", "product", "product_category", "product_option"}
    | {"collection", "product_tag", "product_type", "type"}
    | {"price_set_link", "shipping_profile", "shipping_profiles_link"}
)
_OPTIONAL = frozenset(
    {"inventory", "price_set_link", "prices", "shipping_profile"}
    | {"shipping_profiles_link"}
)
"""Single links to other modules, which may be absent."""
_GAPPED = frozenset(
    {"collection", "inventory_items", "option", "prices", "sales_channels", "type"}
)
"""Columns that are null, or lists that contain null, after a deletion."""


@attrs.frozen
class _Column:
    """A column of a row.

    Attributes:
        name: Its name.
        kind: The kind of its values.
        inner: The columns of the related rows.
        is_optional: Whether it may be missing or null.
        has_gaps: Whether it may be null, or a list that contains null.
    """

    name: str
    kind: _Kind
    inner: tuple[_Column, ...] = ()
    is_optional: bool = False
    has_gaps: bool = False

    def known(self, values: list[Any]) -> list[Any]:
        """The values of this column that have to be of its kind."""
        if self.is_optional:
            return [v for v in values if v is not _ABSENT and v is not None]
        if self.has_gaps:
            return [v for v in values if v is not None]
        return values

    def related(self, values: list[Any]) -> list[Any]:
        """The rows in these values."""
        if self.kind is not _LIST:
            return values
        rows = chain.from_iterable(values)
        return [row for row in rows if row is not None or not self.has_gaps]


_RENAMED = {"price_rules": _Column("rules", _OBJECT)}
"""Columns that Medusa returns under another name and in another form."""


class Body(dict[str, Any]):
    """The body of a reply; access to a missing key is a `BrokenReplyError`.

    Attributes:
        what: The request, for messages.
    """

    def __init__(self, what: str, body: Mapping[str, Any]) -> None:
        super().__init__(body)
        self.what = what

    def __missing__(self, name: str) -> NoReturn:
        """Raise a `BrokenReplyError`."""
        raise BrokenReplyError(f"{self.what}: {name}: is missing")


def shaped(what: str, body: Mapping[str, Any], query: str) -> Body:
    """The body of a reply, after a check of its shape.

    Args:
        what: The request, for messages.
        body: The body.
        query: The request's query, whose `fields` name the columns.

    Raises:
        BrokenReplyError: The body has another shape; the message says where.
    """
    fields = (part for part in query.split("&") if part.startswith("fields="))
    inner = _columns(next(fields, "").removeprefix("fields="))
    columns = [_related(name, inner) for name in body if name in _ANSWERS]
    if "count" in body:
        columns.append(_Column("count", _COUNT))
    if not _have_shape([body], columns):
        try:
            _check_row(body, columns)
        except InvalidValueError as error:
            raise BrokenReplyError(f"{what}: {error}") from None
    return Body(what, body)


@lru_cache(maxsize=64)
def _columns(fields: str) -> tuple[_Column, ...]:
    related: dict[str, list[str]] = {}
    for field in filter(None, fields.split(",")):
        name, _, rest = field.partition(".")
        related.setdefault(name, []).append(rest)
    return tuple(
        _RENAMED.get(name)
        or attrs.evolve(
            _related(name, _columns(",".join(rests))),
            is_optional=name in _OPTIONAL,
            has_gaps=name in _GAPPED,
        )
        if any(rests)
        else _Column(name, _KINDS.get(name, _ANYTHING))
        for name, rests in related.items()
    )


def _related(name: str, inner: tuple[_Column, ...]) -> _Column:
    return _Column(name, _OBJECT if name in _SINGLE else _LIST, inner)


def _have_shape(rows: list[Any], columns: Iterable[_Column]) -> bool:
    """Whether all rows have these columns; `_check_row` finds the error.

    Checking one column of all rows at a time is much faster than row by row.
    """
    if not _OBJECT.fit(rows):
        return False
    for column in columns:
        values = column.known([row.get(column.name, _ABSENT) for row in rows])
        if not column.kind.fit(values):
            return False
        if column.inner and not _have_shape(column.related(values), column.inner):
            return False
    return True


def _check_row(row: object, columns: Iterable[_Column]) -> None:
    if not isinstance(row, dict):
        raise InvalidValueError("", "must be an object")
    values = cast("dict[str, object]", row)
    for column in columns:
        value = values.get(column.name, _ABSENT)
        known = column.known([value])
        if not column.kind.fit(known):
            words = column.kind.words
            problem = "is missing" if value is _ABSENT else f"must be {words}"
            raise InvalidValueError(column.name, problem)
        if column.inner and known:
            _check_related(column, value)


def _check_related(column: _Column, value: object) -> None:
    rows = cast("list[object]", value if isinstance(value, list) else [value])
    for index, row in enumerate(rows):
        if row is None and column.has_gaps:
            continue
        try:
            _check_row(row, column.inner)
        except InvalidValueError as error:
            place = column.name if row is value else f"{column.name}[{index}]"
            raise error.under(place) from None
