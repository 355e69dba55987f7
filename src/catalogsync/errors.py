"""The errors of catalogsync, one class for each decision.

```
CatalogSyncError
├── InvalidValueError      a value is not valid in a product; names the path
├── TransientError         may go away: the engine retries the page or the batch
│   ├── BrokenReplyError   the reply is cut, malformed or contradictory
│   └── ConflictError      the sink has changed since `find`: find and plan again
├── RefusedError           a product is not acceptable: it fails, the run continues
│   └── BatchRefusedError  a whole batch is not, with the culprits if they are known
├── BrokenPromiseError     an adapter returned something its protocol does not allow
├── UnauthorizedError      the credentials are not accepted: the run stops
├── MisconfiguredError     a setting is wrong or missing: the run stops
├── MissingExtraError      an optional dependency is not installed
└── RunFailedError         a finished run does not have the status the caller accepts
```

Adapters raise them, and the class decides what the engine does. Any other exception
from an adapter is a defect of the adapter and ends the run as `failed`.
"""

from __future__ import annotations

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
    """A value is not valid.

    Attributes:
        path: The path to the value, such as `variants[2].prices[0].amount`.
        problem: What is wrong with it, without the path.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def under(self, parent: str) -> InvalidValueError:
        """The same problem, with the path continued from *parent*."""
        joint = "." if parent and self.path and not self.path.startswith("[") else ""
        return InvalidValueError(f"{parent}{joint}{self.path}", self.problem)


class TransientError(CatalogSyncError):
    """Something that may go away: a timeout, a lost connection, a busy server.

    Attributes:
        retry_after: Seconds that the other side asked to wait, from 0 to one year; None:
            it did not ask. NaN counts as not asked.
        unexplained: True for an answer that may as well be permanent, such as a 500
            without a reason. The engine retries once and then looks for the product
            that causes it.
        begun: Whether the other side may have begun to do what was asked; False: it
            said that it did not, as with the status 429. After a creation that it may
            have begun, the engine waits longer where a second one makes a duplicate.
    """

    _retry_after: float | None = None
    unexplained: bool = False
    begun: bool = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        unexplained: bool = False,
        begun: bool = True,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.unexplained = unexplained
        self.begun = begun

    @property
    def retry_after(self) -> float | None:
        """Seconds that the other side asked to wait."""
        return self._retry_after

    @retry_after.setter
    def retry_after(self, seconds: float | None) -> None:
        self._retry_after = None if seconds is None else _bounded(seconds)


def _bounded(seconds: float) -> float | None:
    if not _is_number(seconds):
        msg = f"retry_after must be a number of seconds or None, is {seconds!r}"
        raise TypeError(msg)
    if seconds != seconds:  # noqa: PLR0124 - not a number; isnan takes no huge ones
        return None
    return min(_LONGEST_WAIT, max(0.0, seconds))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class BrokenReplyError(TransientError):
    """A reply is cut, malformed or contradictory: bad JSON, a page too short."""


class ConflictError(TransientError):
    """The sink has changed since `find`: find and plan again."""


class RefusedError(CatalogSyncError):
    """A product, category or tag is not acceptable; a retry would not help.

    Attributes:
        reason: Why, for people.
        said: The message of the other system; empty: none.
    """

    def __init__(self, reason: str, *, said: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.said = said


class BatchRefusedError(RefusedError):
    """A sink accepted nothing of a batch.

    Attributes:
        culprits: The products that caused it, with reasons, if they are known. The
            engine writes the batch without them. If there are none, it halves the batch
            until they are alone.
        holders: For a culprit that needs a unique value, such as an SKU: the product of
            ours that has it. The engine tries the culprit again at the end of the run,
            when the holder may have given up the value.
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
    """An adapter returned something that its protocol does not allow: it has a defect.

    Attributes:
        method: The method, such as `PriceSink.find`.
        problem: What it returned, and what it should return.
    """

    def __init__(self, method: str, problem: str) -> None:
        super().__init__(f"{method}: {problem}")
        self.method = method
        self.problem = problem


class UnauthorizedError(CatalogSyncError):
    """The credentials are not accepted, even after a new login."""


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
    """An optional dependency is needed but not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs: pip install 'catalogsync[{extra}]'")


class RunFailedError(CatalogSyncError):
    """A run ended with a status that its caller does not accept.

    Attributes:
        report: The report of that run.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
