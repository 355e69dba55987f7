"""Endpoints: one value describes a route, what it takes and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import attrs
from aiohttp import web

from catalogsync.config import Role

from ._context import Call
from ._errors import RefusalError
from ._parsing import parse_json, parse_query, structure
from ._shapes import Tree, shape

T = TypeVar("T")


def _status_of(endpoint: Endpoint[Any]) -> int:
    return 202 if endpoint.method == "POST" else 200


@attrs.frozen
class Endpoint(Generic[T]):
    """An endpoint of the API, or a page of the dashboard.

    Attributes:
        method: HTTP method.
        path: Path, with names of its parts in braces.
        role: Required role; None: no token.
        takes: Class of the query or, for POST, of the body; `NoneType`: ignores both.
        handler: Handles requests; its docstring is the summary in OpenAPI.
        answers: What describes the JSON or text that the handler returns.
        status: Status of the response; by default 202 for POST.
        refusals: Statuses of refusals that only some endpoints have.
        content: Content type of the response.
        signed: Whether requests are signed with the secret of a webhook.
    """

    method: str
    path: str
    role: Role | None
    takes: type[T]
    handler: Callable[[Call, T], Awaitable[object]]
    answers: Any = Tree
    status: int = attrs.field(
        default=attrs.Factory(_status_of, takes_self=True), kw_only=True
    )
    refusals: tuple[int, ...] = attrs.field(default=(), kw_only=True)
    content: str = attrs.field(default="application/json", kw_only=True)
    signed: bool = attrs.field(default=False, kw_only=True)

    @property
    def is_probe(self) -> bool:
        """Whether anyone may ask, and nothing is parsed."""
        return self.role is None and self.takes is type(None)

    async def run(self, call: Call, given: Any, *, strict: bool = True) -> object:
        """Parse what the handler takes, and call it.

        Args:
            call: The request.
            given: The fields of the body; not used for a query.
            strict: As in `structure`.
        """
        taken: Any = None
        if self.takes is not type(None):
            is_query = self.method == "GET"
            given = parse_query(call.request.query) if is_query else given
            noun = "parameter" if is_query else "key"
            taken = structure(self.takes, given, noun, strict=strict)
        return await self.handler(call, taken)


async def answer_api(endpoint: Endpoint[Any], call: Call) -> web.StreamResponse:
    """Answer a request to the API."""
    request, body = call.request, b""
    if endpoint.role is not None:
        caller = call.site.guard.admit(request, endpoint.role)
        call = attrs.evolve(call, by=caller.name)
    if endpoint.signed:
        body, key = await _signed_body(call)
        call = attrs.evolve(call, key=key)
    call.check_job()
    if request.method == "POST" and not endpoint.signed:
        body = await call.body()
    value = await endpoint.run(call, parse_json(request, body))
    if isinstance(value, web.StreamResponse):
        return value
    return call.answer(shape(endpoint.answers, value), status=endpoint.status)


async def _signed_body(call: Call) -> tuple[bytes, bytes]:
    """The body of a call of a webhook, and its key."""
    guard, request = call.site.guard, call.request
    guard.check_address(request)
    body = await call.body()
    try:
        key = call.site.signatures.check(call.part("job"), request.headers, body)
    except RefusalError:
        guard.refused(request)
        raise
    return body, key
