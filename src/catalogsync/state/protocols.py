"""What catalogsync keeps from one run to the next.

A state store keeps runs with their reports, the history of products, failed products
with the data to retry them, intents of writes in flight, leases that keep two
runs from writing the same products, and triggers that request a run. It contains no
settings and no secrets.

Times are seconds since the epoch. Where a decision depends on the time (leases, the
age of intents), the clock of the store counts, because hosts may disagree.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import attrs

from catalogsync.catalog.drafts import Unchanged
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.errors import CatalogSyncError
from catalogsync.report import Report, RunStatus

from .held import HeldPlans

__all__ = [
    "BusyError",
    "Coordination",
    "DamageReporting",
    "FailedProduct",
    "FailureStore",
    "HistoryEntry",
    "Intent",
    "Lease",
    "LeaseLostError",
    "ProductMemory",
    "QueueSize",
    "RunHistory",
    "RunRecord",
    "StateError",
    "StateStore",
    "Trigger",
    "UnchangedProducts",
    "each_failure",
]


class StateError(CatalogSyncError):
    """The state store cannot be read or written."""


class BusyError(CatalogSyncError):
    """Another run writes the same products into the same sink.

    Attributes:
        holder: The run that holds the lease, in words for people.
    """

    def __init__(self, message: str, *, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class LeaseLostError(CatalogSyncError):
    """Another run took the lease, because this one did not renew it in time."""


@attrs.frozen(kw_only=True)
class RunRecord:
    """One run.

    Attributes:
        run_id: Id of the run.
        job: Name of the job; empty for a run without one.
        source: Name of the source.
        sink: Name of the sink.
        started_at: Start of the run, in seconds since the epoch.
        partial: Whether the run was limited to some products (`keys` or `limit`).
        finished_at: End of the run; None: it is running, or its process died.
        status: Status of the run; None until it ends.
        report: The report; lists of runs leave out what grows with the catalog, such
            as its failures. None until the run ends.
    """

    run_id: str
    job: str
    source: str
    sink: str
    started_at: float
    partial: bool = False
    finished_at: float | None = None
    status: RunStatus | None = None
    report: Report | None = None


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """The outcome of one product in one run; unchanged products have no entry.

    Attributes:
        run_id: Id of the run.
        at: Time of the outcome, in seconds since the epoch.
        outcome: The outcome.
        fields: Names of the fields that were written, for example `title`.
    """

    run_id: str
    at: float
    outcome: Outcome
    fields: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class FailedProduct:
    """A product that failed in a job and has not succeeded since.

    Attributes:
        key: Key of the product.
        reason: Reason for the latest failure.
        said: The sink's own message; empty: none.
        payload: The product as JSON types, as the source supplied it; None if it
            could not be read.
        attempts: Number of runs in which it failed.
        first_at: Time of the first failure, in seconds since the epoch.
        last_at: Time of the latest failure.
        run_id: Id of the run with the latest failure.
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
    """A creation that has started and whose outcome is unknown.

    Attributes:
        key: Key of the product.
        handle: The handle that the creation uses.
        run_id: Id of the run that started it, or started it again.
        age: Seconds since that start.
    """

    key: ProductKey
    handle: str
    run_id: str = ""
    age: float = 0.0


@attrs.frozen(kw_only=True)
class Lease:
    """The temporary right to write the products of a source into a sink.

    Attributes:
        name: Name of the lease: source and endpoint.
        owner: The run that holds it, in words for people.
        token: Grows with each new owner, so that an earlier owner is detected.
    """

    name: str
    owner: str
    token: int


@attrs.frozen(kw_only=True)
class QueueSize:
    """Numbers of queued triggers and failed products of a job.

    Attributes:
        triggers: Triggers that no run has fulfilled yet.
        failures: Products that have failed and not succeeded since.
    """

    triggers: int
    failures: int


@attrs.frozen(kw_only=True)
class Trigger:
    """A request for a run that no run has fulfilled yet.

    Attributes:
        id: Number of the trigger; grows with each one.
        job: Name of the job.
        keys: Products to process; empty: all.
        at: Time of the request, in seconds since the epoch.
        by: Origin of the request, in words for people.
    """

    id: int
    job: str
    keys: tuple[ProductKey, ...] = ()
    at: float
    by: str = ""


