"""Classes that describe JSON: an object is a class, its fields are the keys."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast, get_args, get_origin

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.events import Retrying
from catalogsync.report import Report
from catalogsync.schedule import Schedule
from catalogsync.state.protocols import FailedProduct, Trigger

Tree = dict[str, Any]

_PLAIN: Mapping[Any, Tree] = {
    str: {"type": "string"},
    ProductKey: {"type": "string"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    object: {},
}
_HIDDEN: Mapping[type, frozenset[str]] = {
    FailedProduct: frozenset({"payload"}),
    Retrying: frozenset({"run_id"}),
    Schedule: frozenset({"jitter", "catch_up"}),
    Trigger: frozenset({"job"}),
}


def described(name: str, **types: Any) -> Any:
    """A class that only describes an object, with the types of its keys."""
    made = {key: attrs.field(type=kind) for key, kind in types.items()}
    return attrs.make_class(name, made, frozen=True)


def fields(cls: type) -> Iterator[tuple[attrs.Attribute[Any], Any, Tree]]:
    """The visible fields of a class, their types and their additional keywords."""
    for each in attrs.fields(attrs.resolve_types(cls)):
        if each.name not in _HIDDEN.get(cls, ()):
            more = {n: v for n, v in each.metadata.items() if n != "optional"}
            yield each, each.type, more


def shape(kind: Any, value: Any) -> Any:
    """A value as JSON types, with nothing but what its description has.

    Args:
        kind: The description: a class, or a type of JSON.
        value: For a class: an object, a mapping, or a tuple of these, of which the
            first one with a field counts. A field that none has is left out.
    """
    kind = _without_null(kind)
    if value is None:
        return None
    if kind in {str, ProductKey}:
        return str(value)
    if item := _item(kind):
        return [shape(item, each) for each in value]
    if not attrs.has(kind):
        return value.to_dict() if isinstance(value, Report) else value
    parts: Any = value
    if not isinstance(value, tuple):
        parts = (value,)
    return {
        each.name: shape(hint, found[0])
        for each, hint, _ in fields(kind)
        if (found := [*_values(parts, each.name)])
    }


def _values(parts: tuple[Any, ...], name: str) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, Mapping):
            if name in part:
                yield part[name]
        elif hasattr(part, name):
            yield getattr(part, name)


def schema(kind: Any) -> Tree:
    """The JSON schema of a description; a class becomes a reference."""
    inner = _without_null(kind)
    if inner is not kind:
        return _or_null(schema(inner))
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if item := _item(kind):
        return {"type": "array", "items": schema(item)}
    if attrs.has(kind) and kind is not ProductKey:
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    if isinstance(kind, enum.EnumMeta):
        return {"enum": [member.value for member in cast("Any", kind)]}
    return dict(_PLAIN[get_origin(kind) or kind])


def _or_null(tree: Tree) -> Tree:
    if "enum" in tree:
        return {"enum": [*tree["enum"], None]}
    if "type" in tree:
        return {**tree, "type": [tree["type"], "null"]}
    return {"oneOf": [tree, {"type": "null"}]}


def schemas(kind: Any) -> Tree:
    """The schemas of the classes in a description, by their names."""
    kind = _without_null(kind)
    if item := _item(kind):
        return schemas(item)
    if not attrs.has(kind) or kind is ProductKey:
        return {}
    found: Tree = {}
    for _, hint, _ in fields(kind):
        found |= schemas(hint)
    found[kind.__name__] = {
        "type": "object",
        "properties": {f.name: {**schema(t), **more} for f, t, more in fields(kind)},
        "required": [
            f.name for f, *_ in fields(kind) if not f.metadata.get("optional")
        ],
        "additionalProperties": False,
    }
    return found


def _item(kind: Any) -> Any:
    """The type of the items of a list; None: not a list."""
    return get_args(kind)[0] if get_origin(kind) in {list, tuple} else None


def _without_null(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is types.UnionType else kind
