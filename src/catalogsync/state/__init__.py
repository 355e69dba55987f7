"""What outlives a run: in memory, in a SQLite file, or on PostgreSQL for several hosts."""

from ._settings import StateSettings
from .protocols import (
    BusyError,
    DamageReporting,
    FailedProduct,
    HistoryEntry,
    Intent,
    Lease,
    LeaseLostError,
    QueueSize,
    RunRecord,
    StateError,
    StateStore,
    Trigger,
)

__all__ = [
    "BusyError",
    "DamageReporting",
    "FailedProduct",
    "HistoryEntry",
    "Intent",
    "Lease",
    "LeaseLostError",
    "QueueSize",
    "RunRecord",
    "StateError",
    "StateSettings",
    "StateStore",
    "Trigger",
]
