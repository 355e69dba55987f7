"""catalogsync in APScheduler 3, in a program without an event loop.

Time limit:  APScheduler has none. After `LIMIT` seconds the run ends the batches in
    flight, and what is left is for the next one.
Outcome:     degraded (some products failed) is logged, for a person to look at.
    Incomplete raises, and APScheduler logs it.
Retries:     none here, and none needed: the next run goes on.
Overlap:     APScheduler starts no second one (`max_instances` is 1); against other
    processes, the lease of the state store skips it.
SIGTERM:     no further run begins, and the program ends with the one at work.

Needs `apscheduler` 3 and `catalogsync[sql]`. 4 is another library.
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
        coalesce=True,  # times that were missed are made up for once
        misfire_grace_time=None,  # however late it is
    )
    try:
        scheduler.start()
    finally:
        scheduler.shutdown()


if __name__ == "__main__":
    main()
