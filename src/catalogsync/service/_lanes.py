"""When the lanes of a job are due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import attrs

from catalogsync.catalog.products import Field
from catalogsync.config import Job, Lane

__all__ = ["LaneTimes", "of_lane"]


@attrs.define
class LaneTimes:
    """The next time of each lane. Times that pass during another run are one.

    Attributes:
        lanes: The lanes of the job.
    """

    lanes: Sequence[Lane] = ()
    _times: dict[Lane, dt.datetime] = attrs.field(
        factory=dict[Lane, dt.datetime], init=False
    )

    @property
    def next_at(self) -> dt.datetime | None:
        """When the first lane is due, or None if there are no lanes."""
        return min(self._times.values(), default=None)

    def reset(self, now: dt.datetime) -> None:
        """Wait for the times after this one, as when all fields were just written."""
        for lane in self.lanes:
            self._wait(lane, now)

    def take_due(self, now: dt.datetime) -> frozenset[Field]:
        """The fields of all lanes that are due, which one run can write."""
        due = [lane for lane, time in self._times.items() if time <= now]
        for lane in due:
            self._wait(lane, now)
        return frozenset(field for lane in due for field in lane.only)

    def _wait(self, lane: Lane, now: dt.datetime) -> None:
        delay = dt.timedelta(seconds=lane.schedule.delay())
        self._times[lane] = lane.schedule.next_after(now) + delay


def of_lane(job: Job, only: frozenset[Field]) -> Job:
    """The job for these fields only."""
    return attrs.evolve(job, options=attrs.evolve(job.options, only=only))
