"""catalogsync in APScheduler 3, in a program without an event loop.

Time limit:  APScheduler has none. After `LIMIT` seconds the run finishes the batches in
    flight and leaves the rest to the next run.
Outcome:     degraded (some products failed) is logged as a warning. Incomplete raises,
    and APScheduler logs the error.
Retries:     none here, and none needed: the next run continues.
Overlap:     APScheduler starts no second run (`max_instances` is 1); in other
    processes, the lease in the state store skips it.
SIGTERM:     no further run starts, and the program exits after the current one.

Needs `apscheduler` 3 (version 4 has a different API) and `catalogsync[sql]`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from apscheduler.schedulers.blocking import BlockingScheduler

from catalogsync import Report, load_config

CONFIG = Path(__file__).with_name("catalogsync.toml")
EVERY = float(os.environ.get("SYNC_EVERY", "3600"))
LIMIT = 3000

log = logging.getLogger(__name__)


async def run() -> Report:
    async with load_config(CONFIG).job("products").start() as run:
        asyncio.get_running_loop().call_later(LIMIT, run.stop)
        return await run.report()


def sync() -> None:
    report = asyncio.run(run())
    report.raise_for_status(accept_degraded=True)
    log.log(logging.INFO if report.status == "succeeded" else logging.WARNING, report)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    scheduler = BlockingScheduler(timezone="UTC")
    scheduler.add_job(
        sync,
        "interval",
        seconds=EVERY,
        coalesce=True,  # one run replaces all missed ones
        misfire_grace_time=None,  # no matter how late
    )
    try:
        scheduler.start()
    finally:
        scheduler.shutdown()


if __name__ == "__main__":
    main()
