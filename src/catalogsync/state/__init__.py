"""What outlives a run: in memory, in a SQLite file, or on PostgreSQL for several hosts."""

from ._settings import StateSettings
from .protocols import (
    BusyError,
    Coordination,
    DamageReporting,
    FailedProduct,
    FailureStore,
    HistoryEntry,
    Intent,
    Lease,
    LeaseLostError,
    ProductMemory,
    QueueSize,
    RunHistory,
    RunRecord,
    StateError,
    StateStore,
    Trigger,
    UnchangedProducts,
)

__all__ = [
    "BusyError",
    "Coordination",
    "DamageReporting",
    "FailedProduct",
    "FailureStore",
    "HistoryEntry",
    "Intent",
    "Lease",
    "LeaseLostError",
    "ProductMemory",
    "QueueSize",
    "RunHistory",
    "RunRecord",
    "StateError",
    "StateSettings",
    "StateStore",
    "Trigger",
    "UnchangedProducts",
]
