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
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs

from .catalog.changes import (
    Change,
    Existing,
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
)
from .catalog.outcomes import Again, Outcome, Rejected
from .catalog.products import Field, Product, ProductKey
from .errors import InvalidValueError

__all__ = [
    "AdoptBy",
    "AdoptingSink",
    "CheckResult",
    "CountsRequests",
    "Cursor",
    "HandleSink",
    "HasEndpoint",
    "Limits",
    "LookupSource",
    "NormalizingSink",
    "Page",
    "ReferencingSink",
    "RemovingSink",
    "SelfChecking",
    "Sink",
    "SizedSink",
    "Source",
    "abilities",
    "endpoint_of",
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
            Several: all the rest; they may be read in parallel. They are taken from
            it one by one, so a lazy sequence costs no memory.
        total: Size of the whole set, where the source says so.
        before: The record that stands before this page, where the source can tell
            by reading it again; it must be the `last` of the page before. If it is
            not, the set was moved while it was read.
        last: The last record of this page, for a source that gives `before`.
    """

    products: Sequence[Product]
    rejected: Sequence[Rejected] = ()
    next: Sequence[Cursor] = ()
    total: int | None = None
    before: ProductKey | None = None
    last: ProductKey | None = None


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
        collides: Whether a second creation of one product is refused with
            `ConflictError`, also while the first one is still being carried out.
            Where it is not, the engine waits for `Options.grace` after a creation
            that got no answer, before it looks and creates again. False is safe:
            say True only of a sink that really refuses the second one.
    """

    batch: int = attrs.field(default=100, validator=_one_or_more)
    weight: int | None = attrs.field(default=None, validator=_one_or_more)
    writers: int = attrs.field(default=1, validator=_one_or_more)
    find: int = attrs.field(default=200, validator=_one_or_more)
    collides: bool = False


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
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Say what the sink has for these products; changes nothing.

        Args:
            desired: Products to look for, by key.
            fields: The fields that will be compared; others may be left UNSET.

        Raises:
            TransientError: It is repeated.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome | Again]:
        """Bring these changes about; one answer each, in any order.

        All of them have the same action. A product is never in two calls at once.
        What is answered for a change (`change.done()`, `change.failed(reason)`,
        `change.again(error)`) stands, whatever becomes of the others. An error that
        is raised speaks of the whole call: after one that may have done part of
        the work, the engine finds and plans again before it writes again, so a
        sink never has to undo.

        Raises:
            RefusedError: As BatchRefusedError, without culprits.
            BatchRefusedError: Nothing of the batch is acceptable as it stands.
                The engine sets the culprits aside, or halves the batch.
            ConflictError: The sink changed since `find`; find and plan again.
            TransientError: Whether anything was done is not known; the same.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class ReferencingSink(Sink, Protocol):
    """A sink in which categories and tags are things of their own.

    The engine never has two calls of `write_references` in flight, and calls it
    before the products that need the references.
    """

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        """Say which of these the sink has."""
        ...

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these, in this order; one outcome each.

        A category is moved to the top level where the change has no parent, and never
        below itself: if its new parent lies below it by now, this is a conflict.

        One that somebody else created meanwhile is found, not doubled. One that is
        refused is told in its outcome, it does not raise.

        Raises:
            TransientError, ConflictError: Finding and writing are repeated.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class NormalizingSink(Sink, Protocol):
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
class SizedSink(Sink, Protocol):
    """A sink whose batches are also limited by size."""

    def weigh(self, change: Change, /) -> int:
        """Bytes on the wire, about."""
        ...


@runtime_checkable
class HandleSink(Sink, Protocol):
    """A sink in which a product has a handle that no other product has.

    The handle is what makes a second attempt to create a product collide with the
    first one. The engine notes it before it creates, and gives the same one in the
    next attempt, also if that is in another run and the title has changed.
    """

    def handle(self, product: Product, /) -> str:
        """The handle for a new product; pure, and the same in every run."""
        ...


@runtime_checkable
class RemovingSink(Sink, Protocol):
    """A sink in which products can be retired, deleted and released.

    Its `write` takes these three actions too.
    """

    def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        """All products under keys of this source, page by page.

        Of each, only title, status and last-applied state are needed, and whatever the sink
        wants to see again in a change. Products that are changed, but not those
        that are removed, in the course of it are given once.

        Raises:
            TransientError: It is begun again.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


class AdoptBy(enum.StrEnum):
    """By what a product that stands there without our key is recognised."""

    SKU = "sku"
    HANDLE = "handle"
    EXTERNAL_ID = "external_id"


@runtime_checkable
class AdoptingSink(Sink, Protocol):
    """A sink that can make products ours which stand there without a key.

    Its `write` takes updates whose `Change.existing` is `foreign`: they put our key and
    last-applied state on the product, and the ids of the wanted variants on its variants.
    """

    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Say which products without any key could be these.

        Args:
            desired: Products that `find` has nothing for.
            by: SKU: all its variants' SKUs are on one product. HANDLE: it has the
                handle that we would give, or had before keys were part of it.
                EXTERNAL_ID: another script left the product's id in the source
                in a place of its own, such as `metadata.external_id`.
            fields: As in `find`.

        Returns:
            `Existing` that is `foreign`, with the wanted variants' ids where they could
            be matched; `Conflict` where several products could be it. A product
            that has a key already is never among them.
        """
        ...


@runtime_checkable
class HasEndpoint(Protocol):
    """A sink that can say where it is, so that two runs know it for the same."""

    @property
    def endpoint(self) -> str:
        """An address that is the same from each host and job; holds no secret."""
        ...


@attrs.frozen(kw_only=True)
class CheckResult:
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
class SelfChecking(Protocol):
    """A source or sink that can look at its own settings."""

    async def check(self) -> Sequence[CheckResult]:
        """Reach the other side, look at the settings, change nothing."""
        ...


@runtime_checkable
class CountsRequests(Protocol):
    """A source or sink that counts its requests."""

    @property
    def requests(self) -> int:
        """Requests sent so far, repeats included."""
        ...


_ABILITIES: dict[str, type[Any]] = {
    "get": LookupSource,
    "shape": NormalizingSink,
    "weigh": SizedSink,
    "handle": HandleSink,
    "owned": RemovingSink,
    "find_foreign": AdoptingSink,
    "find_references": ReferencingSink,
    "endpoint": HasEndpoint,
    "check": SelfChecking,
    "requests": CountsRequests,
}


def abilities(side: object) -> list[str]:
    """The abilities of a source or sink, by the method that makes each."""
    return [name for name, kind in _ABILITIES.items() if isinstance(side, kind)]


def endpoint_of(sink: Sink) -> str:
    """Where a sink is, or its name if it cannot say."""
    return sink.endpoint if isinstance(sink, HasEndpoint) else sink.name
