"""catalogsync in Prefect 3: `python prefect_flow.py` serves the flow on its schedule.

Time limit:  after `LIMIT` seconds the run finishes the batches in flight and leaves the
    rest to the next run. Prefect's own `timeout_seconds`, which cancels the flow,
    comes later.
Outcome:     degraded (some products failed) completes the flow in a state named
    `Degraded`: a retry would fail on the same products. An automation on that state can
    notify somebody; `catalogsync failures products` shows the products.
Retries:     an incomplete run, or a side that was down, is retried twice, after five
    minutes. Not sooner: the lease of a killed run lasts a minute, and a retry within
    that minute would be skipped. A wrong setting is retried too, which does no harm.
Overlap:     `limit` prevents it within this program; elsewhere, the lease in the state
    store skips the second run.

Needs `prefect` 3, `catalogsync[sql]` and a Prefect server (`PREFECT_API_URL`).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from prefect import flow
from prefect.states import Completed, State

from catalogsync import load_config

CONFIG = Path(__file__).with_name("catalogsync.toml")
EVERY = float(os.environ.get("SYNC_EVERY", "3600"))
LIMIT = 3000


@flow(
    name="catalogsync",
    retries=2,
    retry_delay_seconds=300,
    timeout_seconds=LIMIT + 120,
)
async def products() -> State:
    async with load_config(CONFIG).job("products").start() as run:
        asyncio.get_running_loop().call_later(LIMIT, run.stop)
        report = await run.report()
    report.raise_for_status(accept_degraded=True)
    return Completed(name=report.status.capitalize(), message=report.summary)


if __name__ == "__main__":
    products.serve(name="products", interval=EVERY, limit=1)
