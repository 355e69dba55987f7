"""What goes to the terminal: nothing that steers it, and no secrets."""

from __future__ import annotations

import datetime as dt
import logging
import traceback
from collections.abc import Iterable
from typing import cast

import click

from catalogsync._lib.redact import Redactor
from catalogsync.catalog.products import Json
from catalogsync.errors import CatalogSyncError
from catalogsync.integrations.jsonlog import JsonFormatter

__all__ = ["LogHandler", "Teller", "printable", "shortened"]

_KEPT = frozenset("\n\t")
_SERVE = "catalogsync.serve"


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
        self.verbose = verbose
        self._redactor = Redactor()

    def keep_secret(self, texts: Iterable[str]) -> None:
        """Let these stand in no line from now on, nor as a message may quote them."""
        self._redactor.keep(texts)

    def result(self, text: str) -> None:
        """Write what the user asked for, to the standard output."""
        click.echo(self.clean(text))

    def remark(self, text: str) -> None:
        """Write what goes on, to the standard error."""
        click.echo(self.clean(text), err=True)

    def error(self, error: BaseException) -> None:
        """Write what went wrong; only a verbose one shows where."""
        if isinstance(error, CatalogSyncError):
            self.remark(f"error: {error}")
        else:
            kind = type(error).__name__
            hint = "" if self.verbose else "; -v shows where"
            self.remark(f"error: unexpected {kind}: {error}{hint}")
        if self.verbose:
            # Never with the values of local variables: settings are among them.
            lines = traceback.TracebackException.from_exception(
                error, capture_locals=False
            ).format()
            self.remark("".join(lines).rstrip())

    def censored(self, tree: Json) -> Json:
        """The same without the secrets in its texts."""
        return cast("Json", self._redactor.tree(tree))

    def clean(self, text: str) -> str:
        """The text as it is written: without secrets, and nothing that steers."""
        return printable(self._redactor.text(text))


class _Lines(logging.Formatter):
    """A line for a person; a verbose one also says where an error comes from."""

    def __init__(self, *, verbose: bool, stamped: bool = False) -> None:
        super().__init__()
        self._verbose = verbose
        self._stamped = stamped

    def format(self, record: logging.LogRecord) -> str:
        """The level and the message, after the time where it is wanted."""
        text = super().format(record) if self._verbose else record.getMessage()
        if not self._stamped:
            return f"{record.levelname.lower()}: {text}"
        is_plain = record.levelno == logging.INFO
        line = text if is_plain else f"{record.levelname.lower()}: {text}"
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        return f"{at.isoformat(timespec='milliseconds')} {line}"


class LogHandler(logging.Handler):
    """Hands log records to a teller."""

    def __init__(self, teller: Teller, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._teller = teller
        self.setFormatter(_Lines(verbose=teller.verbose))

    def serve(self, *, as_json: bool) -> None:
        """From now on, write what a service logs: with the time, or as JSON."""
        verbose = self._teller.verbose
        lines = _Lines(verbose=verbose, stamped=True)
        self.setFormatter(JsonFormatter() if as_json else lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record; what a service has to say is its result."""
        is_result = record.name == _SERVE and record.levelno < logging.WARNING
        write = self._teller.result if is_result else self._teller.remark
        try:
            write(self.format(record))
        except OSError:
            self.handleError(record)
