"""Runs: reading a source, working out what differs and bringing it about."""

from __future__ import annotations

from .options import Options, Transform
from .run import Run, open_run, rehearse, run_blocking, sync

__all__ = [
    "Options",
    "Run",
    "Transform",
    "open_run",
    "rehearse",
    "run_blocking",
    "sync",
]
