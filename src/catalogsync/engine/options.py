"""How a run goes about its work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import attrs

from catalogsync.errors import InvalidValueError
from catalogsync.models import Product, ProductKey
from catalogsync.retry import RetryPolicy

__all__ = ["Options", "Transform"]

Transform: TypeAlias = Callable[[Product], Product | None]
"""Edits a product, or vetoes it with None. It must keep the key."""


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, int) and value < 1:
        raise InvalidValueError(attribute.name, f"must be 1 or more, is {value}")


def _keys(value: Iterable[ProductKey] | None) -> tuple[ProductKey, ...] | None:
    return None if value is None else tuple(dict.fromkeys(value))


@attrs.frozen(kw_only=True)
class Options:
    """How a run goes about its work.

    Attributes:
        batch_size: Products in one write; None: as many as the sink can take. The
            sink's own limit counts if it is lower.
        writers: Writes in flight; None: as many as the sink allows.
        pages_ahead: Pages that are read before they are needed.
        retry: When pages and batches are repeated.
        transform: Sees each product before it is compared; see `Transform`.
        limit: Take only so many products.
        keys: Take only these products.
    """

    batch_size: int | None = attrs.field(default=None, validator=_positive)
    writers: int | None = attrs.field(default=None, validator=_positive)
    pages_ahead: int = attrs.field(default=4, validator=_positive)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    transform: Transform | None = None
    limit: int | None = attrs.field(default=None, validator=_positive)
    keys: tuple[ProductKey, ...] | None = attrs.field(default=None, converter=_keys)
