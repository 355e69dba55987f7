"""Adoption: finding existing products without a key and taking them over.

Observed on Medusa 2.21.2: filters on a product's metadata are ignored, so ids that other
scripts left there are found by reading all products once. `variants/batch` accepts
variants of any products and merges their metadata.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from catalogsync.catalog.changes import Adopt, Conflict, Existing, Found, Update
from catalogsync.catalog.products import Field, Json, Product, ProductKey, Variant
from catalogsync.errors import ConflictError
from catalogsync.protocols import AdoptBy

from .client import MedusaClient, MedusaRefusedError
from .handles import handle, title_handle
from .mapping import (
    VARIANT_ID,
    Raw,
    existing_references,
    is_ours,
    metadata_of,
    option_values,
    product_of,
    raw_of,
    variant_id,
)
from .queries import list_products, read_products
from .removal import all_products
from .served import left_out
from .store_context import Places

__all__ = ["Foreign", "claim"]

_EXTERNAL_IDS = ("external_id", "externalId")
_MATCHED = frozenset({Field.VARIANTS, Field.SKU})


@attrs.define
class Foreign:
    """Finds products without a key that match desired ones.

    Attributes:
        client: The store.
        places: Channel, profile, location and currencies of the store.
    """

    client: MedusaClient
    places: Places
    _by_external_id: dict[str, list[str]] | None = attrs.field(default=None, init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def find(
        self, desired: Sequence[Product], by: AdoptBy, fields: frozenset[Field]
    ) -> dict[ProductKey, Found]:
        """See `AdoptingSink.find_foreign`."""
        look = {
            AdoptBy.SKU: self._by_sku,
            AdoptBy.HANDLE: self._by_handle,
            AdoptBy.EXTERNAL_ID: self._with_external_id,
        }
        candidates = await look[by](desired)
        if not any(v.options for product in desired for v in product.variants or ()):
            fields -= {Field.OPTIONS}
        ids = Counter(id_ for found in candidates.values() for id_ in found)
        raws = await read_products(
            self.client, "id[]", ids, fields | _MATCHED, self.places.counts
        )
        free = {raw["id"]: raw for raw in raws if not raw.get("external_id")}
        existing: dict[ProductKey, Found] = {}
        for product in desired:
            could_be = [free[i] for i in candidates[product.key] if i in free]
            if len(could_be) == 1 and ids[could_be[0]["id"]] == 1:
                existing[product.key] = self._existing(product, could_be[0], fields)
            elif could_be:
                existing[product.key] = _ambiguous(could_be)
        return existing

    async def _by_sku(
        self, desired: Sequence[Product]
    ) -> Mapping[ProductKey, Sequence[str]]:
        skus = {p.key: {v.sku for v in p.variants or () if v.sku} for p in desired}
        every = sorted({sku for own in skus.values() for sku in own})
        columns = "id,variants.sku"
        found = await list_products(self.client, "variants[sku][]", every, columns)
        have = {raw["id"]: {v.get("sku") for v in raw["variants"]} for raw in found}
        return {
            key: [id_ for id_, its in have.items() if own and own <= its]
            for key, own in skus.items()
        }

    async def _by_handle(
        self, desired: Sequence[Product]
    ) -> Mapping[ProductKey, Sequence[str]]:
        handles = {p.key: {handle(p), title_handle(p)} - {""} for p in desired}
        every = sorted({name for own in handles.values() for name in own})
        found = await list_products(self.client, "handle[]", every, "id,handle")
        return {
            key: [raw["id"] for raw in found if raw["handle"] in own]
            for key, own in handles.items()
        }

    async def _with_external_id(
        self, desired: Sequence[Product]
    ) -> Mapping[ProductKey, Sequence[str]]:
        async with self._turn:
            if self._by_external_id is None:
                self._by_external_id = await self._read_external_ids()
        ids = self._by_external_id
        return {
            key: sorted({*ids.get(key.id, ()), *ids.get(str(key), ())})
            for key in (product.key for product in desired)
        }

    async def _read_external_ids(self) -> dict[str, list[str]]:
        """Products by the external ids that other scripts left in their metadata."""
        found: dict[str, list[str]] = {}
        async for page in all_products(self.client, "id,external_id,metadata"):
            for raw in page:
                if not raw.get("external_id"):
                    for id_ in _external_ids(raw):
                        found.setdefault(id_, []).append(raw["id"])
        return found

    def _existing(self, desired: Product, raw: Raw, fields: frozenset[Field]) -> Found:
        if reason := left_out(raw, fields):
            return Conflict(reason=reason)
        raw = _matched(desired.variants or (), raw)
        places = self.places
        product = product_of(
            raw, desired.key, fields, places.location, counts=places.counts
        )
        references = existing_references(raw)
        return Existing(
            product=product,
            references=references,
            native=raw,
            foreign=True,
            sink_id=raw["id"],
            handle=raw.get("handle") or "",
        )


def _ambiguous(could_be: Sequence[Raw]) -> Conflict:
    names = ", ".join(f"{raw['id']} ({raw['title']!r})" for raw in could_be)
    if len(could_be) > 1:
        return Conflict(reason=f"matches several products: {names}")
    return Conflict(reason=f"matches product {names}, as does another product")


def _external_ids(raw: Raw) -> set[str]:
    metadata = metadata_of(raw)
    return {text for name in _EXTERNAL_IDS if (text := _id_text(metadata.get(name)))}


def _id_text(value: Json) -> str:
    match value:
        case bool():
            return ""
        case str() | int():
            return str(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return ""


def _matched(desired: Sequence[Variant], raw: Raw) -> Raw:
    """The product, with the ids of the desired variants on the variants they match."""
    variants: Sequence[Raw] = raw.get("variants") or ()
    ids: dict[str, str] = {}
    for is_same in (_has_id, _has_sku, _has_options):
        for variant, found in _pairs(desired, variants, ids, is_same):
            ids[found["id"]] = variant.id
    if len(desired) == len(variants) == 1:
        ids |= {raw["id"]: v.id for v, raw in zip(desired, variants, strict=True)}
    named = [_with_id(found, ids.get(found["id"])) for found in variants]
    return {**raw, "variants": named}


def _pairs(
    desired: Sequence[Variant],
    variants: Sequence[Raw],
    taken: Mapping[str, str],
    is_same: Callable[[Variant, Raw], bool],
) -> Iterator[tuple[Variant, Raw]]:
    """Matching variants. *taken* may grow between two pairs, so it is checked each time."""
    for variant in desired:
        for found in variants:
            if (
                variant.id not in taken.values()
                and found["id"] not in taken
                and is_same(variant, found)
            ):
                yield variant, found


def _has_id(variant: Variant, raw: Raw) -> bool:
    return variant_id(raw) == variant.id


def _has_sku(variant: Variant, raw: Raw) -> bool:
    return bool(variant.sku) and raw.get("sku") == variant.sku


def _has_options(variant: Variant, raw: Raw) -> bool:
    return bool(variant.options) and option_values(raw) == variant.options


def _with_id(raw_variant: Raw, id_: str | None) -> Raw:
    metadata: dict[str, Json] = {**metadata_of(raw_variant)}
    metadata[VARIANT_ID] = id_
    return {**raw_variant, "metadata": metadata}


async def claim(client: MedusaClient, changes: Sequence[Update]) -> None:
    """Set `catalogsync_id` on the variants of products that are about to be adopted.

    This happens before the product gets its key: the variants of a product with a key
    but without variant ids would be replaced.

    Raises:
        ConflictError: Somebody deleted a product or gave it a key since it was read.
    """
    foreign = {raw_of(c)["id"]: raw_of(c) for c in changes if isinstance(c, Adopt)}
    found = await list_products(client, "id[]", foreign, "id,external_id")
    free = {raw["id"] for raw in found if not raw.get("external_id")}
    if gone := ", ".join(id_ for id_ in foreign if id_ not in free):
        raise ConflictError(f"products can no longer be adopted: {gone}")
    bodies = [
        {"id": variant["id"], "metadata": {VARIANT_ID: variant_id(variant)}}
        for raw in foreign.values()
        for variant in raw["variants"]
        if is_ours(variant)
    ]
    if bodies:
        path = f"/admin/products/{next(iter(foreign))}/variants/batch"
        try:
            await client.post(path, {"update": bodies}, "fields=id")
        except MedusaRefusedError as error:
            raise ConflictError(f"cannot adopt variants: {error.said}") from error
