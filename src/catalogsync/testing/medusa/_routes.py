"""Routes: from a request to the JSON of its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

import attrs
from aiohttp import web

from ._errors import Row, invalid, refusal
from ._fields import render, select
from ._journal import Journal
from ._query import Filter, Query
from ._schema import Check
from ._web import SMALL, answer, read_body


@attrs.frozen
class Call:
    """A request to a route.

    Attributes:
        request: The request.
        body: Its checked body; empty for a route without one.
    """

    request: web.Request
    body: Row

    @property
    def id(self) -> str:
        """The first id in the path."""
        return self.part("id")

    def part(self, name: str) -> str:
        """A named part of the path."""
        return self.request.match_info[name]


Act: TypeAlias = Callable[[Call], Row]
"""Does what a route is for, without an `await`, and returns the JSON of the answer."""


@attrs.frozen
class Api:
    """Registers routes, each of which is a transaction."""

    router: web.UrlDispatcher
    journal: Journal

    def get(self, path: str, act: Act) -> None:
        """Register a route that reads."""
        self.router.add_get(path, self._handler(act))

    def post(
        self, path: str, check: Check | None, act: Act, *, limit: int = SMALL
    ) -> None:
        """Register a route that takes a body."""
        self.router.add_post(path, self._handler(act, check, limit))

    def delete(self, path: str, act: Act) -> None:
        """Register a route that deletes."""
        self.router.add_delete(path, self._handler(act))

    def _handler(
        self, act: Act, check: Check | None = None, limit: int = SMALL
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            body = await read_body(request, check, limit=limit) if check else {}
            with self.journal.transaction():
                return answer(act(Call(request, body)))

        return handle


@attrs.frozen
class Listing:
    """Shows rows of one kind, one by one or in pages.

    Attributes:
        kind: Name of the kind.
        filters: Filters by name of the parameter.
        limit: Default size of a page.
        strict: Whether other parameters are refused instead of ignored.
        arrange: Shows the rows that match a query, which are among those given first;
            None: each as the query's fields select.
    """

    kind: str
    filters: dict[str, Filter] = attrs.field(factory=dict[str, Filter])
    limit: int = 50
    strict: bool = True
    arrange: Callable[[Listing, Query, list[Row], list[Row]], list[Row]] | None = None

    def query(self, call: Call) -> Query:
        """The query of a call, checked."""
        query = Query.parse(call.request.query, limit=self.limit)
        unknown = [name for name in query.conditions if name not in self.filters]
        if unknown and self.strict:
            names = ", ".join(unknown)
            raise invalid(f"Invalid request: Unrecognized fields: '{names}'")
        return query

    def matching(self, rows: list[Row], query: Query) -> list[Row]:
        """The rows that match the query."""
        for name, condition in query.conditions.items():
            if matches := self.filters.get(name):
                rows = [row for row in rows if matches(row, condition)]
        return rows

    def shower(self, fields: str | None) -> Callable[[Row], Row]:
        """A function that shows a row with these fields."""
        selection = select(self.kind, fields)
        return lambda row: render(row, selection)

    def show(self, call: Call, row: Row) -> Row:
        """A row with the fields that the call selects."""
        return self.shower(call.request.query.get("fields"))(row)

    def shown(self, query: Query, rows: list[Row], found: list[Row]) -> list[Row]:
        """The rows that were found, as the query requests them."""
        if self.arrange:
            return self.arrange(self, query, rows, found)
        return list(map(self.shower(query.fields), found))

    def page(self, call: Call, key: str, find: Callable[[Query], Iterable[Row]]) -> Row:
        """The JSON of a page of rows; *find* may use the query to find them faster."""
        query = self.query(call)
        rows = list(find(query))
        found, count = query.page(self.matching(rows, query))
        numbers = {"count": count, "offset": query.offset, "limit": query.limit}
        return {key: self.shown(query, rows, found), **numbers}


@attrs.frozen(kw_only=True)
class Resource:
    """Rows with the usual routes; those without an action here do not exist.

    Attributes:
        path: The last part of their path, which also names them in answers.
        table: The rows by id.
        listing: How they are shown.
        absent: The message for an unknown id; empty: the answer is an empty object.
        find: The rows that a list filters; None: all.
        view: Adds to a row what an answer may show.
        create: Checks the body of a new row, and makes the row.
        update: Checks the body of a change, and applies it to a row.
        delete: Deletes the row with an id.
    """

    path: str
    table: dict[str, Row]
    listing: Listing
    absent: str = ""
    find: Callable[[Query], Iterable[Row]] | None = None
    view: Callable[[Row], Row] = lambda row: row
    create: tuple[Check, Callable[[Row], Row]] | None = None
    update: tuple[Check, Callable[[Row, Row], object]] | None = None
    delete: Callable[[str], None] | None = None

    def add_to(self, api: Api) -> None:
        """Register the routes."""
        path, one = f"/admin/{self.path}", f"/admin/{self.path}/{{id}}"
        api.get(path, self._list)
        api.get(one, self._show)
        if self.create:
            check, make = self.create
            api.post(path, check, lambda call: self.answer(call, make(call.body)))
        if self.update:
            check, apply = self.update
            api.post(one, check, lambda call: self._change(call, apply))
        if self.delete:
            delete = self.delete
            api.delete(one, lambda call: self._delete(call, delete))

    @property
    def one(self) -> str:
        """The name of one row in an answer."""
        return singular(self.path)

    def answer(self, call: Call, row: Row) -> Row:
        """The JSON of one row."""
        return {self.one: self.listing.show(call, self.view(row))}

    def row(self, key: str) -> Row:
        """The row with an id.

        Raises:
            MedusaError: There is none.
        """
        if key not in self.table:
            raise refusal("not_found", self.absent.format(key))
        return self.table[key]

    def _list(self, call: Call) -> Row:
        def find(query: Query) -> Iterable[Row]:
            return self.find(query) if self.find else self.table.values()

        return self.listing.page(call, self.path.replace("-", "_"), find)

    def _show(self, call: Call) -> Row:
        if not self.absent and call.id not in self.table:
            return {}
        return self.answer(call, self.row(call.id))

    def _change(self, call: Call, apply: Callable[[Row, Row], object]) -> Row:
        row = self.row(call.id)
        apply(row, call.body)
        return self.answer(call, row)

    def _delete(self, call: Call, delete: Callable[[str], None]) -> Row:
        delete(call.id)
        return deleted(call.id, self.one)


def singular(path: str) -> str:
    """The name of one of the rows at a path: ``api_key`` for ``api-keys``."""
    name = path.replace("-", "_")
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name.removesuffix("s")


def deleted(key: str, what: str, more: Row | None = None) -> Row:
    """The JSON of the answer to a deletion."""
    return {"id": key, "object": what, "deleted": True, **(more or {})}
