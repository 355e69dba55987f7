"""Runs that the guard held: approved and rejected by people."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from catalogsync.plans import Plan
from catalogsync.state.held import Decision, HeldPlan, restore_plan

from ._context import Call
from ._errors import RefusalError
from ._parsing import product_keys

_PAST = {
    Decision.APPROVED: "was approved",
    Decision.REJECTED: "was rejected",
    Decision.SUPERSEDED: "was superseded by a newer run",
}


async def held_plan(call: Call) -> HeldPlan:
    """The held plan of the run in the path."""
    held = await call.service.state.held_plan(call.part("run_id"))
    if held is None:
        raise RefusalError(404, "the run was not held")
    return held


async def approve(call: Call, excluded: Iterable[str] = ()) -> str:
    """Apply the held plan of the run in the path; returns the id of the new run.

    Raises:
        RefusalError: It was not held, or somebody decided on it before.
        CatalogSyncError: The plan cannot be read, or another one is being applied.
    """
    held, store = await held_plan(call), call.service.state
    call.job_of(held.job)
    _check_waits(held)
    path = call.site.plans.new_file(held.run_id)
    await restore_plan(store, held.run_id, path)
    plan = await asyncio.to_thread(Plan.read, path)
    plan = plan.without(product_keys(excluded, plan.head.source))
    call.service.check_free(held.job)
    await _decide(call, held, Decision.APPROVED)
    return call.service.apply(plan)


async def reject(call: Call) -> HeldPlan:
    """Reject the held plan of the run in the path.

    Raises:
        RefusalError: It was not held, or somebody decided on it before.
    """
    held = await held_plan(call)
    call.job_of(held.job)
    _check_waits(held)
    return await _decide(call, held, Decision.REJECTED)


async def _decide(call: Call, held: HeldPlan, decision: Decision) -> HeldPlan:
    by = call.by or "the dashboard"
    decided = await call.service.state.decide(held.run_id, decision, by=by)
    if decided is None:
        raise RefusalError(409, "somebody else has just decided on this plan")
    return decided


def _check_waits(held: HeldPlan) -> None:
    if held.decision is not Decision.WAITING:
        name = f" by {held.by}" if held.by else ""
        raise RefusalError(409, f"the plan {_PAST[held.decision]}{name}")
