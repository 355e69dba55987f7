"""The Admin API's routes for options, stock and the settings of a store."""

from __future__ import annotations

import functools

from aiohttp import web

from . import _bodies as bodies
from ._admin import OPTIONS, VALUES, deleted
from ._errors import Row, refusal
from ._inventory import Inventory
from ._options import Options
from ._query import contains, matches_column, matches_related
from ._state import State, Table
from ._web import LARGE, Listing, answer, read_body

_TIMES = "metadata,created_at,updated_at"
_ITEMS = Listing(
    "item",
    "id,sku,title,description,thumbnail,origin_country,hs_code,requires_shipping,"
    "mid_code,material,weight,length,height,width,reserved_quantity,"
    f"stocked_quantity,{_TIMES},*location_levels",
    limit=20,
    filters={
        **{name: matches_column(name) for name in ("id", "sku", "title")},
        "location_levels.location_id": matches_related(
            "location_levels", "location_id"
        ),
        "q": contains("sku", "title"),
    },
    strict=True,
)
_LEVELS = Listing(
    "level",
    "id,location_id,inventory_item_id,stocked_quantity,reserved_quantity,"
    f"incoming_quantity,{_TIMES}",
)

_NAMED = {name: matches_column(name) for name in ("id", "name", "type")}
_FIXED: dict[str, tuple[Listing, str, str]] = {
    "stores": (
        Listing(
            "store",
            "id,name,default_sales_channel_id,default_region_id,default_location_id,"
            f"{_TIMES},*supported_currencies",
            filters=_NAMED,
            strict=True,
        ),
        "stores",
        "Store with id: {} not found",
    ),
    "sales-channels": (
        Listing("channel", f"id,name,is_disabled,{_TIMES}", 20, _NAMED, strict=True),
        "channels",
        "Sales channel with id: {} not found",
    ),
    "stock-locations": (
        Listing("location", f"id,name,address,{_TIMES}", 20, _NAMED, strict=True),
        "locations",
        "Stock location with id: {} was not found",
    ),
    "shipping-profiles": (
        Listing("profile", f"id,name,type,{_TIMES}", 20, _NAMED, strict=True),
        "profiles",
        "",
    ),
    "regions": (
        Listing("region", f"id,name,currency_code,{_TIMES}", 50, _NAMED, strict=True),
        "regions",
        "Region with id: {} not found",
    ),
    "api-keys": (
        Listing(
            "key",
            "id,title,type,redacted,revoked_at,*sales_channels",
            20,
            _NAMED,
            strict=True,
        ),
        "keys",
        "API Key with id: {} was not found",
    ),
    "users": (
        Listing(
            "user", f"id,first_name,last_name,email,{_TIMES}", 50, _NAMED, strict=True
        ),
        "users",
        "User with id: {} was not found",
    ),
}


