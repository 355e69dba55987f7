"""Running jobs by themselves: on schedule, on demand, never two at once."""

from __future__ import annotations

from ._feed import Feed, Reader
from ._service import JobEvent, JobState, PlannedRun, Service

__all__ = ["Feed", "JobEvent", "JobState", "PlannedRun", "Reader", "Service"]
