"""Keeps a store's catalog in step with the place where its products really live.

Everything that code outside needs has its name here. Names are loaded on first
use, so importing the package is quick and needs no optional dependency.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from ._http import HttpOptions
    from .adapters.memory import MemorySink, MemorySource, as_source
    from .batching import batched, batcher
    from .changes import (
        Action,
        Ambiguous,
        Change,
        FieldDiff,
        Held,
        HeldReference,
        Ours,
        Reference,
        ReferenceChange,
        ReferenceKind,
        ReferenceOutcome,
        Stranger,
        VariantChange,
    )
    from .config import Adapters, Config, Job, load_config
    from .differences import diff
    from .engine import (
        Openable,
        Options,
        Run,
        Transform,
        open_run,
        rehearse,
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
        MissingExtraError,
        RefusedError,
        RunFailedError,
        TransientError,
        UnauthorizedError,
    )
    from .events import Event, EventHook
    from .models import (
        UNSET,
        Category,
        Dimensions,
        Field,
        Image,
        Json,
        Price,
        Product,
        ProductKey,
        ProductStatus,
        StockLevel,
        Unset,
        Variant,
    )
    from .outcomes import Outcome, OutcomeStatus, Rejected
    from .planning import plan
    from .protocols import (
        Checkable,
        Cursor,
        Finding,
        Limits,
        LookupSource,
        Metered,
        Page,
        ReferencingSink,
        ShapingSink,
        Sink,
        Source,
        WeighingSink,
    )
    from .report import CategoryCounts, Counts, Report, RunStatus
    from .retry import RetryPolicy

_HOMES = {
    "_http": ("HttpOptions",),
    "adapters.memory": ("MemorySink", "MemorySource", "as_source"),
    "batching": ("batched", "batcher"),
    "config": ("Adapters", "Config", "Job", "load_config"),
    "differences": ("diff",),
    "engine": (
        "Openable",
        "Options",
        "Run",
        "Transform",
        "open_run",
        "rehearse",
        "run_blocking",
        "sync",
    ),
    "errors": (
        "BatchRefusedError",
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
    ),
    "events": ("Event", "EventHook"),
    "models": (
        "UNSET",
        "Category",
        "Dimensions",
        "Field",
        "Image",
        "Json",
        "Price",
        "Product",
        "ProductKey",
        "ProductStatus",
        "StockLevel",
        "Unset",
        "Variant",
    ),
    "outcomes": ("Outcome", "OutcomeStatus", "Rejected"),
    "planning": ("plan",),
    "changes": (
        "Action",
        "Ambiguous",
        "Change",
        "FieldDiff",
        "Held",
        "HeldReference",
        "Ours",
        "Reference",
        "ReferenceChange",
        "ReferenceKind",
        "ReferenceOutcome",
        "Stranger",
        "VariantChange",
    ),
    "protocols": (
        "Checkable",
        "Cursor",
        "Finding",
        "Limits",
        "LookupSource",
        "Metered",
        "Page",
        "ReferencingSink",
        "ShapingSink",
        "Sink",
        "Source",
        "WeighingSink",
    ),
    "report": ("CategoryCounts", "Counts", "Report", "RunStatus"),
    "retry": ("RetryPolicy",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "UNSET",
    "Action",
    "Adapters",
    "Ambiguous",
    "BatchRefusedError",
    "BrokenReplyError",
    "CatalogSyncError",
    "Category",
    "CategoryCounts",
    "Change",
    "Checkable",
    "Config",
    "ConflictError",
    "Counts",
    "Cursor",
    "Dimensions",
    "Event",
    "EventHook",
    "Field",
    "FieldDiff",
    "Finding",
    "Held",
    "HeldReference",
    "HttpOptions",
    "Image",
    "InvalidValueError",
    "Job",
    "Json",
    "Limits",
    "LookupSource",
    "MemorySink",
    "MemorySource",
    "Metered",
    "MisconfiguredError",
    "MissingExtraError",
    "Openable",
    "Options",
    "Ours",
    "Outcome",
    "OutcomeStatus",
    "Page",
    "Price",
    "Product",
    "ProductKey",
    "ProductStatus",
    "Reference",
    "ReferenceChange",
    "ReferenceKind",
    "ReferenceOutcome",
    "ReferencingSink",
    "RefusedError",
    "Rejected",
    "Report",
    "RetryPolicy",
    "Run",
    "RunFailedError",
    "RunStatus",
    "ShapingSink",
    "Sink",
    "Source",
    "StockLevel",
    "Stranger",
    "Transform",
    "TransientError",
    "UnauthorizedError",
    "Unset",
    "Variant",
    "VariantChange",
    "WeighingSink",
    "as_source",
    "batched",
    "batcher",
    "diff",
    "load_config",
    "open_run",
    "plan",
    "rehearse",
    "run_blocking",
    "sync",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("catalogsync")
    if name not in _HOME_OF:
        problem = f"module 'catalogsync' has no attribute {name!r}"
        raise AttributeError(problem)
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