@runtime_checkable
class DamageReporting(Protocol):
    """A state store that skips damaged rows and reports them."""

    def unreadable(self) -> Sequence[str]:
        """Descriptions of the damaged rows skipped since the last call."""
        ...


class RunHistory(Protocol):
    """The part of a `StateStore` that keeps runs, and the history of products."""

    async def begin_run(self, record: RunRecord, /) -> None:
        """Save that a run has started."""
        ...

    async def end_run(self, report: Report, /) -> None:
        """Save the report of a run that has ended."""
        ...

    async def runs(
        self, *, job: str | None = None, limit: int = 20
    ) -> Sequence[RunRecord]:
        """The latest runs of one job or of all, newest first.

        Their reports lack the lists that grow with the catalog; `run` returns a
        complete one.
        """
        ...

    async def run(self, run_id: str, /) -> RunRecord | None:
        """One run; None if it does not exist, or was deleted."""
        ...

    async def last_whole(self, job: str, /) -> RunRecord | None:
        """The latest run over all products that ended as succeeded or degraded.

        Its report lacks the lists that grow with the catalog.
        """
        ...

    async def add_entries(self, job: str, entries: Sequence[HistoryEntry], /) -> None:
        """Save outcomes of products."""
        ...

    async def history(
        self, job: str, key: ProductKey, /, *, limit: int = 20
    ) -> Sequence[HistoryEntry]:
        """The history of one product, newest first."""
        ...

    async def trim(self, *, days: float, runs: int) -> int:
        """Delete old runs and their history.

        The latest run of each job stays, and so do its `last_whole` run, failed
        products, intents, leases and triggers. What `put_unchanged` and `put_snapshots`
        saved longer ago is deleted, too, and so are addresses of images
        (`ImageMemory`).

        Args:
            days: Delete runs that started longer ago.
            runs: Number of runs to keep of each job. Partial runs count apart, so that
                they do not push out the others.

        Returns:
            The number of deleted runs.
        """
        ...


