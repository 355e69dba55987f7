"""State stores: in memory, in a SQLite file, or on PostgreSQL for several hosts."""

from ._settings import StateSettings

__all__ = ["StateSettings"]
