"""What the settings of all sources that read files have in common."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Protocol

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError, MissingExtraError
from catalogsync.mapping import RecordMapping

__all__ = ["FileSettings", "check_installed", "check_name"]


class FileSettings(Protocol):
    """The settings that `FileSource` needs."""

    @property
    def location(self) -> str:
        """A path or an address; of several files that match, the newest is read."""
        ...

    @property
    def name(self) -> str:
        """Name of the source, for product keys."""
        ...

    @property
    def map(self) -> RecordMapping:
        """Where the fields of a product come from."""
        ...

    @property
    def max_size(self) -> int:
        """Most bytes to read, uncompressed."""
        ...

    @property
    def page_size(self) -> int:
        """Products in a page."""
        ...


def check_name(_: object, __: object, value: str) -> None:
    """Check the name of a source; a validator of attrs.

    Raises:
        MisconfiguredError: It cannot be part of a product key.
    """
    try:
        ProductKey(value, "1")
    except InvalidValueError as error:
        raise MisconfiguredError("name", error.problem) from None


def check_installed(what: str, modules: Iterable[str]) -> None:
    """Check that the packages of the extra `files` are there.

    Args:
        what: What needs them, for the message.
        modules: The modules to import.

    Raises:
        MissingExtraError: One is not installed.
    """
    try:
        for module in modules:
            import_module(module)
    except ImportError as error:
        raise MissingExtraError(what, "files") from error
