"""The Admin API's routes for products, variants and options."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from . import _bodies as bodies
from ._errors import Row, refusal
from ._flags import listed
from ._products import Products
from ._query import Query, contains, matches_column, matches_moment, matches_related
from ._state import State
from ._web import LARGE, Listing, answer, read_body

_SIZES = "weight,length,height,width,hs_code,origin_country,mid_code,material"
_TIMES = "created_at,updated_at,deleted_at,metadata"
_VARIANT = (
    "id,title,sku,barcode,ean,upc,allow_backorder,manage_inventory,variant_rank,"
    f"thumbnail,product_id,{_SIZES},{_TIMES}"
)
PRODUCT_FIELDS = (
    "id,title,subtitle,status,external_id,description,handle,is_giftcard,"
    f"discountable,thumbnail,collection_id,type_id,{_SIZES},{_TIMES},*type,"
    "*collection,*options,*options.values,*tags,*images,*variants,*variants.options,"
    "*variants.prices,*variants.prices.price_rules,*sales_channels"
)
PRODUCTS = Listing(
    "product",
    PRODUCT_FIELDS,
    filters={
        **{
            name: matches_column(name)
            for name in ("id", "external_id", "handle", "title", "status")
        },
        "created_at": matches_moment("created_at"),
        "updated_at": matches_moment("updated_at"),
        "category_id": matches_related("categories"),
        "tag_id": matches_related("tags"),
        "sales_channel_id": matches_related("sales_channels"),
        "variants.sku": matches_related("variants", "sku"),
        "variants.barcode": matches_related("variants", "barcode"),
        "variants.id": matches_related("variants"),
        "q": contains("title", "handle", "description"),
    },
)
VARIANTS = Listing("variant", f"{_VARIANT},*options,*prices,*prices.price_rules")
OPTIONS = Listing(
    "product_option",
    f"id,title,is_exclusive,{_TIMES},*values",
    limit=20,
    filters={
        **{name: matches_column(name) for name in ("id", "title", "is_exclusive")},
        "created_at": matches_moment("created_at"),
    },
    strict=True,
)
VALUES = Listing("value", f"id,value,rank,option_id,{_TIMES}", limit=20)


class ProductRoutes:
    """The handlers; each changes the state without an `await` in between."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._products = Products(state)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        router.add_get("/admin/products", self.products)
        router.add_post("/admin/products", self.create)
        router.add_post("/admin/products/batch", self.batch)
        router.add_get("/admin/products/{id}", self.product)
        router.add_post("/admin/products/{id}", self.update)
        router.add_delete("/admin/products/{id}", self.delete)
        router.add_get("/admin/products/{id}/variants", self.variants)
        router.add_post("/admin/products/{id}/variants", self.add_variant)
        router.add_post("/admin/products/{id}/variants/batch", self.variants_batch)
        variant = "/admin/products/{id}/variants/{variant_id}"
        router.add_post(variant, self.update_variant)
        router.add_delete(variant, self.delete_variant)
        router.add_post(f"{variant}/inventory-items", self.link_item)
        router.add_post("/admin/products/{id}/options/batch", self.options_batch)

    async def products(self, request: web.Request) -> web.Response:
        """A page of products."""
        return PRODUCTS.page(request, "products", self._find)

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

    async def product(self, request: web.Request) -> web.Response:
        """One product."""
        product = self._state.products.get(request.match_info["id"])
        if product is None:
            raise refusal("not_found", "Product not found")
        return self._answer(request, product)

    def _answer(self, request: web.Request, product: Row) -> web.Response:
        return answer({"product": PRODUCTS.show(request, product)})

    async def create(self, request: web.Request) -> web.Response:
        """Create a product."""
        body = await read_body(request, bodies.new_product)
        with self._state.journal.transaction():
            (product,) = self._products.create([body])
        return self._answer(request, product)

    async def batch(self, request: web.Request) -> web.Response:
        """Create, update and delete products."""
        body = await read_body(request, bodies.products_batch, limit=LARGE)
        with self._state.journal.transaction():
            created, updated = self._products.batch(body)
        return _batched(request, PRODUCTS, "product", body, created, updated)

    def _existing(self, request: web.Request) -> Row:
        key = request.match_info["id"]
        if key not in self._state.products:
            raise refusal("not_found", f'Product with id "{key}" not found')
        return self._state.products[key]

    async def update(self, request: web.Request) -> web.Response:
        """Update a product."""
        body = await read_body(request, bodies.product_change)
        product = self._existing(request)
        with self._state.journal.transaction():
            self._products.update([{**body, "id": product["id"]}])
        return self._answer(request, product)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a product."""
        key = request.match_info["id"]
        with self._state.journal.transaction():
            self._products.delete(key)
        return deleted(key, "product")

    # --- variants ---

    async def variants(self, request: web.Request) -> web.Response:
        """A page of a product's variants."""
        product = self._state.products.get(request.match_info["id"], {})
        rows = product.get("variants", [])
        return VARIANTS.page(request, "variants", lambda _: rows)

    async def add_variant(self, request: web.Request) -> web.Response:
        """Create a variant."""
        body = await read_body(request, bodies.new_variant)
        key = request.match_info["id"]
        with self._state.journal.transaction():
            self._products.variants.batch(key, {"create": [body]})
        return self._answer(request, self._state.products[key])

    async def variants_batch(self, request: web.Request) -> web.Response:
        """Create, update and delete variants; existing ones may be of any product."""
        body = await read_body(request, bodies.variants_batch, limit=LARGE)
        with self._state.journal.transaction():
            created, updated = self._products.variants.batch(
                request.match_info["id"], body
            )
        return _batched(request, VARIANTS, "variant", body, created, updated)

    async def update_variant(self, request: web.Request) -> web.Response:
        """Update a variant."""
        body = await read_body(request, bodies.variant_change)
        change = {**body, "id": request.match_info["variant_id"]}
        key = request.match_info["id"]
        with self._state.journal.transaction():
            self._products.variants.batch(key, {"update": [change]})
        return self._answer(request, self._existing(request))

    async def delete_variant(self, request: web.Request) -> web.Response:
        """Delete a variant."""
        key = request.match_info["variant_id"]
        with self._state.journal.transaction():
            self._products.variants.delete(key, with_items=True)
        return deleted(key, "variant", {"parent": self._existing(request)["id"]})

    async def link_item(self, request: web.Request) -> web.Response:
        """Link a variant to an existing inventory item."""
        body = await read_body(request, bodies.item_link)
        key = request.match_info["variant_id"]
        if key not in self._state.variants:
            raise refusal("not_found", f"Variant with id: {key} was not found")
        variant = self._state.variants[key]
        with self._state.journal.transaction():
            self._products.inventory.link(variant, body)
        return answer({"variant": VARIANTS.show(request, variant)})

    async def options_batch(self, request: web.Request) -> web.Response:
        """Change the options and values of a product."""
        body = await read_body(request, bodies.options_batch)
        product = self._existing(request)
        with self._state.journal.transaction():
            self._products.options.batch(product, body)
        return self._answer(request, product)


def deleted(key: str, what: str, more: Row | None = None) -> web.Response:
    """The answer to a deletion."""
    return answer({"id": key, "object": what, "deleted": True, **(more or {})})


def _batched(
    request: web.Request,
    listing: Listing,
    what: str,
    body: Row,
    created: list[Row],
    updated: list[Row],
) -> web.Response:
    show = listing.shower(request.query.get("fields"))
    gone: list[Any] = body.get("delete", [])
    return answer(
        {
            "created": [show(row) for row in created],
            "updated": [show(row) for row in updated],
            "deleted": {"ids": gone, "object": what, "deleted": True},
        }
    )
