"""catalogsync in Airflow 3: put this file into the DAG folder, next to catalogsync.toml.

Time limit:  after `LIMIT` seconds the run finishes the batches in flight and leaves the
    rest to the next run. Airflow's own `execution_timeout`, which kills the task, comes
    later.
Outcome:     degraded (some products failed) fails the task without a retry, which would
    fail on the same products. Run `catalogsync failures products` to see them.
Retries:     an incomplete run, or a side that was down, is retried twice, after five
    minutes. Not sooner: the lease of a killed run lasts a minute, and a retry within
    that minute would be skipped. A wrong setting is not retried.
Overlap:     `max_active_runs` prevents it within this DAG; elsewhere, the lease in the
    state store skips the second run. A skipped run skips the task.

Needs `catalogsync[sql]` where tasks are executed. If its dependencies conflict with
yours, install it into a venv and call `catalogsync run products` in a `BashOperator`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from catalogsync import MisconfiguredError, Report, load_config

CONFIG = Path(__file__).with_name("catalogsync.toml")
EVERY = float(os.environ.get("SYNC_EVERY", "3600"))
LIMIT = 3000


async def run() -> Report:
    async with load_config(CONFIG).job("products").start() as run:
        asyncio.get_running_loop().call_later(LIMIT, run.stop)
        return await run.report()


@dag(
    schedule=dt.timedelta(seconds=EVERY),
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,  # one run replaces all missed ones
    max_active_runs=1,
)
def catalogsync() -> None:
    @task(
        retries=2,
        retry_delay=dt.timedelta(minutes=5),
        execution_timeout=dt.timedelta(seconds=LIMIT + 120),
    )
    def products() -> str:
        try:
            report = asyncio.run(run())
        except MisconfiguredError as error:
            raise AirflowFailException(str(error)) from error
        if report.status == "skipped":
            raise AirflowSkipException(str(report))
        if report.status == "degraded":
            raise AirflowFailException(str(report))
        return report.raise_for_status().summary

    products()


catalogsync()
