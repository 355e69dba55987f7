"""catalogsync in Celery: beat asks for a run when it is due, a worker carries it out.

    celery -A celery_beat beat
    celery -A celery_beat worker

Time limit:  after `LIMIT` seconds the run ends the batches in flight, and what is left
    is for the next one. Celery's own `time_limit`, which kills, is later.
Outcome:     degraded (some products failed) is a result, not an error: a retry would
    fail on the same products. A person looks at `catalogsync failures products`.
Retries:     incomplete, or a side that was down, is tried twice more, after five
    minutes. Not sooner: within a minute of a killed run its lease still stands, and
    the retry would be skipped. A wrong setting is not tried again.
Overlap:     if a task is delivered twice, or a run takes longer than the interval, the
    second one is skipped by the lease of the state store. A task that waited in the queue
    until the next one came is dropped (`expires`).
SIGTERM:     the worker takes no further task, and ends with the one at work.

Needs `celery[redis]` and `catalogsync[sql]`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from celery import Celery

from catalogsync import Report, RunFailedError, TransientError, load_config

CONFIG = Path(__file__).with_name("catalogsync.toml")
EVERY = float(os.environ.get("SYNC_EVERY", "3600"))
LIMIT = 3000

app = Celery(broker=os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.beat_schedule = {
    "products": {"task": "products", "schedule": EVERY, "options": {"expires": EVERY}}
}


async def run() -> Report:
    async with load_config(CONFIG).job("products").start() as run:
        asyncio.get_running_loop().call_later(LIMIT, run.stop)
        return await run.report()


@app.task(
    name="products",
    autoretry_for=(RunFailedError, TransientError),
    max_retries=2,
    default_retry_delay=300,
    time_limit=LIMIT + 120,
    ignore_result=True,
)
def products() -> str:
    report = asyncio.run(run())
    return report.raise_for_status(accept_degraded=True).summary
