"""The OpenAPI description of the HTTP API, made from its endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from catalogsync._lib.versions import installed_version

from ._answers import Error
from ._endpoints import Endpoint
from ._shapes import Tree, fields, schema, schemas

_SIGNED = {  # headers, their patterns and descriptions
    "webhook-id": ("^[!-\\-/-~]{1,256}$", "Id of the call; repeat it to call again."),
    "webhook-timestamp": ("^[0-9]{1,12}$", "Seconds since the epoch."),
    "webhook-signature": (
        "^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=){0,9}$",
        "Signatures as in Standard Webhooks, separated by spaces.",
    ),
}
_REFUSALS = {
    400: "Invalid request.",
    401: "The token is missing or not valid.",
    403: "The role of the token does not allow this.",
    404: "Not found.",
    408: "Timed out while reading the body.",
    409: "Conflict with the current state.",
    413: "The body is too large.",
    415: "The body is not uncompressed JSON.",
    429: "Too many requests from this address.",
    503: "The state store or a side of the job is unavailable.",
}
_ALWAYS = (400, 401, 403, 429, 503)
_OF_BODIES = (408, 413, 415)


def describe(
    endpoints: Sequence[Endpoint[Any]], prefix: str, *, jobs: Sequence[str]
) -> Tree:
    """The description as OpenAPI 3.1 of an application that is mounted at *prefix*."""
    paths: Tree = {}
    parts = schemas(Error)
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, jobs)
        parts |= schemas(each.answers)
        if each.method == "POST":
            parts |= schemas(each.takes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "catalogsync", "version": installed_version("catalogsync")},
        "servers": [{"url": prefix or "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": parts,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint[Any], jobs: Sequence[str]) -> Tree:
    answer = {endpoint.content: {"schema": schema(endpoint.answers)}}
    good = "Accepted" if endpoint.status == 202 else "OK"
    tree: Tree = {
        "summary": " ".join((endpoint.handler.__doc__ or "").split()).rstrip("."),
        "parameters": [*_parameters(endpoint, jobs)],
        "responses": {
            str(endpoint.status): {"description": good, "content": answer},
            **{str(status): _refusal(status) for status in _refusals(endpoint)},
        },
    }
    if endpoint.is_probe:
        problem = {"description": "Unavailable", "content": answer}
        tree["responses"]["503"] = problem
    if endpoint.role is None:
        tree["security"] = []
    if endpoint.method == "POST":
        (*_, taken) = schemas(endpoint.takes).values()
        content = {"application/json": {"schema": schema(endpoint.takes)}}
        tree["requestBody"] = {"content": content, "required": bool(taken["required"])}
    return tree


def _refusals(endpoint: Endpoint[Any]) -> Sequence[int]:
    if endpoint.is_probe:
        return (429,)
    missing = (404,) if "{" in endpoint.path and not endpoint.signed else ()
    of_body = _OF_BODIES if endpoint.method == "POST" else ()
    return sorted({*_ALWAYS, *missing, *of_body, *endpoint.refusals})


def _refusal(status: int) -> Tree:
    content = {"application/json": {"schema": schema(Error)}}
    return {"description": _REFUSALS[status], "content": content}


def _parameters(endpoint: Endpoint[Any], jobs: Sequence[str]) -> Iterable[Tree]:
    known: dict[str, Tree] = {"job": {"enum": list(jobs)}, "run_id": {"minLength": 1}}
    for name, more in known.items():
        if f"{{{name}}}" in endpoint.path:
            yield _parameter("path", name, {"type": "string", **more})
    if endpoint.signed:
        for name, (pattern, text) in _SIGNED.items():
            kind = {"type": "string", "pattern": pattern}
            yield _parameter("header", name, kind, text)
    if endpoint.method == "GET" and endpoint.takes is not type(None):
        for each, kind, more in fields(endpoint.takes):
            tree = {**schema(kind), **more}
            text = tree.pop("description")
            if kind is int:
                tree["default"] = each.default
            yield _parameter("query", each.name, tree, text)


def _parameter(place: str, name: str, schema: Tree, text: str = "") -> Tree:
    tree = {"name": name, "in": place, "schema": schema}
    if text:
        tree["description"] = text
    return tree if place == "query" else {**tree, "required": True}
