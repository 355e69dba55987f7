"""catalogsync in Airflow 3: a file for the folder of DAGs, with catalogsync.toml beside it.

Time limit:  after `LIMIT` seconds the run ends the batches in flight, and what is left
    is for the next one. Airflow's own `execution_timeout`, which breaks off, is later.
Outcome:     degraded (some products failed) fails the task for good: a retry would fail
    on the same products. A person looks at `catalogsync failures products`.
Retries:     incomplete, or a side that was down, is tried twice more, after five
    minutes. Not sooner: within a minute of a killed run its lease still stands, and
    the retry would be skipped. A wrong setting is not tried again.
Overlap:     `max_active_runs` keeps this DAG from it; against others, the lease of the
    state store skips the second run. A skipped run skips the task.

Needs `catalogsync[sql]` where tasks are executed. If its dependencies and yours do not
agree, give it a venv and call `catalogsync run products` in a `BashOperator` instead.
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
    catchup=False,  # one run makes up for all that were missed
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
