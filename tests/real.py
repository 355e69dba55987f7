"""Whether the parts that need Node take part: the real Medusa and PostgreSQL."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

STORE = Path(__file__).parents[1] / "examples" / "medusa-store"


def real_is_desired() -> bool:
    """Say so once, when tests are collected.

    `CATALOGSYNC_REAL=1` demands these parts, so that a missing one is a failure;
    `CATALOGSYNC_REAL=0` leaves them out. Otherwise they run where they can.
    """
    setting = os.environ.get("CATALOGSYNC_REAL")
    if setting is not None:
        return setting != "0"
    return bool(shutil.which("node")) and (STORE / "node_modules").is_dir()
