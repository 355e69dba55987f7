"""dlt: a pipeline whose destination function sends the requests of the script."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.common.schema import TTableSchema
from dlt.common.typing import TDataItems
from dlt.sources.helpers.requests import Session

from .shop import Json, Shop, Steps


async def work(job: Json) -> Json:
    """Create everything, or find everything unchanged."""
    with tempfile.TemporaryDirectory(prefix="catalogsync-bench-") as folder:
        return _run(job, folder)


def _run(job: Json, folder: str) -> Json:
    shop = Shop(job)
    session: Any = Session()
    _take(session, shop, shop.login())
    taken = [0, 0]

    @dlt.destination(
        batch_size=job["batch_size"],
        loader_file_format="typed-jsonl",
        name="store",
        naming_convention="direct",
        max_table_nesting=0,
        skip_dlt_columns_and_tables=True,
    )
    def store(items: TDataItems, table: TTableSchema) -> None:
        taken[0] += len(items)
        taken[1] += _take(session, shop, shop.batch(items))

    pipeline: Any = dlt.pipeline("benchmark", pipelines_dir=folder, destination=store)
    pipeline.run(
        _pages(session, job), table_name="products", write_disposition="append"
    ).raise_on_failed_jobs()
    products, done = taken
    assert 0 < products == done, f"{done} of {products} {job['expect']}"
    return {"products": products}


def _pages(session: Any, job: Json) -> Iterator[list[Json]]:
    skip, total = 0, 1
    while skip < total:
        asked = {"limit": job["page_size"], "skip": skip}
        page: Json = session.get(f"{job['source']}/products", params=asked).json()
        yield page["products"]
        skip, total = skip + len(page["products"]), page["total"]


def _take(session: Any, shop: Shop, steps: Steps) -> int:
    answer: Json | None = None
    while True:
        try:
            method, path, body = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            return int(end.value)
        url = shop.job["url"] + path
        response = session.request(method, url, json=body, headers=shop.headers)
        response.raise_for_status()
        answer = response.json()
