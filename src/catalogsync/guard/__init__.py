"""The guard: budgets on what changes mean, so that an accident is not written.

It is pure: it counts what changes do (`Harm`) and gives a `Verdict`. The engine keeps
all changes back until they are counted (`catalogsync.engine.guarding`), and writes none
of them if a budget is exceeded.
"""

from __future__ import annotations

from ._assessment import Assessment, Excess, Verdict, Worst
from ._budgets import OFF, Budget, Budgets, Group, Mode
from ._harms import Harm, harms_of

__all__ = [
    "OFF",
    "Assessment",
    "Budget",
    "Budgets",
    "Excess",
    "Group",
    "Harm",
    "Mode",
    "Verdict",
    "Worst",
    "harms_of",
]
