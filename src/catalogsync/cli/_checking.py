"""The command `check`: tests both sides of a job and the state store; changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import cast

from catalogsync.config import Job
from catalogsync.engine import promises
from catalogsync.errors import CatalogSyncError
from catalogsync.protocols import CheckResult, SelfChecking, abilities

from ._session import INCOMPLETE, Session
from ._signals import InterruptHandler, interrupts


def check_job(session: Session, job: Job) -> int:
    """Print the results of all checks; returns the exit status."""
    return INCOMPLETE if asyncio.run(_check(session, job)) else 0


async def _check(session: Session, job: Job) -> int:
    """Check all that a run needs; returns the number of failed checks."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    bad = 0
    with interrupts(InterruptHandler(task=task, say=session.terminal.err)):
        for side, opening in (
            ("source", job.open_source()),
            ("sink", job.open_sink()),
            ("state store", job.open_store()),
        ):
            for finding in await _findings(session, opening):
                bad += not finding.ok
                mark = "ok " if finding.ok else "BAD"
                what = "" if finding.what in {"", side} else f"{finding.what}: "
                session.terminal.out(f"{mark} {side}: {what}{finding.text}")
    return bad


async def _findings(
    session: Session, opening: AbstractAsyncContextManager[object]
) -> Sequence[CheckResult]:
    try:
        async with opening as side:
            found = [CheckResult(ok=True, what="", text="can be opened")]
            if isinstance(side, SelfChecking):
                found = [*await promises.findings(side)]
            if hasattr(side, "read") or hasattr(side, "find"):
                names = ", ".join(abilities(side)) or "none"
                found.append(CheckResult(ok=True, what="abilities", text=names))
            return found
    except CatalogSyncError as error:
        if session.verbose:
            session.terminal.error(error)
        return [CheckResult(ok=False, what="", text=str(error))]
