"""Medusa's feature flags, and their effects on a sync.

The effects of a missing permission were observed on a real server, for the routes that a
sync uses. Only columns that are named in ``fields`` are left out. A lagging index and
cached lists behave in the worst possible way: the index is not updated until a test
calls `catch_up`, and a list that was read once never changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ._errors import MedusaError, Row
from ._fields import KINDS
from ._state import State
from ._web import answer

FLAGS = (
    *("backend_hmr", "caching", "index_engine", "rbac", "rbac_filter_fields"),
    *("translation", "view_configurations"),
)
_RESOURCES = {
    "bare_option": "product_option",
    "category": "product_category",
    "channel": "sales_channel",
    "item": "inventory_item",
    "level": "inventory_level",
    "location": "stock_location",
    "option": "product_option",
    "price": "price",
    "product": "product",
    "product_option": "product_option",
    "profile": "shipping_profile",
    "store": "store",
    "tag": "product_tag",
    "user": "user",
    "value": "product_option_value",
    "variant": "product_variant",
}
"""The kinds of entities, by their names in policies."""
_ROOTS = {
    "inventory-items": "item",
    "product-categories": "category",
    "product-options": "product_option",
    "product-tags": "tag",
    "products": "product",
    "sales-channels": "channel",
    "shipping-profiles": "profile",
    "stock-locations": "location",
    "stores": "store",
    "users": "user",
}
"""The kinds of entities, by the first part of a route."""
_OPERATIONS = ("read", "create", "update", "delete")
PERMISSIONS = frozenset(
    f"{resource}:{operation}"
    for resource in _RESOURCES.values()
    for operation in _OPERATIONS
)


def flagged(state: State) -> Middleware:
    """A middleware for the effects of the flags."""
    cached: dict[str, str] = {}

    @web.middleware
    async def obey(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "rbac" in state.flags:
            _check_policies(request, state.denied)
            if "rbac_filter_fields" in state.flags:
                request = _without_denied(request, state.denied)
        is_list = request.method == "GET" and "fields" in request.query
        if not is_list or "caching" not in state.flags:
            return await handler(request)
        if request.path_qs not in cached:
            response = await handler(request)
            if not isinstance(response, web.Response) or response.status != 200:
                return response
            cached[request.path_qs] = response.text or ""
        text = cached[request.path_qs]
        return web.Response(text=text, content_type="application/json")

    return obey


def add_flags(router: web.UrlDispatcher, state: State) -> None:
    """Register routes for flags and permissions, and routes that newer versions have."""

    async def flags(request: web.Request) -> web.Response:
        names = sorted({*FLAGS, *state.flags})
        return answer({"feature_flags": {name: name in state.flags for name in names}})

    async def permissions(request: web.Request) -> web.Response:
        if "rbac" not in state.flags:
            raise web.HTTPNotFound
        return answer({"permissions": sorted(PERMISSIONS - state.denied)})

    async def providers(request: web.Request) -> web.Response:
        return answer({"providers": []})

    async def layouts(request: web.Request) -> web.Response:
        return answer({"layout_configurations": []})

    router.add_get("/admin/feature-flags", flags)
    router.add_get("/admin/rbac/me/permissions", permissions)
    router.add_get("/admin/users/{id}/auth-providers", providers)
    router.add_get("/admin/layouts/configurations", layouts)


def _check_policies(request: web.Request, denied: set[str]) -> None:
    """Refuse requests that the role does not allow; a secret key has no role."""
    needed = [*_policies(request)]
    if not needed:
        return
    if request.headers.get("Authorization", "").startswith("Basic "):
        raise _forbidden("Forbidden")
    for policy, operations in needed:
        if any(f"{policy}:{operation}" in denied for operation in operations):
            names = f"{policy}:{','.join(operations)}"
            message = f"Insufficient permissions. Required policies: {names}"
            raise _forbidden(message)


def _policies(request: web.Request) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The resources and operations of a route."""
    _, area, *path = request.path.split("/")
    root = _ROOTS.get(path[0]) if area == "admin" else None
    if root is None or path == ["users", "me"]:
        return
    resource = _RESOURCES[root]
    if request.method == "GET" or len(path) > 1:
        yield resource, ("read",)
    if request.method == "DELETE":
        yield resource, ("delete",)
    elif request.method == "POST" and path[-1] == "batch":
        yield _batched(resource, path)
    elif request.method == "POST":
        yield resource, ("create",) if len(path) == 1 else ("update",)


def _batched(resource: str, path: list[str]) -> tuple[str, tuple[str, ...]]:
    match path:
        case ["products", "batch"]:
            return "product", ("create", "update")
        case [_, _, "variants", _]:
            return "product_variant", ("create", "update", "delete")
        case [_, _, "options", _]:
            return "product_option", ("delete", "create", "update")
        case _:
            return resource, ("*",)


def _forbidden(message: str) -> MedusaError:
    return MedusaError(403, {"type": "forbidden", "message": message})


def _without_denied(request: web.Request, denied: set[str]) -> web.Request:
    """The request without the columns that a role may not read."""
    path = request.path.split("/")
    fields = request.query.get("fields")
    if fields is None or path[1] != "admin" or path[2] not in _ROOTS:
        return request
    root = _ROOTS[path[2]] if "variants" not in path else "variant"
    names = [name for name in fields.split(",") if not _is_denied(root, name, denied)]
    url = request.rel_url.update_query(fields=",".join(names) or "id")
    return request.clone(rel_url=url)


def _is_denied(kind: str, name: str, denied: set[str]) -> bool:
    """Whether a part of the path to a column is denied."""
    for part in name.lstrip("+* ").split("."):
        target = KINDS[kind].relations.get(part)
        if target is None:
            return False
        kind = target
        if f"{_RESOURCES.get(kind)}:read" in denied:
            return True
    return False


def listed(state: State, rows: list[Row], *, filtered: bool) -> list[Row]:
    """The products in a list, which may come from the index."""
    if not filtered or "index_engine" not in state.flags:
        return rows
    return [row for row in rows if row["id"] in state.indexed]
