"""The command line; requires the extra `cli`."""

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
            # A character that the terminal cannot show must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        for module in ("click", "rich"):
            import_module(module)
    except ImportError:
        error = MissingExtraError("the command line", "cli")
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    from ._commands import cli

    # Loaded modules live until the end, and records create no reference cycles.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    cli.main(prog_name="catalogsync")
