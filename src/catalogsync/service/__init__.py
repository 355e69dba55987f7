"""A service that runs jobs on schedule and on demand, one run of a job at a time."""

from __future__ import annotations

from ._feed import Feed, Reader
from ._lanes import LaneTimes
from ._service import Service
from ._states import JobEvent, JobState, PlannedRun

__all__ = [
    "Feed",
    "JobEvent",
    "JobState",
    "LaneTimes",
    "PlannedRun",
    "Reader",
    "Service",
]
