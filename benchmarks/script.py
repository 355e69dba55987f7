"""The script that people write today: no repeating, no last-applied states.

It fetches pages while it posts batches. An unchanged run reads both sides, compares
them and writes nothing.
"""

from __future__ import annotations

import asyncio

import aiohttp

from .shop import Json, Shop, Steps


async def work(job: Json) -> Json:
    """Create everything, or find everything unchanged."""
    shop = Shop(job)
    async with aiohttp.ClientSession() as session:
        batches = asyncio.Queue[list[Json]](maxsize=2)
        products = done = 0
        async with asyncio.TaskGroup() as group:
            group.create_task(_fetch(session, job, batches))
            await _take(session, shop, shop.login())
            while batch := await batches.get():
                products += len(batch)
                done += await _take(session, shop, shop.batch(batch))
    assert done == products, f"{done} of {products} {job['expect']}"
    return {"products": products}


async def _fetch(
    session: aiohttp.ClientSession, job: Json, batches: asyncio.Queue[list[Json]]
) -> None:
    """Put batches into the queue; an empty one ends them."""
    skip, total = 0, 1
    records: list[Json] = []
    while skip < total:
        url = f"{job['source']}/products?limit={job['page_size']}&skip={skip}"
        async with session.get(url) as response:
            page = await response.json()
        records += page["products"]
        skip, total = skip + len(page["products"]), page["total"]
        while len(records) >= job["batch_size"] or (records and skip >= total):
            await batches.put(records[: job["batch_size"]])
            del records[: job["batch_size"]]
    await batches.put([])


async def _take(session: aiohttp.ClientSession, shop: Shop, steps: Steps) -> int:
    answer: Json | None = None
    while True:
        try:
            method, path, body = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            return int(end.value)
        async with session.request(
            method, shop.job["url"] + path, json=body, headers=shop.headers
        ) as response:
            response.raise_for_status()
            answer = await response.json()
