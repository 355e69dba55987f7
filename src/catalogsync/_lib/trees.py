"""Trees whose nodes know their parents."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ancestors"]


def ancestors(id_: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """The known ancestors of a node, the parent first.

    In a cycle, each member appears once, including the node itself.
    """
    line: dict[str, None] = {}
    here = parents.get(id_)
    while here is not None and here not in line:
        line[here] = None
        here = parents.get(here)
    return tuple(line)
