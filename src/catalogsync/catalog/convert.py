"""Products as JSON types and back, for the state store and plan files.

Amounts and sizes are texts, so that no digit is lost. `UNSET` values are left out.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin

import attrs

from catalogsync.errors import InvalidValueError

from .checks import shortened
from .products import Json, Product, ProductKey, ProductStatus, Unset

__all__ = ["product_from_json", "product_to_json"]

T = TypeVar("T")

if TYPE_CHECKING:
    from cattrs import Converter

_LONGEST_NUMBER = 100

EXPECTED: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
"""The types of JSON, for messages."""


def product_to_json(product: Product) -> dict[str, Json]:
    """The product as JSON types."""
    return cast("dict[str, Json]", _converter().unstructure(product))


def product_from_json(tree: object) -> Product:
    """Read the result of `product_to_json`.

    Raises:
        InvalidValueError: It is not a valid product; names the path.
    """
    if not isinstance(tree, Mapping):
        raise InvalidValueError("", "must be a product as a JSON object")
    return structured(_converter(), cast("Mapping[str, object]", tree), Product)


def as_json(value: Any) -> Any:
    """A value of ours as JSON types; what has none stays as it is."""
    cls = value.__class__
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {name: as_json(item) for name, item in items}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in cast("list[object]", value)]
    if isinstance(value, ProductKey | enum.StrEnum):
        return str(value)
    if hasattr(cls, "to_dict"):
        return value.to_dict()
    if attrs.has(cls):
        return as_json(attrs.asdict(value, recurse=False))
    return value


def strict_converter() -> Converter:
    """A converter that reads only values of the declared types, and keys as text."""
    # cattrs is slow to import, and most runs read nothing.
    from cattrs import Converter
    from cattrs.gen import make_dict_structure_fn

    converter = Converter()
    for kind in (str, bool, int, float):
        converter.register_structure_hook(kind, _plain)
    converter.register_structure_hook_func(_is_json, lambda value, _: value)

    def of_object(cls: Any) -> Callable[[Any, Any], Any]:
        make = make_dict_structure_fn(cls, converter)
        return lambda tree, kind: make(_object(tree), kind)

    def of_list(kind: Any) -> Callable[[Any, Any], Any]:
        read = converter.get_structure_hook(list[get_args(kind)[0]])  # type: ignore[misc]
        return lambda items, _: tuple(read(_list(items), list))

    converter.register_structure_hook_factory(attrs.has, of_object)
    converter.register_structure_hook_factory(_is_tuple, of_list)
    converter.register_structure_hook(ProductKey, lambda text, _: _key(text))
    return converter


def _object(tree: Any) -> Any:
    if not isinstance(tree, Mapping):
        raise InvalidValueError("", "must be an object")
    return cast("Mapping[str, object]", tree)


def _list(items: Any) -> Any:
    if not isinstance(items, list | tuple):
        raise InvalidValueError("", "must be a list")
    return cast("list[object]", items)


def _plain(value: Any, kind: Any) -> Any:
    accepted = {kind, int} if kind is float else {kind}
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    if is_infinite or (type(value) not in accepted and not issubclass(kind, enum.Enum)):
        raise InvalidValueError("", f"must be {EXPECTED.get(kind, 'another value')}")
    return kind(value)


def _key(text: Any) -> ProductKey:
    return ProductKey.parse(_plain(text, str))


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _is_json(kind: Any) -> bool:
    """Whether this is `Json`, which needs no conversion."""
    return _is_union(kind) and any(get_origin(m) is list for m in get_args(kind))


def structured(converter: Converter, tree: object, cls: type[T]) -> T:
    """Read a value from JSON types.

    Raises:
        InvalidValueError: It is not valid; names the path.
    """
    try:
        return converter.structure(tree, cls)
    except InvalidValueError:
        raise
    except Exception as error:  # noqa: BLE001 - reported with its path
        try:
            first, *others = _problems(error, "")
        except RecursionError:
            raise InvalidValueError("", "is nested too deeply") from None
        if not others:
            raise first from None
        raise InvalidValueError("", "; ".join(map(str, (first, *others)))) from None


def _problems(error: BaseException, path: str) -> list[InvalidValueError]:
    """The problems, each with its path, such as `variants[2].prices[0].amount`."""
    from cattrs.errors import (
        BaseValidationError,
        ClassValidationError,
        ForbiddenExtraKeysError,
    )

    if isinstance(error, InvalidValueError):
        return [error.under(path)]
    if isinstance(error, ForbiddenExtraKeysError):
        names = ", ".join(sorted(map(shortened, error.extra_fields)))
        return [InvalidValueError(path, f"extra fields found ({names})")]
    if not isinstance(error, BaseValidationError):
        return [InvalidValueError(path, _words(error))]
    found: list[InvalidValueError] = []
    dot = "." if path and isinstance(error, ClassValidationError) else ""
    for each in error.exceptions:
        found += _problems(each, _below(path, dot, each))
    return found


def _below(path: str, dot: str, error: BaseException) -> str:
    """The path to a part of a value; cattrs adds it to the error as a note."""
    from cattrs.errors import AttributeValidationNote, IterableValidationNote

    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f"{path}{dot}{note.name}"
        if isinstance(note, IterableValidationNote):
            return f"{path}[{note.index}]"
    return path


def _words(error: BaseException) -> str:
    match error:
        case KeyError():
            return "is missing"
        case ValueError():
            return str(error)
        case _:
            return "has the wrong type"


@cache
def _converter() -> Converter:
    # cattrs is slow to import, and most runs convert nothing.
    from cattrs import Converter
    from cattrs.gen import make_dict_unstructure_fn

    converter = Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: _decimal(value))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda value, _: _moment(value))
    # The model checks its values; a converter that changes them would hide errors.
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, lambda value, _: value)
    converter.register_unstructure_hook(ProductStatus, lambda status: status.value)
    converter.register_structure_hook(ProductStatus, lambda value, _: _status(value))

    converter.register_structure_hook_func(_is_mapping, lambda value, _: value)
    converter.register_structure_hook_func(
        _is_union, lambda value, kind: _chosen(converter, value, kind)
    )

    def without_defaults(cls: Any) -> Callable[[Any], dict[str, Any]]:
        return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True)

    converter.register_unstructure_hook_factory(attrs.has, without_defaults)
    return converter


def _chosen(converter: Converter, value: Any, kind: Any) -> Any:
    """A value of a union; at most one of its members needs structuring."""
    members = [m for m in get_args(kind) if m not in {Unset, type(None)}]
    if value is None or len(members) != 1:
        return value
    if get_origin(members[0]) is tuple and not isinstance(value, list):
        raise InvalidValueError("", "must be a list")
    return converter.structure(value, members[0])


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in {Union, UnionType}


def _status(value: object) -> ProductStatus:
    if isinstance(value, str) and value in set(ProductStatus):
        return ProductStatus(value)
    known = ", ".join(status.value for status in ProductStatus)
    raise InvalidValueError("", f"must be one of {known}")


def _moment(value: object) -> datetime:
    try:
        return datetime.fromisoformat(cast("str", value))
    except (TypeError, ValueError):
        raise InvalidValueError("", f"{shortened(value)} is not a time") from None


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str) or len(value) > _LONGEST_NUMBER:
        raise InvalidValueError("", "must be a number as text")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise InvalidValueError("", f"{value!r} is not a number") from None
