"""Plan files: the changes that a run would make, one line of JSON for each.

The first line names the job, source and sink. The last line has a summary and a
checksum of all others. Each line between them is a product, a category or a tag, with
its differences, a fingerprint of what the change was planned from, and everything
needed to apply it.
"""

from __future__ import annotations

from ._estimates import Estimate, estimate
from ._fingerprints import fingerprint
from ._heads import PlanHead, plan_head
from ._reading import Plan, PlanSource
from ._writing import PlanWriter

__all__ = [
    "Estimate",
    "Plan",
    "PlanHead",
    "PlanSource",
    "PlanWriter",
    "estimate",
    "fingerprint",
    "plan_head",
]
