"""Delivers messages about written products, for all jobs of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Self

import attrs

from catalogsync._lib.concurrency import ended
from catalogsync.config import Job
from catalogsync.events import Event, ProductsWritten, RunFinished
from catalogsync.integrations.inform import Informer
from catalogsync.state.outbox import outbox_of
from catalogsync.state.protocols import StateStore

_TO_FINISH = 5.0


@attrs.define
class Informers:
    """The informers of all jobs with receivers.

    Attributes:
        by_job: The informers by name of their job.
    """

    by_job: Mapping[str, Informer]
    _tasks: list[asyncio.Task[None]] = attrs.field(
        factory=list[asyncio.Task[None]], init=False
    )

    @classmethod
    def of(cls, jobs: Iterable[Job], store: StateStore) -> Self:
        """Those of these jobs.

        Raises:
            MisconfiguredError: A job has receivers, and the state store no outbox.
        """
        return cls(
            {
                job.name: Informer(job=job.name, receivers=job.inform, outbox=outbox)
                for job in jobs
                if (outbox := outbox_of(store, job.inform)) is not None
            }
        )

    def start(self) -> None:
        """Deliver in the background until `stop`."""
        loop = asyncio.get_running_loop()
        for name, informer in self.by_job.items():
            task = loop.create_task(informer.run(), name=f"catalogsync-inform-{name}")
            self._tasks.append(task)

    def follow(self, job: str, event: Event) -> None:
        """Deliver soon what a run has written."""
        informer = self.by_job.get(job)
        if informer is not None and isinstance(event, ProductsWritten | RunFinished):
            informer.wake()

    async def stop(self) -> None:
        """Stop once nothing is due, within a few seconds."""
        for informer in self.by_job.values():
            informer.stop()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_TO_FINISH)
        finally:
            for task in self._tasks:
                task.cancel()
                await ended(task)
