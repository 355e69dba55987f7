"""What the checks of state stores work with."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import attrs

from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import (
    BusyError,
    FailedProduct,
    HistoryEntry,
    Lease,
    RunRecord,
    StateStore,
)

from ._promise import Setup, broken, expect


def key(id_: str) -> ProductKey:
    return ProductKey("kit", id_)


A, B, C = map(key, "abc")


def failed(id_: str, **values: Any) -> FailedProduct:
    times: dict[str, Any] = {"first_at": 1000.0, "last_at": 1000.0, "run_id": "r1"}
    made = FailedProduct(key=key(id_), reason="no price", said="none, it says")
    return attrs.evolve(made, **{**times, **values})


def entry(run_id: str, id_: str = "a", *, at: float = 1000.0) -> HistoryEntry:
    outcome = Outcome(key(id_), OutcomeStatus.UPDATED, "a reason")
    return HistoryEntry(run_id=run_id, at=at, outcome=outcome, fields=("title",))


def ended(run_id: str) -> Report:
    failures = (Outcome(A, OutcomeStatus.FAILED, "no \x00 price", "Füße \U0001f45f"),)
    return Report(
        run_id=run_id,
        status=RunStatus.DEGRADED,
        counts=Counts(fetched=2, created=1, failed=1),
        started_at=1000.0,
        duration_s=2.5,
        failures=failures,
    )


@attrs.frozen
class StateKit:
    """A state store to check, with a job and an endpoint that nobody else uses."""

    setup: Setup[StateStore]
    job: str = attrs.field(factory=lambda: f"kit-{uuid4().hex[:12]}")

    @property
    def store(self) -> StateStore:
        return self.setup.adapter

    @property
    def shop(self) -> str:
        """An endpoint."""
        return f"shop of {self.job}"

    async def begin(
        self, run_id: str, *, job: str | None = None, **values: Any
    ) -> RunRecord:
        record = RunRecord(
            run_id=run_id,
            job=self.job if job is None else job,
            source="kit",
            sink="shop",
            started_at=1000.0,
        )
        record = attrs.evolve(record, **values)
        await self.store.begin_run(record)
        return record

    async def ids(self, *, limit: int = 20) -> str:
        """The latest runs of the job, whose names have one letter."""
        runs = await self.store.runs(job=self.job, limit=limit)
        return "".join(run.run_id for run in runs)

    async def take(self, owner: str = "me", *, ttl: float = 60) -> Lease:
        """A lease that must be free."""
        lease = await self.store.take_lease(self.shop, owner, ttl=ttl)
        if not isinstance(lease, Lease):
            broken(f"a free lease was refused: {lease}")
        return lease

    async def refuse(self, owner: str = "somebody else", **how: str) -> str:
        """The holder of a lease that must be taken."""
        lease = await self.store.take_lease(self.shop, owner, ttl=60, **how)
        if not isinstance(lease, BusyError):
            broken(f"a lease that is held was given to another run: {lease}")
        expect(
            lease.holder in str(lease), f"the error does not name the holder: {lease}"
        )
        return lease.holder
