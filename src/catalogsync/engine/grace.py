"""Requests in flight: what an old request may still be doing to a product.

A request that we gave up may still be carried out. So incomplete products, and
creations that a dead process began, are left alone until that cannot be the case any
more (`Options.grace`).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from catalogsync.catalog.changes import Change, Create
from catalogsync.errors import ConflictError, TransientError

from .batches import existing_of, is_repair
from .intents import Intents

__all__ = ["Grace"]


@attrs.frozen
class Grace:
    """Decides how long a product is left alone.

    Attributes:
        seconds: How long a request that we gave up may still be carried out.
        collides: Whether a second creation is refused (`Limits.collides`).
        intents: Know the creations that earlier runs began.
    """

    seconds: float
    collides: bool
    intents: Intents

    def may_be_in_flight(self, change: Change) -> bool:
        """Whether an old request may still be creating or completing a product."""
        waits = not self.collides and self.intents.ready_in(change.key)
        return is_repair(change) or bool(waits)

    def check(self, changes: Sequence[Change], before: Sequence[Change]) -> None:
        """Leave products alone that an old request may still be changing.

        Raises:
            ConflictError: There are such products among those that are planned again;
                its `retry_after` says when to try them.
        """
        known = {change.key: change for change in before}
        waits = [
            wait
            for change in changes
            if (wait := self._ready_in(change, known[change.key])) is not None
        ]
        if waits:
            problem = "incomplete, or an earlier request may still be creating it"
            keys = ", ".join(str(change.key) for change in changes[:3])
            raise ConflictError(f"{problem}: {keys}", retry_after=max(waits) or None)

    def _ready_in(self, change: Change, before: Change) -> float | None:
        """Seconds until a product may be created or repaired; None: now.

        A sink that knows the age of an incomplete product answers by that. Otherwise
        the product is repaired when two looks in a row find it unchanged.
        """
        existing, previous = existing_of(change), existing_of(before)
        if existing is None:
            if self.collides:
                return None
            return self.intents.ready_in(change.key) or None
        if not is_repair(change):
            return None
        if existing.age is not None and existing.age < self.seconds:
            return self.seconds - existing.age
        is_unchanged = previous is not None and (
            existing.product == previous.product
            and existing.missing_parts == previous.missing_parts
        )
        return None if is_unchanged else 0.0

    def after(self, change: Change, error: TransientError) -> TransientError:
        """The error, with a wait where a second creation would make a duplicate.

        An error without a reason is an answer, and so is a conflict: then the request
        is over and there is nothing to wait for.
        """
        answered = error.unexplained or isinstance(error, ConflictError)
        if answered or self.collides or not isinstance(change, Create):
            return error
        wait = max(self.seconds, error.retry_after or 0.0)
        return TransientError(str(error), retry_after=wait)
