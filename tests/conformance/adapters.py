"""Our adapters, opened for the kit."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
from tests.adapters.api_runs import record, settings, things
from tests.adapters.xml_runs import settings as xml_settings

from catalogsync import (
    MemorySink,
    Product,
    ProductKey,
    Sink,
    Source,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.jsonl import JSONLSinkSettings, JSONLSourceSettings
from catalogsync.adapters.medusa import MedusaSettings, MedusaSourceSettings
from catalogsync.adapters.sql import SQLSettings, SQLSourceSettings
from catalogsync.adapters.table import TableSettings
from catalogsync.mapping import Expression, RecordMapping
from catalogsync.state import StateSettings
from catalogsync.state.protocols import StateStore
from catalogsync.testing import (
    FaultPlan,
    dummyjson_server,
    fake_medusa,
    generate_catalog,
)
from catalogsync.testing.api import APICredentials, APIStyle, fake_api
from catalogsync.testing.conformance import Setup, example
from catalogsync.testing.dummyjson import Records

KEYS = [ProductKey("kit", f"{number}") for number in range(7)]


async def list_of_products() -> AsyncIterator[Source]:
    """A list in memory."""
    yield as_source([example(key) for key in KEYS], name="kit", page_size=2)


async def dummyjson() -> AsyncIterator[Setup[Source]]:
    """A DummyJSON server, one of whose records is invalid."""
    records, faults = Records(generate_catalog(25)), FaultPlan()
    records[7]["title"] = None

    async def shift() -> None:
        del records[0]

    async with (
        dummyjson_server(records, faults=faults) as server,
        DummyJSONSettings(url=server.url, page_size=5).open() as source,
    ):
        yield Setup(source, faults=faults, shift=shift)


async def json_api() -> AsyncIterator[Setup[Source]]:
    """An API with bearer tokens, pages by offset, and one invalid record."""
    style, faults = APIStyle(auth="bearer", paging="offset"), FaultPlan()
    records = [*things(12), record(13, name=None)]

    async def shift() -> None:
        del api.records[0]

    async with (
        fake_api(records, style, faults=faults) as api,
        settings(api).open() as source,
    ):
        secrets = [APICredentials().token]
        yield Setup(source, faults=faults, shift=shift, secrets=secrets)


async def json_api_grouped() -> AsyncIterator[Setup[Source]]:
    """An API with a list of variants: those of a product are in different pages."""
    style, faults = APIStyle(paging="offset"), FaultPlan()
    mapping = RecordMapping(
        key=Expression(from_="product"),
        title=Expression(from_="name"),
        variant=Expression(from_="id"),
        options={"Number": Expression(from_="id")},
    )
    given = {"map": mapping, "grouped": True, "lookup": None, "lookup_item": None}
    records = [record(n, product=n % 5) for n in range(12)] + [record(12, product="")]
    records = [{**each, "name": f"Thing {each['product']}"} for each in records]
    async with (
        fake_api(records, style, faults=faults) as api,
        settings(api, 4, **given).open() as source,
    ):
        yield Setup(source, faults=faults)


async def table() -> AsyncIterator[Setup[Source]]:
    """A CSV file, one of whose rows is invalid."""
    rows = "".join(f"{n},Thing {n},S{n},{n}.50\n" for n in range(12))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "things.csv"
        file.write_text(f"id,name,sku,price\n{rows}13,,S13,1\n")
        map_ = RecordMapping(
            key=Expression(from_="id"),
            title=Expression(from_="name"),
            sku=Expression(from_="sku"),
            price=Expression(from_="price", currency="EUR"),
        )
        settings = TableSettings(
            location=str(file), name="table", map=map_, page_size=5
        )
        async with settings.open() as source:
            yield Setup(source)


async def xml() -> AsyncIterator[Setup[Source]]:
    """An XML file with one invalid record."""
    with TemporaryDirectory() as folder:
        file, names = Path(folder) / "feed.xml", ["Cup", "Pot", "", "Pan", "Jug"]
        items = (
            f'<item id="{n}"><name>{name}</name></item>' for n, name in enumerate(names)
        )
        file.write_text(f"<list>{''.join(items)}</list>", encoding="utf-8")
        async with xml_settings(file, page_size=2).open() as source:
            yield Setup(source)


async def jsonl_source() -> AsyncIterator[Setup[Source]]:
    """A file of lines, one of which is damaged."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "backup.jsonl"
        settings = JSONLSinkSettings(path=str(file))
        products = [example(key) for key in KEYS]
        async with settings.open() as sink:
            await sync(as_source(products, name="kit"), sink)
        file.write_bytes(file.read_bytes() + b'{"key":"kit:damaged"')
        opened = JSONLSourceSettings(path=str(file), name="kit", page_size=3).open()
        async with opened as source:
            yield Setup(source)


