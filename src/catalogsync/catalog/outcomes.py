"""What became of a product: one outcome for each, and nothing is left out."""

from __future__ import annotations

import enum

import attrs

from catalogsync.errors import TransientError

from .products import ProductKey

__all__ = ["Again", "Outcome", "OutcomeStatus", "Rejected"]


class OutcomeStatus(enum.StrEnum):
    """What became of one product.

    `FAILED` is refused and we know why. `UNRESOLVED` means that we ran out of
    tries, time or permission to know; the next run looks again.
    """

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNRESOLVED = "unresolved"


@attrs.frozen
class Outcome:
    """What became of one product.

    Attributes:
        key: Which product.
        status: What became of it.
        reason: Why, for a person; empty where nothing needs a reason.
        said: The sink's own words, where it gave any.
        holder: The product of ours that has a unique value which this one needs, as
            in `BatchRefusedError.holders`.
    """

    key: ProductKey
    status: OutcomeStatus
    reason: str = ""
    said: str = ""
    holder: ProductKey | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        said = f' ("{self.said}")' if self.said else ""
        return f"{self.status.value} {self.key}: {self.reason}{said}"

    def to_dict(self) -> dict[str, str]:
        """The outcome as JSON types, as reports, events and logs show it."""
        return {
            "key": str(self.key),
            "status": self.status.value,
            "reason": self.reason,
            "said": self.said,
        }


@attrs.frozen
class Again:
    """What a sink answers for a change that it should be given once more.

    Attributes:
        key: Which product.
        error: Why it was not carried out, or may not have been.
    """

    key: ProductKey
    error: TransientError


@attrs.frozen(kw_only=True)
class Rejected:
    """A source record that is no product.

    Attributes:
        key: Its identity, where it can be read.
        reason: What is wrong, with the path to the bad value.
        where: The place in the source, such as `page skip=30, record 7`.
        path: The path by itself, for programs, such as `price`; empty where there
            is none.
    """

    key: ProductKey | None
    reason: str
    where: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
