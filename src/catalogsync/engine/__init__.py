"""Runs: reading a source, working out what differs and bringing it about."""

from __future__ import annotations

from .options import Options, Transform
from .run import (
    Openable,
    Run,
    open_run,
    opened,
    rehearse,
    run_blocking,
    sync,
)

__all__ = [
    "Openable",
    "Options",
    "Run",
    "Transform",
    "open_run",
    "opened",
    "rehearse",
    "run_blocking",
    "sync",
]
