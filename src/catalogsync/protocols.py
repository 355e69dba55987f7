"""Protocols of sources and sinks, and the values that pass between them and the engine.

Adapters inherit nothing: an object with the right methods is a source or a sink. Each
optional ability is another protocol. The caller opens and closes adapters. Retries are
left to the engine.

An adapter says what went wrong by the class of the error (see `catalogsync.errors`):
`TransientError` is retried, `RefusedError` fails a product and the run continues,
`UnauthorizedError` and `MisconfiguredError` stop the run.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
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
    Write,
)
from .catalog.drafts import Draft, Fingerprint
from .catalog.images import FetchedImage, StoredImage
from .catalog.outcomes import Again, Outcome, Rejected
from .catalog.products import Field, Product, ProductKey
from .errors import InvalidValueError

__all__ = [
    "AdoptBy",
    "AdoptingSink",
    "CatalogVersion",
    "CheckResult",
    "CountsRequests",
    "Cursor",
    "DeletingSource",
    "DeltaSource",
    "FingerprintingSink",
    "HandleSink",
    "HasEndpoint",
    "ImageStorage",
    "ImageStoringSink",
    "Limits",
    "LookupSource",
    "NormalizingSink",
    "Page",
    "ReferencingSink",
    "RemovingSink",
    "SelectingSource",
    "SelfChecking",
    "SellOutSink",
    "Sink",
    "SizedSink",
    "Source",
    "VersionedSource",
    "abilities",
    "endpoint_of",
]

Cursor: TypeAlias = str
"""Names one page of a source; only the source knows what it means."""


@attrs.frozen(kw_only=True)
class CatalogVersion:
    """The version of its catalog that a source has, where each update has a number.

    An update is refused before anything is written, unless this job applied the
    version before it last, or this one.

    Attributes:
        number: What the job has applied once the run is over.
        follows: The version that must have been applied last; None: any.
        name: What it is, for messages, such as `prices.xml`.
        override: The setting with which it is accepted in any case, for messages; empty:
            there is none.
    """

    number: str
    follows: str | None = None
    name: str = "the source"
    override: str = ""


@attrs.frozen(kw_only=True)
class Page:
    """One page of a source.

    Attributes:
        products: Complete products, or drafts that become products. A key appears only
            once in the whole source.
        rejected: Records that are not valid products.
        deleted: Keys of products that the source says were deleted. `prune` removes
            them as it does those that left the source, also if the source is not
            complete. They count in `total`.
        next: Cursors of the pages that follow. Empty: this is the last page. One: the
            next page. Several: all remaining pages, which may be read in parallel. They
            are taken one by one, so a lazy sequence costs no memory.
        total: Number of records in the whole source; None: not known.
        before: Key of the record before this page, if the source can read it again;
            None: not known. If it is not the `last` of the previous page, the list
            moved while it was read.
        last: Key of the last record of this page, for a source that gives `before`.
        version: Version of the catalog, for a source of numbered updates; None: it has
            none.
        as_of: When the stock on this page was counted, with a time zone, for products
            that do not say so; None: it counts as of the start of the run.
    """

    products: Sequence[Product | Draft]
    rejected: Sequence[Rejected] = ()
    deleted: Sequence[ProductKey] = ()
    next: Sequence[Cursor] = ()
    total: int | None = None
    before: ProductKey | None = None
    last: ProductKey | None = None
    version: CatalogVersion | None = None
    as_of: datetime | None = None


class Source(Protocol):
    """Where products come from."""

    @property
    def name(self) -> str:
        """The namespace of its product keys; the same in every run."""
        ...

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page.

        It may be called again with the same cursor, and in parallel for cursors of one
        page. A bad record belongs in `Page.rejected`; it must not raise.

        Args:
            cursor: The page; None: the first one.

        Raises:
            TransientError: The page cannot be read now; it is retried.
            BrokenReplyError: The same, because the reply is cut or contradictory.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class LookupSource(Source, Protocol):
    """A source that can look up products by key."""

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        ...


@runtime_checkable
class DeltaSource(Source, Protocol):
    """A source that may have only what changed.

    No run from it then counts as one over all products, and none may prune.
    """

    @property
    def complete(self) -> bool:
        """Whether it has the whole catalog."""
        ...


@runtime_checkable
class DeletingSource(Source, Protocol):
    """A source that says which products were deleted, in `Page.deleted`.

    `prune` is then possible even if the source is not complete.
    """

    @property
    def says_deleted(self) -> bool:
        """Whether it does so with its settings."""
        ...


@runtime_checkable
class VersionedSource(Source, Protocol):
    """A source that can say cheaply whether it still has what it had."""

    async def version(self) -> str | None:
        """What changes with anything that it supplies; None: it is not known.

        Two equal versions mean that every page would be the same, so it covers the
        settings of the source and the version of its code, too. It contains no secret.

        Raises:
            TransientError, UnauthorizedError, MisconfiguredError: It cannot be known
                now; the run then reads the source.
        """
        ...


def _one_or_more(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, int) and value < 1:
        raise InvalidValueError(attribute.name, f"must be 1 or more, is {value}")


@attrs.frozen(kw_only=True)
class Limits:
    """Limits of a sink.

    Attributes:
        batch: Most products in one `write`.
        weight: Largest sum of `weigh` in one `write`; None: no limit.
        writers: Most calls of `write` in flight.
        find: Most products in one `find`.
        finders: Most calls of `find` in flight for new groups of products; writers may
            call it too.
        collides: Whether a second request that creates the same product is refused with
            `ConflictError`, even while the first one is still running. If not, the
            engine waits for `Options.grace` after a creation without an answer before
            it creates again. False is always safe: set True only for a sink that
            certainly refuses the second request.
    """

    batch: int = attrs.field(default=100, validator=_one_or_more)
    weight: int | None = attrs.field(default=None, validator=_one_or_more)
    writers: int = attrs.field(default=1, validator=_one_or_more)
    find: int = attrs.field(default=200, validator=_one_or_more)
    finders: int = attrs.field(default=2, validator=_one_or_more)
    collides: bool = False


class Sink(Protocol):
    """Where products go."""

    @property
    def name(self) -> str:
        """Names the sink in reports and logs; contains no secret."""
        ...

    @property
    def limits(self) -> Limits:
        """Limits of the sink."""
        ...

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find these products in the sink; changes nothing.

        Several calls may be in flight, and calls of `write` for other products.

        Args:
            desired: Products to look for, by key.
            fields: The fields that will be compared; others may be left UNSET.

        Returns:
            One entry for each product that exists or has a conflict.

        Raises:
            TransientError: It is retried.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...

    async def write(self, changes: Sequence[Write], /) -> Sequence[Outcome | Again]:
        """Apply these changes; one answer each, in any order.

        All of them have the same `action`. A product is never in two calls at once.
        An answer for a change (`change.done()`, `change.failed(reason)`,
        `change.again(error)`) is final, independently of the others. An error that is
        raised concerns the whole call. If part of the work may have been done, the
        engine finds and plans again before it writes again, so a sink never has to
        undo anything.

        Raises:
            RefusedError: As BatchRefusedError, without culprits.
            BatchRefusedError: The batch cannot be accepted as a whole, and nothing of
                it was done. The engine takes the culprits out, or halves the batch.
            ConflictError: The sink has changed since `find`.
            TransientError: It is not known how much was done.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class ReferencingSink(Sink, Protocol):
    """A sink in which categories, tags, types and collections are objects of their own.

    The engine never has two calls of `write_references` in flight, and calls it
    before the products that need the references.
    """

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        """Find these references; those that do not exist are left out."""
        ...

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these, in this order; one outcome each.

        A change without a parent moves a category to the top level. A category is never
        moved below itself: if its new parent has become a descendant, that is a conflict.
        One that someone else has created since is used, not created twice. A refusal
        belongs in the outcome; it must not raise.

        Raises:
            TransientError, ConflictError: Finding and writing are retried.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class SelectingSource(Source, Protocol):
    """A source that can read a part of each product, for a lane (`Options.only`)."""

    def select(self, fields: frozenset[Field], /) -> Source:
        """The same source, reading only what these fields need.

        It has the same name, keys and abilities. Its products have at least their
        title and these fields, as the whole source has them; all else in them is
        ignored. It is usable as long as this source is open.

        Args:
            fields: The fields of the lane.
        """
        ...


