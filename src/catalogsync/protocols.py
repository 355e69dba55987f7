"""What the engine asks of sources and sinks, and the values that pass between.

Nobody inherits from anything: an object with the right methods is a source or a
sink. An optional ability is another protocol. The caller opens and closes
adapters; the engine only uses them, and it alone repeats what may be repeated.

An adapter says what went wrong by the class of the error (see
`catalogsync.errors`): `TransientError` is repeated, `RefusedError` sets a product
aside, `UnauthorizedError` and `MisconfiguredError` stop the run.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs

from .errors import InvalidValueError
from .models import Field, Json, Product, ProductKey, Variant
from .outcomes import Outcome, OutcomeStatus, Rejected

__all__ = [
    "Action",
    "Ambiguous",
    "Change",
    "Checkable",
    "Cursor",
    "FieldDiff",
    "Finding",
    "Held",
    "HeldReference",
    "Limits",
    "LookupSource",
    "Metered",
    "Ours",
    "Page",
    "Reference",
    "ReferenceChange",
    "ReferenceKind",
    "ReferenceOutcome",
    "ReferencingSink",
    "ShapingSink",
    "Sink",
    "Source",
    "Stranger",
    "VariantChange",
    "WeighingSink",
]

Cursor: TypeAlias = str
"""Names one page of a source; what it means is the source's own affair."""


@attrs.frozen(kw_only=True)
class Page:
    """One page of a source.

    Attributes:
        products: Whole products. A key appears once in a pass.
        rejected: Records that are no products.
        next: The pages that follow. None: this is the end. One: go on there.
            Several: all the rest; they may be read in parallel.
        total: Size of the whole set, where the source says so.
    """

    products: Sequence[Product]
    rejected: Sequence[Rejected] = ()
    next: tuple[Cursor, ...] = ()
    total: int | None = None


class Source(Protocol):
    """Where products come from."""

    @property
    def name(self) -> str:
        """The namespace of its product keys; the same in every run."""
        ...

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; None is the beginning.

        It may be called again for the same cursor, and in parallel for cursors
        that came together. A bad record is put into `Page.rejected`, it does not
        raise.

        Raises:
            TransientError: The page may be had by asking again; it is repeated.
            BrokenReplyError: The same, because the source broke its word.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class LookupSource(Source, Protocol):
    """A source that can be asked for chosen products."""

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that are not there are left out."""
        ...


class Action(enum.StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    ADD = "add"
    REMOVE = "remove"


@attrs.frozen(kw_only=True)
class Ours:
    """A product that the sink holds under our key.

    Attributes:
        product: Its real fields, as the sink has them. `UNSET` where a field was
            not asked for or cannot be held. Elements that others added (a price
            in another currency, a variant, an attribute) are part of it.
        receipt: The text that came with the change that we wrote last; None
            where the sink has none.
        references: For a `ReferencingSink`: the sink ids of its categories and
            tags, each with a name for people.
        native: Anything that the sink wants to see again in the change.
    """

    product: Product
    receipt: str | None = None
    references: Mapping[Field, Mapping[str, str]] = attrs.field(
        factory=dict[Field, Mapping[str, str]]
    )
    native: object = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Stranger:
    """Somebody else's product stands where ours would go; it is left alone.

    Attributes:
        reason: Which product, and on what of ours it stands.
    """

    reason: str


@attrs.frozen(kw_only=True)
class Ambiguous:
    """Our key does not lead to one readable product; nothing is touched.

    Attributes:
        reason: Which products hold it, or what cannot be read.
    """

    reason: str


Held: TypeAlias = Ours | Stranger | Ambiguous
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
        action: CREATE or UPDATE.
        product: The product as it will be, with what others added to it.
        fields: What the change carries; for CREATE, all that is supplied.
        variants: For UPDATE: the variants that change.
        references: Sink ids of the categories and tags that the product will
            have, for those of the two that are among `fields`.
        receipt: To be kept with the product and given back by `find`.
        held: What `find` gave for it; None for CREATE.
    """

    action: Action
    product: Product
    fields: frozenset[Field]
    variants: tuple[VariantChange, ...] = ()
    references: Mapping[Field, tuple[str, ...]] = attrs.field(
        factory=dict[Field, tuple[str, ...]]
    )
    receipt: str
    held: Ours | None = None

    @property
    def key(self) -> ProductKey:
        """The product's identity."""
        return self.product.key

    def done(self) -> Outcome:
        """The outcome of this change when the sink has carried it out."""
        created = self.action is Action.CREATE
        status = OutcomeStatus.CREATED if created else OutcomeStatus.UPDATED
        return Outcome(self.key, status)