async def jsonl_sink() -> AsyncIterator[Setup[Sink]]:
    """A file that does not exist yet."""
    with TemporaryDirectory() as folder:
        settings = JSONLSinkSettings(path=f"{folder}/backup.jsonl")
        async with settings.open() as sink:
            yield Setup(sink)


async def sql_source(url: str = "") -> AsyncIterator[Setup[Source]]:
    """A table in SQLite, one of whose rows is invalid."""
    with TemporaryDirectory() as folder:
        settings = SQLSourceSettings(
            url=url or f"sqlite:///{folder}/erp.db",
            name="kit",
            query=f"SELECT * FROM (VALUES {_ROWS}) AS r",
            key="column1",
            page_size=3,
            map=RecordMapping(
                key=Expression(from_="column1"),
                title=Expression(from_="column2"),
                sku=Expression(from_="column2"),
            ),
        )
        with closing(sqlite3.connect(f"{folder}/erp.db")) as made:
            made.execute("CREATE TABLE unused (a)")
        async with settings.open() as source:
            yield Setup(source)


_ROWS = ", ".join(f"({n}, {'NULL' if n == 4 else n})" for n in range(9))


async def memory() -> AsyncIterator[Sink]:
    """A dictionary."""
    yield MemorySink()


async def sqlite_sink() -> AsyncIterator[Setup[Sink]]:
    """A SQLite file."""
    with TemporaryDirectory() as folder:
        settings = SQLSettings(url=f"sqlite:///{Path(folder)}/catalog.db")
        async with settings.open() as sink:
            yield Setup(sink, refused=too_many)


def too_many(key: ProductKey) -> Product:
    """A stock level that no column can hold."""
    stock = [StockLevel(quantity=2**63)]
    return Product(key=key, title="Sand", variants=[Variant(id="1", stock=stock)])


def _sku_twice(key: ProductKey) -> Product:
    """Two variants of one SKU, which Medusa refuses."""
    product = example(key)
    (only,) = product.variants or ()
    pair = [attrs.evolve(only, id=i, title=i, options={"Size": i}) for i in "SM"]
    return attrs.evolve(product, variants=pair)


@asynccontextmanager
async def medusa_setup(
    url: str, email: str, password: str, faults: FaultPlan | None = None
) -> AsyncGenerator[Setup[Sink]]:
    """A Medusa store."""
    async with MedusaSettings(url=url, email=email, password=password).open() as sink:
        yield Setup(sink, faults=faults, refused=_sku_twice, secrets=[password])


async def medusa_fake() -> AsyncIterator[Setup[Sink]]:
    """The fake Medusa."""
    faults = FaultPlan()
    async with (
        fake_medusa(faults=faults) as fake,
        medusa_setup(fake.url, fake.email, fake.password, faults) as setup,
    ):
        yield setup


async def medusa_source() -> AsyncIterator[Setup[Source]]:
    """The fake Medusa with products of ours, and one with a negative weight."""
    faults = FaultPlan()
    async with fake_medusa(faults=faults) as fake:
        login = {"url": fake.url, "email": fake.email, "password": fake.password}
        async with MedusaSettings(**login).open() as sink:
            await sync(as_source([example(key) for key in KEYS], name="kit"), sink)
            body = {
                "title": "Scale",
                "weight": -1,
                "options": [{"title": "a", "values": ["b"]}],
            }
            await sink.client.post("/admin/products", body)

        async def shift() -> None:
            query = "limit=1&order=id&fields=id"
            async with MedusaSettings(**login).open() as sink:
                (first,) = (await sink.client.get("/admin/products", query))["products"]
                await sink.client.delete(f"/admin/products/{first['id']}")

        settings = MedusaSourceSettings(**login, name="kit", page_size=3)
        async with settings.open() as source:
            secrets = [fake.password]
            yield Setup(source, faults=faults, shift=shift, secrets=secrets)


async def sqlite_state() -> AsyncIterator[StateStore]:
    """A state store in a SQLite file."""
    with TemporaryDirectory() as folder:
        settings = StateSettings(url=f"sqlite:///{Path(folder)}/runs.db")
        async with settings.open() as store:
            yield store


async def memory_state() -> AsyncIterator[StateStore]:
    """A state store in memory."""
    async with StateSettings().open() as store:
        yield store