class OtherRoutes:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._options = Options(state)
        self._inventory = Inventory(state)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        for path in _FIXED:
            router.add_get(f"/admin/{path}", functools.partial(self.fixed, path))
            router.add_get(
                f"/admin/{path}/{{id}}", functools.partial(self.one_fixed, path)
            )
        router.add_post("/admin/stock-locations", self.create_location)
        router.add_delete("/admin/stock-locations/{id}", self.delete_location)
        self._add_options(router)
        router.add_get("/admin/inventory-items", self.items)
        router.add_post("/admin/inventory-items", self.create_item)
        levels = "/admin/inventory-items/location-levels/batch"
        router.add_post(levels, self.levels)
        router.add_get("/admin/inventory-items/{id}", self.item)
        router.add_post("/admin/inventory-items/{id}", self.update_item)
        router.add_delete("/admin/inventory-items/{id}", self.delete_item)
        single = "/admin/inventory-items/{id}/location-levels"
        router.add_post(single, self.create_level)

    async def create_location(self, request: web.Request) -> web.Response:
        """Create a stock location."""
        body = await read_body(request, bodies.new_location)
        location = self._state.add_location(body["name"])
        listing, _, _ = _FIXED["stock-locations"]
        return answer({"stock_location": listing.show(request, location)})

    async def delete_location(self, request: web.Request) -> web.Response:
        """Delete a stock location."""
        self._state.locations.pop(request.match_info["id"], None)
        return deleted(request.match_info["id"], "stock_location")

    # --- settings of a store ---

    async def fixed(self, path: str, request: web.Request) -> web.Response:
        """A page of settings."""
        listing, name, _ = _FIXED[path]
        rows = list(self._table(name).values())
        return listing.page(request, path.replace("-", "_"), lambda _: rows)

    async def one_fixed(self, path: str, request: web.Request) -> web.Response:
        """One setting."""
        listing, name, message = _FIXED[path]
        table, key = self._table(name), request.match_info["id"]
        if (path, key) == ("users", "me"):
            key = next(iter(table))
        if key in table:
            singular = path.removesuffix("s").replace("-", "_")
            return answer({singular: listing.show(request, table[key])})
        if not message:
            return answer({})
        raise refusal("not_found", message.format(key))

    def _table(self, name: str) -> Table:
        table: Table = getattr(self._state, name)
        return table

    # --- options ---

    def _add_options(self, router: web.UrlDispatcher) -> None:
        path, value = "/admin/product-options", "{id}/values/{value_id}"
        router.add_get(path, self.options)
        router.add_post(path, self.create_option)
        router.add_get(f"{path}/{{id}}", self.option)
        router.add_post(f"{path}/{{id}}", self.update_option)
        router.add_delete(f"{path}/{{id}}", self.delete_option)
        router.add_post(f"{path}/{value}", self.update_value)
        router.add_delete(f"{path}/{value}", self.delete_value)

    async def options(self, request: web.Request) -> web.Response:
        """A page of options."""
        rows = self._options.listed()
        return OPTIONS.page(request, "product_options", lambda _: rows)

    def _option(self, request: web.Request) -> Row:
        key = request.match_info["id"]
        if key not in self._state.options:
            raise refusal("not_found", f"Product option with id: {key} was not found")
        return self._state.options[key]

    def _option_answer(self, request: web.Request, option: Row) -> web.Response:
        return answer({"product_option": OPTIONS.show(request, option)})

    async def create_option(self, request: web.Request) -> web.Response:
        """Create an option that several products may share."""
        body = await read_body(request, bodies.new_option)
        with self._state.journal.transaction():
            option = self._options.create(body)
        return self._option_answer(request, option)

    async def option(self, request: web.Request) -> web.Response:
        """One option."""
        return self._option_answer(request, self._option(request))

    async def update_option(self, request: web.Request) -> web.Response:
        """Update an option."""
        body = await read_body(request, bodies.option_change)
        option = self._option(request)
        with self._state.journal.transaction():
            self._options.update(option, body)
        return self._option_answer(request, option)

    async def delete_option(self, request: web.Request) -> web.Response:
        """Delete an option."""
        key = request.match_info["id"]
        with self._state.journal.transaction():
            self._options.delete(key)
        return deleted(key, "product_option")

    async def update_value(self, request: web.Request) -> web.Response:
        """Rename a value."""
        body = await read_body(request, bodies.value_change)
        match = request.match_info
        option, value = self._options.value(match["id"], match["value_id"])
        with self._state.journal.transaction():
            self._options.update_value(option, value, body)
        return answer({"product_option_value": VALUES.show(request, value)})

    async def delete_value(self, request: web.Request) -> web.Response:
        """Delete a value."""
        match = request.match_info
        option, value = self._options.value(match["id"], match["value_id"])
        with self._state.journal.transaction():
            self._options.delete_value(option, value)
        return deleted(match["value_id"], "product_option_value")

    # --- stock ---

    async def items(self, request: web.Request) -> web.Response:
        """A page of inventory items."""
        rows = self._inventory.listed()
        return _ITEMS.page(request, "inventory_items", lambda _: rows)

    def _item(self, request: web.Request) -> Row:
        key = request.match_info["id"]
        if key not in self._state.items:
            raise refusal("not_found", f"Inventory item with id: {key} was not found")
        return self._state.items[key]

    def _item_answer(self, request: web.Request, item: Row) -> web.Response:
        row = self._inventory.with_variants(item)
        return answer({"inventory_item": _ITEMS.show(request, row)})

    async def create_item(self, request: web.Request) -> web.Response:
        """Create an inventory item."""
        body = await read_body(request, bodies.new_item)
        with self._state.journal.transaction():
            item = self._inventory.create(body)
        return self._item_answer(request, item)

    async def item(self, request: web.Request) -> web.Response:
        """One inventory item."""
        return self._item_answer(request, self._item(request))

    async def update_item(self, request: web.Request) -> web.Response:
        """Update an inventory item."""
        body = await read_body(request, bodies.item_change)
        item = self._item(request)
        with self._state.journal.transaction():
            self._inventory.update(item, body)
        return self._item_answer(request, item)

    async def delete_item(self, request: web.Request) -> web.Response:
        """Delete an inventory item."""
        item = self._item(request)
        with self._state.journal.transaction():
            self._inventory.delete(item["id"])
            self._inventory.unlink(item["id"])
        return deleted(item["id"], "inventory_item")

    async def create_level(self, request: web.Request) -> web.Response:
        """Create a level of an item."""
        body = await read_body(request, bodies.level)
        item = self._item(request)
        with self._state.journal.transaction():
            self._inventory.create_level({**body, "inventory_item_id": item["id"]})
        return self._item_answer(request, item)

    async def levels(self, request: web.Request) -> web.Response:
        """Create, update and delete levels of any items."""
        body = await read_body(request, bodies.levels_batch, limit=LARGE)
        with self._state.journal.transaction():
            done = self._inventory.levels(body)
        show = _LEVELS.shower(None)
        for key in ("created", "updated"):
            done[key] = [show(row) for row in done[key]]
        return answer(done)
