"""Debian's cron starts the job when it is due."""

from __future__ import annotations

import asyncio

import pytest
from tests.schedulers.hosts import Shop, counts, cron, installed

from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import status


@pytest.mark.patient
async def test_it_comes_due(shop: Shop) -> None:
    """In the bare environment that cron gives."""
    fired = await shop.fire(*cron(shop), patience=120)

    assert [counts(run) for run in fired.runs] == [{"fetched": 5, "created": 5}]
    assert fired.log == ""


async def call(shop: Shop) -> str:
    """Run the crontab's command as cron does; returns the mail."""
    *settings, line = installed(shop, "crontab").read_text().splitlines()
    environ = dict(each.split("=", 1) for each in settings if "=" in each)
    process = await asyncio.create_subprocess_exec(
        *(environ["SHELL"], "-c", line.removeprefix("* * * * *")),
        env={"PATH": "/usr/bin:/bin", "HOME": f"{shop.folder}", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()


@pytest.mark.parametrize(
    ("code", "price", "mailed"),
    [(200, 1.5, ""), (200, "free", "degraded: 5 fetched"), (403, 1.5, "error: ")],
)
async def test_it_mails_only_what_needs_a_person(
    shop: Shop, faults: FaultPlan, code: int, price: object, mailed: str
) -> None:
    """The report, or why there is no report; nothing after a success."""
    shop.records.by_id(3)["price"] = price
    faults.add(*([status(code)] if code != 200 else []))

    message = await call(shop)

    assert mailed in message
    assert bool(message) is bool(mailed)
