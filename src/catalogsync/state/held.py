"""Plans of runs that the guard held: they wait in the state store for a person."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import attrs

from catalogsync.report import Held

__all__ = ["Decision", "HeldPlan", "HeldPlans", "keep_plan", "restore_plan"]


class Decision(enum.StrEnum):
    """The decision on a held plan.

    `SUPERSEDED`: a newer run was held, or wrote everything.
    """

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


@attrs.frozen(kw_only=True)
class HeldPlan:
    """The plan of a run that the guard held.

    Attributes:
        run_id: Id of the run.
        job: Name of the job.
        held_at: When it was held, in seconds since the epoch.
        held: Why.
        decision: The decision on it.
        by: Who approved or rejected it; empty: nobody did.
        decided_at: When; None: nobody did.
    """

    run_id: str
    job: str
    held_at: float
    held: Held
    decision: Decision = Decision.WAITING
    by: str = ""
    decided_at: float | None = None


class HeldPlans(Protocol):
    """The part of a `StateStore` that keeps the plans of held runs."""

    async def hold(self, plan: HeldPlan, /) -> None:
        """Save a held plan; those of the job that still wait are superseded.

        `add_plan_part` saves the plan file itself, before.
        """
        ...

    async def add_plan_part(self, run_id: str, number: int, data: bytes, /) -> None:
        """Save a part of a plan file, from number 0 on."""
        ...

    async def plan_part(self, run_id: str, number: int, /) -> bytes | None:
        """A part of a plan file; None: there is none with this number."""
        ...

    async def held_plans(
        self, *, job: str | None = None, limit: int = 20
    ) -> Sequence[HeldPlan]:
        """The latest held plans of one job or of all, newest first."""
        ...

    async def held_plan(self, run_id: str, /) -> HeldPlan | None:
        """The held plan of a run; None: there is none."""
        ...

    async def decide(
        self, run_id: str, decision: Decision, /, *, by: str
    ) -> HeldPlan | None:
        """Approve or reject a plan that waits, or approve an approved one again.

        Returns:
            The plan with the decision, or None if it was decided otherwise or is not there.
        """
        ...

    async def supersede(self, job: str, /) -> None:
        """Supersede the plans of a job that wait, and delete their files."""
        ...


_PART = 1 << 20


async def keep_plan(store: HeldPlans, plan: HeldPlan, path: Path) -> None:
    """Save a held plan and its file, a part at a time.

    Args:
        store: The state store.
        plan: The plan.
        path: The plan file.
    """
    with path.open("rb") as file:
        number = 0
        while data := file.read(_PART):
            await store.add_plan_part(plan.run_id, number, data)
            number += 1
    await store.hold(plan)


async def restore_plan(store: HeldPlans, run_id: str, path: Path) -> None:
    """Write the file of a held plan.

    Args:
        store: The state store.
        run_id: Id of the held run.
        path: The file; an existing one is replaced.
    """
    with path.open("wb") as file:
        number = 0
        while (data := await store.plan_part(run_id, number)) is not None:
            file.write(data)
            number += 1
