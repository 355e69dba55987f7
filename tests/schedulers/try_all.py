"""Starts each scheduler of `examples/schedulers`, and prints what it ran.

`python -m tests.schedulers.try_all [FOLDER]`. Those that are too large for the tests are
installed into environments of their own below the folder, by default
`build/schedulers`, and stay there for the next time.
"""
# ruff: noqa: T201 - it is a script

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
from tests.schedulers.hosts import (
    BIN,
    Program,
    Shop,
    celery,
    cron,
    free_port,
    open_shop,
)

ROOT = Path(__file__).parents[2]
PATIENCE = 600


@attrs.frozen(kw_only=True)
class Scheduler:
    """How a scheduler is started.

    Attributes:
        programs: Its programs.
        environ: Additional environment variables.
        packages: What is installed for it; none: it is here.
    """

    programs: Callable[[Shop], Sequence[Program]]
    environ: Callable[[Shop], Mapping[str, str]] = lambda _: {}
    packages: Sequence[str] = ()


def _airflow(shop: Shop) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": f"{shop.folder}/airflow",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": f"{shop.folder}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": (
            f"http://127.0.0.1:{shop.port}/execution/"
        ),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": f"{free_port()}",
        "SYNC_EVERY": "30",
    }


def _prefect(shop: Shop) -> dict[str, str]:
    return {
        "PREFECT_API_URL": f"http://127.0.0.1:{shop.port}/api",
        "PREFECT_HOME": f"{shop.folder}/prefect",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "SYNC_EVERY": "10",
    }


def _dagster(shop: Shop) -> dict[str, str]:
    return {"DAGSTER_HOME": f"{shop.folder}", "DAGSTER_DISABLE_TELEMETRY": "yes"}


SCHEDULERS = {
    "cron": Scheduler(programs=cron),
    "apscheduler, blocking": Scheduler(
        programs=lambda _: [Program(["python", "apscheduler_blocking.py"])]
    ),
    "apscheduler, asyncio": Scheduler(
        programs=lambda _: [Program(["python", "apscheduler_asyncio.py"])]
    ),
    "celery": Scheduler(programs=celery),
    "airflow": Scheduler(
        packages=["apache-airflow>=3"],
        environ=_airflow,
        programs=lambda shop: [
            Program(
                [
                    "sh",
                    "-c",
                    f"airflow db migrate && exec airflow api-server --port {shop.port}",
                ],
                shop.port,
            ),
            Program(["airflow", "dag-processor"]),
            Program(["airflow", "scheduler"]),
        ],
    ),
    "prefect": Scheduler(
        packages=["prefect>=3"],
        environ=_prefect,
        programs=lambda shop: [
            Program(
                f"prefect server start --host 127.0.0.1 --port {shop.port}".split(),
                shop.port,
            ),
            Program(["python", "prefect_flow.py"]),
        ],
    ),
    "dagster": Scheduler(
        packages=["dagster", "dagster-webserver"],
        environ=_dagster,
        programs=lambda shop: [
            Program(f"dagster dev -f dagster_job.py -p {shop.port}".split())
        ],
    ),
}


def install(folder: Path, packages: Sequence[str]) -> Path:
    """Make an environment with these packages and ours; gives its programs."""
    if not (folder / "bin" / "catalogsync").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *packages, "-e", f"{ROOT}[cli,sql]"], check=True)
    return folder / "bin"


async def fire(scheduler: Scheduler, folder: Path) -> list[str]:
    """Let a scheduler fire once; returns its row of the table."""
    programs = install(folder, scheduler.packages) if scheduler.packages else BIN
    shutil.rmtree(folder / "shop", ignore_errors=True)
    async with open_shop(folder / "shop", programs=programs) as plain:
        environ = {**plain.environ, **scheduler.environ(plain)}
        shop = attrs.evolve(plain, environ=environ)
        started_at = time.time()
        fired = await shop.fire(*scheduler.programs(shop), patience=PATIENCE)
    run = fired.runs[-1]
    waited = run.started_at - started_at
    return ["yes", run.run_id[:12], f"{run.status}", f"{waited:.0f}"]


def main() -> int:
    """Try all; the status is 0 if each of them fired and succeeded."""
    folder = Path(sys.argv[1] if sys.argv[1:] else ROOT / "build" / "schedulers")
    rows: list[list[str]] = []
    for name, scheduler in SCHEDULERS.items():
        print(f"{name} ...", file=sys.stderr)
        place = folder.resolve() / name.replace(", ", "-")
        try:
            rows.append([name, *asyncio.run(fire(scheduler, place))])
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            rows.append([name, "no", "", "", ""])
    for row in [["scheduler", "fired", "run id", "status", "seconds"], *rows]:
        print("{:22} {:6} {:13} {:10} {:>7}".format(*row))
    return 0 if all(row[3] == "succeeded" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
