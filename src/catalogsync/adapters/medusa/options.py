"""The options of new products, and the options that refused requests leave behind.

Observed on Medusa 2.21.2: the options of new products are created together with the
products, before their variants. If Medusa refuses a variant it deletes the products, but
not their options. Such an option is as good as a new one: the next product that needs
the same option gets it, and if the product finally fails the option is deleted. Nothing
marks it as ours, because Medusa accepts no metadata for an option that is created with a
product. But an option is not in use if it is not shared, has no product, was created
after our request began and has the requested title and values; and Medusa refuses to
delete an option that has got a product since.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import quote

import attrs

from catalogsync._lib.concurrency import each
from catalogsync.catalog.changes import Create
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import RefusedError, TransientError

from .client import MedusaClient
from .mapping import Raw
from .payloads import own_options

__all__ = ["OPTIONS", "Acquired", "OptionPool"]

OPTIONS = "/admin/product-options"
_FIELDS = "fields=id,title,values.value,products.id"
_PAGE = 500
_AFTER = quote("created_at[$gt]", safe="")

Shape: TypeAlias = tuple[str, frozenset[str]]
"""Title and values of an option; options of equal shape are interchangeable."""


@attrs.frozen
class Acquired:
    """The options of one attempt to create products.

    Attributes:
        options: The options to send with each product that has its own.
        shapes: The shapes of these options.
        reused: The reused options among them, by id.
        since: Creation time of the newest option before the attempt; empty if there
            is none.
    """

    options: Mapping[ProductKey, Sequence[Raw]]
    shapes: Mapping[ProductKey, Sequence[Shape]]
    reused: Mapping[str, Shape]
    since: str

    def count(self, keys: Iterable[ProductKey]) -> Counter[Shape]:
        """The number of options of each shape that these products need."""
        return Counter(shape for key in keys for shape in self.shapes.get(key, ()))


@attrs.define
class OptionPool:
    """Keeps the options that refused creations leave behind, for reuse."""

    client: MedusaClient
    _free: defaultdict[Shape, list[str]] = attrs.field(
        factory=lambda: defaultdict(list), init=False
    )
    _known: set[str] = attrs.field(factory=set[str], init=False)
    _lost: dict[ProductKey, str] = attrs.field(
        factory=dict[ProductKey, str], init=False
    )

    async def acquire(self, changes: Sequence[Create]) -> Acquired:
        """Options for new products; call `used`, `refused` or `lost` afterwards."""
        own = {change.key: own_options(change.product) for change in changes}
        own = {key: options for key, options in own.items() if options}
        since = await self._newest() if own else ""
        reused: dict[str, Shape] = {}
        return Acquired(
            options={
                key: [self._take(option, reused) for option in options]
                for key, options in own.items()
            },
            shapes={key: [*map(_shape, options)] for key, options in own.items()},
            reused=reused,
            since=since,
        )

    async def used(self, acquired: Acquired) -> None:
        """The products were created."""
        if self._had_lost_attempt(acquired):
            await self._collect(acquired)
            await self._delete_surplus(
                dict.fromkeys(acquired.count(acquired.shapes), 0)
            )

    async def refused(self, acquired: Acquired, said: str = "") -> None:
        """The products were not created.

        Args:
            acquired: The options of the attempt.
            said: Medusa's message; options named in it are not reused.
        """
        self._put_back(acquired, said)
        needed = acquired.count(acquired.shapes)
        if self._had_lost_attempt(acquired):
            await self._collect(acquired)
            await self._delete_surplus(needed)
        elif len(acquired.reused) < needed.total():
            await self._collect(acquired)

    async def failed(self, acquired: Acquired, keys: Iterable[ProductKey]) -> None:
        """These of the refused products will not be sent again."""
        unneeded = acquired.count(keys)
        await self._delete_surplus(
            {s: len(self._free[s]) - n for s, n in unneeded.items()}
        )

    def lost(self, acquired: Acquired) -> None:
        """The outcome of the attempt is not known yet."""
        self._put_back(acquired)
        for key in acquired.shapes:
            self._lost.setdefault(key, acquired.since)

    def _take(self, option: Raw, reused: dict[str, Shape]) -> Raw:
        shape = _shape(option)
        if not self._free[shape]:
            return option
        id_ = self._free[shape].pop()
        reused[id_] = shape
        return {"id": id_}

    def _put_back(self, acquired: Acquired, said: str = "") -> None:
        for id_, shape in acquired.reused.items():
            if id_ not in said:
                self._free[shape].append(id_)

    def _had_lost_attempt(self, acquired: Acquired) -> bool:
        return not self._lost.keys().isdisjoint(acquired.shapes)

    async def _collect(self, acquired: Acquired) -> None:
        """Find the options that this attempt and earlier lost ones left behind."""
        since = min(self._lost.pop(key, acquired.since) for key in acquired.shapes)
        try:
            found = await self._created_since(since)
        except TransientError:
            self._lost |= dict.fromkeys(acquired.shapes, since)
            return
        desired = acquired.count(acquired.shapes)
        for option in found:
            id_, shape = option["id"], _shape(option)
            if shape in desired and not option["products"] and id_ not in self._known:
                self._known.add(id_)
                self._free[shape].append(id_)

    async def _delete_surplus(self, most: Mapping[Shape, int]) -> None:
        """Delete free options of these shapes beyond the given numbers."""
        surplus: list[str] = []
        for shape, number in most.items():
            free = self._free[shape]
            surplus += free[max(number, 0) :]
            del free[max(number, 0) :]
        await each(self._delete, surplus, at_once=4)

    async def _delete(self, id_: str) -> None:
        with suppress(RefusedError, TransientError):
            await self.client.delete(f"{OPTIONS}/{id_}")

    async def _newest(self) -> str:
        query = "limit=1&order=-created_at&fields=created_at"
        options = (await self.client.get(OPTIONS, query))["product_options"]
        return str(options[0]["created_at"]) if options else ""

    async def _created_since(self, since: str) -> list[Raw]:
        query = f"is_exclusive=true&{_FIELDS}"
        if since:
            query += f"&{_AFTER}={quote(since, safe='')}"
        name = "product_options"
        return [*await self.client.get_all(OPTIONS, name, query, size=_PAGE)]


def _shape(option: Raw) -> Shape:
    """The shape of an option, in a request or in a reply."""
    values: Sequence[Any] = option["values"]
    texts = (v if isinstance(v, str) else str(v["value"]) for v in values)
    return option["title"], frozenset(texts)
