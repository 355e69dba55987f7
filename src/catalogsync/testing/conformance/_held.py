"""The promises of state stores: plans that wait for a person."""

from __future__ import annotations

import attrs

from catalogsync.report import Held
from catalogsync.state.held import Decision, HeldPlan

from ._promise import Promise, promise, same
from ._state_kit import StateKit

HELD: list[Promise[StateKit]] = []
_PART = bytes(range(256)) * 8


def _plan(kit: StateKit, run_id: str, at: float = 1000.0) -> HeldPlan:
    held = Held(reasons=("prices jump",), worst=("shop:a: 1 -> 100 EUR", "Füße \x00"))
    return HeldPlan(run_id=run_id, job=kit.job, held_at=at, held=held)


@promise(HELD, mend="Save every field of a held plan, and its file byte by byte.")
async def held_plans_come_back(kit: StateKit) -> None:
    """A held plan and the parts of its file come back as they were saved, newest first."""
    store = kit.store
    same(await store.held_plan("r1"), None, "an unknown plan")
    same(await store.plan_part("r1", 0), None, "a part of an unknown plan")
    for number, data in enumerate((_PART, b"")):
        await store.add_plan_part("r1", number, data)
    await store.hold(_plan(kit, "r1"))
    same(await store.held_plan("r1"), _plan(kit, "r1"), "a held plan")
    parts = [await store.plan_part("r1", number) for number in range(3)]
    same(parts, [_PART, b"", None], "the parts of its file")
    other = attrs.evolve(_plan(kit, "r2", 1001.0), job="another job")
    await store.hold(other)
    same([*await store.held_plans(job=kit.job)], [_plan(kit, "r1")], "plans of the job")
    found = [each.run_id for each in await store.held_plans()]
    same(found, ["r2", "r1"], "plans of all jobs")


@promise(HELD, mend="Decide only on a plan that waits, and keep the first decision.")
async def one_decision(kit: StateKit) -> None:
    """A plan is decided once; the same decision again keeps who made it."""
    store = kit.store
    await store.add_plan_part("r1", 0, _PART)
    await store.hold(_plan(kit, "r1"))
    for by in ("Ada", "Bob"):
        decided = await store.decide("r1", Decision.APPROVED, by=by)
        same(decided and decided.decision, Decision.APPROVED, f"the decision of {by}")
        same(decided and decided.by, "Ada", "who decided")
    same(await store.plan_part("r1", 0), _PART, "the file of an approved plan")
    late = await store.decide("r1", Decision.REJECTED, by="Bob")
    same(late, None, "a second decision")
    unknown = await store.decide("r2", Decision.APPROVED, by="Ada")
    same(unknown, None, "a decision on an unknown plan")


@promise(HELD, mend="Supersede what waits when a plan is held, and in `supersede`.")
async def newer_plans_supersede(kit: StateKit) -> None:
    """A newer plan of the job, or a run that wrote all, supersedes a plan that waits."""
    store = kit.store
    for run_id in ("r1", "r2"):
        await store.add_plan_part(run_id, 0, _PART)
        await store.hold(_plan(kit, run_id))
    await store.supersede("another job")
    found = [(p.run_id, p.decision) for p in await store.held_plans()]
    expected = [("r2", Decision.WAITING), ("r1", Decision.SUPERSEDED)]
    same(found, expected, "the plans after a newer one")
    same(await store.plan_part("r1", 0), None, "the file of a superseded plan")
    same(await store.plan_part("r2", 0), _PART, "the file of a plan that waits")
    await store.supersede(kit.job)
    plans = await store.held_plans()
    same({p.decision for p in plans}, {Decision.SUPERSEDED}, "plans after a whole run")
    late = await store.decide("r2", Decision.APPROVED, by="Ada")
    same(late, None, "a decision on a superseded plan")
