"""Processes that are killed while they write and inform: no receiver misses a change."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import attrs
import pytest
from aiohttp import web

from catalogsync import StateSettings
from catalogsync.integrations.inform import Informer, Receiver
from catalogsync.state import HasOutbox
from catalogsync.testing import serve

SECRET = "whsec_a2lsbGVkLXNlY3JldC0wMTIzNDU2Nzg5"
CHILD = """
import asyncio, json, os, signal, sqlite3, sys

from catalogsync import Job, Options, Product, ProductKey, StateSettings, as_source
from catalogsync.adapters.sql import SQLSettings
from catalogsync.integrations.inform import Receiver

folder, url, secret, titles, dies_at = sys.argv[1:]
left = int(dies_at)

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def watched(*given, connect=sqlite3.connect, **settings):
    connection = connect(*given, **settings)
    connection.set_trace_callback(count)
    return connection

sqlite3.connect = sqlite3.dbapi2.connect = watched
products = [
    Product(key=ProductKey("pim", id_), title=title)
    for id_, title in json.loads(titles).items()
]
job = Job(
    name="j",
    source=as_source(products, name="pim"),
    sink=SQLSettings(url=f"sqlite:///{folder}/catalog.db"),
    state=StateSettings(url=f"sqlite:///{folder}/state.db"),
    options=Options(batch_size=3, prune="delete", max_prune=50, grace=0),
    inform={"it": Receiver(url=url, secret=secret)},
)
asyncio.run(job.run())
"""


@attrs.define
class Cache:
    """A receiver that reads each listed product again.

    Attributes:
        catalog: The file of the sink.
        url: Its address.
        titles: Titles by key.
    """

    catalog: Path
    url: str = ""
    titles: dict[str, str] = attrs.field(factory=dict[str, str])

    async def handle(self, request: web.Request) -> web.Response:
        message = json.loads(await request.read())
        current = self.current()
        for product in message["data"]["products"]:
            self.titles.pop(product["key"], None)
            if product["key"] in current:
                self.titles[product["key"]] = current[product["key"]]
        return web.Response()

    def current(self) -> Mapping[str, str]:
        """The titles in the sink."""
        with closing(sqlite3.connect(self.catalog)) as connection:
            rows = connection.execute("SELECT source, source_id, title FROM product")
            return {f"{source}:{id_}": title for source, id_, title in rows}


@asynccontextmanager
async def listening(folder: Path) -> AsyncGenerator[Cache]:
    cache, app = Cache(folder / "catalog.db"), web.Application()
    app.router.add_post("/", cache.handle)
    async with serve(app) as url:
        cache.url = url
        yield cache


async def run(
    folder: Path, cache: Cache, titles: Mapping[str, str], dies_at: int = 0
) -> bool:
    """A run in a process of its own; whether it was killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD),
        *(str(folder), cache.url, SECRET, json.dumps(titles), f"{dies_at}"),
    )
    status = await process.wait()
    assert status in {0, -9}
    return status == -9


async def deliver_rest(folder: Path, cache: Cache) -> None:
    """Deliver what a killed process holds, as if its time were over."""
    async with StateSettings(url=f"sqlite:///{folder}/state.db").open() as store:
        assert isinstance(store, HasOutbox)
        outbox = store.outbox
        for message in await outbox.messages("j"):
            await outbox.postpone(message.id, wait=-1, problem="")
        receivers = {"it": Receiver(url=cache.url, secret=SECRET)}
        await Informer(job="j", receivers=receivers, outbox=outbox).deliver(within=30)
        assert await outbox.messages("j") == []
        assert await outbox.unconfirmed("j", f"sqlite:///{cache.catalog}") == []


@pytest.mark.parametrize("moment", range(5))
async def test_killed_before_any_statement(moment: int, tmp_path: Path) -> None:
    """Of the sink or the state store: creations, updates and removals."""
    first = {f"{n}": f"Cup {n}" for n in range(8)}
    second = {id_: f"New {id_}" for id_ in first if id_ < "6"} | {"9": "Bowl"}
    async with listening(tmp_path) as cache:
        for titles, start, step in ((first, 150, 40), (second, 50, 30)):
            assert await run(tmp_path, cache, titles, start + step * moment)
            for _ in range(2):  # a removal needs two runs
                assert not await run(tmp_path, cache, titles)
            await deliver_rest(tmp_path, cache)
            assert cache.titles == cache.current()
            assert {*cache.titles.values()} == {*titles.values()}
