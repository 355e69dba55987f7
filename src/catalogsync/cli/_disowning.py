"""Taking our keys off products."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import click

from catalogsync.config import Job
from catalogsync.engine import Run, open_disown

from ._progress import Progress
from ._runs import tell_run
from ._session import INCOMPLETE, Session

__all__ = ["disown_job"]


def disown_job(session: Session, job: Job, *, sure: bool) -> int:
    """Disown the products of a job, after asking; gives the exit status."""
    if not sure and not _is_confirmed(job):
        session.teller.remark("nothing was done")
        return INCOMPLETE

    @asynccontextmanager
    async def opened(progress: Progress) -> AsyncGenerator[Run]:
        async with job.open() as (source, sink), job.open_store() as store:
            yield open_disown(
                source.name,
                sink,
                job=job.name,
                options=job.options,
                hooks=[progress],
                store=store,
            )

    return tell_run(session, opened)


def _is_confirmed(job: Job) -> bool:
    sides = f"{job.source_name} in {job.sink_name}"
    question = f"Take our keys off all products of {job.name} ({sides})?"
    try:
        return click.confirm(question, err=True)
    except click.Abort:  # nobody can answer
        return False
