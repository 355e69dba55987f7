"""What a sink has, and the changes that it needs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, TypeAlias, cast

import attrs

from catalogsync.errors import TransientError

from .outcomes import Again, Outcome, OutcomeStatus
from .products import (
    Dimensions,
    Field,
    Json,
    Product,
    ProductKey,
    Unset,
    Variant,
    evolve_unchecked,
)

__all__ = [
    "Action",
    "Adopt",
    "Change",
    "Conflict",
    "Create",
    "Delete",
    "Existing",
    "ExistingReference",
    "FieldDiff",
    "Found",
    "Reference",
    "ReferenceChange",
    "ReferenceKind",
    "ReferenceOutcome",
    "Release",
    "Removal",
    "SellOut",
    "Unpublish",
    "Update",
    "VariantChange",
    "Write",
]


class Action(enum.StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    UNPUBLISH = "unpublish"
    SELL_OUT = "sell_out"
    DELETE = "delete"
    RELEASE = "release"
    ADD = "add"
    REMOVE = "remove"


@attrs.frozen(kw_only=True)
class Existing:
    """A product that the sink has under our key, or that is to be adopted.

    Attributes:
        product: Its fields as they are in the sink; `UNSET` if a field was not asked
            for or the sink cannot hold it. It includes data added in the store, such as
            a price in another currency, a variant or an attribute.
        last_applied: The last-applied state of the last change; None: the sink has
            none.
        references: For a `ReferencingSink`: the sink's ids of its categories, tags,
            type and collection, each with a name for people.
        native: Anything that the sink needs again when it writes a change.
        missing_parts: Parts that every complete product has and this one lacks, in
            words, such as `no variant`. The sink adds them with any change.
        age: Seconds since the sink last changed an incomplete product, by the sink's
            own clock; None: not known.
        foreign: Whether it has no key yet (see `AdoptingSink`); the change adds the
            key.
        sink_id: The sink's own id of the product, for messages about it; empty: not
            known.
        handle: The product's handle in the sink, for the same purpose.
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
    sink_id: str = attrs.field(default="", eq=False)
    handle: str = attrs.field(default="", eq=False)


@attrs.frozen(kw_only=True)
class Conflict:
    """Something in the sink is in the way, so the product is not written.

    Several products have our key, or an unreadable key, or a product of others is where
    ours would be.

    Attributes:
        reason: The products, and what is wrong.
    """

    reason: str


Found: TypeAlias = Existing | Conflict
"""What a sink has for a desired product; no entry: nothing."""


@attrs.frozen(kw_only=True)
class FieldDiff:
    """One difference, for people.

    Attributes:
        path: Path of the value, such as `title` or `variants.default.prices.USD`.
        old: The value in the sink; None: there is none.
        new: The value after the change; None: it is removed.
    """

    path: str
    old: Json
    new: Json


@attrs.frozen(kw_only=True)
class VariantChange:
    """The change of one variant of an updated product.

    Attributes:
        action: ADD, UPDATE or REMOVE.
        variant: The variant after the change; for REMOVE, before it.
        fields: For UPDATE: the fields that differ.
    """

    action: Action
    variant: Variant
    fields: frozenset[Field] = frozenset()


class _Change:
    """What all changes share."""

    __slots__ = ()
    action: ClassVar[Action]
    product: Product

    @property
    def key(self) -> ProductKey:
        """The product's identity."""
        return self.product.key

    def done(self, note: str = "") -> Outcome:
        """The outcome if the sink has applied this change.

        Args:
            note: A warning for people, if something about it is unusual.
        """
        reason = _RELEASED if self.action is Action.RELEASE else note
        return Outcome(self.key, _DONE.get(self.action, OutcomeStatus.REMOVED), reason)

    def failed(
        self, reason: str, *, said: str = "", holder: ProductKey | None = None
    ) -> Outcome:
        """The outcome if the sink refuses this change.

        Args:
            reason: Why, for people.
            said: The sink's own message; empty: none.
            holder: The product of ours that has a unique value which this one needs, as
                in `BatchRefusedError.holders`; the engine tries again at the end of the run.
        """
        return Outcome(self.key, OutcomeStatus.FAILED, reason, said, holder)

    def again(self, error: TransientError) -> Again:
        """The answer for a change that may succeed later.

        The engine finds and plans the product again before it writes it again.

        Args:
            error: What went wrong, as if the whole call had failed.
        """
        return Again(self.key, error)


_DONE = {
    Action.CREATE: OutcomeStatus.CREATED,
    Action.UPDATE: OutcomeStatus.UPDATED,
}
_RELEASED = "released: it stays in the sink as it is, without our key"


@attrs.frozen(kw_only=True)
class _Write(_Change):
    product: Product
    fields: frozenset[Field]
    references: Mapping[Field, tuple[str, ...]] = attrs.field(
        factory=dict[Field, tuple[str, ...]]
    )
    last_applied: str
    desired: Product | None = None


@attrs.frozen(kw_only=True)
class Create(_Write):
    """The sink gets a new product.

    Attributes:
        product: The product.
        fields: The fields that are supplied.
        references: The sink's ids of the categories, tags, type and collection that
            the product will have, if `fields` contains them.
        last_applied: To be stored with the product and returned by `find`.
        desired: The product of the source, as the sink can hold it.
        handle: The handle to use, in a `HandleSink`.
    """

    action = Action.CREATE
    handle: str | None = None


