"""Runs: reading a source, working out what differs and bringing it about."""

from __future__ import annotations

from .applying import open_apply
from .disowning import open_disown
from .options import Missing, Options, Prune, Transform, WhenBusy
from .pipeline import Show
from .pruning import is_removed
from .retrying import FailedProducts, find_failed, open_retry
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
    "FailedProducts",
    "Missing",
    "Openable",
    "Options",
    "Prune",
    "Run",
    "Show",
    "Transform",
    "WhenBusy",
    "find_failed",
    "is_removed",
    "note_no_start",
    "open_apply",
    "open_disown",
    "open_retry",
    "open_run",
    "opened",
    "rehearse",
    "run_blocking",
    "sync",
]
