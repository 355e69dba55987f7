"""Versions of installed packages."""

from __future__ import annotations

from functools import cache


@cache
def installed_version(package: str) -> str:
    """The version of a package; looking it up scans all installed ones.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    from importlib.metadata import version  # takes long to import

    return version(package)
