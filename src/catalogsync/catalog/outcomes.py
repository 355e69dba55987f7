"""Outcomes: each product of a run has exactly one."""

from __future__ import annotations

import enum

import attrs

from catalogsync.errors import TransientError

from .products import ProductKey

__all__ = ["Again", "Outcome", "OutcomeStatus", "Rejected", "WrittenProduct"]


class OutcomeStatus(enum.StrEnum):
    """The result for one product.

    `FAILED`: the product was refused, and we know why. `UNRESOLVED`: we ran out of
    retries, time or permission to know the result; the next run checks it again.
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
    """The result for one product.

    Attributes:
        key: Key of the product.
        status: The result.
        reason: Why, for people; empty: no reason is needed.
        said: The sink's own message; empty: none.
        holder: The product of ours that has a unique value which this one needs (see
            `BatchRefusedError.holders`); None: not known.
        sink_id: The sink's own id of a product that it created; empty: not known.
        handle: The handle of a product that it created; empty: not known.
    """

    key: ProductKey
    status: OutcomeStatus
    reason: str = ""
    said: str = ""
    holder: ProductKey | None = attrs.field(default=None, eq=False, repr=False)
    sink_id: str = attrs.field(default="", eq=False, repr=False)
    handle: str = attrs.field(default="", eq=False, repr=False)

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


@attrs.frozen(kw_only=True)
class WrittenProduct:
    """A product that a run has changed in the sink.

    Attributes:
        key: Key of the product.
        status: `CREATED`, `UPDATED` or `REMOVED` (deleted or unpublished).
        fields: Names of the fields that were written, for example `title`; empty for a
            product that was created or removed.
        handle: The product's handle in the sink; empty: not known.
        sink_id: The sink's own id of the product; empty: not known.
    """

    key: ProductKey
    status: OutcomeStatus
    fields: tuple[str, ...] = ()
    handle: str = ""
    sink_id: str = ""

    def to_dict(self) -> dict[str, object]:
        """The product as JSON types, as messages and events show it."""
        return {
            "key": str(self.key),
            "status": self.status.value,
            "handle": self.handle or None,
            "id": self.sink_id or None,
            "fields": list(self.fields),
        }


@attrs.frozen
class Again:
    """A sink's answer for a change that should be tried again.

    Attributes:
        key: Key of the product.
        error: Why the change was not applied, or may not have been.
    """

    key: ProductKey
    error: TransientError


@attrs.frozen(kw_only=True)
class Rejected:
    """A record of the source that is not a valid product.

    Attributes:
        key: Its key; None: it cannot be read.
        reason: What is wrong, with the path to the bad value.
        where: Its position in the source, such as `page skip=30, record 7`.
        path: The path alone, for programs, such as `price`; empty: there is none.
    """

    key: ProductKey | None
    reason: str
    where: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