@runtime_checkable
class NormalizingSink(Sink, Protocol):
    """A sink that cannot hold everything that a `Product` can."""

    def shape(self, product: Product, /) -> Product:
        """The product as this sink would return it after writing it; pure.

        It rounds, cuts texts, and sets fields to `UNSET` that the sink cannot hold, so
        that a product that was written as well as possible compares equal.

        Raises:
            RefusedError: The sink cannot hold this product in any acceptable form.
        """
        ...


@runtime_checkable
class SizedSink(Sink, Protocol):
    """A sink whose batches are also limited by their size."""

    def weigh(self, change: Write, /) -> int:
        """Size of a change on the wire in bytes, about."""
        ...


@runtime_checkable
class HandleSink(Sink, Protocol):
    """A sink in which each product has a unique handle.

    The handle makes a second attempt to create a product collide with the first one.
    The engine stores it before it creates the product, and uses the same handle in the
    next attempt, even if that is in another run and the title has changed since.
    """

    def handle(self, product: Product, /) -> str:
        """The handle for a new product; pure, and the same in every run."""
        ...


@runtime_checkable
class FingerprintingSink(Sink, Protocol):
    """A sink that can say cheaply whether a product is still as it was.

    With a state store and a source that returns drafts, products that need no change
    are recognised without building them.
    """

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint | None:
        """Digest of what `find` has just read; None: it is not known. Pure.

        Two equal digests mean that `find` and `shape` would give equal results, so the
        digest covers the sink's settings and the version of its code, too.

        Args:
            existing: A result of `find`.
            fields: The fields that `find` was called with.
        """
        ...

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        """Digests of these products as they are now; changes nothing.

        Args:
            keys: Products to look for, at most `Limits.find`.
            fields: The fields of an earlier `Fingerprint`.

        Returns:
            The digest for each product that `find` would return as `Existing`; others
            may be left out.

        Raises:
            TransientError: It is retried.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class RemovingSink(Sink, Protocol):
    """A sink in which products can be unpublished, deleted and released."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome | Again]:
        """As in `Sink`; it accepts `Unpublish`, `Delete` and `Release` too."""
        ...

    def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        """List all products under keys of this source, page by page.

        Only their title, status and last-applied state are needed, and whatever the
        sink needs in a change (`Existing.native`). A product that is changed while the
        list is read must still appear once.

        Raises:
            TransientError: The list is read again from the beginning.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class SellOutSink(RemovingSink, Protocol):
    """A sink in which products can be sold out: they stay, without stock.

    Its `write` accepts `SellOut` too, and `find` returns `Existing.product` with all
    stock levels that the sink has, if it is asked for `VARIANTS` and `STOCK`.
    """

    @property
    def sells_out(self) -> bool:
        """True; the property says that `write` accepts `SellOut`."""
        ...


class ImageStorage(Protocol):
    """Fetches images from their addresses, and stores them in a sink.

    All methods but `upload` raise `RefusedError` for an image that another attempt would
    not help, and `TransientError` for one that may be there later.
    """

    @property
    def at_once(self) -> int:
        """Most images that are fetched and uploaded at the same time."""
        ...

    async def changed(self, address: str, seen: StoredImage, /) -> bool:
        """Whether an address may have another image than *seen*; reads no content."""
        ...

    async def fetch(
        self, address: str, seen: StoredImage | None, /
    ) -> FetchedImage | None:
        """The image of an address; None: it is still the same as *seen*."""
        ...

    async def upload(self, image: FetchedImage, /) -> StoredImage:
        """Store an image in the sink.

        Raises:
            RefusedError: The sink does not accept it.
            TransientError: It is retried.
            UnauthorizedError, MisconfiguredError: The run stops.
        """
        ...


@runtime_checkable
class ImageStoringSink(Sink, Protocol):
    """A sink that can store images itself, instead of linking to their addresses.

    The engine replaces the addresses in products by those of uploaded files before it
    compares, and uploads what is new before it writes. It needs a state store, which
    remembers what was uploaded.
    """

    @property
    def image_storage(self) -> ImageStorage | None:
        """The storage, or None if products link to the addresses of the source."""
        ...


class AdoptBy(enum.StrEnum):
    """How an existing product without our key is recognised."""

    SKU = "sku"
    HANDLE = "handle"
    EXTERNAL_ID = "external_id"


@runtime_checkable
class AdoptingSink(Sink, Protocol):
    """A sink that can adopt existing products without a key.

    Its `write` accepts `Adopt` too: an update that adds our key and last-applied state
    to the product, and the ids of the desired variants to its variants.
    """

    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products without any key that could be these.

        Args:
            desired: Products that `find` did not find.
            by: SKU: one product has the SKUs of all variants. HANDLE: it has the handle
                that we would give it, or that earlier versions would have given it.
                EXTERNAL_ID: another script stored the product's id in the source
                somewhere, such as in `metadata.external_id`.
            fields: As in `find`.

        Returns:
            An `Existing` with `foreign`, with the ids of the desired variants that
            could be matched; a `Conflict` if several products match. Products that have
            a key already are never returned.
        """
        ...


