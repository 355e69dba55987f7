"""What a sink holds, and what has to happen to it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias, cast

import attrs

from catalogsync.errors import TransientError

from .outcomes import Again, Outcome, OutcomeStatus
from .products import Dimensions, Field, Json, Product, ProductKey, Unset, Variant

__all__ = [
    "Action",
    "Change",
    "Conflict",
    "Existing",
    "ExistingReference",
    "FieldDiff",
    "Found",
    "Reference",
    "ReferenceChange",
    "ReferenceKind",
    "ReferenceOutcome",
    "VariantChange",
]


class Action(enum.StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    UNPUBLISH = "unpublish"
    DELETE = "delete"
    RELEASE = "release"
    ADD = "add"
    REMOVE = "remove"


@attrs.frozen(kw_only=True)
class Existing:
    """A product that the sink holds under our key.

    Attributes:
        product: Its real fields, as the sink has them. `UNSET` where a field was
            not asked for or cannot be held. Elements that others added (a price
            in another currency, a variant, an attribute) are part of it.
        last_applied: The text that came with the change that we wrote last; None
            where the sink has none.
        references: For a `ReferencingSink`: the sink ids of its categories and
            tags, each with a name for people.
        native: Anything that the sink wants to see again in the change.
        missing_parts: Parts that every product has and this one lacks, in words, such as
            `no variant`: it is half made. The sink adds them in any change of it.
        age: Seconds since the sink last changed it, by the sink's own clock; where
            there are gaps, and the sink can tell.
        foreign: It stands there without our key (see `AdoptingSink`); the change
            gives it the key.
    """

    product: Product
    last_applied: str | None = None
    references: Mapping[Field, Mapping[str, str]] = attrs.field(
        factory=dict[Field, Mapping[str, str]]
    )
    native: object = attrs.field(default=None, repr=False)
    missing_parts: tuple[str, ...] = ()
    age: float | None = None
    foreign: bool = False


@attrs.frozen(kw_only=True)
class Conflict:
    """Something in the sink is in the way; nothing is touched.

    Our key leads to several products or to one that cannot be read, or somebody
    else's product stands where ours would go.

    Attributes:
        reason: Which products, and what is wrong.
    """

    reason: str


Found: TypeAlias = Existing | Conflict
"""What a sink has for a wanted product; no entry means that it has none."""


@attrs.frozen(kw_only=True)
class FieldDiff:
    """One difference, for people.

    Attributes:
        path: Such as `title` or `variants.default.prices.USD`.
        old: What the sink has; None where it has nothing.
        new: What it will have; None where it is removed.
    """

    path: str
    old: Json
    new: Json


@attrs.frozen(kw_only=True)
class VariantChange:
    """What happens to one variant of an updated product.

    Attributes:
        action: ADD, UPDATE or REMOVE.
        variant: The variant as it will be; for REMOVE, as it was.
        fields: For UPDATE: what differs.
    """

    action: Action
    variant: Variant
    fields: frozenset[Field] = frozenset()


@attrs.frozen(kw_only=True)
class Change:
    """What has to happen to one product.

    Attributes:
        action: CREATE or UPDATE; for a `RemovingSink` also UNPUBLISH (shoppers see it no
            more), DELETE, or RELEASE (our key and last-applied state are taken off, and all else
            is left as it is).
        product: The product as it will be, with what others added to it.
        fields: What the change carries; for CREATE, all that is supplied; none for
            UNPUBLISH, DELETE and RELEASE.
        variants: For UPDATE: the variants that change.
        references: Sink ids of the categories and tags that the product will
            have, for those of the two that are among `fields`.
        last_applied: To be kept with the product and given back by `find`.
        existing: What `find` gave for it; None for CREATE.
        desired: What the source supplies, as the sink can hold it; None where the
            change does not come from the source.
        handle: For CREATE in a `HandleSink`: the handle to give it.
    """

    action: Action
    product: Product
    fields: frozenset[Field]
    variants: tuple[VariantChange, ...] = ()
    references: Mapping[Field, tuple[str, ...]] = attrs.field(
        factory=dict[Field, tuple[str, ...]]
    )
    last_applied: str
    existing: Existing | None = None
    desired: Product | None = None
    handle: str | None = None

    @property
    def key(self) -> ProductKey:
        """The product's identity."""
        return self.product.key

    def done(self, note: str = "") -> Outcome:
        """The outcome of this change when the sink has carried it out.

        Args:
            note: What a person should know about how it was done; the run warns of it.
        """
        reason = _DISOWNED if self.action is Action.RELEASE else note
        return Outcome(self.key, _DONE.get(self.action, OutcomeStatus.UPDATED), reason)

    def failed(self, reason: str, *, said: str = "") -> Outcome:
        """The outcome of this change when the sink refuses it; others may be done.

        Args:
            reason: Why, for a person.
            said: The sink's own words, if it gave any.
        """
        return Outcome(self.key, OutcomeStatus.FAILED, reason, said)

    def again(self, error: TransientError) -> Again:
        """The answer for a change that may succeed later; others may be done.

        The engine finds and plans this product again before it writes it again.

        Args:
            error: What went wrong, as it would be raised if the whole call had failed.
        """
        return Again(self.key, error)


