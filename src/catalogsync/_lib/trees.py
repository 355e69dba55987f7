"""Trees of things that know what contains them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ancestors"]


def ancestors(id_: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """All that contain a thing, nearest first, as far as this is known.

    In a cycle, each of its members comes once, the thing itself included.
    """
    line: dict[str, None] = {}
    here = parents.get(id_)
    while here is not None and here not in line:
        line[here] = None
        here = parents.get(here)
    return tuple(line)
