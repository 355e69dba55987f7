"""Run stores: in memory, in a SQLite file, or on PostgreSQL for several hosts."""

from ._settings import StoreSettings

__all__ = ["StoreSettings"]
