"""The options that new products bring along, and what refusals leave of them.

Observed on Medusa 2.21.2: the options of new products are made together with the
products, before their variants. If a variant is refused, the products are deleted
and their options stay, without a product. Such an option is as good as a new one,
so the next product that needs the same gets it, and where a product fails for good
it is deleted. Nothing marks it as ours: Medusa takes no metadata for an option that
comes with a product. But one that is not shared, has no product, was made after our
request began and has the title and the values that this one asked for is not in
use; and Medusa deletes none that has a product by then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import quote

import attrs

from catalogsync._lib.concurrency import each
from catalogsync.catalog.changes import Change
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import RefusedError, TransientError

from .client import MedusaClient
from .mapping import Raw
from .payloads import own_options

__all__ = ["OPTIONS", "Loan", "OwnOptions"]

OPTIONS = "/admin/product-options"
_FIELDS = "fields=id,title,values.value,products.id"
_PAGE = 500
_AFTER = quote("created_at[$gt]", safe="")

Shape: TypeAlias = tuple[str, frozenset[str]]
"""The title and the values of an option: what makes it fit a product."""


@attrs.frozen
class Loan:
    """The options of one attempt to create products.

    Attributes:
        options: What each product with options of its own is sent with.
        shapes: The shapes of these.
        lent: Those of them that stood ready, by id.
        since: When the newest option was made that was there before.
    """

    options: Mapping[ProductKey, Sequence[Raw]]
    shapes: Mapping[ProductKey, Sequence[Shape]]
    lent: Mapping[str, Shape]
    since: str

    def count(self, keys: Iterable[ProductKey]) -> Counter[Shape]:
        """How many of each shape these products need."""
        return Counter(shape for key in keys for shape in self.shapes.get(key, ()))


@attrs.define
class OwnOptions:
    """Keeps what refused creations leave, until another one needs it."""

    client: MedusaClient
    _spare: defaultdict[Shape, list[str]] = attrs.field(
        factory=lambda: defaultdict(list), init=False
    )
    _known: set[str] = attrs.field(factory=set[str], init=False)
    _lost: dict[ProductKey, str] = attrs.field(
        factory=dict[ProductKey, str], init=False
    )

    async def lend(self, changes: Sequence[Change]) -> Loan:
        """Options for new products; say afterwards what became of them."""
        own = {change.key: own_options(change.product) for change in changes}
        own = {key: options for key, options in own.items() if options}
        since = await self._newest() if own else ""
        lent: dict[str, Shape] = {}
        return Loan(
            options={
                key: [self._lend(option, lent) for option in options]
                for key, options in own.items()
            },
            shapes={key: [*map(_shape, options)] for key, options in own.items()},
            lent=lent,
            since=since,
        )

    async def used(self, loan: Loan) -> None:
        """The products are there."""
        if self._is_doubtful(loan):
            await self._gather(loan)
            await self._trim(dict.fromkeys(loan.count(loan.shapes), 0))

    async def refused(self, loan: Loan, said: str = "") -> None:
        """The products are not there.

        Args:
            loan: What they were sent with.
            said: Medusa's words; an option that they name is of no more use.
        """
        self._put_back(loan, said)
        needed = loan.count(loan.shapes)
        if self._is_doubtful(loan):
            await self._gather(loan)
            await self._trim(needed)
        elif len(loan.lent) < needed.total():
            await self._gather(loan)

    async def failed(self, loan: Loan, keys: Iterable[ProductKey]) -> None:
        """These of the refused products are not sent again."""
        unneeded = loan.count(keys)
        await self._trim({s: len(self._spare[s]) - n for s, n in unneeded.items()})

    def lost(self, loan: Loan) -> None:
        """Nobody knows yet what became of the products."""
        self._put_back(loan)
        for key in loan.shapes:
            self._lost.setdefault(key, loan.since)

    def _lend(self, option: Raw, lent: dict[str, Shape]) -> Raw:
        shape = _shape(option)
        if not self._spare[shape]:
            return option
        id_ = self._spare[shape].pop()
        lent[id_] = shape
        return {"id": id_}

    def _put_back(self, loan: Loan, said: str = "") -> None:
        for id_, shape in loan.lent.items():
            if id_ not in said:
                self._spare[shape].append(id_)

    def _is_doubtful(self, loan: Loan) -> bool:
        return not self._lost.keys().isdisjoint(loan.shapes)

    async def _gather(self, loan: Loan) -> None:
        """Find what this attempt, and lost ones before it, left behind."""
        since = min(self._lost.pop(key, loan.since) for key in loan.shapes)
        try:
            found = await self._made_since(since)
        except TransientError:
            self._lost |= dict.fromkeys(loan.shapes, since)
            return
        desired = loan.count(loan.shapes)
        for option in found:
            id_, shape = option["id"], _shape(option)
            if shape in desired and not option["products"] and id_ not in self._known:
                self._known.add(id_)
                self._spare[shape].append(id_)

    async def _trim(self, most: Mapping[Shape, int]) -> None:
        """Delete what is left over of these shapes."""
        surplus: list[str] = []
        for shape, number in most.items():
            spare = self._spare[shape]
            surplus += spare[max(number, 0) :]
            del spare[max(number, 0) :]
        await each(self._delete, surplus, at_once=4)

    async def _delete(self, id_: str) -> None:
        with suppress(RefusedError, TransientError):
            await self.client.delete(f"{OPTIONS}/{id_}")

    async def _newest(self) -> str:
        query = "limit=1&order=-created_at&fields=created_at"
        options = (await self.client.get(OPTIONS, query))["product_options"]
        return str(options[0]["created_at"]) if options else ""

    async def _made_since(self, since: str) -> list[Raw]:
        query = f"is_exclusive=true&{_FIELDS}"
        if since:
            query += f"&{_AFTER}={quote(since, safe='')}"
        name = "product_options"
        return [*await self.client.get_all(OPTIONS, name, query, size=_PAGE)]


def _shape(option: Raw) -> Shape:
    """That of an option as it is sent, or as it is listed."""
    values: Sequence[Any] = option["values"]
    texts = (v if isinstance(v, str) else str(v["value"]) for v in values)
    return option["title"], frozenset(texts)
