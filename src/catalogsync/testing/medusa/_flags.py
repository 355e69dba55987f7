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
from ._routes import Api, Call, singular
from ._state import State

FLAGS = (
    *("backend_hmr", "caching", "index_engine", "rbac", "rbac_filter_fields"),
    *("translation", "view_configurations"),
)
_KINDS = {kind.policy: name for name, kind in reversed(KINDS.items()) if kind.policy}
"""The kinds of entities, by their names in permissions."""
_OPERATIONS = ("read", "create", "update", "delete")
PERMISSIONS = frozenset(
    f"{policy}:{operation}" for policy in _KINDS for operation in _OPERATIONS
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


def add_flags(api: Api, state: State) -> None:
    """Register routes for flags and permissions, and routes that newer versions have."""

    def flags(_: Call) -> Row:
        names = sorted({*FLAGS, *state.flags})
        return {"feature_flags": {name: name in state.flags for name in names}}

    def permissions(_: Call) -> Row:
        if "rbac" not in state.flags:
            raise web.HTTPNotFound
        return {"permissions": sorted(PERMISSIONS - state.denied)}

    api.get("/admin/feature-flags", flags)
    api.get("/admin/rbac/me/permissions", permissions)
    api.get("/admin/users/{id}/auth-providers", lambda _: {"providers": []})
    api.get("/admin/layouts/configurations", lambda _: {"layout_configurations": []})


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
    resource = singular(path[0]) if area == "admin" else ""
    if resource not in _KINDS or path == ["users", "me"]:
        return
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
    root = _KINDS.get(singular(path[2])) if path[1] == "admin" else None
    if fields is None or root is None:
        return request
    root = root if "variants" not in path else "variant"
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
        if f"{KINDS[kind].policy}:read" in denied:
            return True
    return False


def listed(state: State, rows: list[Row], *, filtered: bool) -> list[Row]:
    """The products in a list, which may come from the index."""
    if not filtered or "index_engine" not in state.flags:
        return rows
    return [row for row in rows if row["id"] in state.indexed]
