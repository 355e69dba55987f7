"""A DummyJSON that serves records as they are, be they what they may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from catalogsync.adapters.dummyjson import DummyJSONSettings, DummyJSONSource
from catalogsync.adapters.dummyjson._records import Mapper
from catalogsync.testing.catalog import catalog_categories, generate_catalog

from .spoiling import dumped
from .wire import Answer, Asked, Serve, Wire, session

NAME = "dummyjson"
RECORDS = generate_catalog(60, 8, variants=True)
_CATEGORIES = dumped(catalog_categories(RECORDS))
_MAPPER = Mapper(source=NAME, currency="USD")
PRODUCTS = [_MAPPER.product(_MAPPER.key(record), record) for record in RECORDS]
"""What the records are to become."""


def serve_records(records: Sequence[Any]) -> Serve:
    """Answer as DummyJSON does, with these records in this order."""
    raws = [dumped(record) for record in records]

    async def serve(asked: Asked) -> Answer:
        path, query = asked.url.path, asked.url.query
        if path == "/products/categories":
            return Answer(200, {}, _CATEGORIES)
        if path == "/products":
            skip, limit = int(query["skip"]), int(query["limit"])
            page = raws[skip : skip + limit]
            head = f'"total": {len(raws)}, "skip": {skip}, "limit": {len(page)}'
            body = b'{"products": [%b], %b}' % (b", ".join(page), head.encode())
            return Answer(200, {}, body)
        id_ = path.rpartition("/")[2]
        for record, raw in zip(records, raws, strict=True):
            if isinstance(record, dict) and str(record.get("id")) == id_:
                return Answer(200, {}, raw)
        return Answer(404, {}, b'{"message": "not found"}')

    return serve


@asynccontextmanager
async def open_shop(serve: Serve, page_size: int) -> AsyncIterator[DummyJSONSource]:
    """The source that reads from this server."""
    settings = DummyJSONSettings(
        url="https://source.test", page_size=page_size, max_requests=0
    )
    async with settings.open(session(Wire(serve))) as source:
        yield source
