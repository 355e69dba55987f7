"""Keeps a search index in step with a catalog that catalogsync writes into SQL.

Run it beside `catalogsync serve`, and name it in the configuration:

    [jobs.shop.inform.search]
    url = "http://127.0.0.1:8090/catalog"
    secret = "${SEARCH_SECRET}"

Settings are in the environment: SEARCH_SECRET, CATALOG (the SQLite file of the sink),
INDEX_URL (a Meilisearch server) and PORT. It needs `pip install standardwebhooks`.

Each listed product is read again from the catalog, so that repeated messages, and
messages out of order, do no harm. An error is answered with 500, and catalogsync sends
the message again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any, TypedDict
from uuid import NAMESPACE_URL, uuid5

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

INDEX = web.AppKey("index", str)
CATALOG = web.AppKey("catalog", str)
SECRET = web.AppKey("secret", Webhook)


class Document(TypedDict):
    """A product as the index has it."""

    id: str
    key: str
    title: str
    description: str | None


def document_id(key: str) -> str:
    """The id of a document: Meilisearch does not accept every key."""
    return uuid5(NAMESPACE_URL, f"catalogsync:{key}").hex


def read(catalog: str, keys: Iterable[str]) -> list[Document]:
    """The documents of those of these products that shoppers see."""
    query = (
        "SELECT title, description FROM product WHERE source = ? AND source_id = ?"
        " AND (status IS NULL OR status = 'published')"
    )
    found: list[Document] = []
    with closing(sqlite3.connect(catalog)) as connection:
        for key in keys:
            source, _, id_ = key.partition(":")
            for title, description in connection.execute(query, (source, id_)):
                found.append(
                    Document(
                        id=document_id(key),
                        key=key,
                        title=title,
                        description=description,
                    )
                )
    return found


async def receive(request: web.Request) -> web.Response:
    """Bring the documents of the listed products up to date."""
    body = await request.read()
    try:
        message: Any = request.app[SECRET].verify(body, dict(request.headers))
    except WebhookVerificationError:
        return web.Response(status=401, text="the signature is not valid")
    keys = {product["key"] for product in message["data"]["products"]}
    documents = await asyncio.to_thread(read, request.app[CATALOG], keys)
    gone = keys - {document["key"] for document in documents}
    url = f"{request.app[INDEX]}/indexes/products/documents"
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        if documents:
            await session.post(url, json=documents)
        if gone:
            ids = [document_id(key) for key in gone]
            await session.post(f"{url}/delete-batch", json=ids)
    return web.Response(status=204)


def app(*, secret: str, catalog: str, index: str) -> web.Application:
    """The receiver.

    Args:
        secret: The secret of the receiver, `whsec_` and base64.
        catalog: The SQLite file of the sink.
        index: Address of the Meilisearch server.
    """
    made = web.Application()
    made[SECRET], made[CATALOG], made[INDEX] = Webhook(secret), catalog, index
    made.router.add_post("/catalog", receive)
    return made


if __name__ == "__main__":
    web.run_app(
        app(
            secret=os.environ["SEARCH_SECRET"],
            catalog=os.environ.get("CATALOG", "catalog.db"),
            index=os.environ.get("INDEX_URL", "http://127.0.0.1:7700"),
        ),
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8090")),
    )
