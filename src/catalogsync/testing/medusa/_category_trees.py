"""Categories with their ancestors or descendants, as Medusa shows them.

Observed on Medusa 2.21.2: ancestors are looked up by the path of ids, `mpath`. Showing
a category that is below itself never ends, which is an unknown error.
"""

from __future__ import annotations

import attrs

from ._errors import Row, unknown_error
from ._fields import KINDS
from ._query import Condition, Filter, Query
from ._routes import Listing

_ANCESTORS, _DESCENDANTS = "include_ancestors_tree", "include_descendants_tree"
_CHOOSE_NO_TREE = frozenset({"id", "handle", "parent_category_id"})
_COLUMNS = KINDS["category"].columns


def _any(_row: Row, _condition: Condition) -> bool:
    return True


TREES: dict[str, Filter] = {_ANCESTORS: _any, _DESCENDANTS: _any}
"""Parameters of a list of categories that do not filter it."""


def show_trees(
    listing: Listing, query: Query, rows: list[Row], found: list[Row]
) -> list[Row]:
    """Categories as the query requests them.

    Args:
        listing: Default fields of a category.
        query: The query.
        rows: Categories that may be part of a tree.
        found: Categories to show.
    """
    show = listing.shower(query.fields)
    desired = {name for name in TREES if query.asks(name)}
    if not desired:
        return [show(row) for row in found]
    conditions = {n: w for n, w in query.conditions.items() if n not in _CHOOSE_NO_TREE}
    rest = listing.matching(rows, attrs.evolve(query, conditions=conditions))
    by_rank = sorted(found, key=lambda row: row["rank"])
    if _DESCENDANTS in desired:
        return [_with_descendants(row, show(row), rest) for row in by_rank]
    near = _in_paths(rest, found)
    return [_with_ancestors(row, show(row), near) for row in by_rank]


def _in_paths(rows: list[Row], found: list[Row]) -> dict[str, Row]:
    """The categories in the paths of those that were found, by id."""
    paths: set[str] = set()
    for row in found:
        parts = row["mpath"].split(".")
        paths |= {".".join(parts[: n + 1]) for n in range(len(parts))}
    return {row["id"]: row for row in rows if row["mpath"] in paths}


def _with_ancestors(row: Row, shown: Row, near: dict[str, Row]) -> Row:
    seen: set[str] = set()
    below = shown
    while "parent_category" in below:
        if row["id"] in seen:
            raise unknown_error()
        seen.add(row["id"])
        if row["parent_category_id"] is None:
            break
        parent = near.get(row["parent_category_id"])
        if parent is None:
            below.pop("parent_category", None)
            below.pop("parent_category_id", None)
            break
        children = list(map(_whole, parent["category_children"]))
        above = {**_whole(parent), "category_children": children}
        below["parent_category"] = above
        above["parent_category"] = None
        row, below = parent, above
    return shown


def _with_descendants(row: Row, shown: Row, rows: list[Row]) -> Row:
    near = [other for other in rows if other["mpath"].startswith(row["mpath"])]
    below = _below(row, near, {row["id"]})
    shown.pop("parent_category", None)
    if "category_children" in shown:
        shown["category_children"] = below
    return shown


def _below(row: Row, near: list[Row], seen: set[str]) -> list[Row]:
    found: list[Row] = []
    for child in near:
        if child["parent_category"] is row:
            if child["id"] in seen:
                raise unknown_error()
            below = _below(child, near, seen | {child["id"]})
            found.append({**_whole(child), "category_children": below})
    return found


def _whole(row: Row) -> Row:
    return {name: row[name] for name in _COLUMNS}
