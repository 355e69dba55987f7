"""The commands `held`, `approve` and `reject`."""

from __future__ import annotations

import getpass
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from catalogsync.engine import Run
from catalogsync.errors import MisconfiguredError
from catalogsync.plans import Plan
from catalogsync.state.held import Decision, HeldPlan, restore_plan
from catalogsync.state.protocols import StateStore

from ._origins import when
from ._progress import Progress
from ._runs import execute, keys_of
from ._session import Session, query


def list_held(session: Session, job: str | None, limit: int) -> int:
    """List the plans that wait for a person; the status is 1 if there are any."""
    found = query(session.store(), lambda store: store.held_plans(job=job, limit=limit))
    waiting = [plan for plan in found if plan.decision is Decision.WAITING]
    for plan in waiting:
        session.terminal.out("\n".join(_lines(plan)))
    if not waiting:
        session.terminal.out("no plan waits for approval")
    return 1 if waiting else 0


def _lines(plan: HeldPlan) -> Iterator[str]:
    yield f"{plan.run_id} {plan.job}, held {when(plan.held_at)}"
    yield from (f"  {reason}" for reason in plan.held.reasons)
    yield from (f"    {change}" for change in plan.held.worst)
    yield f"  next: catalogsync approve {plan.run_id}, or reject {plan.run_id}"


def approve_plan(
    session: Session, run_id: str, excluded: Sequence[str], by: str | None
) -> int:
    """Approve the plan of a held run and apply it; returns the exit status."""
    held = query(session.store(), lambda store: _held(store, run_id))
    if held.decision in {Decision.REJECTED, Decision.SUPERSEDED}:
        raise _decided(held, Decision.APPROVED)
    job = session.job(held.job)

    @asynccontextmanager
    async def opened(progress: Progress) -> AsyncGenerator[Run]:
        async with job.open_sink() as sink, job.open_store() as store:
            if store is None:
                raise AssertionError("a job of a file has a state store")
            with TemporaryDirectory(prefix="catalogsync-") as folder:
                path = Path(folder, "plan.jsonl")
                await restore_plan(store, run_id, path)
                plan = Plan.read(path)
                source = plan.head.source
                plan = plan.without(keys_of(excluded, source))
                await _decide(store, run_id, Decision.APPROVED, by)
                yield job.sync(source, sink, store, [progress]).apply(plan)

    return execute(session, opened)


def reject_plan(session: Session, run_id: str, by: str | None) -> int:
    """Reject the plan of a held run; returns the exit status."""

    async def reject(store: StateStore) -> HeldPlan:
        await _held(store, run_id)
        return await _decide(store, run_id, Decision.REJECTED, by)

    held = query(session.store(), reject)
    session.terminal.out(f"{held.job}: the plan of run {run_id} is rejected")
    return 0


async def _held(store: StateStore, run_id: str) -> HeldPlan:
    held = await store.held_plan(run_id)
    if held is None:
        problem = "is not a held run; `catalogsync held` lists them"
        raise MisconfiguredError(run_id, problem)
    return held


async def _decide(
    store: StateStore, run_id: str, decision: Decision, by: str | None
) -> HeldPlan:
    decided = await store.decide(run_id, decision, by=by or getpass.getuser())
    if decided is not None:
        return decided
    raise _decided(await _held(store, run_id), decision)


def _decided(held: HeldPlan, decision: Decision) -> MisconfiguredError:
    name = f" by {held.by}" if held.by else ""
    problem = f"cannot be {decision.value}: its plan is {held.decision.value}{name}"
    return MisconfiguredError(held.run_id, problem)
