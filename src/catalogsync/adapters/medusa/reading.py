"""Products of a store for the source: complete, checked, and with their categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from catalogsync._lib.texts import natural
from catalogsync._lib.trees import ancestors
from catalogsync.catalog.checks import is_country
from catalogsync.catalog.convert import product_from_json, product_to_json
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import (
    UNSET,
    Category,
    Field,
    Product,
    ProductKey,
    Variant,
    evolve_unchecked,
)
from catalogsync.errors import InvalidValueError

from .client import MedusaClient
from .mapping import Raw, product_of, variant_id
from .references import CATEGORIES, CATEGORY_FIELDS
from .served import left_out
from .store_context import Locations, find_locations

__all__ = ["ALL", "Reading", "read_context"]

ALL = frozenset(Field)
_PAGE = 500


@attrs.frozen(kw_only=True)
class Reading:
    """Makes products from what a store sends.

    Attributes:
        name: Name of the source.
        by_external_id: Whether a product's external id is its key, if it has one.
        handles: Name of the attribute for the handle; None: it is left out.
        locations: The stock locations.
        categories: All categories by Medusa's id, with that of their parent.
    """

    name: str
    by_external_id: bool
    handles: str | None
    locations: Locations
    categories: Mapping[str, Raw]
    _parents: Mapping[str, str | None] = attrs.field(
        init=False,
        repr=False,
        default=attrs.Factory(
            lambda self: {
                id_: raw["parent_category_id"] for id_, raw in self.categories.items()
            },
            takes_self=True,
        ),
    )

    def key(self, raw: Raw) -> ProductKey:
        """The key of a product.

        Raises:
            InvalidValueError: Its external id cannot be a key.
        """
        external: str = raw.get("external_id") or ""
        if not (external and self.by_external_id):
            return ProductKey(self.name, raw["id"])
        try:
            return ProductKey(self.name, self._own(external))
        except InvalidValueError as error:
            raise InvalidValueError("external_id", error.problem) from None

    def external_ids(self, key: ProductKey) -> Sequence[str]:
        """The external ids with which a product would have this key."""
        return [key.id, str(key)] if self.by_external_id else []

    def product(self, raw: Raw) -> Product | Rejected:
        """The product, or why there is none."""
        key = None
        try:
            key = self.key(raw)
            _check_complete(raw)
            return product_from_json(product_to_json(self._unchecked(raw, key)))
        except InvalidValueError as error:
            where = f"product {raw['id']}"
            return Rejected(key=key, reason=str(error), where=where, path=error.path)

    def _unchecked(self, raw: Raw, key: ProductKey) -> Product:
        # Medusa's own order is arbitrary for variants that were created together.
        variants: Sequence[Raw] = raw.get("variants") or ()
        rows = sorted(variants, key=lambda row: natural(variant_id(row)))
        raw = {**raw, "variants": rows}
        found = product_of(raw, key, ALL, self.locations.default or "")
        changes: dict[str, Any] = {
            "tags": tuple(sorted(tag["value"] for tag in raw.get("tags") or ())),
            "categories": self._categories(raw),
        }
        if found.origin_country and not is_country(found.origin_country):
            changes["origin_country"] = UNSET  # people can enter any text there
        if isinstance(found.variants, tuple):
            pairs = zip(found.variants, rows, strict=True)
            changes["variants"] = tuple(self._variant(v, row) for v, row in pairs)
        if self.handles is not None and isinstance(found.attributes, Mapping):
            handle = {self.handles: raw["handle"]}
            changes["attributes"] = {**found.attributes, **handle}
        return evolve_unchecked(found, **changes)

    def _variant(self, variant: Variant, raw: Raw) -> Variant:
        """A variant with its prices and stock in a stable order.

        Without `manage_inventory`, Medusa counts no stock, and levels mean nothing.
        """
        prices = sorted(variant.prices or (), key=lambda price: price.currency)
        stock: Any = UNSET
        if raw["manage_inventory"]:
            levels = sorted(variant.stock or (), key=lambda x: x.location or "")
            names = self.locations.names
            stock = tuple(
                evolve_unchecked(level, location=names.get(level.location or ""))
                for level in levels
            )
        return evolve_unchecked(variant, prices=tuple(prices), stock=stock)

    def _categories(self, raw: Raw) -> tuple[Category, ...]:
        ids = [row["id"] for row in raw.get("categories") or ()]
        known = [self._category(id_) for id_ in ids if id_ in self.categories]
        return tuple(sorted(known, key=lambda category: category.id))

    def _category(self, id_: str) -> Category:
        """A category with those above it; one in a cycle is at the top level."""
        above = ancestors(id_, self._parents)
        line = () if id_ in above else tuple(i for i in above if i in self.categories)
        found = None
        for here in (*reversed(line), id_):
            found = self._one(self.categories[here], found)
        return found or self._one(self.categories[id_], None)

    def _one(self, raw: Raw, parent: Category | None) -> Category:
        external: str = raw.get("external_id") or ""
        id_ = self._own(external) if self._is_own(external) else raw["handle"]
        return Category(id=id_, name=raw["name"], parent=parent)

    def _is_own(self, external_id: str) -> bool:
        return len(external_id) > len(self.name) + 1 and external_id.startswith(
            f"{self.name}:"
        )

    def _own(self, external_id: str) -> str:
        """An external id without our name in front, as the sink writes it."""
        if self._is_own(external_id):
            return external_id.removeprefix(f"{self.name}:")
        return external_id


def _check_complete(raw: Raw) -> None:
    if reason := left_out(raw, ALL):
        raise InvalidValueError("", reason)


async def read_context(
    client: MedusaClient,
    *,
    name: str,
    by_external_id: bool,
    handles: str | None,
    stock_location: str | None,
) -> Reading:
    """Read what products refer to: stock locations and all categories.

    Raises:
        MisconfiguredError: There is no such stock location.
    """
    query = f"fields={CATEGORY_FIELDS}"
    rows = await client.get_all(CATEGORIES, "product_categories", query, size=_PAGE)
    return Reading(
        name=name,
        by_external_id=by_external_id,
        handles=handles,
        locations=await find_locations(client, stock_location),
        categories={row["id"]: row for row in rows},
    )
