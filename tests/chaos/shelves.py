"""The sinks that are put to the test, and ways around the library to look at them."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import attrs

from catalogsync import Sink
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.http._client import HttpOptions

from .things import NOTE, TAG, Found, existing_by_medusa, existing_by_sql

SHOWN = (
    "id,external_id,handle,title,description,status,thumbnail,metadata,images.url,"
    "images.rank,tags.id,tags.value,categories.name,variants.id,variants.sku,"
    "variants.prices.id,variants.prices.amount,variants.prices.currency_code,"
    "variants.inventory_items.inventory_item_id,"
    "variants.inventory_items.inventory.location_levels.stocked_quantity"
)
_ALL = (
    f"{SHOWN},weight,length,width,height,sales_channels.name,shipping_profile.name,"
    "options.title,options.values.value,variants.title,variants.barcode,"
    "variants.metadata,variants.manage_inventory,variants.options.value,"
    "variants.inventory_items.required_quantity,"
    "variants.inventory_items.inventory.sku"
)
STRANGER = "A stranger"


class Shelf(Protocol):
    """A sink, and people who work in it."""

    def open(self, timeout: float = 60) -> AbstractAsyncContextManager[Sink]:
        """Open it as the library does."""
        ...

    async def put_stranger(self) -> None:
        """Somebody adds a product of their own."""
        ...

    async def edit(self, key: str) -> None:
        """A person adds a tag, a price in euros and a note to a product of ours."""
        ...

    async def existing(self) -> Found:
        """Everything that is there."""
        ...


@attrs.frozen
class MedusaShelf:
    """A Medusa store, fake or real, seen through its Admin API."""

    url: str
    email: str
    password: str
    admin: aiohttp.ClientSession

    @asynccontextmanager
    async def open(self, timeout: float = 60) -> AsyncIterator[Sink]:  # noqa: ASYNC109
        settings = MedusaSettings(
            url=self.url,
            email=self.email,
            password=self.password,
            http=HttpOptions(timeout=timeout),
        )
        async with settings.open() as sink:
            yield sink

    async def put_stranger(self) -> None:
        await self._post(
            "products",
            {
                "title": STRANGER,
                "options": [{"title": "Size", "values": ["One"]}],
                "variants": [
                    {
                        "title": "One",
                        "options": {"Size": "One"},
                        "prices": [{"amount": 3.5, "currency_code": "usd"}],
                    }
                ],
            },
        )

    async def edit(self, key: str) -> None:
        query = f"external_id={key}&fields={SHOWN}"
        (raw,) = (await self._get(f"products?{query}"))["products"]
        tag = (await self._post("product-tags", {"value": TAG}))["product_tag"]
        prices = [
            {"id": price["id"], "amount": price["amount"], "currency_code": "usd"}
            for price in raw["variants"][0]["prices"]
        ]
        path = f"products/{raw['id']}"
        await self._post(
            f"{path}/variants/{raw['variants'][0]['id']}",
            {"prices": [*prices, {"amount": 7.5, "currency_code": "eur"}]},
        )
        tags = [{"id": each["id"]} for each in (*raw["tags"], tag)]
        await self._post(path, {"tags": tags, "metadata": {NOTE: "by hand"}})

    async def existing(self) -> Found:
        query = f"limit=100000&fields={SHOWN}"
        products = await self._get(f"products?{query}")
        query = "limit=100000&fields=name,external_id"
        categories = await self._get(f"product-categories?{query}")
        return existing_by_medusa(
            products["products"], categories["product_categories"]
        )

    async def all(self) -> dict[str, Any]:
        """Everything in the shop, without ids and times.

        Products by key, and the SKUs of the inventory items.
        """
        query = f"limit=100000&fields={_ALL}"
        products = (await self._get(f"products?{query}"))["products"]
        items = await self._get("inventory-items?limit=100000&fields=sku")
        return {
            "products": {raw["external_id"]: _bare(raw) for raw in products},
            "items": sorted(item["sku"] for item in items["inventory_items"]),
        }

    async def _get(self, path: str) -> Any:
        async with self.admin.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        async with self.admin.post(path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


def _bare(value: Any) -> Any:
    """A row without ids and times, and with its lists sorted."""
    if isinstance(value, list):
        return sorted(map(_bare, value), key=repr)
    if isinstance(value, dict):
        return {n: _bare(value[n]) for n in sorted(value) if not _is_generated(n)}
    return value


def _is_generated(name: str) -> bool:
    """Ids and times, and the last-applied state, which holds digests of ids."""
    if name in {"id", "catalogsync"} or name.endswith("_at"):
        return True
    return name.endswith("_id") and name not in {"external_id", "catalogsync_id"}


@asynccontextmanager
async def medusa_shelf(server: Any, url: str = "") -> AsyncIterator[MedusaShelf]:
    """A store, and an admin of it.

    Args:
        server: What knows its address and login.
        url: Where the library is to find it, if that is elsewhere.
    """
    token = b64encode(f"{server.api_key}:".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    async with aiohttp.ClientSession(f"{server.url}/admin/", headers=headers) as admin:
        yield MedusaShelf(url or server.url, server.email, server.password, admin)


@attrs.frozen
class SqlShelf:
    """A SQLite file."""

    file: Path

    @asynccontextmanager
    async def open(self, timeout: float = 60) -> AsyncIterator[Sink]:  # noqa: ASYNC109
        settings = SQLSettings(url=f"sqlite:///{self.file}", timeout=timeout)
        async with settings.open() as sink:
            yield sink

    async def put_stranger(self) -> None:
        self._execute("INSERT INTO product (title) VALUES (?)", STRANGER)

    async def edit(self, key: str) -> None:
        of_it = "(SELECT id FROM product WHERE source || ':' || source_id = ?)"
        note = f"json_set(coalesce(attributes, '{{}}'), '$.{NOTE}', 'by hand')"
        self._execute(f"UPDATE product SET attributes = {note} WHERE id = {of_it}", key)
        self._execute("INSERT OR IGNORE INTO tag (text) VALUES (?)", TAG)
        self._execute(
            f"INSERT INTO product_tag SELECT {of_it}, id FROM tag WHERE text = ?",
            key,
            TAG,
        )
        self._execute(
            "INSERT INTO price (variant_id, currency, amount)"
            f" SELECT min(id), 'EUR', '7.5' FROM variant WHERE product_id = {of_it}",
            key,
        )

    async def existing(self) -> Found:
        return existing_by_sql(self.file)

    def _execute(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute(statement, values)
