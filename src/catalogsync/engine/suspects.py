"""Errors without a reason: whether products are at fault, or the sink.

A bare 500 says nothing. A product that fails alone with such an error is a *suspect*.
As soon as the sink takes any other product, the sink works, so each suspect is tried
once more by itself, and refused if it fails again. If the sink takes nothing, suspects
are evidence against the sink, and the breaker decides when to give it up; then they
become unresolved, not failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import attrs

from .batches import ChangeT
from .breaker import Breaker

__all__ = ["Suspect", "Suspects", "Suspicion"]

_SEVERAL = 3

Suspect = tuple[ChangeT, Exception]
"""A change that failed alone and without a reason, and the error."""


@attrs.define
class Suspects(Generic[ChangeT]):
    """The suspects of one batch.

    Attributes:
        successes: `Suspicion.successes` at the batch's first error without a reason.
    """

    successes: int
    found: list[Suspect[ChangeT]] = attrs.field(factory=list["Suspect[ChangeT]"])


@attrs.define
class Suspicion(Generic[ChangeT]):
    """The suspects of all batches.

    Attributes:
        successes: How many changes the sink applied.
        to_retry: Suspects to try once more, because the sink works.
    """

    breaker: Breaker
    successes: int = 0
    to_retry: list[Suspect[ChangeT]] = attrs.field(factory=list["Suspect[ChangeT]"])
    _held: list[Suspect[ChangeT]] = attrs.field(factory=list["Suspect[ChangeT]"])

    def begin(self) -> Suspects[ChangeT]:
        """The suspects of a batch, at its first error without a reason."""
        return Suspects(self.successes)

    def worked(self, number: int) -> None:
        """Note that the sink applied so many changes."""
        self.successes += number
        self.breaker.worked()
        self.to_retry += self._held
        self._held.clear()

    def takes_nothing(self, suspects: Suspects[ChangeT] | None) -> bool:
        """Whether several products failed alone, without a success meanwhile."""
        return (
            suspects is not None
            and len(suspects.found) >= _SEVERAL
            and self.successes == suspects.successes
        )

    def judge(self, suspects: Suspects[ChangeT]) -> Sequence[Suspect[ChangeT]]:
        """Those to refuse; others are held, as evidence against the sink.

        If the sink took other products meanwhile, it is not the sink's fault. Those that
        had one try only, while it took nothing, have another one.
        """
        found = suspects.found
        if not found or self.successes > suspects.successes:
            self.to_retry += found[_SEVERAL:]
            return found[:_SEVERAL]
        self._held += found
        self.breaker.failed(len(found), found[-1][1], calls=len(found))
        return []

    def release(self) -> Sequence[Suspect[ChangeT]]:
        """Give out those that are held."""
        held, self._held = self._held, []
        return held
