"""The Admin API's routes."""

from __future__ import annotations

from . import _bodies as bodies
from ._categories import Categories
from ._category_trees import TREES, show_trees
from ._errors import Row, refusal
from ._flags import listed
from ._groups import Group
from ._inventory import Inventory
from ._options import Options
from ._products import Products
from ._query import Query, by_columns, by_moments, by_related, by_text
from ._routes import Api, Call, Listing, Resource, deleted
from ._state import State
from ._web import LARGE

_PRODUCTS = Listing(
    "product",
    {
        **by_columns("id external_id handle title status"),
        **by_moments("created_at updated_at"),
        "category_id": by_related("categories"),
        "tag_id": by_related("tags"),
        "sales_channel_id": by_related("sales_channels"),
        "variants.sku": by_related("variants", "sku"),
        "variants.barcode": by_related("variants", "barcode"),
        "variants.id": by_related("variants"),
        **by_text("title handle description"),
    },
    strict=False,
)
_VARIANTS = Listing("variant", strict=False)
_OPTIONS = Listing(
    "product_option",
    {**by_columns("id title is_exclusive"), **by_moments("created_at")},
    limit=20,
)
_VALUES, _LEVELS = Listing("value"), Listing("level")
_ITEMS = Listing(
    "item",
    {
        **by_columns("id sku title"),
        "location_levels.location_id": by_related("location_levels", "location_id"),
        **by_text("sku title"),
    },
    limit=20,
)
_RESERVATIONS = Listing(
    "reservation", by_columns("id inventory_item_id location_id line_item_id"), limit=20
)
_CATEGORIES = Listing(
    "category",
    {
        **by_columns("id handle external_id parent_category_id is_active is_internal"),
        **by_text("name handle description"),
        **TREES,
    },
    arrange=show_trees,
)
_GROUP_FILTERS = {
    **by_columns("id value title handle external_id"),
    **by_text("value title handle"),
}
_SETTING_FILTERS = by_columns("id name type")


def add_admin(api: Api, state: State) -> None:
    """Register all routes."""
    products = Products(state)
    _ProductRoutes(state, products).add_to(api)
    _add_options(api, state, products.options)
    _add_stock(api, state, products.inventory)
    _add_groups(api, state)
    _add_categories(api, state)
    _add_settings(api, state)


