"""Records beside the products that are made from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs

from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product

from ._record import Record

__all__ = ["Sample", "Sampling"]


@attrs.frozen(kw_only=True)
class Sample:
    """Records, and what they make.

    Attributes:
        records: The records of one product.
        result: The product, or why there is none.
        unmapped: The supplier's categories that the tables of the map do not have.
    """

    records: Sequence[Record]
    result: Product | Rejected
    unmapped: Sequence[str] = ()


@runtime_checkable
class Sampling(Protocol):
    """A source that can show the records behind its products."""

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their records.

        Args:
            most: Most samples.
            keys: Ids of the products to show; empty: the first ones.
        """
        ...
