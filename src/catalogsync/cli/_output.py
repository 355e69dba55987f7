"""What goes to the terminal: nothing that steers it, and no secrets."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

import click

from catalogsync.errors import CatalogSyncError

__all__ = ["Teller", "printable", "shortened"]

_KEPT = frozenset("\n\t")


def printable(text: str) -> str:
    """The text with its control characters written out."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _KEPT else c.encode("unicode_escape").decode()
        for c in text
    )


def shortened(text: str, most: int) -> str:
    """The text on one line, cut where it is longer than *most*."""
    line = printable(text).replace("\n", "\\n").replace("\t", "\\t")
    return line if len(line) <= most else f"{line[: most - 1]}…"


class Teller:
    """Writes to the two streams and keeps secrets out of both.

    Args:
        verbose: Whether an error is told with the place where it was raised.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._secrets: set[str] = set()

    def keep_secret(self, texts: Iterable[str]) -> None:
        """Let these stand in no line from now on."""
        self._secrets.update(texts)

    def result(self, text: str) -> None:
        """Write what the user asked for, to the standard output."""
        click.echo(self._clean(text))

    def remark(self, text: str) -> None:
        """Write what goes on, to the standard error."""
        click.echo(self._clean(text), err=True)

    def error(self, error: BaseException) -> None:
        """Write what went wrong; only a verbose one shows where."""
        if isinstance(error, CatalogSyncError):
            self.remark(f"error: {error}")
        else:
            kind = type(error).__name__
            hint = "" if self._verbose else "; -v shows where"
            self.remark(f"error: unexpected {kind}: {error}{hint}")
        if self._verbose:
            # Never with the values of local variables: settings are among them.
            lines = traceback.TracebackException.from_exception(
                error, capture_locals=False
            ).format()
            self.remark("".join(lines).rstrip())

    def _clean(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return printable(text)
