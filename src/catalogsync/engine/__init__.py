"""Runs: reading a source, working out what differs and bringing it about."""

from __future__ import annotations

from .applying import open_apply
from .options import OnDeleted, Options, Prune, Transform, WhenBusy
from .pipeline import Show
from .pruning import is_removed
from .releasing import open_release
from .retrying import RetrySource, find_failed, open_retry
from .run import Run
from .starting import (
    Openable,
    note_no_start,
    open_run,
    opened,
    rehearse,
    run_blocking,
    sync,
)

__all__ = [
    "OnDeleted",
    "Openable",
    "Options",
    "Prune",
    "RetrySource",
    "Run",
    "Show",
    "Transform",
    "WhenBusy",
    "find_failed",
    "is_removed",
    "note_no_start",
    "open_apply",
    "open_release",
    "open_retry",
    "open_run",
    "opened",
    "rehearse",
    "run_blocking",
    "sync",
]