class _ProductRoutes:
    """The handlers for products and their variants."""

    def __init__(self, state: State, rules: Products) -> None:
        self._state = state
        self._rules = rules
        self._products = Resource(
            path="products",
            table=state.products,
            listing=_PRODUCTS,
            absent="Product not found",
            find=self._find,
            create=(bodies.new_product, lambda body: rules.create([body])[0]),
            delete=rules.delete,
        )

    def add_to(self, api: Api) -> None:
        """Register the handlers."""
        self._products.add_to(api)
        path = "/admin/products/{id}"
        variants, variant = f"{path}/variants", f"{path}/variants/{{variant_id}}"
        api.post(
            "/admin/products/batch", bodies.products_batch, self._batch, limit=LARGE
        )
        api.post(path, bodies.product_change, self._update)
        api.get(variants, self._variants)
        api.post(variants, bodies.new_variant, self._add_variant)
        api.post(
            f"{variants}/batch",
            bodies.variants_batch,
            self._batch_variants,
            limit=LARGE,
        )
        api.post(variant, bodies.variant_change, self._update_variant)
        api.delete(variant, self._delete_variant)
        api.post(f"{variant}/inventory-items", bodies.item_link, self._link_item)
        api.post(f"{path}/options/batch", bodies.options_batch, self._batch_options)

    def _find(self, query: Query) -> list[Row]:
        state, conditions = self._state, query.conditions
        if condition := conditions.get("external_id"):
            found = [state.external_ids.get(key, {}) for key in set(condition.values)]
            rows = [row for table in found for row in table.values()]
        elif condition := conditions.get("handle"):
            keys = set(condition.values)
            rows = [state.handles[key] for key in keys if key in state.handles]
        else:
            rows = list(state.products.values())
        rows = listed(state, rows, filtered=bool(conditions))
        return sorted(rows, key=lambda row: str(row["id"]))

    def _product(self, call: Call) -> Row:
        if call.id not in self._state.products:
            raise refusal("not_found", f'Product with id "{call.id}" not found')
        return self._state.products[call.id]

    def _batch(self, call: Call) -> Row:
        return _batched(call, _PRODUCTS, "product", *self._rules.batch(call.body))

    def _update(self, call: Call) -> Row:
        product = self._product(call)
        self._rules.update([{**call.body, "id": product["id"]}])
        return self._products.answer(call, product)

    def _variants(self, call: Call) -> Row:
        product = self._state.products.get(call.id, {})
        return _VARIANTS.page(call, "variants", lambda _: product.get("variants", []))

    def _add_variant(self, call: Call) -> Row:
        self._rules.variants.batch(call.id, {"create": [call.body]})
        return self._products.answer(call, self._state.products[call.id])

    def _batch_variants(self, call: Call) -> Row:
        """Create, update and delete variants; existing ones may be of any product."""
        done = self._rules.variants.batch(call.id, call.body)
        return _batched(call, _VARIANTS, "variant", *done)

    def _update_variant(self, call: Call) -> Row:
        change = {**call.body, "id": call.part("variant_id")}
        self._rules.variants.batch(call.id, {"update": [change]})
        return self._products.answer(call, self._product(call))

    def _delete_variant(self, call: Call) -> Row:
        key = call.part("variant_id")
        self._rules.variants.delete(key, with_items=True)
        return deleted(key, "variant", {"parent": self._product(call)["id"]})

    def _link_item(self, call: Call) -> Row:
        key = call.part("variant_id")
        if key not in self._state.variants:
            raise refusal("not_found", f"Variant with id: {key} was not found")
        variant = self._state.variants[key]
        self._rules.inventory.link(variant, call.body)
        return {"variant": _VARIANTS.show(call, variant)}

    def _batch_options(self, call: Call) -> Row:
        product = self._product(call)
        self._rules.options.batch(product, call.body)
        return self._products.answer(call, product)


def _batched(
    call: Call, listing: Listing, what: str, created: list[Row], updated: list[Row]
) -> Row:
    gone = {"ids": call.body.get("delete", []), "object": what, "deleted": True}
    return {
        "created": [listing.show(call, row) for row in created],
        "updated": [listing.show(call, row) for row in updated],
        "deleted": gone,
    }


def _add_options(api: Api, state: State, rules: Options) -> None:
    options = Resource(
        path="product-options",
        table=state.options,
        listing=_OPTIONS,
        absent="Product option with id: {} was not found",
        find=lambda _: rules.listed(),
        create=(bodies.new_option, rules.create),
        update=(bodies.option_change, rules.update),
        delete=rules.delete,
    )
    options.add_to(api)

    def update_value(call: Call) -> Row:
        option, value = rules.value(call.id, call.part("value_id"))
        rules.update_value(option, value, call.body)
        return {"product_option_value": _VALUES.show(call, value)}

    def delete_value(call: Call) -> Row:
        option, value = rules.value(call.id, call.part("value_id"))
        rules.delete_value(option, value)
        return deleted(value["id"], "product_option_value")

    value = "/admin/product-options/{id}/values/{value_id}"
    api.post(value, bodies.value_change, update_value)
    api.delete(value, delete_value)


