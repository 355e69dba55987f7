"""Options: what a run may do, and how."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import attrs

from catalogsync._lib.bounds import above, at_least, finite
from catalogsync.catalog.changes import Action, Create, Write
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.diff.ownership import NOT_ALONE, OnManualEdit, Owner, Rules
from catalogsync.errors import InvalidValueError
from catalogsync.guard import Budgets
from catalogsync.protocols import AdoptBy
from catalogsync.retry import RetryPolicy

__all__ = ["OnDeleted", "Options", "Prune", "Transform", "WhenBusy", "Writes"]

Transform: TypeAlias = Callable[[Product], Product | None]
"""Returns a changed product with the same key, or None to skip it."""


class Prune(enum.StrEnum):
    """What to do with products that left the source."""

    UNPUBLISH = "unpublish"
    SOLD_OUT = "sold_out"
    DELETE = "delete"

    @property
    def action(self) -> Action:
        """The action of the removals."""
        return _ACTIONS[self]


_ACTIONS = {
    Prune.UNPUBLISH: Action.UNPUBLISH,
    Prune.SOLD_OUT: Action.SELL_OUT,
    Prune.DELETE: Action.DELETE,
}


class OnDeleted(enum.StrEnum):
    """What to do with our products that people deleted in the sink."""

    RECREATE = "recreate"
    LEAVE = "leave"


class Writes(enum.StrEnum):
    """Which products a run writes; others count as skipped."""

    ALL = "all"
    CREATE_ONLY = "create_only"
    UPDATE_ONLY = "update_only"


class WhenBusy(enum.StrEnum):
    """What to do while another run writes the same products."""

    FAIL = "fail"
    WAIT = "wait"
    SKIP = "skip"


_positive = at_least(1, InvalidValueError)
_not_negative = at_least(0, InvalidValueError)
_above_zero = above(0, InvalidValueError)


def _keys(value: Iterable[ProductKey] | None) -> tuple[ProductKey, ...] | None:
    return None if value is None else tuple(dict.fromkeys(value))


def _only(value: Iterable[Field] | None) -> frozenset[Field] | None:
    """The fields of a lane, checked."""
    if value is None:
        return None
    only = frozenset(map(Field, value))
    if not only:
        raise InvalidValueError("only", "needs at least one field")
    if refused := sorted(only & NOT_ALONE):
        problem = f"{refused[0]} can only be written by a run over all fields"
        raise InvalidValueError("only", problem)
    return only


def _adopt(value: Iterable[AdoptBy]) -> tuple[AdoptBy, ...]:
    return tuple(map(AdoptBy, value))


def _owns(value: Mapping[Field, Owner]) -> dict[Field, Owner]:
    owns: dict[Field, Owner] = {}
    for field, owner in value.items():
        try:
            owns[Field(field)] = Owner(owner)
        except ValueError as error:
            raise InvalidValueError(f"owns.{field}", str(error)) from None
    return owns


@attrs.frozen(kw_only=True)
class Options:
    """What a run may do, and how.

    Attributes:
        batch_size: Products in one write; None: the sink's own limit, which also counts
            if it is lower.
        writers: Writes in flight; None: the sink's own limit, as above.
        pages_ahead: Pages to read ahead.
        retry: When pages and batches are repeated.
        transform: Called with each product before it is compared; see `Transform`.
        limit: Take only this many products; None: all.
        keys: Take only these products; None: all.
        only: Compare and write only these fields of products that the sink has
            already: a lane. It creates and removes nothing, and does not count as a run
            over all products. None: all fields. Not `categories`, `tags`, `type`,
            `collection`, `variants`, `options`, `sku` and `barcode`.
        grace: Seconds for which a request that we gave up may still be carried out.
            Incomplete products that are younger are not repaired yet.
        max_refusals: Stop after this many refused products in a row, with no success in
            between.
        give_up_products: Stop after the sink failed for this many products in a row, in
            two or more calls, with no success in between.
        give_up_after: But not before it kept failing for this many seconds, counted
            from the first product whose retries were used up; None: as long as `retry`
            keeps trying.
        owns: When the source decides on a field; see `Owner`.
        on_manual_edit: What to do with our values that people edited; see
            `OnManualEdit`. None: those of products are overwritten, and names and
            parents of categories are kept.
        on_deleted: What to do with our products that people deleted. LEAVE needs a
            state store, and knows products that were written since it was set.
        writes: Whether to create and update products, or only one of the two. An
            adoption is an update. Incomplete products are completed in any case.
        adopt: How to recognise products without our key that are to become ours; tried
            in this order. Empty: none are adopted.
        complete: Whether the source has the whole catalog. If not, as with a file of
            what changed, no run counts as one over all products, and none may prune.
        says_deleted: Whether the source says which products were deleted; then `prune`
            removes these even if the source is not complete. Set for a `DeletingSource`.
        prune: What to do with products that left the source; None: nothing.
        max_prune: How many products may be removed in a run. Below 1 it is a share of
            the products that the job may remove. If there are more, a run with a guard
            is held; without one, none is removed.
        guard: What a run may change before a person has to approve it; see `Budgets`.
            Needs a state store and a job with a name, and starts with the job's second
            run.
        verify: Whether to read back at the end what was written, and report
            differences.
        verify_sample: How many of the written products to read back; 0: all.
        when_busy: What to do while another run writes the same products; needs a
            state store.
        skip_unchanged: Whether to skip a run over all products if the source has not
            changed since the last run, and that run succeeded. Needs a state store, and
            a source that knows its version, such as a file. What people change in the
            sink is not noticed then. With a `transform`, nothing is skipped.
        lease: Seconds without renewal after which another run may take the lease.
    """

    batch_size: int | None = attrs.field(default=None, validator=_positive)
    writers: int | None = attrs.field(default=None, validator=_positive)
    pages_ahead: int = attrs.field(default=4, validator=_positive)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    transform: Transform | None = None
    limit: int | None = attrs.field(default=None, validator=_positive)
    keys: tuple[ProductKey, ...] | None = attrs.field(default=None, converter=_keys)
    only: frozenset[Field] | None = attrs.field(default=None, converter=_only)
    grace: float = attrs.field(default=60.0, validator=_not_negative)
    max_refusals: int = attrs.field(default=20, validator=_positive)
    give_up_products: int = attrs.field(default=10, validator=_positive)
    give_up_after: float | None = attrs.field(
        default=None, validator=[_not_negative, finite]
    )
    owns: Mapping[Field, Owner] = attrs.field(
        factory=dict[Field, Owner], converter=_owns
    )
    on_manual_edit: OnManualEdit | None = attrs.field(
        default=None, converter=attrs.converters.optional(OnManualEdit)
    )
    on_deleted: OnDeleted = attrs.field(default=OnDeleted.RECREATE, converter=OnDeleted)
    writes: Writes = attrs.field(default=Writes.ALL, converter=Writes)
    adopt: tuple[AdoptBy, ...] = attrs.field(default=(), converter=_adopt)
    complete: bool = True
    says_deleted: bool = False
    prune: Prune | None = attrs.field(
        default=None, converter=attrs.converters.optional(Prune)
    )
    max_prune: float = attrs.field(default=0.1, validator=[_above_zero, finite])
    guard: Budgets = attrs.field(factory=Budgets)
    verify: bool = False
    verify_sample: int = attrs.field(default=100, validator=_not_negative)
    when_busy: WhenBusy = attrs.field(default=WhenBusy.FAIL, converter=WhenBusy)
    skip_unchanged: bool = False
    lease: float = attrs.field(default=60.0, validator=_above_zero)

    def __attrs_post_init__(self) -> None:
        self.rules("")
        if self.prune and not (self.complete or self.says_deleted):
            problem = "must be true with `prune`: what the source leaves out would go"
            raise InvalidValueError("complete", problem)

    def withheld(self, change: Write) -> str:
        """Why `writes` withholds a change; empty: it does not."""
        if isinstance(change, Create):
            new = "the sink does not have it, and `writes` is `update_only`"
            return new if self.writes is Writes.UPDATE_ONLY else ""
        if self.writes is Writes.CREATE_ONLY and not change.existing.missing_parts:
            return "the sink has it already, and `writes` is `create_only`"
        return ""

    @property
    def partial(self) -> bool:
        """Whether a run sees only some of the products, or of their fields."""
        return self.chosen or not self.complete

    @property
    def chosen(self) -> bool:
        """Whether a run takes selected products or fields only."""
        return any(x is not None for x in (self.keys, self.limit, self.only))

    def rules(self, job: str) -> Rules:
        """What a run of this job may do to an existing product."""
        return Rules(
            owns=self.owns,
            on_manual_edit=self.on_manual_edit,
            job=job,
            only=self.only,
        )
