"""Medusa as a sink."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

import attrs

from catalogsync._lib.digests import digest_of, json_bytes
from catalogsync.catalog.changes import (
    Change,
    Conflict,
    Create,
    Existing,
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
    Removal,
    Update,
    Write,
)
from catalogsync.catalog.drafts import Fingerprint
from catalogsync.catalog.outcomes import Again, Outcome
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.errors import (
    BatchRefusedError,
    BrokenReplyError,
    ConflictError,
    TransientError,
)
from catalogsync.protocols import AdoptBy, CheckResult, ImageStorage, Limits

from .adoption import Foreign
from .choosing import chosen_note, distinguishing_options, with_options_of
from .client import MedusaClient, MedusaRefusedError
from .errors import Refusals
from .handles import handle
from .inventory import ITEM_FIELDS
from .mapping import (
    DEFAULT_OPTIONS,
    Raw,
    existing_references,
    last_applied_of,
    product_of,
    reads_whole,
)
from .normalize import shape
from .options import OPTIONS, Acquired, OptionPool
from .payloads import create_body, withholds_variants
from .queries import read_products
from .references import References
from .removal import Removals, owned
from .repair import MissingParts, read_missing_parts
from .served import left_out
from .server import server_checks
from .stock import StockLevels
from .store_context import Places
from .updating import Updates

__all__ = ["MedusaSink"]

_LIMITS = Limits(batch=100, weight=1_500_000, writers=2, find=200, collides=True)
_PRODUCTS = "/admin/products"
_WITH_FILES = (Field.IMAGES, Field.THUMBNAIL)
_NO_VARIANT = (
    "created with one variant without a price, because Medusa requires a variant and"
    " the job never writes variants"
)
_CREATED = "fields=id,external_id,handle,variants.id,variants.metadata," + ",".join(
    f"variants.{name}" for name in ITEM_FIELDS
)


@attrs.define(kw_only=True)
class MedusaSink:
    """Writes products into a Medusa store; `MedusaSettings.open` makes it.

    A product is ours if its external id is our key (`source:id`). Its metadata has the
    last-applied state under `catalogsync`, and the metadata of a variant its id under
    `catalogsync_id`. `image_storage` stores images; without it, products link to their
    addresses.
    """

    name: str
    client: MedusaClient
    places: Places
    image_storage: ImageStorage | None = None
    _settings: bytes = attrs.field(
        default=attrs.Factory(lambda self: self._settings_digest(), takes_self=True),
        init=False,
    )
    _default_option: Raw | None = attrs.field(default=None, init=False)
    _option_pool: OptionPool = attrs.field(
        default=attrs.Factory(lambda self: OptionPool(self.client), takes_self=True),
        init=False,
    )
    _items: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    _foreign: Foreign = attrs.field(
        default=attrs.Factory(
            lambda self: Foreign(self.client, self.places), takes_self=True
        ),
        init=False,
    )
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    @property
    def limits(self) -> Limits:
        """Limits that keep bodies below Medusa's 2 MB and addresses below its 16 KB."""
        return _LIMITS

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.client.http.requests

    @property
    def sells_out(self) -> bool:
        """True."""
        return True

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return str(self.client.http.url).rstrip("/")

    def handle(self, product: Product, /) -> str:
        """The handle for a new product."""
        return handle(product)

    async def check(self) -> Sequence[CheckResult]:
        """Report the version, the flags, and the settings for new products."""
        return [*await server_checks(self.client), *self.places.checks()]

    def shape(self, product: Product, /) -> Product:
        """The product as this store can hold it.

        Raises:
            RefusedError: The store cannot hold the product.
        """
        return shape(product, self.places)

    def weigh(self, change: Write, /) -> int:
        """Upper estimate of the bytes on the wire."""
        product = change.product
        texts = [change.last_applied, product.description or "", product.title]
        texts += [image.url for image in product.images or ()]
        texts.append(str(product.attributes or ""))
        variants = len(product.variants or ())
        return 500 * (1 + variants) + sum(map(_weight, texts))

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products by external id.

        Options take Medusa as long as everything else, so a separate request reads
        them, for products that have options or got some from us before. A lane
        compares none.
        """
        simple = [product for product in desired if not _has_options(product)]
        existing = await self._find(simple, fields - {Field.OPTIONS})
        others = [
            product
            for product in desired
            if reads_whole(fields)
            and (_has_options(product) or _had_options(existing.get(product.key)))
        ]
        existing |= await self._find(others, fields | {Field.OPTIONS})
        return {**existing, **await read_missing_parts(self.client, existing.values())}

    async def _find(
        self, desired: Iterable[Product], fields: frozenset[Field]
    ) -> dict[ProductKey, Found]:
        by_key = {product.key: product for product in desired}
        found = await self._list({str(key): key for key in by_key}, fields)
        return {
            key: self._existing(by_key[key], raws, fields)
            for key, raws in found.items()
        }

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint | None:
        """Digest of the columns that `find` read for a product, options or not.

        None if images are stored: whether one has changed is not known here.
        """
        if self.image_storage and not fields.isdisjoint(_WITH_FILES):
            return None
        raw = cast("Raw", existing.native)
        with_options = Field.OPTIONS in fields and "options" in raw
        read = fields if with_options else fields - {Field.OPTIONS}
        return Fingerprint(self._digest(raw), read)

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        """Digests of these columns; none for a key that several products have."""
        found = await self._list({str(key): key for key in keys}, fields)
        return {
            key: self._digest(raws[0]) for key, raws in found.items() if len(raws) == 1
        }

    def _settings_digest(self) -> bytes:
        stores = b"upload" if self.image_storage else b"link"
        return digest_of(self.places.digest(), stores)

    def _digest(self, raw: Raw) -> str:
        return digest_of(self._settings, json_bytes(raw)).hex()

    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products without an external id that match these."""
        return await self._foreign.find(desired, by, fields)

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        """Find categories and tags."""
        return await References(self.client).find(references)

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        """Create categories and tags, rename and move categories."""
        return await References(self.client).write(changes)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome | Again]:
        """Write changes, all with the same action.

        Medusa undoes a refused request that creates and updates in a way that loses
        prices.
        """
        match changes[0]:
            case Create():
                return await self._create(cast("Sequence[Create]", changes))
            case Update():
                return await self._update(cast("Sequence[Update]", changes))
            case _:
                removals = cast("Sequence[Removal]", changes)
                return await Removals(self.client, self.places).write(removals)

    def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        """All products with keys of this source, including unpublished ones."""
        return owned(self.client, source)

    async def _list(
        self, keys: Mapping[str, ProductKey], fields: frozenset[Field]
    ) -> dict[ProductKey, list[Raw]]:
        found: dict[ProductKey, list[Raw]] = {}
        raws = await read_products(
            self.client, "external_id[]", keys, fields, self.places.counts
        )
        for raw in raws:
            key = keys.get(raw.get("external_id") or "")
            if key is not None:
                found.setdefault(key, []).append(raw)
        return found

    def _existing(
        self, desired: Product, raws: Sequence[Raw], fields: frozenset[Field]
    ) -> Found:
        if len(raws) > 1:
            ids = ", ".join(raw["id"] for raw in raws)
            return Conflict(reason=f"several products have this external id: {ids}")
        raw = raws[0]
        if reason := left_out(raw, fields):
            return Conflict(reason=reason)
        product = product_of(
            raw,
            desired.key,
            fields,
            self.places.location,
            counts=self.places.counts,
            hide_default=not _supplies_default(desired),
        )
        return Existing(
            product=product,
            last_applied=last_applied_of(raw),
            references=existing_references(raw),
            native=raw,
            missing_parts=MissingParts.of(
                product, raw, whole=reads_whole(fields)
            ).words(),
            sink_id=raw["id"],
            handle=raw.get("handle") or "",
        )

    async def _create(self, changes: Sequence[Create]) -> Sequence[Outcome]:
        chosen = {
            change.key: distinguishing_options(change.product) for change in changes
        }
        changes = [with_options_of(change, chosen[change.key]) for change in changes]
        acquired = await self._option_pool.acquire(changes)
        reply = await self._send_new(changes, acquired)
        await self._option_pool.used(acquired)
        created = {raw["external_id"]: raw for raw in reply["created"]}
        if missing := [c.key for c in changes if str(c.key) not in created]:
            raise BrokenReplyError(f"POST {_PRODUCTS}/batch: {missing[0]} is missing")
        stock = StockLevels(self.places)
        for change in changes:
            variants = change.product.variants or ()
            for variant in variants:
                self._items.pop(variant.sku or "", None)
            stock.add(variants, created[str(change.key)]["variants"])
        await stock.write(self.client)
        return [
            attrs.evolve(
                change.done(
                    _NO_VARIANT
                    if withholds_variants(change)
                    else chosen_note(chosen[change.key])
                ),
                sink_id=created[str(change.key)]["id"],
                handle=created[str(change.key)].get("handle") or "",
            )
            for change in changes
        ]

    async def _send_new(
        self, changes: Sequence[Create], acquired: Acquired
    ) -> dict[str, Any]:
        pool, default = self._option_pool, [await self._option()]
        bodies = [
            create_body(
                change,
                self.places,
                acquired.options.get(change.key, default),
                self._items,
            )
            for change in changes
        ]
        try:
            return await self.client.post(
                f"{_PRODUCTS}/batch", {"create": bodies}, _CREATED
            )
        except TransientError as error:
            if error.unexplained:
                await pool.refused(acquired)
                await pool.failed(acquired, _failing(error, changes))
            else:
                pool.lost(acquired)
            raise
        except MedusaRefusedError as error:
            await pool.refused(acquired, error.said)
            problem = await Refusals(self.client, self._items).explain(error, changes)
            await pool.failed(acquired, _failing(problem, changes))
            raise problem from error

    async def _update(self, changes: Sequence[Update]) -> Sequence[Outcome | Again]:
        stock = StockLevels(self.places)
        updates = Updates(self.client, stock, self._option, self._items)
        await updates.write(changes)
        return updates.outcomes(changes)

    async def _option(self) -> Raw:
        """The option that products without options share, created once.

        Own options would be left behind by products that Medusa refuses.
        """
        async with self._turn:
            if self._default_option is None:
                self._default_option = await self._find_option()
        return self._default_option

    async def _find_option(self) -> Raw:
        ((title, value),) = DEFAULT_OPTIONS.items()
        fields = "fields=id,values.id,values.value"
        query = f"title={title}&is_exclusive=false&limit=1&{fields}"
        found = (await self.client.get(OPTIONS, query))["product_options"]
        if not found:
            body = {"title": title, "values": [value]}
            option = (await self.client.post(OPTIONS, body, fields))["product_option"]
        else:
            option = found[0]
        values = {v["value"]: v["id"] for v in option["values"]}
        if value not in values:
            body = {"values": [*values, value]}
            path = f"{OPTIONS}/{option['id']}"
            option = (await self.client.post(path, body, fields))["product_option"]
            values = {v["value"]: v["id"] for v in option["values"]}
        if value not in values:
            raise BrokenReplyError(f"POST {OPTIONS}: the value {value} is missing")
        return {"id": option["id"], "value_ids": [values[value]]}


def _failing(problem: Exception, changes: Sequence[Create]) -> list[ProductKey]:
    """The products that will not be sent again, as far as this is known."""
    if isinstance(problem, BatchRefusedError) and problem.culprits:
        return [*problem.culprits]
    alone = len(changes) == 1 and not isinstance(problem, ConflictError)
    return [changes[0].key] if alone else []


def _has_options(product: Product) -> bool:
    return any(variant.options for variant in product.variants or ())


def _supplies_default(product: Product) -> bool:
    """Whether the source itself supplies what Medusa has for variants without options.

    Other variants may distinguish it in the source, but not be in the store, because
    the job does not create them there.
    """
    return any(variant.options == DEFAULT_OPTIONS for variant in product.variants or ())


def _had_options(existing: Found | None) -> bool:
    """Whether we may have written options; searches the text to save parsing it."""
    last_applied = existing.last_applied if isinstance(existing, Existing) else None
    return last_applied is not None and f'"{Field.OPTIONS.value}"' in last_applied


def _weight(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