def _add_stock(api: Api, state: State, rules: Inventory) -> None:
    items = Resource(
        path="inventory-items",
        table=state.items,
        listing=_ITEMS,
        absent="Inventory item with id: {} was not found",
        find=lambda _: rules.listed(),
        view=rules.with_variants,
        create=(bodies.new_item, rules.create),
        update=(bodies.item_change, rules.update),
    )
    items.add_to(api)

    def delete(call: Call) -> Row:
        rules.delete(items.row(call.id)["id"])
        rules.unlink(call.id)
        return deleted(call.id, items.one)

    def create_level(call: Call) -> Row:
        item = items.row(call.id)
        rules.create_level({**call.body, "inventory_item_id": item["id"]})
        return items.answer(call, item)

    def levels(call: Call) -> Row:
        done = rules.levels(call.body)
        show = _LEVELS.shower(None)
        return done | {key: [*map(show, done[key])] for key in ("created", "updated")}

    Resource(
        path="reservations",
        table=state.reservations,
        listing=_RESERVATIONS,
        absent="Reservation item with id: {} was not found",
        create=(bodies.new_reservation, rules.reserve),
        delete=rules.free,
    ).add_to(api)
    path = "/admin/inventory-items"
    api.delete(f"{path}/{{id}}", delete)
    api.post(f"{path}/{{id}}/location-levels", bodies.level, create_level)
    api.post(f"{path}/location-levels/batch", bodies.levels_batch, levels, limit=LARGE)


def _add_groups(api: Api, state: State) -> None:
    for path, rules, limit in (
        ("product-tags", Group(state, "tag", "ptag", "Product tag"), 20),
        ("product-types", Group(state, "type", "ptyp", "Product type"), 10),
        ("collections", Group(state, "collection", "pcol", "Product collection"), 10),
    ):
        new, change = bodies.named("title" if path == "collections" else "value")
        Resource(
            path=path,
            table=rules.table,
            listing=Listing(rules.kind, _GROUP_FILTERS, limit),
            absent=f"{rules.label} with id: {{}} was not found",
            create=(new, rules.create),
            update=(change, rules.update),
            delete=rules.delete,
        ).add_to(api)


def _add_categories(api: Api, state: State) -> None:
    rules = Categories(state)
    categories = Resource(
        path="product-categories",
        table=state.categories,
        listing=_CATEGORIES,
        absent="Product category with id: {} was not found",
        create=(bodies.new_category, rules.create),
        delete=rules.delete,
    )
    categories.add_to(api)

    def update(call: Call) -> Row:
        """An unknown id is not an error."""
        if call.id not in state.categories:
            return {}
        rules.update(state.categories[call.id], call.body)
        return categories.answer(call, state.categories[call.id])

    def set_products(call: Call) -> Row:
        category = state.categories[call.id]
        rules.set_products(category, call.body)
        return categories.answer(call, category)

    path = "/admin/product-categories/{id}"
    api.post(path, bodies.category_change, update)
    api.post(f"{path}/products", bodies.links, set_products)


def _add_settings(api: Api, state: State) -> None:
    users = Resource(
        path="users",
        table=state.users,
        listing=Listing("user", _SETTING_FILTERS),
        absent="User with id: {} was not found",
    )
    me = next(iter(state.users.values()))
    api.get("/admin/users/me", lambda call: users.answer(call, me))
    users.add_to(api)
    for path, kind, limit, absent in (
        ("stores", "store", 50, "Store with id: {} not found"),
        ("sales-channels", "channel", 20, "Sales channel with id: {} not found"),
        ("shipping-profiles", "profile", 20, ""),
        ("regions", "region", 50, "Region with id: {} not found"),
        ("api-keys", "key", 20, "API Key with id: {} was not found"),
    ):
        table = getattr(state, f"{kind}s")
        listing = Listing(kind, _SETTING_FILTERS, limit)
        Resource(path=path, table=table, listing=listing, absent=absent).add_to(api)

    def set_store(call: Call) -> Row:
        store = state.stores[call.id]
        codes = call.body.get("supported_currencies")
        if codes is not None:
            store["supported_currencies"] = [state.currency(code) for code in codes]
        return {"store": store}

    api.post("/admin/stores/{id}", bodies.store_change, set_store)
    Resource(
        path="stock-locations",
        table=state.locations,
        listing=Listing("location", _SETTING_FILTERS, 20),
        absent="Stock location with id: {} was not found",
        create=(bodies.new_location, lambda body: state.add_location(body["name"])),
        delete=lambda key: state.journal.drop(state.locations, key),
    ).add_to(api)