def _one_or_more(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, int) and value < 1:
        raise InvalidValueError(attribute.name, f"must be 1 or more, is {value}")


@attrs.frozen(kw_only=True)
class Limits:
    """What a sink can take.

    Attributes:
        batch: Products in one `write`, at most.
        weight: Sum of `weigh` in one `write`, at most; None: no limit.
        writers: Calls of `write` in flight, at most.
        find: Products in one `find`, at most.
    """

    batch: int = attrs.field(default=100, validator=_one_or_more)
    weight: int | None = attrs.field(default=None, validator=_one_or_more)
    writers: int = attrs.field(default=1, validator=_one_or_more)
    find: int = attrs.field(default=200, validator=_one_or_more)


class Sink(Protocol):
    """Where products go."""

    @property
    def name(self) -> str:
        """Names the place in reports and logs; holds no secret."""
        ...

    @property
    def limits(self) -> Limits:
        """What the sink can take."""
        ...

    async def find(
        self, wanted: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Held]:
        """Say what the sink has for these products; changes nothing.

        Args:
            wanted: Products to look for, by key.
            fields: The fields that will be compared; others may be left UNSET.

        Raises:
            TransientError: It is repeated.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Bring these changes about; one outcome each, in any order.

        All of them create, or all of them update. A product is never in two calls at once. After an error that may have
        done part of the work, the engine finds and plans again before it writes
        again, so a sink never has to undo.

        Raises:
            BatchRefusedError: Nothing of the batch is acceptable as it stands.
                The engine sets the culprits aside, or halves the batch.
            ConflictError: The sink changed since `find`; find and plan again.
            TransientError: Whether anything was done is not known; the same.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


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
class HeldReference:
    """What a sink has for a wanted reference.

    Attributes:
        id: Its id in the sink.
        name: Its name there.
        parent: The sink id of what contains it.
        ours: Whether we created it; others' are used and never changed.
    """

    id: str
    name: str
    parent: str | None = None
    ours: bool = False


@attrs.frozen(kw_only=True)
class ReferenceChange:
    """A reference to be created (held is None), renamed or moved.

    Attributes:
        reference: What is wanted.
        parent: The sink id of its parent, which is there already.
        held: What the sink has.
    """

    reference: Reference
    parent: str | None = None
    held: HeldReference | None = None


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


@runtime_checkable
class ReferencingSink(Sink, Protocol):
    """A sink in which categories and tags are things of their own.

    The engine never has two calls of `write_references` in flight, and calls it
    before the products that need the references.
    """

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, HeldReference]:
        """Say which of these the sink has."""
        ...

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these, in this order; one outcome each.

        One that somebody else created meanwhile is found, not doubled. One that is
        refused is told in its outcome, it does not raise.

        Raises:
            TransientError, ConflictError: Finding and writing are repeated.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class ShapingSink(Sink, Protocol):
    """A sink that cannot hold everything the model can."""

    def shape(self, product: Product, /) -> Product:
        """The product as this sink would give it back; pure.

        Rounding, cut lengths and fields that it cannot hold (`UNSET`), so that a
        product that was written as well as possible compares equal.

        Raises:
            RefusedError: The sink can hold nothing that would be right.
        """
        ...


@runtime_checkable
class WeighingSink(Sink, Protocol):
    """A sink whose batches are also limited by size."""

    def weigh(self, change: Change, /) -> int:
        """Bytes on the wire, about."""
        ...


@attrs.frozen(kw_only=True)
class Finding:
    """What a check found.

    Attributes:
        ok: Whether it is as it should be.
        what: What was looked at, such as `sales_channel`.
        text: What was found, and what to do about it.
    """

    ok: bool
    what: str
    text: str


@runtime_checkable
class Checkable(Protocol):
    """A source or sink that can look at its own settings."""

    async def check(self) -> Sequence[Finding]:
        """Reach the other side, look at the settings, change nothing."""
        ...


@runtime_checkable
class Metered(Protocol):
    """A source or sink that counts its requests."""

    @property
    def requests(self) -> int:
        """Requests sent so far, repeats included."""
        ...