_DONE = {
    Action.CREATE: OutcomeStatus.CREATED,
    Action.UNPUBLISH: OutcomeStatus.REMOVED,
    Action.DELETE: OutcomeStatus.REMOVED,
    Action.RELEASE: OutcomeStatus.REMOVED,
}
_DISOWNED = "released: it stays in the sink as it is, without our key"


class ReferenceKind(enum.StrEnum):
    """What products refer to and must be there before them."""

    CATEGORY = "category"
    TAG = "tag"


@attrs.frozen(kw_only=True)
class Reference:
    """A category or a tag that products need.

    Attributes:
        kind: Which of the two.
        source: Name of the source that speaks of it.
        id: A category's id in that source; a tag's text.
        name: What shoppers read.
        parent: The category that contains it.
    """

    kind: ReferenceKind
    source: str
    id: str
    name: str = attrs.field(eq=False)
    parent: Reference | None = attrs.field(default=None, eq=False)


@attrs.frozen(kw_only=True)
class ExistingReference:
    """What a sink has for a wanted reference.

    Attributes:
        id: Its id in the sink.
        name: Its name there.
        parent: The sink id of what contains it; None: it is at the top level.
        ours: Whether we created it; others' are used and never changed.
        above: The sink ids of all that contain it, the parent first, so that no
            category is moved below itself; empty where the sink does not say.
        last_applied: The text that came with the change that we wrote last; None
            where the sink has none.
        native: Anything that the sink wants to see again in the change.
    """

    id: str
    name: str
    parent: str | None = None
    ours: bool = False
    above: tuple[str, ...] = attrs.field(default=(), eq=False)
    last_applied: str | None = attrs.field(default=None, eq=False)
    native: object = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(kw_only=True)
class ReferenceChange:
    """A reference to be created (held is None), renamed or moved.

    Attributes:
        reference: What is wanted.
        name: The name that it will have; a person's where that stays.
        parent: The sink id of the parent that it will have, which is there already;
            None: it will be at the top level.
        existing: What the sink has.
        last_applied: To be kept with a category and given back by `find_references`.
    """

    reference: Reference
    name: str = attrs.field(
        default=attrs.Factory(lambda self: self.reference.name, takes_self=True)
    )
    parent: str | None = None
    existing: ExistingReference | None = None
    last_applied: str = ""

    @property
    def moves(self) -> bool:
        """Whether one that is there gets another parent, or becomes a root."""
        return self.existing is not None and self.existing.parent != self.parent


@attrs.frozen(kw_only=True)
class ReferenceOutcome:
    """What became of a reference change.

    Attributes:
        reference: Which one.
        id: Its id in the sink; None where the sink refused it.
        created: Whether this call made it; false if it was there after all.
        reason: Why it was refused, in the sink's own words.
    """

    reference: Reference
    id: str | None
    created: bool = False
    reason: str = ""


def by_name(attributes: object) -> Mapping[str, Json]:
    """A product's attributes; what stands in a store may be no mapping at all."""
    found = cast("Mapping[str, Json]", attributes)
    return found if isinstance(attributes, Mapping) else {}


def shown(value: object) -> Any:
    """A model value as JSON that a person can read."""
    match value:
        case Unset() | None:
            return None
        case Decimal():
            return str(value)
        case Dimensions():
            parts = attrs.asdict(value, recurse=False).items()
            return " ".join(f"{name}={v}" for name, v in parts if v is not None)
        case tuple():
            items = cast("tuple[object, ...]", value)
            return [getattr(i, "url", getattr(i, "name", i)) for i in items]
        case _:
            return value
