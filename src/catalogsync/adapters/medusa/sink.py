"""Medusa as a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from catalogsync._concurrency import each
from catalogsync.changes import (
    Action,
    Ambiguous,
    Change,
    Held,
    HeldReference,
    Ours,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
)
from catalogsync.errors import ConflictError, InvalidValueError
from catalogsync.models import Field, Product, ProductKey
from catalogsync.outcomes import Outcome
from catalogsync.protocols import Finding, Limits

from .bodies import DEFAULT_OPTIONS, create_body
from .client import MedusaClient, MedusaRefusedError
from .naming import in_pieces
from .places import Places
from .reading import (
    TAG_COLUMNS,
    Raw,
    held_references,
    product_of,
    query_fields,
    receipt_of,
)
from .references import References
from .refusals import Refusals
from .shaping import shape
from .stock import StockLevels
from .updating import Updates

__all__ = ["MedusaSink"]

_LIMITS = Limits(batch=100, weight=1_500_000, writers=2, find=200)
_PRODUCTS = "/admin/products"
_OPTIONS = "/admin/product-options"
_CREATED = (
    "fields=id,external_id,variants.id,variants.metadata,"
    "variants.inventory_items.inventory_item_id"
)


@attrs.define(kw_only=True)
class MedusaSink:
    """Writes products into a Medusa store; made by `MedusaSettings.open`.

    A product is ours if its external id is our key (`source:id`). Its receipt is
    kept in its metadata under `catalogsync`, a variant's id under
    `catalogsync_id`.
    """

    name: str
    client: MedusaClient
    places: Places
    _default_option: Raw | None = attrs.field(default=None, init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    @property
    def limits(self) -> Limits:
        """Bodies stay below Medusa's 2 MB, addresses below its 16 KB."""
        return _LIMITS

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.client.http.requests

    async def check(self) -> Sequence[Finding]:
        """Say where products would go."""
        return self.places.findings()

    def shape(self, product: Product, /) -> Product:
        """What the store can hold of a product.

        Raises:
            RefusedError: It cannot go into this store.
        """
        return shape(product, self.places)

    def weigh(self, change: Change, /) -> int:
        """Bytes on the wire, at most about."""
        product = change.product
        texts = [change.receipt, product.description or "", product.title]
        texts += [image.url for image in product.images or ()]
        texts += [str(item) for item in (product.attributes or {}).items()]
        variants = len(product.variants or ())
        return 500 * (1 + variants) + sum(map(_weight, texts))

    async def find(
        self, wanted: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Held]:
        """Look products up by external id.

        Options take Medusa as long as all the rest, so they are asked for apart,
        for products that have some.
        """
        held: dict[ProductKey, Held] = {}
        for has_options in (False, True):
            keys = {
                str(product.key): product.key
                for product in wanted
                if _has_options(product) is has_options
            }
            some = fields if has_options else fields - {Field.OPTIONS}
            found = await self._list(keys, some)
            held |= {key: self._held(key, raws, some) for key, raws in found.items()}
        return held

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, HeldReference]:
        """Look categories and tags up."""
        return await References(self.client).find(references)

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create categories and tags, rename and move categories."""
        return await References(self.client).write(changes)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Create or update products; a batch holds only one of the two.

        Medusa undoes a refused request that holds both in a way that loses prices.
        """
        if changes and changes[0].action is Action.CREATE:
            return await self._create(changes)
        return await self._update(changes)

    async def _list(
        self, keys: Mapping[str, ProductKey], fields: frozenset[Field]
    ) -> dict[ProductKey, list[Raw]]:
        found: dict[ProductKey, list[Raw]] = {}
        for piece in in_pieces("external_id[]", keys):
            for raw in await self._read(piece, fields, len(keys)):
                key = keys.get(raw.get("external_id") or "")
                if key is not None:
                    found.setdefault(key, []).append(raw)
        return found

    async def _read(
        self, piece: str, fields: frozenset[Field], size: int
    ) -> list[dict[str, Any]]:
        """Read products, their tags apart and at the same time.

        Medusa joins what it reads, and tags beside images and categories take it
        longer than a request of their own.
        """
        columns = [query_fields(fields - {Field.TAGS})]
        if Field.TAGS in fields:
            columns.append(TAG_COLUMNS)
        queries = [f"fields={names}&{piece}" for names in columns]
        read = partial(self._pages, size=size)
        found, *more = await each(read, queries, at_once=len(queries))
        for others in more:
            by_id = {raw["id"]: raw for raw in others}
            found = [raw | by_id[raw["id"]] for raw in found if raw["id"] in by_id]
        return found

    async def _pages(self, query: str, *, size: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = f"limit={size}&offset={len(found)}"
            reply = await self.client.get(_PRODUCTS, f"{page}&{query}")
            products: list[dict[str, Any]] = reply["products"]
            found += products
            if not products or len(found) >= reply["count"]:
                return found

    def _held(
        self, key: ProductKey, raws: Sequence[Raw], fields: frozenset[Field]
    ) -> Held:
        if len(raws) > 1:
            ids = ", ".join(raw["id"] for raw in raws)
            return Ambiguous(reason=f"several products have our external id: {ids}")
        raw = raws[0]
        try:
            product = product_of(raw, key, fields, self.places.location)
        except InvalidValueError as error:
            reason = f"product {raw['id']} cannot be compared: {error}"
            return Ambiguous(reason=reason)
        return Ours(
            product=product,
            receipt=receipt_of(raw),
            references=held_references(raw),
            native=raw,
        )

    async def _create(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        option = await self._option()
        bodies = [create_body(change, self.places, option) for change in changes]
        try:
            reply = await self.client.post(
                f"{_PRODUCTS}/batch", {"create": bodies}, _CREATED
            )
        except MedusaRefusedError as error:
            raise await Refusals(self.client).explain(error, changes) from error
        created = {raw["external_id"]: raw for raw in reply["created"]}
        stock = StockLevels(self.places)
        for change in changes:
            raw = created.get(str(change.key), {})
            stock.add(change.product.variants or (), raw.get("variants") or ())
        await self._restock(stock)
        return [change.done() for change in changes]

    async def _update(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        stock = StockLevels(self.places)
        updates = Updates(self.client, stock)
        await updates.write(changes)
        await self._restock(stock)
        return updates.outcomes(changes)

    async def _restock(self, stock: StockLevels) -> None:
        """Write stock levels, after everything else."""
        try:
            await stock.write(self.client)
        except MedusaRefusedError as error:
            raise ConflictError(f"stock levels: {error.said}") from error

    async def _option(self) -> Raw:
        """The shared option of products that have none, made once.

        Products that bring an option of their own leave it behind when Medusa
        refuses them.
        """
        async with self._turn:
            if self._default_option is None:
                self._default_option = await self._find_option()
        return self._default_option

    async def _find_option(self) -> Raw:
        ((title, value),) = DEFAULT_OPTIONS.items()
        fields = "fields=id,values.id,values.value"
        query = f"title={title}&is_exclusive=false&limit=1&{fields}"
        found = (await self.client.get(_OPTIONS, query))["product_options"]
        if not found:
            body = {"title": title, "values": [value]}
            option = (await self.client.post(_OPTIONS, body, fields))["product_option"]
        else:
            option = found[0]
        values = {v["value"]: v["id"] for v in option["values"]}
        if value not in values:
            body = {"values": [*values, value]}
            path = f"{_OPTIONS}/{option['id']}"
            option = (await self.client.post(path, body, fields))["product_option"]
            values = {v["value"]: v["id"] for v in option["values"]}
        return {"id": option["id"], "value_ids": [values[value]]}


def _has_options(product: Product) -> bool:
    return any(variant.options for variant in product.variants or ())


def _weight(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
