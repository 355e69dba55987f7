"""The tree of categories as Medusa stores and shows it, including its defects.

Observed on Medusa 2.21.2: nothing prevents a category from being moved below itself;
showing such a tree never ends, which is an unknown error. Ancestors are looked up by the
path of ids, `mpath`. A move to the top level empties the path of the category, but not
the paths of the categories below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from aiohttp import web

from ._errors import Row, unknown_error
from ._fields import KINDS
from ._query import Filter, Query
from ._state import State
from ._web import Listing, answer

__all__ = ["TREES", "close_up", "move", "show_page", "show_trees"]

_ANCESTORS, _DESCENDANTS = "include_ancestors_tree", "include_descendants_tree"
_CHOOSE_NO_TREE = frozenset({"id", "handle", "parent_category_id"})
_COLUMNS = KINDS["category"].columns


def _any(_: Row, __: object) -> bool:
    return True


TREES: dict[str, Filter] = {_ANCESTORS: _any, _DESCENDANTS: _any}
"""Parameters of a list of categories that do not filter it."""


def move(state: State, category: Row, parent: Row | None) -> None:
    """Move a category below another one, or to the top level, as the last one there."""
    old = category["parent_category"]
    if parent is old:
        return
    paths = _new_paths(state, category, parent) if parent else {category["id"]: ""}
    rank = len(children(state, parent))
    close_up(state, category)
    state.journal.put(category, "rank", rank)
    if old:
        rest = [row for row in old["category_children"] if row is not category]
        state.replace(old, "category_children", rest)
    if parent:
        rows = [*parent["category_children"], category]
        state.replace(parent, "category_children", rows)
    state.journal.put(category, "parent_category", parent)
    for id_, path in paths.items():
        state.journal.put(state.categories[id_], "mpath", path)


def close_up(state: State, category: Row) -> None:
    """Close the gap that a category leaves in the ranks of its siblings."""
    for row in children(state, category["parent_category"]):
        if row["rank"] > category["rank"]:
            state.journal.put(row, "rank", row["rank"] - 1)


def children(state: State, parent: Row | None) -> list[Row]:
    """The children of a category, or the categories at the top level."""
    rows = state.categories.values()
    return [row for row in rows if row["parent_category"] is parent]


def _new_paths(state: State, category: Row, parent: Row) -> dict[str, str]:
    """The new paths of a category and all its descendants.

    Raises:
        MedusaError: The category is one of its own descendants.
    """
    start = category["mpath"]
    near = [r for r in state.categories.values() if r["mpath"].startswith(start)]
    paths: dict[str, str] = {}

    def add(row: Row, base: str) -> None:
        if row["id"] in paths:
            raise unknown_error()
        paths[row["id"]] = f"{base}.{row['id']}"
        for child in near:
            if child["parent_category"] is row:
                add(child, paths[row["id"]])

    add(category, parent["mpath"])
    return paths


def show_page(
    listing: Listing, request: web.Request, key: str, rows: Iterable[Row]
) -> web.Response:
    """A page of categories, with their trees if the query requests them."""
    query = listing.query(request)
    visible = list(rows)
    found, count = query.page(listing.matching(visible, query))
    shown = show_trees(listing, query, visible, found)
    numbers = {"count": count, "offset": query.offset, "limit": query.limit}
    return answer({key: shown, **numbers})


def show_trees(
    listing: Listing, query: Query, visible: list[Row], found: list[Row]
) -> list[Row]:
    """Categories as the query requests them.

    Args:
        listing: Default fields of a category.
        query: The query.
        visible: Categories that may be part of a tree.
        found: Categories to show.
    """
    show = listing.shower(query.fields)
    desired = {name for name in TREES if query.asks(name)}
    if not desired:
        return [show(row) for row in found]
    conditions = {n: w for n, w in query.conditions.items() if n not in _CHOOSE_NO_TREE}
    rest = listing.matching(visible, attrs.evolve(query, conditions=conditions))
    view: Callable[[Row, Row], Row] = _Ancestors.of(found, rest).show
    if _DESCENDANTS in desired:
        view = _Descendants(rest).show
    by_rank = sorted(found, key=lambda row: row["rank"])
    return [view(row, show(row)) for row in by_rank]


@attrs.frozen
class _Ancestors:
    """Shows categories with their ancestors.

    Attributes:
        near: The categories in the paths of those shown, by id.
    """

    near: dict[str, Row]

    @classmethod
    def of(cls, found: list[Row], rows: list[Row]) -> _Ancestors:
        """The instance that shows *found*; their ancestors are among *rows*."""
        paths: set[str] = set()
        for row in found:
            parts = row["mpath"].split(".")
            paths |= {".".join(parts[: n + 1]) for n in range(len(parts))}
        return cls({row["id"]: row for row in rows if row["mpath"] in paths})

    def show(self, row: Row, shown: Row) -> Row:
        """One of them."""
        if "parent_category" in shown:
            self._lift(row, shown, set())
        return shown

    def _lift(self, row: Row, shown: Row, seen: set[str]) -> None:
        if row["id"] in seen:
            raise unknown_error()
        seen.add(row["id"])
        if row["parent_category_id"] is None:
            return
        parent = self.near.get(row["parent_category_id"])
        if parent is None:
            shown.pop("parent_category", None)
            shown.pop("parent_category_id", None)
            return
        shown["parent_category"] = above = _whole(parent)
        above["category_children"] = list(map(_whole, parent["category_children"]))
        above["parent_category"] = None
        self._lift(parent, above, seen)


@attrs.frozen
class _Descendants:
    """Shows categories with their descendants."""

    rows: list[Row]

    def show(self, row: Row, shown: Row) -> Row:
        """One of them."""
        start = row["mpath"]
        near = [r for r in self.rows if r["mpath"].startswith(start)]
        below = self._below(row, near, {row["id"]})
        shown.pop("parent_category", None)
        if "category_children" in shown:
            shown["category_children"] = below
        return shown

    def _below(self, row: Row, near: list[Row], seen: set[str]) -> list[Row]:
        found: list[Row] = []
        for child in near:
            if child["parent_category"] is row:
                if child["id"] in seen:
                    raise unknown_error()
                below = self._below(child, near, seen | {child["id"]})
                found.append({**_whole(child), "category_children": below})
        return found


def _whole(row: Row) -> Row:
    return {name: row[name] for name in _COLUMNS}
