"""Whether a run can be skipped, because its source has not changed.

The report of each run keeps a digest of what its result depends on: what the source says
of its version, the options, the sink and its settings, and the version of this package.
A run is skipped if the run before it has the same digest, and succeeded or was skipped
for this reason itself.
"""

from __future__ import annotations

import attrs

from catalogsync._lib.digests import digest_of
from catalogsync._lib.versions import installed_version
from catalogsync.errors import CatalogSyncError
from catalogsync.protocols import Sink, Source, VersionedSource, endpoint_of
from catalogsync.report import Report, RunStatus

from .journal import Journal
from .options import Options
from .recorder import Recorder

__all__ = ["Skipping"]


@attrs.define(kw_only=True)
class Skipping:
    """Decides once, before anything is read.

    Attributes:
        source: The source.
        sink: The sink.
        options: Options of the run.
        settings: Settings of the sink, as text without secrets.
        journal: Knows the run before.
        full: Whether to run even if nothing has changed.
        recorder: Receives a warning if the source does not know its version.
        version: The digest of this run; empty: not known.
        before: The report of the run before; None: there is none, or it was not needed.
    """

    source: Source
    sink: Sink
    options: Options
    settings: str
    journal: Journal
    full: bool
    recorder: Recorder
    version: str = attrs.field(default="", init=False)
    before: Report | None = attrs.field(default=None, init=False)

    async def reason(self) -> str:
        """Why this run can be skipped; empty: it cannot."""
        self.version = await self._version()
        before = (
            await self.journal.previous() if self.version and not self.full else None
        )
        report = self.before = None if before is None else before.report
        if before is None or report is None or report.source_version != self.version:
            return ""
        if report.is_up_to_date:
            return report.problem
        if report.status is not RunStatus.SUCCEEDED:
            return ""
        return f"the source has not changed since run {before.run_id}"

    async def _version(self) -> str:
        options = self.options
        useless = (
            options.chosen
            or options.transform is not None
            or self.journal.store is None
        )
        if not options.skip_unchanged or useless:
            return ""
        if not isinstance(self.source, VersionedSource):
            problem = "`skip_unchanged` ignored: not supported by this source"
            self.recorder.warn(problem)
            return ""
        try:
            version = await self.source.version()
        except CatalogSyncError:  # reading will say it, with retries
            return ""
        if version is None:
            return ""
        sink = (self.sink.name, endpoint_of(self.sink), self.settings)
        parts = (installed_version("catalogsync"), version, repr(options), *sink)
        return digest_of(*(part.encode(errors="replace") for part in parts)).hex()
