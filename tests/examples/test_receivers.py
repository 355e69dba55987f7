"""The receivers under `examples`, on real messages of real runs.

Next.js is not installed: Node.js runs the route itself, with a stand-in for
`next/cache` that notes its calls.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web

from catalogsync import (
    Job,
    Product,
    ProductKey,
    Prune,
    StateSettings,
    as_source,
)
from catalogsync._lib.standard_webhooks import sign
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.engine import Options
from catalogsync.integrations.inform import Receiver
from catalogsync.state import HasOutbox
from catalogsync.testing import serve
from catalogsync.testing.medusa import fake_medusa

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "whsec_c3RvcmVmcm9udC1zZWNyZXQtMDEyMzQ1Njc="
CACHE = """
import { appendFileSync } from "node:fs";
function note(...call) {
  if (process.env.BROKEN) throw new Error("broken");
  appendFileSync(process.env.CALLS, JSON.stringify(call) + "\\n");
}
export const revalidateTag = (...given) => note("tag", ...given);
export const revalidatePath = (...given) => note("path", ...given);
"""
needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="needs Node.js in the PATH"
)


def cup(id_: int, title: str) -> Product:
    return Product(key=ProductKey("pim", f"{id_}"), title=title)


def job(sink: Any, url: str, state: Any, *products: Product) -> Job:
    return Job(
        name="cups",
        source=as_source(products, name="pim"),
        sink=sink,
        state=state,
        options=Options(prune=Prune.DELETE, max_prune=50),
        inform={"it": Receiver(url=url, secret=SECRET)},
    )


@attrs.frozen
class Storefront:
    """A storefront: its address, and the file with the calls of `next/cache`."""

    url: str
    file: Path

    def calls(self) -> list[list[Any]]:
        """The calls since the last look."""
        lines = self.file.read_text().splitlines()
        self.file.write_text("")
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def nextjs(folder: Path, **environment: str) -> AsyncGenerator[Storefront]:
    """Run the route, in a copy of the example with the stand-in."""
    app, calls = folder / "app", folder / "calls"
    shutil.copytree(EXAMPLES / "nextjs", app)
    package = app / "node_modules" / "next"
    package.mkdir(parents=True)
    (package / "cache.js").write_text(CACHE)
    exports = {"type": "module", "exports": {"./cache": "./cache.js"}}
    (package / "package.json").write_text(json.dumps(exports))
    calls.write_text("")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(Path(__file__).with_name("nextjs_server.mjs")),
        str(app / "app" / "api" / "catalog" / "route.js"),
        env={"CALLS": str(calls), **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield Storefront(f"http://127.0.0.1:{port}/api/catalog", calls)
    finally:
        process.terminate()
        await process.wait()


@needs_node
async def test_nextjs_expires_the_pages_of_written_products(tmp_path: Path) -> None:
    """From a Medusa store, with the handles that it has."""
    now = {"expire": 0}
    async with (
        nextjs(tmp_path, STOREFRONT_SECRET=SECRET) as front,
        fake_medusa() as store,
        StateSettings().open() as state,
    ):
        sink = MedusaSettings(url=store.url, email=store.email, password=store.password)
        await job(sink, front.url, state, cup(1, "Cup"), cup(2, "Bowl")).run()
        found = front.calls()
        handles = {call[1].removeprefix("/products/") for call in found[2::3]}
        assert len(handles) == 2
        assert found[:3] == [
            ["tag", "products", now],
            ["tag", f"product-{found[2][1].removeprefix('/products/')}", now],
            ["path", found[2][1]],
        ]
        await job(sink, front.url, state, cup(1, "New"), cup(2, "Bowl")).run()
        (tag, path) = front.calls()
        assert tag[1].removeprefix("product-") in handles
        assert path == ["path", f"/products/{tag[1].removeprefix('product-')}"]
        for _ in range(2):
            await job(sink, front.url, state, cup(1, "New")).run()
        (everything, _, gone) = front.calls()
        assert everything == ["tag", "products", now]
        assert {gone[1], path[1]} == {f"/products/{handle}" for handle in handles}


@needs_node
async def test_nextjs_without_handles_expires_the_lists(tmp_path: Path) -> None:
    sink = SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db")
    async with (
        nextjs(tmp_path, STOREFRONT_SECRET=SECRET) as front,
        StateSettings().open() as state,
    ):
        await job(sink, front.url, state, cup(1, "Cup")).run()
        assert front.calls() == [["tag", "products", {"expire": 0}]]


@needs_node
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"STOREFRONT_SECRET": SECRET, "BROKEN": "1"}, id="an error"),
        pytest.param({}, id="no secret"),
        pytest.param({"STOREFRONT_SECRET": f"whsec_{'A' * 32}"}, id="another secret"),
    ],
)
async def test_nextjs_accepts_nothing_that_it_has_not_done(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    sink = SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db")
    async with (
        nextjs(tmp_path, **environment) as front,
        StateSettings().open() as state,
    ):
        await job(sink, front.url, state, cup(1, "Cup")).run()
        assert isinstance(state, HasOutbox)
        (message,) = await state.outbox.messages("cups")
        assert message.attempts == 1
        assert front.calls() == []


@needs_node
async def test_nextjs_refuses_what_is_not_signed(tmp_path: Path) -> None:
    body = json.dumps({"type": "products.written", "data": {"products": []}}).encode()
    good = sign(SECRET, body, call_id="msg_1")
    old = sign(SECRET, body, call_id="msg_1", at=time.time() - 3600)
    other = sign(f"whsec_{'A' * 32}", body, call_id="msg_1")
    rotated = f"v1a,x v1, {other['webhook-signature']} {good['webhook-signature']}"
    cases: list[tuple[int, dict[str, str], bytes]] = [
        (204, good, body),
        (204, {**good, "webhook-signature": rotated}, body),
        (401, {**good, "webhook-id": "msg_2"}, body),
        (401, good, body + b" "),
        (401, old, body),
        (401, other, body),
        (401, {**good, "webhook-signature": ""}, body),
        (401, {**good, "webhook-timestamp": "soon"}, body),
        (401, {}, body),
    ]
    async with (
        nextjs(tmp_path, STOREFRONT_SECRET=SECRET) as front,
        aiohttp.ClientSession() as session,
    ):
        for status, headers, sent in cases:
            async with session.post(front.url, data=sent, headers=headers) as answer:
                assert answer.status == status, headers


@attrs.define
class Meilisearch:
    """The two calls of a Meilisearch server that the example needs."""

    documents: dict[str, dict[str, Any]] = attrs.field(
        factory=dict[str, dict[str, Any]]
    )
    broken: bool = False

    async def upsert(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=503)
        for document in await request.json():
            self.documents[document["id"]] = document
        return web.json_response({"taskUid": 1}, status=202)

    async def delete(self, request: web.Request) -> web.Response:
        for id_ in await request.json():
            self.documents.pop(id_, None)
        return web.json_response({"taskUid": 2}, status=202)

    @property
    def titles(self) -> list[str]:
        return sorted(each["title"] for each in self.documents.values())

    def app(self) -> web.Application:
        app = web.Application()
        path = "/indexes/products/documents"
        app.router.add_post(path, self.upsert)
        app.router.add_post(f"{path}/delete-batch", self.delete)
        return app


@asynccontextmanager
async def search(folder: Path, index: Meilisearch) -> AsyncGenerator[str]:
    """The address of the example, beside a search server."""
    pytest.importorskip("standardwebhooks")
    from examples import search_index

    catalog = str(folder / "catalog.db")
    async with serve(index.app()) as url:
        app = search_index.app(secret=SECRET, catalog=catalog, index=url)
        async with serve(app) as address:
            yield f"{address}/catalog"


async def test_the_search_index_follows_the_catalog(tmp_path: Path) -> None:
    """Created, changed and removed products; repeated messages do no harm."""
    index = Meilisearch()
    sink = SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db")
    async with search(tmp_path, index) as url, StateSettings().open() as state:
        await job(sink, url, state, cup(1, "Cup"), cup(2, "Bowl")).run()
        assert index.titles == ["Bowl", "Cup"]
        await job(sink, url, state, cup(1, "Mug"), cup(2, "Bowl")).run()
        assert index.titles == ["Bowl", "Mug"]
        for _ in range(2):
            await job(sink, url, state, cup(2, "Bowl")).run()
        assert index.titles == ["Bowl"]


async def test_the_search_index_catches_up_after_a_failure(tmp_path: Path) -> None:
    index = Meilisearch(broken=True)
    sink = SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db")
    async with search(tmp_path, index) as url, StateSettings().open() as state:
        await job(sink, url, state, cup(1, "Cup")).run()
        assert isinstance(state, HasOutbox)
        (message,) = await state.outbox.messages("cups")
        assert message.problem == "HTTP 500"
        index.broken = False
        await state.outbox.postpone(message.id, wait=-1, problem="")
        await job(sink, url, state, cup(1, "Cup")).run()
        assert index.titles == ["Cup"]


async def test_the_search_index_omits_unpublished_products(tmp_path: Path) -> None:
    index = Meilisearch()
    sink = SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db")
    async with search(tmp_path, index) as url, StateSettings().open() as state:
        await job(sink, url, state, cup(1, "Cup")).run()
        with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
            connection.execute("UPDATE product SET status = 'draft'")
            connection.commit()
        await job(sink, url, state, cup(1, "Mug")).run()
        assert index.titles == []


async def test_the_search_index_refuses_what_is_not_signed(tmp_path: Path) -> None:
    async with (
        search(tmp_path, Meilisearch()) as url,
        aiohttp.ClientSession() as session,
        session.post(url, data=b"{}") as answer,
    ):
        assert answer.status == 401
