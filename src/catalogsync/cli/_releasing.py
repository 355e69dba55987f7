"""The command `release`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import click

from catalogsync._lib.texts import counted, duration
from catalogsync.config import Job
from catalogsync.engine import Run
from catalogsync.report import Report

from ._progress import Progress
from ._runs import execute
from ._session import INCOMPLETE, Session


def release_job(session: Session, job: Job, *, sure: bool) -> int:
    """Release the products of a job after a confirmation; returns the exit status."""
    if not sure and not _is_confirmed(job):
        session.terminal.err("not confirmed; nothing was changed")
        return INCOMPLETE

    @asynccontextmanager
    async def opened(progress: Progress) -> AsyncGenerator[Run]:
        async with job.open() as (source, sink), job.open_store() as store:
            yield job.sync(source.name, sink, store, [progress]).release()

    return execute(session, opened, partial(_described, job.sink_name))


def _described(sink: str, report: Report) -> str:
    """The report as text; the first line says that the products stay."""
    _, *more = str(report).split("\n")
    count = counted(report.counts.removed, "product")
    took = f"{report.status.value}: released {count} in {duration(report.duration_s)}"
    first = f"{report.job}: {took}; they stay in {sink} as they are"
    return "\n".join([first, *more])


def _is_confirmed(job: Job) -> bool:
    sides = f"{job.source_name} in {job.sink_name}"
    question = f"Release all products of {job.name} ({sides})?"
    try:
        return click.confirm(question, err=True)
    except click.Abort:  # there is no terminal
        return False
