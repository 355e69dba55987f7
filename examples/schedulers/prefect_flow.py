"""catalogsync in Prefect 3: `python prefect_flow.py` serves the flow on its schedule.

Time limit:  after `LIMIT` seconds the run ends the batches in flight, and what is left
    is for the next one. Prefect's own `timeout_seconds`, which cancels, is later.
Outcome:     degraded (some products failed) is a completed flow with a state of its own
    name: a retry would fail on the same products. A person looks at
    `catalogsync failures products`; an automation on the name `Degraded` tells them.
Retries:     incomplete, or a side that was down, is tried twice more, after five
    minutes. Not sooner: within a minute of a killed run its lease still stands, and
    the retry would be skipped. So is a wrong setting, which does no harm.
Overlap:     `limit` keeps this program from it; against others, the lease of the run
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
