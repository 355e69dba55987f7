"""Cuts changes into batches that a sink accepts.

A batch has one action, and repairs are kept apart from other updates. It is within the
limits of the sink, by number and by weight on the wire.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from catalogsync.batching import batched
from catalogsync.catalog.changes import (
    Action,
    Change,
    Create,
    Existing,
    Removal,
    Update,
)
from catalogsync.protocols import Sink, SizedSink

from . import promises
from .options import Options

__all__ = ["ChangeT", "by_action", "cut", "existing_of", "is_repair"]

ChangeT = TypeVar("ChangeT", bound=Change)


def existing_of(change: Change) -> Existing | None:
    """The product in the sink; None: it is to be created."""
    return None if isinstance(change, Create) else change.existing


def is_repair(change: Change) -> bool:
    """Whether a change adds parts that the product in the sink lacks."""
    return isinstance(change, Update) and bool(change.existing.missing_parts)


def by_action(changes: Iterable[ChangeT]) -> list[list[ChangeT]]:
    """Split by action, and repairs from other updates; one write never mixes them."""
    parts: dict[tuple[Action, bool], list[ChangeT]] = {}
    for change in changes:
        parts.setdefault((change.action, is_repair(change)), []).append(change)
    return list(parts.values())


def cut(
    changes: Sequence[ChangeT], sink: Sink, options: Options
) -> list[list[ChangeT]]:
    """Batches of about the same size within the sink's limits, one action each."""
    most = min(sink.limits.batch, options.batch_size or sink.limits.batch)
    weigh = _weigh(sink)
    weight = sink.limits.weight if weigh else None
    batches: list[list[ChangeT]] = []
    for part in by_action(changes):
        size = math.ceil(len(part) / math.ceil(len(part) / most))
        batches += batched(part, size, weight=weight, weigh=weigh)
    return batches


def _weigh(sink: Sink) -> Callable[[Change], int] | None:
    if sink.limits.weight is None or not isinstance(sink, SizedSink):
        return None

    def weigh(change: Change) -> int:
        return 0 if isinstance(change, Removal) else promises.weigh(sink, change)

    return weigh
