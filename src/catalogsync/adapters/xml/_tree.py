"""Trees of categories that stand outside of records, such as the groups of BMEcat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import attrs

from catalogsync.errors import MisconfiguredError

__all__ = ["Tree", "TreeNodes"]

_MOST = 1_000_000
_LEVEL, _INSIDE = ">", "\u203a"


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class Tree:
    """Where a file has its tree of categories.

    Attributes:
        nodes: Paths to its elements, as in `records`.
        id: Child or attribute (`@id`) with the id of a node; several are alternatives.
        name: Likewise, its name.
        parent: Likewise, the id of the node above.
    """

    nodes: str | tuple[str, ...] = attrs.field(converter=_texts)
    id: str | tuple[str, ...] = attrs.field(converter=_texts)
    name: str | tuple[str, ...] = attrs.field(converter=_texts)
    parent: str | tuple[str, ...] = attrs.field(converter=_texts)


@attrs.define
class TreeNodes:
    """The nodes that were read.

    Attributes:
        tree: Where everything is.
        known: Name and id of the parent, by id.
    """

    tree: Tree
    known: dict[str, tuple[str, str]] = attrs.field(factory=dict[str, tuple[str, str]])

    def add(self, values: Mapping[str, object]) -> None:
        """Add a node; one without id or name is left out.

        Raises:
            MisconfiguredError: There are too many, or two have the same id.
        """
        tree = self.tree
        id_, name = _found(values, tree.id), _found(values, tree.name)
        if id_ and name and values.get("@type") != "root":  # that is the catalogue
            self._add(id_, (name, _found(values, tree.parent)))
        if len(self.known) > _MOST:
            problem = f"has more than {_MOST} nodes"
            raise MisconfiguredError("category_tree.nodes", problem)

    def _add(self, id_: str, node: tuple[str, str]) -> None:
        if (known := self.known.setdefault(id_, node)) != node:
            problem = (
                f"two nodes have the id {id_}, {known[0]!r} and {node[0]!r}: set the path"
                " to those of one tree"
            )
            raise MisconfiguredError("category_tree.nodes", problem)

    def paths(self) -> dict[str, str]:
        """The names from the top to each node, by its id; a circle ends where it began."""
        return {id_: f" {_LEVEL} ".join(self._names(id_)) for id_ in self.known}

    def _names(self, id_: str) -> list[str]:
        names: list[str] = []
        passed: set[str] = set()
        while id_ in self.known and id_ not in passed:
            passed.add(id_)
            name, id_ = self.known[id_]
            names.append(name.replace(_LEVEL, _INSIDE))
        return names[::-1]


def _found(values: Mapping[str, object], names: str | Sequence[str]) -> str:
    """The first text among these children and attributes."""
    for name in _texts(names):
        value = values.get(name)
        if isinstance(value, Mapping):
            value = cast("Mapping[str, object]", value).get("#text")
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return ""
