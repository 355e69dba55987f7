"""DummyJSON's routes for products, categories and status codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from catalogsync.testing.catalog import catalog_categories

from ._middleware import json_response, refuse
from ._query import Query, number
from ._records import Record, Records, dump

# As DummyJSON words them; Python's words changed between its versions.
_PHRASES: dict[int, str] = {
    **{status.value: status.phrase for status in HTTPStatus if status >= 200},
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    420: "Enhance Your Calm",
    422: "Unprocessable Entity",
    444: "No Response",
    499: "Client Closed Request",
    598: "Network Read Timeout Error",
    599: "Network Connect Timeout Error",
}
_SUPPORTED = frozenset(str(code) for code in _PHRASES if code not in {421, 425})


class Routes:
    """The handlers of the routes."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers; DummyJSON's paths ignore upper and lower case."""
        root = "/{root:(?i:products?)}"
        router.add_get(root, self.products)
        router.add_get(f"{root}/{{_:(?i:search)}}", self.search)
        router.add_get(f"{root}/{{_:(?i:category-list)}}", self.category_list)
        router.add_get(f"{root}/{{_:(?i:categories)}}", self.categories)
        router.add_get(f"{root}/{{_:(?i:category)}}/{{category}}", self.category)
        router.add_get(f"{root}/{{id}}", self.product)
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            router.add_route(method, "/{_:(?i:https?)}/{code}", status)
            router.add_route(method, "/{_:(?i:https?)}/{code}/{text}", status)
            router.add_route(method, "/{_:(?i:test|ping|health)}", ping)

    async def products(self, request: web.Request) -> web.Response:
        """All products, or a page of them."""
        query, entries = Query.parse(request.query), self._records.entries
        by_id = query.sort_by == "id" and not query.descending
        if query.sort_by and not (by_id and self._records.ascending):
            return _page([entry.record for entry in entries], query)
        page = query.page(entries)
        if query.select:
            raws = [entry.selected(query.select) for entry in page]
        else:
            raws = [entry.raw for entry in page]
        return _envelope(raws, len(entries), query)

    async def search(self, request: web.Request) -> web.Response:
        """The products with these words in their title or description."""
        words = Query.parse(request.query).search
        return self._filtered(
            request,
            lambda record: (
                words in record["title"].lower()
                or words in record["description"].lower()
            ),
        )

    async def category(self, request: web.Request) -> web.Response:
        """The products of a category; no products if it does not exist."""
        name = request.match_info["category"].lower()
        return self._filtered(
            request, lambda record: record["category"].lower() == name
        )

    async def category_list(self, request: web.Request) -> web.Response:
        """The slugs of the categories."""
        return json_response(dump([each["slug"] for each in self._categories()]))

    async def categories(self, request: web.Request) -> web.Response:
        """The categories with their names and addresses."""
        return json_response(dump(self._categories()))

    async def product(self, request: web.Request) -> web.Response:
        """One product."""
        product_id = request.match_info["id"]
        entry = self._records.find(product_id)
        if entry is None:
            return refuse(f"Product with id '{product_id}' not found", 404)
        return json_response(dump(Query.parse(request.query).selected(entry.record)))

    def _filtered(
        self, request: web.Request, desired: Callable[[Record], bool]
    ) -> web.Response:
        records = (entry.record for entry in self._records.entries)
        return _page(
            [record for record in records if desired(record)],
            Query.parse(request.query),
        )

    def _categories(self) -> list[dict[str, str]]:
        return catalog_categories(entry.record for entry in self._records.entries)


async def status(request: web.Request) -> web.Response:
    """Answer with the status in the path."""
    text = request.match_info["code"]
    if number(text) is None:
        return refuse(f"Status code '{text}' is invalid", 500)
    if text not in _SUPPORTED:
        return refuse(f"Status code '{text}' is not supported", 500)
    code = int(text)
    if code in {204, 304}:
        return web.Response(status=code)
    title = request.match_info.get("text", _PHRASES[code])
    if code < 400:
        return json_response(dump({"status": code, "message": title}), status=code)
    problem = {"title": title, "type": "about:blank", "detail": title, "message": title}
    return json_response(
        dump({"status": code, **problem}),
        status=code,
        content_type="application/problem+json",
    )


async def ping(request: web.Request) -> web.Response:
    """Confirm that the server is running."""
    return json_response(dump({"status": "ok", "method": request.method}))


def _page(records: Sequence[Record], query: Query) -> web.Response:
    if query.sort_by:
        records = query.sorted(records)
    raws = [dump(query.selected(record)) for record in query.page(records)]
    return _envelope(raws, len(records), query)


def _envelope(raws: Sequence[bytes], total: int, query: Query) -> web.Response:
    skip = b"null" if query.skip is None else b"%d" % query.skip
    return json_response(
        b'{"products":[%b],"total":%d,"skip":%b,"limit":%d}'
        % (b",".join(raws), total, skip, len(raws))
    )
