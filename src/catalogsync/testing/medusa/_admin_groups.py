"""The Admin API's routes for categories, tags, types and collections."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from . import _bodies as bodies
from ._admin import deleted
from ._category_trees import TREES, show_page
from ._errors import Row, refusal
from ._groups import GROUPS, Group, Groups
from ._query import contains, matches_column
from ._state import State
from ._web import Listing, answer, read_body

_TIMES = "metadata,created_at,updated_at"
_CATEGORIES = Listing(
    "category",
    "id,name,description,handle,is_active,is_internal,rank,external_id,"
    f"parent_category_id,{_TIMES},*parent_category,*category_children",
    filters={
        **{
            name: matches_column(name)
            for name in (
                *("id", "handle", "external_id", "parent_category_id"),
                *("is_active", "is_internal"),
            )
        },
        "q": contains("name", "handle", "description"),
        **TREES,
    },
    strict=True,
)


class GroupRoutes:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._groups = Groups(state)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        for group in GROUPS:
            self._add_group(router, group)
        self._add_categories(router)

    # --- tags, types and collections ---

    def _add_group(self, router: web.UrlDispatcher, group: Group) -> None:
        listing = Listing(
            group.kind,
            f"id,value,title,handle,external_id,{_TIMES}",
            group.limit,
            {
                "q": contains("value", "title", "handle"),
                **{
                    name: matches_column(name)
                    for name in ("id", "value", "title", "handle", "external_id")
                },
            },
            strict=True,
        )
        path = f"/admin/{group.path}"
        router.add_get(path, partial(self.groups, group, listing))
        router.add_post(path, partial(self.create_group, group, listing))
        router.add_get(f"{path}/{{id}}", partial(self.group, group, listing))
        router.add_post(f"{path}/{{id}}", partial(self.update_group, group, listing))
        router.add_delete(f"{path}/{{id}}", partial(self.delete_group, group))

    async def groups(
        self, group: Group, listing: Listing, request: web.Request
    ) -> web.Response:
        """A page of groups."""
        rows = list(self._groups.table(group).values())
        return listing.page(request, group.keys, lambda _: rows)

    async def create_group(
        self, group: Group, listing: Listing, request: web.Request
    ) -> web.Response:
        """Create a group."""
        body = await read_body(request, group.bodies[0])
        with self._state.journal.transaction():
            row = self._groups.create(group, body)
        return answer({group.key: listing.show(request, row)})

    def _group(self, group: Group, request: web.Request) -> Row:
        key = request.match_info["id"]
        table = self._groups.table(group)
        if key not in table:
            raise refusal("not_found", f"{group.label} with id: {key} was not found")
        return table[key]

    async def group(
        self, group: Group, listing: Listing, request: web.Request
    ) -> web.Response:
        """One group."""
        return answer({group.key: listing.show(request, self._group(group, request))})

    async def update_group(
        self, group: Group, listing: Listing, request: web.Request
    ) -> web.Response:
        """Update a group."""
        body = await read_body(request, group.bodies[1])
        row = self._group(group, request)
        with self._state.journal.transaction():
            self._groups.update(group, row, body)
        return answer({group.key: listing.show(request, row)})

    async def delete_group(self, group: Group, request: web.Request) -> web.Response:
        """Delete a group."""
        key = request.match_info["id"]
        with self._state.journal.transaction():
            self._groups.delete(group, key)
        return deleted(key, group.key)

    # --- categories ---

    def _add_categories(self, router: web.UrlDispatcher) -> None:
        path = "/admin/product-categories"
        router.add_get(path, self.categories)
        router.add_post(path, self.create_category)
        router.add_get(f"{path}/{{id}}", self.category)
        router.add_post(f"{path}/{{id}}", self.update_category)
        router.add_delete(f"{path}/{{id}}", self.delete_category)
        router.add_post(f"{path}/{{id}}/products", self.category_products)

    async def categories(self, request: web.Request) -> web.Response:
        """A page of categories."""
        rows = self._state.categories.values()
        return show_page(_CATEGORIES, request, "product_categories", rows)

    def _category_answer(self, request: web.Request, category: Row) -> web.Response:
        return answer({"product_category": _CATEGORIES.show(request, category)})

    async def create_category(self, request: web.Request) -> web.Response:
        """Create a category."""
        body = await read_body(request, bodies.new_category)
        with self._state.journal.transaction():
            category = self._groups.create_category(body)
        return self._category_answer(request, category)

    async def category(self, request: web.Request) -> web.Response:
        """One category."""
        key = request.match_info["id"]
        if key not in self._state.categories:
            message = f"Product category with id: {key} was not found"
            raise refusal("not_found", message)
        return self._category_answer(request, self._state.categories[key])

    async def update_category(self, request: web.Request) -> web.Response:
        """Update a category; an unknown id is not an error."""
        body = await read_body(request, bodies.category_change)
        category = self._state.categories.get(request.match_info["id"])
        if category is None:
            return answer({})
        with self._state.journal.transaction():
            self._groups.update_category(category, body)
        return self._category_answer(request, category)

    async def delete_category(self, request: web.Request) -> web.Response:
        """Delete a category."""
        key = request.match_info["id"]
        with self._state.journal.transaction():
            self._groups.delete_category(key)
        return deleted(key, "product_category")

    async def category_products(self, request: web.Request) -> web.Response:
        """Add products to a category and remove others."""
        body = await read_body(request, bodies.links)
        category = self._state.categories[request.match_info["id"]]
        with self._state.journal.transaction():
            self._groups.set_products(category, body)
        return self._category_answer(request, category)
