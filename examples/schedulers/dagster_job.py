"""catalogsync in Dagster: a job and its schedule, for `dagster dev -f dagster_job.py`.

Time limit:  after `LIMIT` seconds the run ends the batches in flight, and what is left
    is for the next one. Dagster's own (the tag `dagster/max_runtime`, for instances
    with run monitoring), which terminates, is later.
Outcome:     degraded (some products failed) fails for good: a retry would fail on the
    same products. A person looks at `catalogsync failures products`.
Retries:     incomplete, or a side that was down, is tried twice more, after five
    minutes. Not sooner: within a minute of a killed run its lease still stands, and
    the retry would be skipped. A wrong setting is not tried again.
Overlap:     Dagster starts a run although the one before is at work; the lease of the
    state store skips it.

Needs `dagster`, `dagster-webserver` and `catalogsync[sql]`.
"""

# Without `from __future__ import annotations`: Dagster reads those of an op.

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
