"""The command line; needs the extra `cli`."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from io import TextIOWrapper

from catalogsync.errors import MissingExtraError

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that lacks a character must not break a run off.
            stream.reconfigure(errors="backslashreplace")
    try:
        for module in ("click", "rich"):
            import_module(module)
    except ImportError:
        told = MissingExtraError("the command line", "cli")
        sys.stderr.write(f"error: {told}\n")
        raise SystemExit(2) from None
    from ._commands import cli

    # What is loaded stays to the end, and records make no cycles.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    cli.main(prog_name="catalogsync")
