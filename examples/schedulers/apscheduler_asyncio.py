"""catalogsync in APScheduler 3, in a program with an event loop.

The run is a coroutine on the host's own loop; nothing blocks it.

Time limit:  APScheduler has none. After `LIMIT` seconds the run ends the batches in
    flight, and what is left is for the next one.
Outcome:     degraded (some products failed) is logged, for a person to look at.
    Incomplete raises, and APScheduler logs it.
Retries:     none here, and none needed: the next run goes on.
Overlap:     APScheduler starts no second one (`max_instances` is 1); against other
    processes, the lease of the state store skips it.
SIGTERM:     the run at work is cancelled, promptly. What it wrote stays, and the next
    run goes on. `examples/embedding.py` shows how to end it in order instead.

Needs `apscheduler` 3 and `catalogsync[sql]`. 4 is another library.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from catalogsync import load_config

CONFIG = Path(__file__).with_name("catalogsync.toml")
EVERY = float(os.environ.get("SYNC_EVERY", "3600"))
LIMIT = 3000

log = logging.getLogger(__name__)


async def sync() -> None:
    async with load_config(CONFIG).job("products").start() as run:
        asyncio.get_running_loop().call_later(LIMIT, run.stop)
        report = await run.report()
    report.raise_for_status(accept_degraded=True)
    log.log(logging.INFO if report.status == "succeeded" else logging.WARNING, report)


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    closing = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, closing.set)
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(
        sync,
        "interval",
        seconds=EVERY,
        coalesce=True,  # times that were missed are made up for once
        misfire_grace_time=None,  # however late it is
    )
    scheduler.start()
    await closing.wait()
    scheduler.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
