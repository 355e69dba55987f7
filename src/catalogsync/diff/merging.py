"""Merging lists and JSON values: what stays in the store, and what ours replaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from catalogsync.catalog.products import Json

__all__ = ["merge", "merge_ordered", "put", "same"]

K = TypeVar("K")
T = TypeVar("T")


def put(
    existing: Sequence[T], ours: Mapping[K, T], name: Callable[[T], K]
) -> tuple[T, ...]:
    """The list with our elements in place of those with the same name, each once."""
    rest = dict(ours)
    after = [
        rest.pop(name(each), each)
        for each in existing
        if name(each) not in ours or name(each) in rest
    ]
    return (*after, *rest.values())


def same(one: Json, other: Json) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    if type(one) is type(other) and not isinstance(one, list | dict):
        return one == other
    if isinstance(one, str | float) or isinstance(other, str | float):
        return one == other and not isinstance(one, bool) | isinstance(other, bool)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            same(one[name], other[name]) for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def merge(
    desired: Sequence[str], existing: Sequence[str], ours: Callable[[str], bool]
) -> tuple[str, ...] | None:
    """The elements after the change, in any order; None: no change."""
    if set(desired) == set(existing):
        return None
    kept = [e for e in existing if e in desired or not ours(e)]
    target = (*kept, *(e for e in desired if e not in existing))
    return None if len(target) == len(existing) == len(kept) else target


def merge_ordered(
    desired: Sequence[str], existing: Sequence[str], ours: Callable[[str], bool]
) -> Sequence[str] | None:
    """The elements after the change; None: no change.

    Our elements keep the order of the source. Others that come before all of ours stay
    in front; the rest of them follow.
    """
    stay = [e for e in existing if e in desired or not ours(e)]
    if stay == list(existing) and [e for e in existing if e in desired] == list(
        desired
    ):
        return None
    theirs = [e for e in stay if e not in desired]
    first = next((i for i, e in enumerate(stay) if e in desired), 0)
    return [*theirs[:first], *desired, *theirs[first:]]
