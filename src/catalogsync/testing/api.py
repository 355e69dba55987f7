"""A JSON API that speaks each kind of pagination and of authentication.

The records stand in `data`, what a client needs to go on in `meta`::

    async with fake_api(records, APIStyle(paging="cursor", auth="oauth2")) as api:
        ...  # GET api.url + "/products"; one record: "/products/{id}"

With ``paging="graphql"``, ``POST /graphql`` answers with a connection ``products``, or
with one ``product`` if there is a variable ``id``.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import quote_plus

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

from .faults import FaultPlan
from .servers import serve

__all__ = ["APICredentials", "APIStyle", "FakeAPI", "fake_api"]

Record: TypeAlias = dict[str, Any]

_LOGGED = 10_000


@attrs.frozen(kw_only=True)
class APICredentials:
    """What the server accepts.

    Attributes:
        username: User of HTTP Basic, and the client of OAuth 2.
        password: Its password or secret.
        token: The bearer token.
        key: The API key, in the header ``X-Api-Key`` or the parameter ``api_key``.
    """

    username: str = "shop"
    password: str = "correct horse"  # noqa: S105 - for tests
    token: str = "battery-staple"  # noqa: S105
    key: str = "k-31415926"


@attrs.frozen(kw_only=True)
class APIStyle:
    """How an API behaves.

    Attributes:
        paging: How it divides its list. ``offset`` and ``page`` count; ``cursor``,
            ``next``, ``link`` and ``graphql`` continue after the last id.
        auth: What it asks for.
        largest: Largest page; a larger one is cut to this size.
        sizes: The only sizes that it accepts; any other becomes the first of them.
        total: Whether it says how many records there are.
        token_requests: Requests that a token of OAuth 2 is good for; 0: no limit.
    """

    paging: Literal["none", "offset", "page", "cursor", "next", "link", "graphql"] = (
        "none"
    )
    auth: Literal["none", "basic", "bearer", "header", "parameter", "oauth2"] = "none"
    largest: int = 100
    sizes: tuple[int, ...] = ()
    total: bool = True
    token_requests: int = 0


@attrs.define
class FakeAPI:
    """A running API.

    Attributes:
        url: Its base URL, without a trailing slash.
        style: How it behaves.
        records: Its records, ordered by their ``id``; changes appear in the next answer.
        credentials: What it accepts.
        requests: The last 10,000 requests: method and path with its query.
        tokens: Tokens of OAuth 2 that it gave out.
    """

    style: APIStyle
    records: list[Record]
    credentials: APICredentials = attrs.field(factory=APICredentials)
    url: str = ""
    requests: deque[tuple[str, str]] = attrs.field(
        factory=lambda: deque[tuple[str, str]](maxlen=_LOGGED)
    )
    tokens: int = 0
    _left: int = 0

    def app(self, faults: FaultPlan | None = None) -> web.Application:
        """The application, to be served once."""

        @web.middleware
        async def log(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.requests.append((request.method, request.path_qs))
            return await handler(request)

        app = web.Application(
            middlewares=[log, *([faults.middleware()] if faults else [])]
        )
        app.router.add_get("/products", self._list)
        app.router.add_get("/products/{id}", self._one)
        app.router.add_post("/graphql", self._graphql)
        app.router.add_post("/oauth/token", self._token)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        size = self._size(request.query.get("limit", request.query.get("per_page")))
        style = self.style.paging
        if style == "none":
            return _json(self._envelope(self.records))
        if style in {"offset", "page"}:
            begin = int(request.query.get("offset", "0"))
            if style == "page":
                begin = (int(request.query.get("page", "1")) - 1) * size
            records = self.records[begin : begin + size]
            more = begin + size < len(self.records)
            return _json(self._envelope(records, more=more))
        return self._continued(request, size)

    def _continued(self, request: web.Request, size: int) -> web.Response:
        records, cursor = self._after(request.query.get("cursor"), size)
        if self.style.paging == "cursor" or cursor is None:
            return _json(self._envelope(records, next=cursor, more=cursor is not None))
        link = f"/products?limit={size}&cursor={cursor}"
        if self.style.paging == "next":
            return _json(self._envelope(records, next=f"{self.url}{link}"))
        response = _json(self._envelope(records))
        response.headers.add("Link", '</products>; rel="first"')
        response.headers.add("Link", f'<{link}>; title="a, b"; rel="next"')
        return response

    def _after(self, cursor: str | None, size: int) -> tuple[list[Record], str | None]:
        """The records after a cursor, and the cursor of those that follow."""
        after = json.loads(base64.urlsafe_b64decode(cursor)) if cursor else None
        rest = [r for r in self.records if after is None or r["id"] > after]
        page = rest[:size]
        if len(rest) <= size:
            return page, None
        last = json.dumps(page[-1]["id"]).encode()
        return page, base64.urlsafe_b64encode(last).decode()

    def _size(self, text: str | int | None) -> int:
        size = int(text or self.style.largest)
        if self.style.sizes and size not in self.style.sizes:
            size = self.style.sizes[0]
        return min(size, self.style.largest)

    def _envelope(self, records: list[Record], **meta: object) -> dict[str, Any]:
        total = {"total": len(self.records)} if self.style.total else {}
        return {"data": records, "meta": {**total, **meta}}

    async def _one(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        found = self._find(request.match_info["id"])
        if found is None:
            return _json({"error": "no such product"}, status=404)
        return _json({"data": found})

    def _find(self, id_: str) -> Record | None:
        return next((r for r in self.records if str(r["id"]) == id_), None)

    async def _graphql(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        variables: Mapping[str, Any] = (await request.json())["variables"]
        if "id" in variables:
            return _json({"data": {"product": self._find(str(variables["id"]))}})
        size = self._size(variables["first"])
        records, cursor = self._after(variables.get("after"), size)
        connection: dict[str, Any] = {
            "edges": [{"node": record} for record in records],
            "pageInfo": {"endCursor": cursor, "hasNextPage": cursor is not None},
        }
        if self.style.total:
            connection["totalCount"] = len(self.records)
        return _json({"data": {"products": connection}})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        header = request.headers.get("Authorization", "")
        client, secret = self.credentials.username, self.credentials.password
        in_body = (form.get("client_id"), form.get("client_secret")) == (client, secret)
        if not in_body and header != _basic(quote_plus(client), quote_plus(secret)):
            return _json({"error": "invalid_client"}, status=401)
        self.tokens += 1
        self._left = self.style.token_requests
        return _json({"access_token": self._access, "expires_in": 3600})

    @property
    def _access(self) -> str:
        return f"access-token-{self.tokens}"

    def _refused(self, request: web.Request) -> web.Response | None:
        """The answer to a request without the right credentials; None: it has them."""
        accepted, header = self.credentials, request.headers.get("Authorization", "")
        right = {
            "none": True,
            "basic": header == _basic(accepted.username, accepted.password),
            "bearer": header == f"Bearer {accepted.token}",
            "header": request.headers.get("X-Api-Key") == accepted.key,
            "parameter": request.query.get("api_key") == accepted.key,
            "oauth2": bool(self.tokens) and header == f"Bearer {self._access}",
        }[self.style.auth]
        if right and self.style.auth == "oauth2" and self.style.token_requests:
            right, self._left = self._left > 0, self._left - 1
        return None if right else _json({"error": "who are you?"}, status=401)


@contextlib.asynccontextmanager
async def fake_api(
    records: Iterable[Record],
    style: APIStyle | None = None,
    *,
    faults: FaultPlan | None = None,
) -> AsyncGenerator[FakeAPI]:
    """Run an API for the length of a block.

    Args:
        records: Its records; each has an ``id``, by which they are ordered.
        style: How it behaves; None: one page for everybody.
        faults: Faults of the server; None: no faults.
    """
    api = FakeAPI(style or APIStyle(), list(records))
    async with serve(api.app(faults)) as url:
        api.url = url
        yield api


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)
