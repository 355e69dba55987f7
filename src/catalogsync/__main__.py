"""The command line as `python -m catalogsync`."""

from __future__ import annotations

from catalogsync.cli import main

if __name__ == "__main__":
    main()
