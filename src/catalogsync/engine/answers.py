"""What a sink answers for the changes of one write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from catalogsync.catalog.changes import Change
from catalogsync.catalog.outcomes import Again, Outcome, OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import TransientError

__all__ = ["SomeAgainError", "error_of", "sorted_answers"]

_SILENCE = "the sink did not say what became of it"


class SomeAgainError(TransientError):
    """The sink wants some changes again; all others of the write have their outcome.

    Attributes:
        errors: What it answered for each of them.
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
    """What went wrong with this product, if a write went wrong with this error."""
    return error.errors.get(key, error) if isinstance(error, SomeAgainError) else error


def sorted_answers(
    changes: Iterable[Change], answers: Sequence[Outcome | Again]
) -> tuple[list[Outcome], dict[ProductKey, TransientError]]:
    """The outcomes, and the errors of those that the sink wants again.

    A change without an answer is unresolved.
    """
    told = {answer.key: answer for answer in answers}
    outcomes: list[Outcome] = []
    again: dict[ProductKey, TransientError] = {}
    for change in changes:
        silence = Outcome(change.key, OutcomeStatus.UNRESOLVED, _SILENCE)
        answer = told.get(change.key, silence)
        if isinstance(answer, Again):
            again[change.key] = answer.error
        else:
            outcomes.append(answer)
    return outcomes, again
