"""catalogsync in Celery: beat queues a run when it is due, a worker executes it.

    celery -A celery_beat beat
    celery -A celery_beat worker

Time limit:  after `LIMIT` seconds the run finishes the batches in flight and leaves the
    rest to the next run. Celery's own `time_limit`, which kills the task,
    comes later.
Outcome:     degraded (some products failed) is a result, not an error: a retry would
    fail on the same products. Run `catalogsync failures products` to see them.
Retries:     an incomplete run, or a side that was down, is retried twice, after five
    minutes. Not sooner: the lease of a killed run lasts a minute, and a retry within
    that minute would be skipped. A wrong setting is not retried.
Overlap:     if a task is delivered twice, or a run takes longer than the interval, the
    lease in the state store skips the second run. A task that is still queued when the
    next one arrives is dropped (`expires`).
SIGTERM:     the worker accepts no further task, and exits after the current one.

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
