"""Runs from an API of any kind into memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

from catalogsync import MemorySink, Options, Report, RetryPolicy, sync
from catalogsync.adapters.json_api import (
    Credentials,
    GraphQL,
    JSONAPISettings,
    Paging,
)
from catalogsync.mapping import Expression, RecordMapping
from catalogsync.testing.api import APICredentials, APIStyle, FakeAPI, fake_api
from catalogsync.testing.faults import Fault, FaultPlan

AT_ONCE = RetryPolicy(wait_initial=0, wait_jitter=0)
STYLES = ("none", "offset", "page", "cursor", "next", "link", "graphql")
AUTHS = ("none", "basic", "bearer", "header", "parameter", "oauth2")
MAPPING = RecordMapping(
    key=Expression(from_="id"),
    title=Expression(from_="name"),
    price=Expression(from_="price", currency="EUR"),
)
QUERY = """query ($first: Int!, $after: String) {
  products(first: $first, after: $after) {
    edges { node { id name price } } pageInfo { endCursor hasNextPage }
  }
}"""
ONE = "query ($id: ID!) { product(id: $id) { id name price } }"


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "name": f"Thing {number}", "price": 9.99, **fields}


def things(count: int) -> list[dict[str, Any]]:
    return [record(number) for number in range(1, count + 1)]


def credentials(kind: str, url: str, *, in_body: bool = False) -> Credentials | None:
    given = APICredentials()
    match kind:
        case "basic":
            return Credentials(username=given.username, password=given.password)
        case "bearer":
            return Credentials(token=given.token)
        case "header":
            return Credentials(key=given.key, header="X-Api-Key")
        case "parameter":
            return Credentials(key=given.key, parameter="api_key")
        case "oauth2":
            return Credentials(
                client_id=given.username,
                client_secret=given.password,
                oauth_url=f"{url}/oauth/token",
                in_body=in_body,
            )
        case _:
            return None


def settings(api: FakeAPI, size: int = 5, **fields: Any) -> JSONAPISettings:
    """What somebody would write who has read the API's own documentation."""
    style = api.style
    lookups: dict[str, Any] = {"lookup": "/products/{id}", "lookup_item": "data"}
    values: dict[str, Any] = {
        "url": f"{api.url}/products",
        "map": MAPPING,
        "items": "data",
        "total": "meta.total" if style.total else "",
        "auth": credentials(style.auth, api.url),
        **lookups,
    }
    if style.paging == "graphql":
        values |= {
            "url": f"{api.url}/graphql",
            "items": "",
            "total": "data.products.totalCount" if style.total else "",
            "graphql": GraphQL(query=QUERY, connection="products", lookup=ONE),
            "paging": Paging(size=size),
            "lookup": "",
            "lookup_item": "data.product",
        }
    elif style.paging == "link":
        values["url"] += f"?limit={size}"
        values["paging"] = Paging(style="link")
    elif style.paging == "next":
        values["url"] += f"?limit={size}"
        values["paging"] = Paging(style="next", next="meta.next")
    elif style.paging == "cursor":
        values["paging"] = Paging(style="cursor", size=size, next="meta.next")
    elif style.paging != "none":
        values["paging"] = Paging(style=style.paging, size=size)
    return JSONAPISettings(**(values | fields))


@attrs.frozen
class Ran:
    """The result of a run."""

    report: Report
    sink: MemorySink
    api: FakeAPI

    @property
    def ids(self) -> list[int]:
        return sorted(int(key.id) for key in self.sink.products)


@asynccontextmanager
async def api_with(
    records: Sequence[dict[str, Any]],
    style: APIStyle | None = None,
    faults: Sequence[Fault] = (),
) -> AsyncIterator[FakeAPI]:
    async with fake_api(records, style, faults=FaultPlan(*faults)) as api:
        yield api


async def run(
    records: Sequence[dict[str, Any]],
    style: APIStyle,
    *faults: Fault,
    size: int = 5,
    given: dict[str, Any] | None = None,
    **options: Any,
) -> Ran:
    async with api_with(records, style, faults) as api:
        return await run_on(api, size=size, given=given, **options)


async def run_on(
    api: FakeAPI, *, size: int = 5, given: dict[str, Any] | None = None, **options: Any
) -> Ran:
    sink = MemorySink()
    async with settings(api, size, **(given or {})).open() as source:
        options = {"retry": AT_ONCE, **options}
        report = await sync(source, sink, options=Options(**options))
    return Ran(report, sink, api)
