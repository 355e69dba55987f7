"""Functions for paths into JSON that bring together what belongs together.

They extend JMESPath, so that a path can read a dump of tables, where products, variants and
prices are lists of their own that refer to each other:

- `attach(rows, 'name', &key, others, &their_key)`: each row gets `name`, a list of the
  others whose key is the same.
- `tree_paths(rows, &key, &parent, &name)`: each row gets `path`, a list of names from the
  root of the tree to the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias, cast

from catalogsync.errors import MissingExtraError

__all__ = ["search_whole"]

Row: TypeAlias = dict[str, object]
Find: TypeAlias = Callable[[object], object]


def search_whole(path: str, tree: object) -> object:
    """What a path finds in the whole of a file or an answer.

    Raises:
        MissingExtraError: JMESPath is not installed.
        ValueError: The path is not valid, or a function is not given what it needs.
    """
    try:
        jmespath: Any = import_module("jmespath")
        functions: Any = import_module("jmespath.functions")
    except ImportError as error:
        raise MissingExtraError("a path into JSON", "mapping") from error
    options = jmespath.Options(custom_functions=_with_joins(functions))
    return cast("object", jmespath.search(path, tree, options))


def _with_joins(functions: Any) -> Any:
    array, text, key = (
        {"types": ["array"]},
        {"types": ["string"]},
        {"types": ["expref"]},
    )

    class Joins(functions.Functions):  # type: ignore[misc]
        """JMESPath's functions and ours; JMESPath finds them by their names."""

        @functions.signature(array, text, key, array, key)  # type: ignore[untyped-decorator]
        def _func_attach(
            self, rows: list[object], name: str, key: Any, others: list[object], of: Any
        ) -> list[Row]:
            return _attached(rows, name, _finder(key), others, _finder(of))

        @functions.signature(array, key, key, key)  # type: ignore[untyped-decorator]
        def _func_tree_paths(
            self, rows: list[object], key: Any, parent: Any, name: Any
        ) -> list[Row]:
            return _with_paths(rows, _finder(key), _finder(parent), _finder(name))

    return Joins()


def _finder(reference: Any) -> Find:
    return lambda row: reference.visit(reference.expression, row)


def _attached(
    rows: list[object], name: str, key: Find, others: list[object], of: Find
) -> list[Row]:
    by_key: dict[str, list[object]] = {}
    for other in others:
        if (found := of(other)) is not None:
            by_key.setdefault(_text(found), []).append(other)
    return [{**row, name: by_key.get(_text(key(row)), [])} for row in _objects(rows)]


def _with_paths(rows: list[object], key: Find, parent: Find, name: Find) -> list[Row]:
    known = {_text(key(row)): row for row in _objects(rows)}
    found: list[Row] = []
    for row in _objects(rows):
        names: list[object] = []
        passed: set[str] = set()
        at: Row | None = row
        while at is not None and (own := _text(key(at))) not in passed:
            passed.add(own)
            names.append(name(at))
            at = known.get(_text(parent(at)))
        found.append({**row, "path": names[::-1]})
    return found


def _objects(rows: list[object]) -> list[Row]:
    """The rows that are objects, of which no other kind has fields."""
    return [dict(cast("Mapping[str, object]", r)) for r in rows if isinstance(r, dict)]


def _text(key: object) -> str:
    """A key as text: a number here may be a text there."""
    return str(key)