class FailureStore(Protocol):
    """The part of a `StateStore` that keeps failed products until they succeed."""

    async def put_failures(
        self, job: str, failures: Sequence[FailedProduct], /, *, endpoint: str = ""
    ) -> None:
        """Save failed products.

        An existing entry keeps its `first_at`, and its `attempts` grow by the new
        ones. A payload of None keeps the earlier one. Runs without a job share the
        empty name; the sink's *endpoint* separates their failures.
        """
        ...

    async def drop_failures(
        self, job: str, keys: Collection[ProductKey], /, *, endpoint: str | None = None
    ) -> None:
        """Delete failed products; keys without an entry are ignored.

        With *endpoint*, products that failed at another endpoint are kept.
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
        """The failed products of a job, in the order of their keys.

        Args:
            job: Name of the job.
            limit: Largest number to return; None: all.
            after: Start after this key; None: start with the first.
            payloads: Whether to load the payloads, which can be large; if not, they
                are None.
            endpoint: Leave out products that failed at another endpoint; None: return
                all.
        """
        ...


class ProductMemory(Protocol):
    """The part of a `StateStore` that keeps what a sink has, or may have, of a source."""

    async def put_intents(
        self, endpoint: str, run_id: str, handles: Mapping[ProductKey, str], /
    ) -> None:
        """Save intents for creations that are about to start.

        Args:
            endpoint: Endpoint of the sink.
            run_id: Id of the run.
            handles: Handles by product. A product that already has an intent keeps its
                handle, and the age starts again.
        """
        ...

    async def drop_intents(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        """Delete intents of creations whose outcome is known."""
        ...

    async def intents(
        self, endpoint: str, source: str, /
    ) -> Mapping[ProductKey, Intent]:
        """The intents for products of a source in a sink."""
        ...

    async def remember(self, endpoint: str, keys: Collection[ProductKey], /) -> None:
        """Save that the sink has these products."""
        ...

    async def remembered(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> frozenset[ProductKey]:
        """Those of these products that the sink had, according to `remember`."""
        ...

    async def forget(self, endpoint: str, keys: Collection[ProductKey], /) -> None:
        """Undo `remember`."""
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
        """Save which products a complete run did not find at the source.

        Replaces the earlier absences of this job and endpoint. With *source*, those of
        other sources stay, because runs without a job share the empty name.

        Returns:
            The products that an earlier run missed too; the same run counts once.
        """
        ...

    async def absences(
        self, job: str, endpoint: str, /, *, source: str | None = None
    ) -> frozenset[ProductKey]:
        """The absences of the last `note_absences`, of one source or of all."""
        ...

    async def drop_absences(
        self, job: str, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        """Delete absences of products that the source has again."""
        ...

    async def put_snapshots(
        self, endpoint: str, counted_at: Mapping[ProductKey, float], /
    ) -> None:
        """Save when the stock of products was counted.

        Args:
            endpoint: Endpoint of the sink.
            counted_at: The time by product, in seconds since the epoch. A product for
                which a later time is saved keeps that.
        """
        ...

    async def snapshots(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> Mapping[ProductKey, float]:
        """When the stock of these products was counted last, of those that are saved."""
        ...


class UnchangedProducts(Protocol):
    """The part of a `StateStore` that recognises products which need no change.

    Losing any of it costs time only: the products are compared again.
    """

    async def put_unchanged(
        self, endpoint: str, products: Mapping[ProductKey, Unchanged], /
    ) -> None:
        """Save both sides of products that need no change, in place of earlier ones."""
        ...

    async def unchanged(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> Mapping[ProductKey, Unchanged]:
        """Both sides of these products, of those that were saved."""
        ...


class Coordination(Protocol):
    """The part of a `StateStore` that keeps leases and requests for runs."""

    async def take_lease(
        self, name: str, owner: str, /, *, ttl: float, dead: str | None = None
    ) -> Lease | BusyError:
        """Take a lease if it is free or its owner did not renew it in time.

        Args:
            name: Name of the lease.
            owner: The run that takes it, in words for people.
            ttl: Seconds until it expires unless renewed.
            dead: An owner whose process is known to have ended; a lease with exactly
                this owner counts as free.

        Returns:
            The lease, or a `BusyError` (returned, not raised) that names its owner.
        """
        ...

    async def renew_lease(self, lease: Lease, /, *, ttl: float) -> bool:
        """Renew a lease; False: another run has taken it.

        An expired lease that nobody has taken is still ours.
        """
        ...

    async def drop_lease(self, lease: Lease, /) -> None:
        """Return a lease; one that is no longer ours is left alone."""
        ...

    async def add_trigger(
        self, job: str, keys: Collection[ProductKey] = (), /, *, by: str = ""
    ) -> Trigger:
        """Request a run of a job over these products, or over all if *keys* is empty."""
        ...

    async def triggers(self, job: str | None = None, /) -> Sequence[Trigger]:
        """The queued triggers of one job or of all, oldest first."""
        ...

    async def drop_triggers(self, ids: Collection[int], /) -> None:
        """Delete triggers that a run has fulfilled."""
        ...

    async def backlog(self, job: str, /) -> QueueSize:
        """Numbers of queued triggers and failed products of a job."""
        ...


class StateStore(
    RunHistory,
    FailureStore,
    ProductMemory,
    UnchangedProducts,
    Coordination,
    HeldPlans,
    Protocol,
):
    """Keeps what outlives a run.

    The methods are those of its six parts; name one part where it is enough. All
    methods raise `StateError` if the store cannot be used. Each is atomic and safe
    to call from several processes at the same time.
    """


_PAGE = 500


async def each_failure(
    store: FailureStore, job: str, *, endpoint: str | None = None
) -> AsyncGenerator[FailedProduct]:
    """The failed products of a job by key, without payloads; a page is held at once.

    Args:
        store: The state store.
        job: Name of the job.
        endpoint: Leave out products that failed at another endpoint; None: return
            all.
    """
    last: ProductKey | None = None
    while True:
        page = await store.failures(
            job, limit=_PAGE, after=last, payloads=False, endpoint=endpoint
        )
        for failure in page:
            yield failure
        if len(page) < _PAGE:
            return
        last = page[-1].key
