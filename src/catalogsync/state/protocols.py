"""What catalogsync remembers from one run to the next.

A state store keeps runs with their reports, what became of single products, failed
products with what is needed to try them again, the intents of creations under way,
leases that keep two runs from writing the same products, and triggers that ask
for a run. It holds no settings and no secrets.

Times are seconds since the epoch. Those that decide something (leases, the age of
intents) are by the store's own clock, so that hosts need not agree on theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import attrs

from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.errors import CatalogSyncError
from catalogsync.report import Report, RunStatus

__all__ = [
    "BusyError",
    "DamageReporting",
    "FailedProduct",
    "HistoryEntry",
    "Intent",
    "Lease",
    "LeaseLostError",
    "QueueSize",
    "RunRecord",
    "StateError",
    "StateStore",
    "Trigger",
    "reasons_of",
]


class StateError(CatalogSyncError):
    """The state store cannot be read or written."""


class BusyError(CatalogSyncError):
    """Another run writes the same products into the same sink.

    Attributes:
        holder: Who, as it named itself.
    """

    def __init__(self, message: str, *, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class LeaseLostError(CatalogSyncError):
    """The lease went to another run, because this one was not heard of in time."""


@attrs.frozen(kw_only=True)
class RunRecord:
    """One run.

    Attributes:
        run_id: Its identity.
        job: Name of the job; empty for a run without one.
        source: Name of the source.
        sink: Name of the sink.
        started_at: When it began.
        partial: Whether it was to take chosen products only.
        finished_at: When it ended; None: it goes on, or its process died.
        status: How it ended; None as long as it did not.
        report: Its report as JSON types (`Report.to_dict`), or the summary of it
            (`catalogsync.report.summary_of`); None as long as the run did not end.
    """

    run_id: str
    job: str
    source: str
    sink: str
    started_at: float
    partial: bool = False
    finished_at: float | None = None
    status: RunStatus | None = None
    report: Mapping[str, Json] | None = None


def reasons_of(record: RunRecord) -> list[str]:
    """Why a run has its status, as `Report.reasons` said when it ended."""
    report = cast("Mapping[str, Any]", record.report or {})
    problem = report.get("problem")
    return list(report.get("reasons", [problem] if problem else []))


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """What became of one product in one run; unchanged products have none.

    Attributes:
        run_id: The run.
        at: When.
        outcome: What became of it.
        fields: What was written, in words such as `title`.
    """

    run_id: str
    at: float
    outcome: Outcome
    fields: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class FailedProduct:
    """A product that failed in a job and has not succeeded since.

    Attributes:
        key: Which product.
        reason: Why, the last time.
        said: The sink's own words.
        payload: The product as JSON types, as the source gave it; None where it
            could not be read.
        attempts: In how many runs it failed.
        first_at: When it failed first.
        last_at: When it failed last.
        run_id: The run in which it failed last.
    """

    key: ProductKey
    reason: str
    said: str = ""
    payload: Json = None
    attempts: int = 1
    first_at: float = 0.0
    last_at: float = 0.0
    run_id: str = ""


@attrs.frozen(kw_only=True)
class Intent:
    """A creation that began, and of which no end is known.

    Attributes:
        key: Which product.
        handle: The handle that it was given.
        run_id: The run that began it, the last time.
        age: Seconds since then.
    """

    key: ProductKey
    handle: str
    run_id: str = ""
    age: float = 0.0


@attrs.frozen(kw_only=True)
class Lease:
    """The right to write the products of a source into a sink, for a while.

    Attributes:
        name: What it is for.
        owner: Who holds it, in words for people.
        token: Grows with each change of hands, so an earlier holder is told apart.
    """

    name: str
    owner: str
    token: int


@attrs.frozen(kw_only=True)
class QueueSize:
    """What waits in a job.

    Attributes:
        triggers: Triggers that are not fulfilled.
        failures: Products that failed and did not succeed since.
    """

    triggers: int
    failures: int


@attrs.frozen(kw_only=True)
class Trigger:
    """A trigger for a run that is not yet fulfilled.

    Attributes:
        id: Grows with each trigger.
        job: Of which job.
        keys: Which products; empty: all.
        at: When it came.
        by: Who or what asked, in words for people.
    """

    id: int
    job: str
    keys: tuple[ProductKey, ...] = ()
    at: float
    by: str = ""


@runtime_checkable
class DamageReporting(Protocol):
    """A state store that leaves out rows that somebody damaged, and says which."""

    def unreadable(self) -> Sequence[str]:
        """Which damaged rows were left out since this was asked last."""
        ...


class StateStore(Protocol):
    """Keeps what has to outlive a run.

    All methods raise `StateError` where the store cannot be used. Each is carried
    out whole or not at all, and may be called from several processes at once.
    """

    async def begin_run(self, record: RunRecord, /) -> None:
        """Note that a run began."""
        ...

    async def end_run(self, report: Report, /) -> None:
        """Note how a run ended."""
        ...

    async def runs(
        self, *, job: str | None = None, limit: int = 20
    ) -> Sequence[RunRecord]:
        """The latest runs, the last one first; of one job, or of all.

        Their reports are summaries, without what grows with the catalog; `run` gives
        a whole one.
        """
        ...

    async def run(self, run_id: str, /) -> RunRecord | None:
        """One run; None if it is not known, or no longer."""
        ...

    async def add_entries(self, job: str, entries: Sequence[HistoryEntry], /) -> None:
        """Note what became of products."""
        ...

    async def history(
        self, job: str, key: ProductKey, /, *, limit: int = 20
    ) -> Sequence[HistoryEntry]:
        """What became of one product, the last first."""
        ...

    async def put_failures(
        self, job: str, failures: Sequence[FailedProduct], /, *, endpoint: str = ""
    ) -> None:
        """Keep failed products.

        Jobs without a name share one: *endpoint*, of the sink, keeps their failures
        apart.

        One that is there already keeps its `first_at`, and its `attempts` grow by
        those that are given; a payload that is None leaves the earlier one.
        """
        ...

    async def drop_failures(
        self, job: str, keys: Collection[ProductKey], /, *, endpoint: str | None = None
    ) -> None:
        """Forget products that failed; those that did not are no error.

        With *endpoint*, those that failed at another endpoint are kept.
        """
        ...

    async def failures(
        self,
        job: str,
        /,
        *,
        limit: int | None = None,
        after: ProductKey | None = None,
        payloads: bool = True,
        endpoint: str | None = None,
    ) -> Sequence[FailedProduct]:
        """The products that failed and did not succeed since, by key.

        Args:
            job: Of which job.
            limit: How many at most; None: all.
            after: Those behind this key; None: from the first.
            payloads: Whether to load the payloads, which may be large; else they are
                None.
            endpoint: Without those that failed at another endpoint.
        """
        ...

    async def backlog(self, job: str, /) -> QueueSize:
        """How much waits in a job."""
        ...

    async def put_intents(
        self, endpoint: str, run_id: str, handles: Mapping[ProductKey, str], /
    ) -> None:
        """Note creations that are about to begin.

        Args:
            endpoint: Of the sink.
            run_id: The run that begins them.
            handles: The handle of each product. One that has an intent keeps its
                handle, and its age begins anew.
        """
        ...

    async def drop_intents(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        """Note that these creations have met their end."""
        ...

    async def intents(
        self, endpoint: str, source: str, /
    ) -> Mapping[ProductKey, Intent]:
        """The creations without a known end, of a source in a sink."""
        ...

    async def remember(self, endpoint: str, keys: Collection[ProductKey], /) -> None:
        """Note that the sink holds these products."""
        ...

    async def remembered(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> frozenset[ProductKey]:
        """Those of these products that the sink is known to have held."""
        ...

    async def forget(self, endpoint: str, keys: Collection[ProductKey], /) -> None:
        """Take back `remember`."""
        ...

    async def note_absences(
        self,
        job: str,
        endpoint: str,
        run_id: str,
        keys: Collection[ProductKey],
        /,
        *,
        source: str | None = None,
    ) -> frozenset[ProductKey]:
        """Note what a complete run did not see at the source.

        Replaces what was noted for this job and endpoint before, so a product that
        was seen again is no longer among them. With *source*, products of other
        sources stay as they were noted: jobs without a name share one.

        Returns:
            Those that an earlier run missed too. The same run twice counts once.
        """
        ...

    async def absences(
        self, job: str, endpoint: str, /, *, source: str | None = None
    ) -> frozenset[ProductKey]:
        """What was noted last by `note_absences`, of one source or of all."""
        ...

    async def drop_absences(
        self, job: str, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        """Note that these were seen at the source again."""
        ...

    async def take_lease(
        self, name: str, owner: str, /, *, ttl: float, dead: str | None = None
    ) -> Lease | BusyError:
        """Take a lease, if it is free or its holder was not heard of in time.

        Args:
            name: What it is for.
            owner: Who takes it, in words for people.
            ttl: Seconds that it lasts without being renewed.
            dead: An owner whose process is known to have ended; a lease of exactly
                this owner counts as free.

        Returns:
            The lease; a `BusyError`, not raised, that tells who has it.
        """
        ...

    async def renew_lease(self, lease: Lease, /, *, ttl: float) -> bool:
        """Keep a lease from running out; False: it is no longer ours.

        One that ran out and went to nobody else is still ours.
        """
        ...

    async def drop_lease(self, lease: Lease, /) -> None:
        """Give a lease back; one that is no longer ours is left alone."""
        ...

    async def add_trigger(
        self, job: str, keys: Collection[ProductKey] = (), /, *, by: str = ""
    ) -> Trigger:
        """Ask for a run of a job, of these products or of all."""
        ...

    async def triggers(self, job: str | None = None, /) -> Sequence[Trigger]:
        """The triggers that are not fulfilled, in order."""
        ...

    async def drop_triggers(self, ids: Collection[int], /) -> None:
        """Note that these triggers are fulfilled."""
        ...

    async def last_whole(self, job: str, /) -> RunRecord | None:
        """The last run of a job that took everything and settled it; as in `runs`."""
        ...

    async def trim(self, *, days: float, runs: int) -> int:
        """Forget old runs and their entries.

        A job's last run stays, and so do its `last_whole` run, failures, intents,
        leases and triggers.

        Args:
            days: Forget runs that began longer ago.
            runs: Of each job, forget all but so many.

        Returns:
            How many runs were forgotten.
        """
        ...
