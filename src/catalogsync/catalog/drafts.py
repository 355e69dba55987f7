"""What a run knows of a product before it builds it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .outcomes import Rejected
from .products import UNSET, Category, Field, Product, ProductKey, Unset

__all__ = ["Draft", "Fingerprint", "Outline", "Unchanged"]


@attrs.frozen(kw_only=True, eq=False)
class Draft:
    """A record that a source has read, and that it can build a product from.

    A run that has a state store recognises the records that it compared before, and
    builds only the others.

    Attributes:
        key: Key of the product.
        digest: Digest of everything that *build* depends on: the record, the source's
            settings, names that it looked up, and the version of its code.
        size: Size of the record in memory, in bytes, about.
        build: Returns the product, or why the record is not valid. It is pure, and is
            called at most twice.
        dated: Whether the product itself says when its stock was counted.
    """

    key: ProductKey
    digest: bytes
    size: int
    build: Callable[[], Product | Rejected] = attrs.field(repr=False)
    dated: bool = False


@attrs.frozen
class Fingerprint:
    """Digest of what a sink has for a product.

    Attributes:
        digest: Text that changes with anything that `find` returns for these fields.
        fields: The fields that were read.
    """

    digest: str
    fields: frozenset[Field]


@attrs.frozen(kw_only=True, cache_hash=True)
class Outline:
    """What a run has to know of a product that it does not build.

    Attributes:
        fields: The fields that were read in the sink.
        categories: The categories, as in `Product`.
        tags: The tags, as in `Product`.
        type: The type, as in `Product`.
        collection: The collection, as in `Product`.
    """

    fields: frozenset[Field]
    categories: tuple[Category, ...] | Unset = UNSET
    tags: tuple[str, ...] | Unset = UNSET
    type: str | Unset | None = UNSET
    collection: str | Unset | None = UNSET

    @property
    def groups(self) -> dict[str, str | None]:
        """The type and collection, if they are supplied."""
        named = {"type": self.type, "collection": self.collection}
        return {n: value for n, value in named.items() if not isinstance(value, Unset)}


@attrs.frozen(kw_only=True)
class Unchanged:
    """Both sides of a product that needed no change.

    As long as both digests stay the same, it needs none.

    Attributes:
        record: Digests of the source's record, of its outline, and of the rules for
            comparing it.
        row: Digest of what the sink has, and of the ids of its references.
        outline: What the next run has to know without building the product.
    """

    record: str
    row: str
    outline: Outline
