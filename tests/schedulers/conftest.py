"""The examples in a folder; what needs real schedulers can be left out."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.schedulers.hosts import Shop, open_shop

from catalogsync.testing import FaultPlan


def desired(program: str, *, root: bool = False) -> bool:
    """Whether tests that need a program take part; see `tests.real`."""
    setting = os.environ.get("CATALOGSYNC_REAL")
    if setting is not None:
        return setting != "0"
    return bool(shutil.which(program)) and (not root or os.geteuid() == 0)


collect_ignore = [
    *([] if desired("cron", root=True) else ["test_cron.py"]),
    *([] if desired("redis-server") else ["test_celery.py"]),
    *([] if desired("systemd-analyze") else ["test_validated.py"]),
]


@pytest.fixture
def faults() -> FaultPlan:
    """What goes wrong in the source; nothing, until a test says so."""
    return FaultPlan()


@pytest.fixture
async def shop(tmp_path: Path, faults: FaultPlan) -> AsyncIterator[Shop]:
    """A folder with the examples, beside a source of five products."""
    async with open_shop(tmp_path / "shop", faults=faults) as shop:
        yield shop
