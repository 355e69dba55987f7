"""The Store API's routes, for shoppers."""

from __future__ import annotations

from typing import Any

import attrs
from aiohttp import web

from ._auth import Guard
from ._category_trees import TREES, show_page, show_trees
from ._errors import Row, invalid, refusal
from ._query import contains, matches_column, matches_related
from ._state import State
from ._web import Listing, answer

_FIELDS = (
    "id,title,subtitle,description,handle,is_giftcard,discountable,thumbnail,"
    "collection_id,type_id,weight,length,height,width,hs_code,origin_country,"
    "mid_code,material,created_at,updated_at,*type,*collection,*options,"
    "*options.values,*tags,*images,*variants,*variants.options,"
    "*variants.calculated_price,-variants.inventory_quantity"
)
_PRODUCTS = Listing(
    "store_product",
    _FIELDS,
    filters={
        **{
            name: matches_column(name)
            for name in ("id", "external_id", "handle", "title")
        },
        "category_id": matches_related("categories"),
        "tag_id": matches_related("tags"),
        "q": contains("title", "handle", "description"),
        "region_id": lambda _row, _trigger: True,
    },
    strict=True,
)
_CATEGORIES = Listing(
    "category",
    "id,name,description,handle,rank,external_id,parent_category_id,metadata,"
    "created_at,updated_at,*parent_category,*category_children",
    filters={
        **{
            name: matches_column(name)
            for name in (
                *("id", "name", "description", "handle"),
                *("external_id", "parent_category_id"),
            )
        },
        "q": contains("name", "handle", "description"),
        **TREES,
    },
    strict=True,
)


@attrs.frozen
class _Shopper:
    """The sales channels and the region of a request."""

    state: State
    channels: list[Row]
    currency: str
    region: str

    def sees(self, product: Row) -> bool:
        """Whether a product is offered; with a single sales channel, every one is."""
        if product["status"] != "published":
            return False
        if len(self.state.channels) == 1:
            return True
        return any(channel in self.channels for channel in product["sales_channels"])

    def view(self, product: Row) -> Row:
        """A product with the prices and quantities for this shopper."""
        variants = [self._variant(variant) for variant in product["variants"]]
        return {**product, "variants": variants}

    def _variant(self, variant: Row) -> Row:
        quantity = self._quantity(variant)
        shown = {**variant, "inventory_quantity": quantity, "calculated_price": None}
        if price := self._price(variant):
            amount = price["amount"]
            shown["calculated_price"] = {
                "id": price["id"],
                "calculated_amount": amount,
                "original_amount": amount,
                "currency_code": self.currency,
            }
        return shown

    def _price(self, variant: Row) -> Row | None:
        usable = [
            price
            for price in variant.get("prices", ())
            if price["currency_code"] == self.currency
            and (price["min_quantity"] or 0) <= 1
            and price["rules"] in ({}, {"region_id": self.region})
        ]
        return max(usable, key=lambda price: len(price["rules"]), default=None)

    def _quantity(self, variant: Row) -> Any:
        if not variant["manage_inventory"]:
            return None
        places = {
            key
            for key, location in self.state.locations.items()
            if any(channel in self.channels for channel in location["sales_channels"])
        }
        stocks = [
            sum(
                level["stocked_quantity"]
                for level in link["inventory"]["location_levels"]
                if level["location_id"] in places
            )
            // link["required_quantity"]
            for link in variant["inventory_items"]
        ]
        return min(stocks, default=0)


class ShopRoutes:
    """The handlers."""

    def __init__(self, state: State, guard: Guard) -> None:
        self._state = state
        self._guard = guard

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        router.add_get("/store/products", self.products)
        router.add_get("/store/products/{id}", self.product)
        router.add_get("/store/product-categories", self.categories)
        router.add_get("/store/product-categories/{id}", self.category)

    def _shopper(self, request: web.Request) -> _Shopper:
        channels = self._guard.channels(request)
        (store,) = self._state.stores.values()
        key = request.query.get("region_id") or store["default_region_id"]
        region = self._state.regions.get(key)
        if region is None:
            raise invalid(
                f"Region with id {key} not found when populating the pricing context"
            )
        return _Shopper(self._state, channels, region["currency_code"], key)

    async def products(self, request: web.Request) -> web.Response:
        """A page of the products on offer."""
        shopper = self._shopper(request)
        rows = [
            shopper.view(row)
            for row in sorted(
                self._state.products.values(), key=lambda row: str(row["id"])
            )
            if shopper.sees(row)
        ]
        return _PRODUCTS.page(request, "products", lambda _: rows)

    async def product(self, request: web.Request) -> web.Response:
        """One product on offer."""
        shopper, key = self._shopper(request), request.match_info["id"]
        product = self._state.products.get(key)
        if product is None or not shopper.sees(product):
            raise refusal("not_found", f"Product with id: {key} was not found")
        return answer({"product": _PRODUCTS.show(request, shopper.view(product))})

    def _categories(self, request: web.Request) -> list[Row]:
        self._guard.channels(request)
        rows = self._state.categories.values()
        return [row for row in rows if row["is_active"] and not row["is_internal"]]

    async def categories(self, request: web.Request) -> web.Response:
        """A page of the categories that shoppers see."""
        rows = self._categories(request)
        return show_page(_CATEGORIES, request, "product_categories", rows)

    async def category(self, request: web.Request) -> web.Response:
        """One category that shoppers see; an unknown id is not an error."""
        rows, key = self._categories(request), request.match_info["id"]
        found = [row for row in rows if row["id"] == key]
        shown = show_trees(_CATEGORIES, _CATEGORIES.query(request), rows, found)
        return answer({"product_category": shown[0]} if shown else {})