@attrs.frozen(kw_only=True)
class Update(_Write):
    """A product of ours gets other values, or what it lacks.

    Attributes:
        product: The product after the change, including data added in the store.
        fields: The fields to write.
        variants: The variants to change.
        references: The sink's ids of the categories, tags, type and collection that
            the product will have, if `fields` contains them.
        last_applied: To be stored with the product and returned by `find`.
        existing: The result of `find`.
        desired: The product of the source, as the sink can hold it; None: the change
            does not come from the source.
    """

    action = Action.UPDATE
    variants: tuple[VariantChange, ...] = ()
    existing: Existing


@attrs.frozen(kw_only=True)
class Adopt(Update):
    """An update of a product without a key, which also gets our key.

    It has the same action as other updates and may be in one batch with them. See
    `AdoptingSink`.
    """


@attrs.frozen(kw_only=True)
class _Removal(_Change):
    existing: Existing
    product: Product = attrs.field(
        default=attrs.Factory(lambda self: self.existing.product, takes_self=True),
        init=False,
        eq=False,
        repr=False,
    )


@attrs.frozen(kw_only=True)
class Unpublish(_Removal):
    """Shoppers no longer see a product.

    Attributes:
        existing: The product, as `owned` or `find` returned it.
        last_applied: To be stored with the product and returned by `find`.
    """

    action = Action.UNPUBLISH
    last_applied: str


@attrs.frozen(kw_only=True)
class SellOut(_Removal):
    """A product has no stock left; its page and everything else stay.

    Only for a `SellOutSink`.

    Attributes:
        existing: The product, as `find` returned it.
        variants: The variants whose stock changes. Their levels that we wrote have a
            quantity of 0, other levels are as they were found.
        last_applied: To be stored with the product, after its stock is written, and
            returned by `find`.
    """

    action = Action.SELL_OUT
    variants: tuple[VariantChange, ...] = ()
    last_applied: str

    @property
    def after(self) -> Product:
        """The product after the change."""
        changed = {item.variant.id: item.variant for item in self.variants}
        variants = self.existing.product.variants
        if not changed or not variants:
            return self.existing.product
        after = tuple(changed.get(variant.id, variant) for variant in variants)
        return evolve_unchecked(self.existing.product, variants=after)


@attrs.frozen(kw_only=True)
class Delete(_Removal):
    """The sink removes a product.

    Attributes:
        existing: The product, as `owned` or `find` returned it.
    """

    action = Action.DELETE


@attrs.frozen(kw_only=True)
class Release(_Removal):
    """Our key and last-applied state are removed, and everything else stays.

    Attributes:
        existing: The product, as `owned` or `find` returned it.
    """

    action = Action.RELEASE


Write: TypeAlias = Create | Update | Adopt
"""The product is in the sink afterwards, with our key."""

Removal: TypeAlias = Unpublish | SellOut | Delete | Release
"""The source no longer has the product. Only for a `RemovingSink`."""

Change: TypeAlias = Write | Removal
"""What has to happen to one product: one class for each kind of change."""


class ReferenceKind(enum.StrEnum):
    """Objects that products refer to, and that must exist before them."""

    CATEGORY = "category"
    TAG = "tag"
    TYPE = "type"
    COLLECTION = "collection"


KINDS: Mapping[Field, ReferenceKind] = {
    Field.CATEGORIES: ReferenceKind.CATEGORY,
    Field.TAGS: ReferenceKind.TAG,
    Field.TYPE: ReferenceKind.TYPE,
    Field.COLLECTION: ReferenceKind.COLLECTION,
}
"""The fields that refer to objects of their own in a `ReferencingSink`."""


@attrs.frozen(kw_only=True)
class Reference:
    """A category, tag, type or collection that products need.

    Only categories form a tree and have a name besides their id.

    Attributes:
        kind: What it is.
        source: Name of the source.
        id: The id of a category in the source; otherwise its name.
        name: The name that shoppers see.
        parent: The category that contains it; None: it is at the top level.
    """

    kind: ReferenceKind
    source: str
    id: str
    name: str = attrs.field(eq=False)
    parent: Reference | None = attrs.field(default=None, eq=False)


@attrs.frozen(kw_only=True)
class ExistingReference:
    """A category, tag, type or collection that the sink has.

    Attributes:
        id: Its id in the sink.
        name: Its name in the sink.
        parent: The sink's id of its parent; None: it is at the top level.
        ours: Whether we created it; others are used and never changed.
        above: The sink's ids of all its ancestors, the parent first, so that no
            category is moved below itself; empty: not known.
        last_applied: The last-applied state of the last change; None: the sink has
            none.
        native: Anything that the sink needs again when it writes a change.
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
    """A category, tag, type or collection to create; only categories change later.

    Attributes:
        reference: The category, tag, type or collection in the source.
        name: Its name after the change; not the source's if a manual edit stays.
        parent: The sink's id of its parent after the change, which exists already;
            None: the top level.
        existing: What the sink has; None: it is to be created.
        last_applied: To be stored with a category and returned by `find_references`.
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
        """Whether an existing category gets another parent or none."""
        return self.existing is not None and self.existing.parent != self.parent


@attrs.frozen(kw_only=True)
class ReferenceOutcome:
    """The outcome for one category, tag, type or collection.

    Attributes:
        reference: The category, tag, type or collection.
        id: Its id in the sink; None: the sink refused it.
        created: Whether this call created it; False: it existed already.
        reason: Why it was refused, in the sink's own words.
    """

    reference: Reference
    id: str | None
    created: bool = False
    reason: str = ""


def by_name(attributes: object) -> Mapping[str, Json]:
    """A product's attributes; in a store they may not be a mapping at all."""
    found = cast("Mapping[str, Json]", attributes)
    return found if isinstance(attributes, Mapping) else {}


def for_display(value: object) -> Any:
    """A value of a product as JSON for people."""
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
