"""The errors of catalogsync, one class for each decision.

```
CatalogSyncError
├── InvalidValueError      a value that no product can have; names the path
├── TransientError         may pass: the engine repeats the page or the batch
│   ├── BrokenReplyError   the other side broke its word (cut, bad or shifting pages)
│   └── ConflictError      the sink changed meanwhile: find and plan again
├── RefusedError           these products are not acceptable: set aside, go on
│   └── BatchRefusedError  a whole batch, with the culprits where they are known
├── BrokenPromiseError     an adapter returned what its protocol rules out
├── UnauthorizedError      the credentials are not accepted: the run stops
├── MisconfiguredError     a setting is wrong or missing: raised before any write
├── MissingExtraError      an optional dependency is not installed
└── RunFailedError         a finished run was not what the caller asked for
```

Adapters raise them; the engine answers each as its class says. Anything else
that an adapter raises is a defect of the adapter and ends the run as `failed`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .catalog.products import ProductKey
    from .report import Report

__all__ = [
    "BatchRefusedError",
    "BrokenPromiseError",
    "BrokenReplyError",
    "CatalogSyncError",
    "ConflictError",
    "InvalidValueError",
    "MisconfiguredError",
    "MissingExtraError",
    "RefusedError",
    "RunFailedError",
    "TransientError",
    "UnauthorizedError",
]

_LONGEST_WAIT = 365 * 86_400.0


class CatalogSyncError(Exception):
    """Base of every error that catalogsync raises on purpose."""


class InvalidValueError(CatalogSyncError, ValueError):
    """A value that the model does not take.

    Attributes:
        path: Where the value stands, such as `variants[2].prices[0].amount`.
        problem: What is wrong with it, without the path.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def under(self, parent: str) -> InvalidValueError:
        """The same problem, seen from one level further out."""
        joint = "." if parent and self.path and not self.path.startswith("[") else ""
        return InvalidValueError(f"{parent}{joint}{self.path}", self.problem)


class TransientError(CatalogSyncError):
    """Something that may pass: a timeout, a lost connection, a busy server.

    Attributes:
        retry_after: Seconds that the other side asked to wait, if it did; at least 0,
            and at most those of a year. What is not a number counts as not asked.
        unexplained: True for an answer that may just as well be a lasting
            refusal, such as a 500 without a reason. The engine repeats it once
            and then looks for the product that causes it.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        unexplained: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = None if retry_after is None else _bounded(retry_after)
        self.unexplained = unexplained


def _bounded(seconds: float) -> float | None:
    if math.isnan(seconds):
        return None
    return min(_LONGEST_WAIT, max(0.0, seconds))


class BrokenReplyError(TransientError):
    """The other side broke its word: a cut body, bad JSON, a page too short."""


class ConflictError(TransientError):
    """The sink is no longer as it was found: find and plan again."""


class RefusedError(CatalogSyncError):
    """A product or reference is not acceptable; repeating would not help.

    Attributes:
        said: The other side's own words, where it gave any.
    """

    def __init__(self, reason: str, *, said: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.said = said


class BatchRefusedError(RefusedError):
    """A sink took none of a batch.

    Attributes:
        culprits: The products that caused it and why, where that is known. The
            engine writes the others without them; with no culprits it halves
            the batch until they stand alone.
        holders: For a culprit that needs a unique value, such as an SKU, which
            another product under a key of ours has: that product. The engine tries
            the culprit again at the end of the run, when the other one may have
            let go of it.
    """

    def __init__(
        self,
        reason: str,
        *,
        said: str = "",
        culprits: Mapping[ProductKey, str] | None = None,
        holders: Mapping[ProductKey, ProductKey] | None = None,
    ) -> None:
        super().__init__(reason, said=said)
        self.culprits: Mapping[ProductKey, str] = dict(culprits or {})
        self.holders: Mapping[ProductKey, ProductKey] = dict(holders or {})


class BrokenPromiseError(CatalogSyncError):
    """An adapter returned what its protocol rules out: it has a defect.

    Attributes:
        method: Which method did, such as `PriceSink.find`.
        problem: What it returned, and what it should return.
    """

    def __init__(self, method: str, problem: str) -> None:
        super().__init__(f"{method}: {problem}")
        self.method = method
        self.problem = problem


class UnauthorizedError(CatalogSyncError):
    """The credentials are not accepted, also after a new login."""


class MisconfiguredError(CatalogSyncError):
    """A setting is wrong or missing.

    Attributes:
        setting: The name of the setting, such as `sales_channel`.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting
        self.problem = problem


class MissingExtraError(CatalogSyncError, ImportError):
    """An optional dependency is needed and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs: pip install 'catalogsync[{extra}]'")


class RunFailedError(CatalogSyncError):
    """A run ended otherwise than its caller accepts.

    Attributes:
        report: The report of that run.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
