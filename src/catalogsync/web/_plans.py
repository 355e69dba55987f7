"""What a run would do, worked out while somebody waits for the answer."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import attrs

from catalogsync.changes import Change, ReferenceChange
from catalogsync.config import Job
from catalogsync.runstore import RunStore

from ._answers import change_json, counts_json
from ._refusals import RefusalError

__all__ = ["Plans"]

_SHOWN = 200
_LONGEST = 300.0


@attrs.define
class _Changes:
    """The first changes, and how many more there are."""

    shown: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    more: int = 0

    def __call__(self, change: Change | ReferenceChange) -> None:
        if len(self.shown) < _SHOWN:
            self.shown.append(change_json(change))
        else:
            self.more += 1


@attrs.define
class Plans:
    """The plans that are being made, one of each job.

    Attributes:
        store: The run store.
    """

    store: RunStore
    _tasks: dict[str, asyncio.Task[Any]] = attrs.field(
        factory=dict[str, asyncio.Task[Any]], init=False
    )

    async def make(self, job: Job) -> dict[str, Any]:
        """Make one.

        Raises:
            RefusalError: One of this job is being made, or it takes too long.
            CatalogSyncError: It broke off.
        """
        if job.name in self._tasks:
            raise RefusalError(409, "a plan of this job is being made")
        changes = _Changes()
        self._tasks[job.name] = cast("asyncio.Task[Any]", asyncio.current_task())
        try:
            job = attrs.evolve(job, store=self.store)
            async with asyncio.timeout(_LONGEST):
                report = await job.rehearse(show=changes)
        except TimeoutError:
            problem = f"the plan was not ready within {_LONGEST:g} s"
            raise RefusalError(503, problem) from None
        finally:
            del self._tasks[job.name]
        return {
            "changes": changes.shown,
            "counts": counts_json(report.counts),
            "more": changes.more,
        }

    def close(self) -> None:
        """Break off what is being made."""
        for task in self._tasks.values():
            task.cancel()
