"""A sink's answers to the changes of one write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from catalogsync.catalog.changes import Change
from catalogsync.catalog.outcomes import Again, Outcome, OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import TransientError

__all__ = ["SomeAgainError", "error_of", "sort_answers"]

_NO_ANSWER = "the sink gave no answer for it"


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


def sort_answers(
    changes: Iterable[Change], answers: Sequence[Outcome | Again]
) -> tuple[list[Outcome], dict[ProductKey, TransientError]]:
    """Split answers into outcomes and changes to try again.

    A change without an answer is unresolved.
    """
    by_key = {answer.key: answer for answer in answers}
    outcomes: list[Outcome] = []
    again: dict[ProductKey, TransientError] = {}
    for change in changes:
        missing = Outcome(change.key, OutcomeStatus.UNRESOLVED, _NO_ANSWER)
        answer = by_key.get(change.key, missing)
        if isinstance(answer, Again):
            again[change.key] = answer.error
        else:
            outcomes.append(answer)
    return outcomes, again
