"""Runs: read a source, work out what differs, write it, and record what happened."""

from __future__ import annotations

from .opening import Openable
from .options import OnDeleted, Options, Prune, Transform, WhenBusy
from .pipeline import OnChange
from .retrying import RetrySource
from .run import Run
from .sync import Sync, run_blocking, sync

__all__ = [
    "OnChange",
    "OnDeleted",
    "Openable",
    "Options",
    "Prune",
    "RetrySource",
    "Run",
    "Sync",
    "Transform",
    "WhenBusy",
    "run_blocking",
    "sync",
]
