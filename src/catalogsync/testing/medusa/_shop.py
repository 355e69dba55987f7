"""The Store API's routes, for shoppers."""

from __future__ import annotations

from typing import Any

import attrs

from ._auth import Guard
from ._category_trees import TREES, show_trees
from ._errors import Row, invalid, refusal
from ._inventory import available
from ._query import by_columns, by_related, by_text
from ._routes import Api, Call, Listing
from ._state import State

_PRODUCTS = Listing(
    "store_product",
    {
        **by_columns("id external_id handle title"),
        "category_id": by_related("categories"),
        "tag_id": by_related("tags"),
        **by_text("title handle description"),
        "region_id": lambda _row, _condition: True,
    },
)
_CATEGORIES = Listing(
    "store_category",
    {
        **by_columns("id name description handle external_id parent_category_id"),
        **by_text("name handle description"),
        **TREES,
    },
    arrange=show_trees,
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
                available(level)
                for level in link["inventory"]["location_levels"]
                if level["location_id"] in places
            )
            // link["required_quantity"]
            for link in variant["inventory_items"]
        ]
        return min(stocks, default=0)


@attrs.frozen
class ShopRoutes:
    """The handlers."""

    state: State
    guard: Guard

    def add_to(self, api: Api) -> None:
        """Register the handlers."""
        api.get("/store/products", self._products)
        api.get("/store/products/{id}", self._product)
        api.get("/store/product-categories", self._categories)
        api.get("/store/product-categories/{id}", self._category)

    def _shopper(self, call: Call) -> _Shopper:
        channels = self.guard.channels(call.request)
        (store,) = self.state.stores.values()
        key = call.request.query.get("region_id") or store["default_region_id"]
        region = self.state.regions.get(key)
        if region is None:
            raise invalid(
                f"Region with id {key} not found when populating the pricing context"
            )
        return _Shopper(self.state, channels, region["currency_code"], key)

    def _products(self, call: Call) -> Row:
        """A page of the products on offer."""
        shopper, rows = self._shopper(call), self.state.products.values()
        offered = [shopper.view(row) for row in rows if shopper.sees(row)]
        offered.sort(key=lambda row: str(row["id"]))
        return _PRODUCTS.page(call, "products", lambda _: offered)

    def _product(self, call: Call) -> Row:
        """One product on offer."""
        shopper = self._shopper(call)
        product = self.state.products.get(call.id)
        if product is None or not shopper.sees(product):
            raise refusal("not_found", f"Product with id: {call.id} was not found")
        return {"product": _PRODUCTS.show(call, shopper.view(product))}

    def _visible(self, call: Call) -> list[Row]:
        self.guard.channels(call.request)
        rows = self.state.categories.values()
        return [row for row in rows if row["is_active"] and not row["is_internal"]]

    def _categories(self, call: Call) -> Row:
        """A page of the categories that shoppers see."""
        rows = self._visible(call)
        return _CATEGORIES.page(call, "product_categories", lambda _: rows)

    def _category(self, call: Call) -> Row:
        """One category that shoppers see; an unknown id is not an error."""
        rows = self._visible(call)
        found = [row for row in rows if row["id"] == call.id]
        shown = _CATEGORIES.shown(_CATEGORIES.query(call), rows, found)
        return {"product_category": shown[0]} if shown else {}
