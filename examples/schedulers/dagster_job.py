"""catalogsync in Dagster: a job and its schedule, for `dagster dev -f dagster_job.py`.

Time limit:  after `LIMIT` seconds the run finishes the batches in flight and leaves the
    rest to the next run. Dagster's own (the tag `dagster/max_runtime`, on
    instances with run monitoring), which terminates the run, comes later.
Outcome:     degraded (some products failed) fails without a retry, which would fail on
    the same products. Run `catalogsync failures products` to see them.
Retries:     an incomplete run, or a side that was down, is retried twice, after five
    minutes. Not sooner: the lease of a killed run lasts a minute, and a retry within
    that minute would be skipped. A wrong setting is not retried.
Overlap:     Dagster starts a run even if the previous one is still running; the lease
    in the state store skips it.

Needs `dagster`, `dagster-webserver` and `catalogsync[sql]`.
"""

# No `from __future__ import annotations`: Dagster reads an op's annotations at run time.

import asyncio
import os
from pathlib import Path

from dagster import (
    DefaultScheduleStatus,
    Definitions,
    Failure,
    OpExecutionContext,
    RetryPolicy,
    ScheduleDefinition,
    job,
    op,
)

from catalogsync import MisconfiguredError, Report, load_config

CONFIG = Path(__file__).with_name("catalogsync.toml")
CRON = os.environ.get("SYNC_CRON", "0 3 * * *")
LIMIT = 3000


async def run() -> Report:
    async with load_config(CONFIG).job("products").start() as run:
        asyncio.get_running_loop().call_later(LIMIT, run.stop)
        return await run.report()


@op(retry_policy=RetryPolicy(max_retries=2, delay=300))
def products(context: OpExecutionContext) -> None:
    try:
        report = asyncio.run(run())
    except MisconfiguredError as error:
        raise Failure(str(error), allow_retries=False) from error
    if report.status == "degraded":
        raise Failure(str(report), allow_retries=False)
    context.log.info(report.raise_for_status().summary)


@job(tags={"dagster/max_runtime": LIMIT + 120})
def catalogsync() -> None:
    products()


schedule = ScheduleDefinition(
    job=catalogsync,
    cron_schedule=CRON,
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
definitions = Definitions(jobs=[catalogsync], schedules=[schedule])
