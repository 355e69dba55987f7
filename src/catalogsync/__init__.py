"""Keeps a store's catalog in step with the place where its products really live.

The names that most programs need. The others are in `catalogsync.catalog`,
`.protocols`, `.events`, `.errors`, `.report`, `.plans`, `.state`, `.config`, `.http`
and `.diff`. A name is loaded on first use, so that the import is quick and needs no
optional dependency.

To read the code, begin with `protocols` (what sources and sinks are) and the docstring
of `engine` (what a run does with them).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from .adapters.memory import MemorySink, as_source
    from .batching import batcher, one_by_one
    from .catalog.changes import (
        Action,
        Change,
        Conflict,
        Create,
        Existing,
        Update,
    )
    from .catalog.outcomes import Outcome, OutcomeStatus, Rejected
    from .catalog.products import (
        UNSET,
        Category,
        Dimensions,
        Field,
        Image,
        Price,
        Product,
        ProductKey,
        ProductStatus,
        StockLevel,
        Variant,
    )
    from .config import Job, load_config
    from .diff.ownership import OnManualEdit, Owner
    from .engine import (
        OnDeleted,
        Options,
        Prune,
        Run,
        Sync,
        Transform,
        WhenBusy,
        Writes,
        run_blocking,
        sync,
    )
    from .errors import (
        BatchRefusedError,
        BrokenReplyError,
        CatalogSyncError,
        ConflictError,
        InvalidValueError,
        MisconfiguredError,
        RefusedError,
        RunFailedError,
        TransientError,
        UnauthorizedError,
    )
    from .events import EventHook
    from .plans import Plan
    from .protocols import Limits, LookupSource, Page, Sink, Source
    from .report import Report, RunStatus
    from .retry import RetryPolicy
    from .schedule import Schedule
    from .state import StateSettings
    from .state.protocols import BusyError

_HOMES = {
    "adapters.memory": "MemorySink as_source",
    "batching": "batcher one_by_one",
    "catalog.changes": "Action Change Conflict Create Existing Update",
    "catalog.outcomes": "Outcome OutcomeStatus Rejected",
    "catalog.products": "Category Dimensions Field Image Price Product ProductKey ProductStatus StockLevel UNSET Variant",
    "config": "Job load_config",
    "diff.ownership": "OnManualEdit Owner",
    "engine": "OnDeleted Options Prune Run Sync Transform WhenBusy Writes run_blocking sync",
    "errors": "BatchRefusedError BrokenReplyError CatalogSyncError ConflictError InvalidValueError MisconfiguredError RefusedError RunFailedError TransientError UnauthorizedError",
    "events": "EventHook",
    "plans": "Plan",
    "protocols": "Limits LookupSource Page Sink Source",
    "report": "Report RunStatus",
    "retry": "RetryPolicy",
    "schedule": "Schedule",
    "state": "StateSettings",
    "state.protocols": "BusyError",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "UNSET",
    "Action",
    "BatchRefusedError",
    "BrokenReplyError",
    "BusyError",
    "CatalogSyncError",
    "Category",
    "Change",
    "Conflict",
    "ConflictError",
    "Create",
    "Dimensions",
    "EventHook",
    "Existing",
    "Field",
    "Image",
    "InvalidValueError",
    "Job",
    "Limits",
    "LookupSource",
    "MemorySink",
    "MisconfiguredError",
    "OnDeleted",
    "OnManualEdit",
    "Options",
    "Outcome",
    "OutcomeStatus",
    "Owner",
    "Page",
    "Plan",
    "Price",
    "Product",
    "ProductKey",
    "ProductStatus",
    "Prune",
    "RefusedError",
    "Rejected",
    "Report",
    "RetryPolicy",
    "Run",
    "RunFailedError",
    "RunStatus",
    "Schedule",
    "Sink",
    "Source",
    "StateSettings",
    "StockLevel",
    "Sync",
    "Transform",
    "TransientError",
    "UnauthorizedError",
    "Update",
    "Variant",
    "WhenBusy",
    "Writes",
    "as_source",
    "batcher",
    "load_config",
    "one_by_one",
    "run_blocking",
    "sync",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from ._lib.versions import installed_version

        return installed_version("catalogsync")
    if name not in _HOME_OF:
        problem = f"module 'catalogsync' has no attribute {name!r}"
        raise AttributeError(problem)
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