@runtime_checkable
class HasEndpoint(Protocol):
    """A sink with an address, so that two runs know if they write to the same one."""

    @property
    def endpoint(self) -> str:
        """An address that is the same for each host and job; contains no secret."""
        ...


@attrs.frozen(kw_only=True)
class CheckResult:
    """The result of one check.

    Attributes:
        ok: Whether it passed.
        what: The thing that was checked, such as `sales_channel`.
        text: What was found, and what to do about it.
    """

    ok: bool
    what: str
    text: str


@runtime_checkable
class SelfChecking(Protocol):
    """A source or sink that can check its own settings."""

    async def check(self) -> Sequence[CheckResult]:
        """Connect to the system and check the settings; changes nothing.

        Returns:
            What was checked, good or bad. A result with `ok=False` says what is wrong,
            so nothing has to be raised.

        Raises:
            CatalogSyncError: The check itself failed; shown like a bad result.
        """
        ...


@runtime_checkable
class CountsRequests(Protocol):
    """A source or sink that counts its requests."""

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        ...


_ABILITIES: dict[str, type[Any]] = {
    "get": LookupSource,
    "complete": DeltaSource,
    "says_deleted": DeletingSource,
    "version": VersionedSource,
    "select": SelectingSource,
    "shape": NormalizingSink,
    "weigh": SizedSink,
    "handle": HandleSink,
    "owned": RemovingSink,
    "sells_out": SellOutSink,
    "find_foreign": AdoptingSink,
    "find_references": ReferencingSink,
    "fingerprints": FingerprintingSink,
    "image_storage": ImageStoringSink,
    "endpoint": HasEndpoint,
    "check": SelfChecking,
    "requests": CountsRequests,
}


def abilities(side: object) -> list[str]:
    """The optional abilities of a source or sink, by the name of a method."""
    return [name for name, kind in _ABILITIES.items() if isinstance(side, kind)]


def endpoint_of(sink: Sink) -> str:
    """The endpoint of a sink, or its name if it has none."""
    return sink.endpoint if isinstance(sink, HasEndpoint) else sink.name
