"""The script that people write today: no comparing, no repeating, no last-applied states.

It fetches pages, maps records and posts batches. Categories, tags and stock levels
are written as well, so that the store ends up with the same products.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import aiohttp

Json = dict[str, Any]


async def work(job: Json) -> Json:
    """Copy everything."""
    async with aiohttp.ClientSession() as session:
        records = asyncio.Queue[Json | None](maxsize=2 * job["batch_size"])
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch(session, job, records))
            products = await _Writer(session, job).write(records)
    return {"products": products}


async def fetch(
    session: aiohttp.ClientSession, job: Json, records: asyncio.Queue[Json | None]
) -> None:
    skip, total = 0, 1
    while skip < total:
        url = f"{job['source']}/products?limit={job['page_size']}&skip={skip}"
        async with session.get(url) as response:
            page = await response.json()
        for record in page["products"]:
            await records.put(record)
        skip, total = skip + len(page["products"]), page["total"]
    await records.put(None)


class _Writer:
    def __init__(self, session: aiohttp.ClientSession, job: Json) -> None:
        self.session, self.job = session, job
        self.headers: dict[str, str] = {}
        self.ids: dict[tuple[str, str], str] = {}
        self.option: Json = {}

    async def post(self, path: str, body: Json) -> Json:
        url = self.job["url"] + path
        async with self.session.post(url, json=body, headers=self.headers) as response:
            response.raise_for_status()
            answer: Json = await response.json()
            return answer

    async def write(self, records: asyncio.Queue[Json | None]) -> int:
        login = {name: self.job[name] for name in ("email", "password")}
        token = (await self.post("/auth/user/emailpass", login))["token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        option = await self.post(
            "/admin/product-options", {"title": "Title", "values": ["Default"]}
        )
        values = [value["id"] for value in option["product_option"]["values"]]
        self.option = {"id": option["product_option"]["id"], "value_ids": values}
        batch: list[Json] = []
        written = 0
        while (record := await records.get()) is not None:
            batch.append(record)
            if len(batch) == self.job["batch_size"]:
                written += await self.create(batch)
                batch = []
        return written + (await self.create(batch) if batch else 0)

    async def create(self, records: list[Json]) -> int:
        await self.ensure("category", "name", {r["category"] for r in records})
        await self.ensure("tag", "value", {t for r in records for t in r["tags"]})
        fields = "fields=id,external_id,variants.inventory_items.inventory_item_id"
        bodies = [self.product(record) for record in records]
        answer = await self.post(f"/admin/products/batch?{fields}", {"create": bodies})
        stock = {f"dummyjson:{record['id']}": record["stock"] for record in records}
        levels = [
            {
                "inventory_item_id": item["inventory_item_id"],
                "location_id": self.job["stock_location_id"],
                "stocked_quantity": stock[product["external_id"]],
            }
            for product in answer["created"]
            for variant in product["variants"]
            for item in variant["inventory_items"]
        ]
        path = "/admin/inventory-items/location-levels/batch"
        await self.post(path, {"create": levels})
        return len(records)

    async def ensure(self, kind: str, name: str, values: Iterable[str]) -> None:
        paths = {"category": "product-categories", "tag": "product-tags"}
        for value in sorted(values):
            if (kind, value) not in self.ids:
                body = {name: value, **({"is_active": True} if kind != "tag" else {})}
                answer = await self.post(f"/admin/{paths[kind]}", body)
                self.ids[kind, value] = answer[f"product_{kind}"]["id"]

    def product(self, record: Json) -> Json:
        slug = re.sub(r"[^a-z0-9]+", "-", record["title"].lower()).strip("-")
        size = record["dimensions"]
        names = ("brand", "rating", "warrantyInformation", "shippingInformation")
        return {
            "title": record["title"],
            "handle": f"{slug}-{record['id']}",
            "external_id": f"dummyjson:{record['id']}",
            "description": record["description"],
            "status": "published",
            "thumbnail": record["thumbnail"],
            "images": [{"url": url} for url in record["images"]],
            "categories": [{"id": self.ids["category", record["category"]]}],
            "tags": [{"id": self.ids["tag", tag]} for tag in record["tags"]],
            "weight": record["weight"],
            "length": size["depth"],
            "width": size["width"],
            "height": size["height"],
            "sales_channels": [{"id": self.job["sales_channel_id"]}],
            "shipping_profile_id": self.job["shipping_profile_id"],
            "metadata": {name: record[name] for name in names if name in record},
            "options": [self.option],
            "variants": [
                {
                    "title": "Default",
                    "sku": record["sku"],
                    "barcode": record["meta"]["barcode"],
                    "options": {"Title": "Default"},
                    "manage_inventory": True,
                    "prices": [{"amount": record["price"], "currency_code": "usd"}],
                }
            ],
        }
