"""What all parts of a run share."""

from __future__ import annotations

import attrs

from catalogsync.protocols import Sink, Source

from .journal import Journal
from .options import Options
from .recorder import Recorder
from .stopping import RunTasks
from .updates import Updates

__all__ = ["RunContext"]


@attrs.frozen(kw_only=True)
class RunContext:
    """What all parts of a run share.

    Attributes:
        source: The source.
        sink: The sink.
        options: Options of the run.
        recorder: Counts, outcomes, problems and warnings.
        journal: The run's side of the state store.
        tasks: The tasks of the run, and how they stop.
        updates: Which version of the source's catalog was applied last.
    """

    source: Source
    sink: Sink
    options: Options
    recorder: Recorder
    journal: Journal
    tasks: RunTasks
    updates: Updates

    @property
    def width(self) -> int:
        """How many writers run at once."""
        most = self.sink.limits.writers
        return min(most, self.options.writers or most)
