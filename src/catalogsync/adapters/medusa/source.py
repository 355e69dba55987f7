"""Medusa as a source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import attrs

from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import InvalidValueError
from catalogsync.protocols import CheckResult, Cursor, Page

from .client import MedusaClient
from .mapping import Raw
from .queries import list_products, read_products
from .reading import ALL, Reading
from .server import server_checks

__all__ = ["MedusaSource"]

_PRODUCTS = "/admin/products"
_KEYS = "fields=id,external_id,status&order=id"


@attrs.define(kw_only=True, eq=False)
class MedusaSource:
    """Reads all products of a store; `MedusaSourceSettings.open` makes it.

    It is a `LookupSource`, `CountsRequests` and `SelfChecking`.

    Attributes:
        name: The namespace of its product keys.
        client: Sends the requests.
        page_size: Products in a page.
        drafts: Whether to read products that shoppers do not see.
    """

    name: str
    client: MedusaClient
    page_size: int = 200
    drafts: bool = True
    _prepare: Callable[[], Coroutine[Any, Any, Reading]] = attrs.field(
        alias="prepare", repr=False
    )
    _reading: Reading | None = attrs.field(default=None, init=False, repr=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False, repr=False)

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.client.http.requests

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the cursor is the number of products before it.

        A page after the first is read together with the product before it, so that a
        list that moved is noticed.

        Raises:
            TransientError: The server is busy or cannot be reached.
            UnauthorizedError: The credentials are not accepted.
        """
        begin = _number(cursor)
        reading = await self._context(again=cursor is None)
        known = min(begin, 1)
        place = f"limit={self.page_size + known}&offset={begin - known}"
        reply = await self.client.get(_PRODUCTS, f"{place}&{_KEYS}{self._filter}")
        rows: list[Raw] = reply["products"]
        own, end = rows[known:], begin + len(rows[known:])
        products, rejected = await self._made(reading, own)
        return Page(
            products=products,
            rejected=rejected,
            next=(str(end),) if own and end < reply["count"] else (),
            total=reply["count"],
            before=_key(reading, rows[0]) if known and rows else None,
            last=_key(reading, own[-1]) if own else None,
        )

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read these products; those that do not exist are left out."""
        reading = await self._context()
        asked = {key for key in keys if key.source == self.name}
        ids = [key.id for key in asked if key.id.isascii() and key.id.isprintable()]
        external_ids = [id_ for key in asked for id_ in reading.external_ids(key)]
        rows = {
            raw["id"]: raw
            for name, values in (("id[]", ids), ("external_id[]", external_ids))
            if values
            for raw in await self._read_products(reading, name, values)
        }
        found = [raw for raw in rows.values() if _key(reading, raw) in asked]
        visible = [raw for raw in found if self.drafts or raw["status"] == "published"]
        products, rejected = _split(map(reading.product, visible))
        return Page(products=products, rejected=rejected)

    async def check(self) -> Sequence[CheckResult]:
        """Report the version, the flags, and the number of products."""
        query = f"limit=1&fields=id{self._filter}"
        count = (await self.client.get(_PRODUCTS, query))["count"]
        text = f"the store has {count} products to read"
        return [
            *await server_checks(self.client),
            CheckResult(ok=True, what="url", text=text),
        ]

    async def _made(
        self, reading: Reading, rows: Sequence[Raw]
    ) -> tuple[list[Product], list[Rejected]]:
        ids = [row["id"] for row in rows]
        found = await self._read_products(reading, "id[]", ids) if ids else []
        by_id = {raw["id"]: raw for raw in found}
        return _split(reading.product(by_id[id_]) for id_ in ids if id_ in by_id)

    async def _read_products(
        self, reading: Reading, name: str, values: Sequence[str]
    ) -> list[Raw]:
        found = await read_products(self.client, name, values, ALL)
        if reading.handles is None:
            return found
        more = await list_products(self.client, name, values, "id,handle")
        handles = {raw["id"]: raw["handle"] for raw in more}
        return [
            {**raw, "handle": handles[raw["id"]]}
            for raw in found
            if raw["id"] in handles
        ]

    async def _context(self, *, again: bool = False) -> Reading:
        async with self._turn:
            if self._reading is None or again:
                self._reading = await self._prepare()
            return self._reading

    @property
    def _filter(self) -> str:
        return "" if self.drafts else "&status%5B%5D=published"


def _number(cursor: Cursor | None) -> int:
    if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
        raise InvalidValueError("cursor", f"there is no page {cursor!r}")
    return int(cursor or 0)


def _key(reading: Reading, raw: Raw) -> ProductKey | None:
    try:
        return reading.key(raw)
    except InvalidValueError:
        return None


def _split(
    made: Iterable[Product | Rejected],
) -> tuple[list[Product], list[Rejected]]:
    products: list[Product] = []
    rejected: list[Rejected] = []
    for each in made:
        if isinstance(each, Product):
            products.append(each)
        else:
            rejected.append(each)
    return products, rejected
