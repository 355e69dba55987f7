"""A sink's answers to the changes of one write: sent, sorted and completed.

A change is answered by an `Outcome`, or by `Again` if it has to be tried again. One
that got no answer is unresolved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from catalogsync.catalog.changes import Change
from catalogsync.catalog.outcomes import Again, Outcome, OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import (
    BatchRefusedError,
    BrokenPromiseError,
    RefusedError,
    TransientError,
)
from catalogsync.protocols import Sink

from . import promises

__all__ = ["Answers", "SomeAgainError", "error_of", "refusal", "send"]

_NO_ANSWER = "the sink gave no answer for it"


@attrs.frozen
class Answers:
    """What a sink said about each change of a write.

    Attributes:
        outcomes: Outcomes; a change without an answer is unresolved.
        again: Errors of changes that have to be tried again.
        broken: The first invalid answer; None: all are valid.
    """

    outcomes: Sequence[Outcome]
    again: Mapping[ProductKey, TransientError]
    broken: BrokenPromiseError | None

    def check(self) -> None:
        """Raise what is left to do, once the outcomes are recorded.

        Raises:
            BrokenPromiseError: Some answers are not valid.
            SomeAgainError: Some changes have to be tried again.
        """
        if self.broken:
            raise self.broken
        if self.again:
            raise SomeAgainError(self.again)


async def send(sink: Sink, changes: Sequence[Change]) -> Answers:
    """Write once, and sort the answers."""
    valid, broken = await promises.write(sink, changes)
    answers = {answer.key: answer for answer in valid}
    outcomes: list[Outcome] = []
    again: dict[ProductKey, TransientError] = {}
    for change in changes:
        missing = Outcome(change.key, OutcomeStatus.UNRESOLVED, _NO_ANSWER)
        answer = answers.get(change.key, missing)
        if isinstance(answer, Again):
            again[change.key] = answer.error
        else:
            outcomes.append(answer)
    return Answers(outcomes, again, broken)


class SomeAgainError(TransientError):
    """Some changes have to be tried again; all others of the write have an outcome.

    Attributes:
        errors: The sink's answer for each of them.
    """

    def __init__(self, errors: Mapping[ProductKey, TransientError]) -> None:
        several = errors.values()
        waits = [e.retry_after for e in several if e.retry_after is not None]
        super().__init__(
            str(next(iter(several))),
            retry_after=max(waits, default=None),
            unexplained=all(error.unexplained for error in several),
        )
        self.errors = errors


def error_of(key: ProductKey, error: TransientError) -> TransientError:
    """The error of one product, where a write with several products failed."""
    return error.errors.get(key, error) if isinstance(error, SomeAgainError) else error


def refusal(key: ProductKey, error: Exception) -> Outcome:
    """The outcome of one product of a write that was refused."""
    reason, said, holder = str(error), "", None
    if isinstance(error, RefusedError):
        said = error.said
    if isinstance(error, BatchRefusedError):
        reason = error.culprits.get(key, reason)
        holder = error.holders.get(key)
    return Outcome(key, OutcomeStatus.FAILED, reason, said, holder)
