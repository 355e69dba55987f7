"""Terminal output, without control characters and secrets."""

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

_KEPT = frozenset("\n\t")
_SERVE = "catalogsync.serve"


def printable(text: str) -> str:
    """The text with its control characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _KEPT else c.encode("unicode_escape").decode()
        for c in text
    )


def shortened(text: str, most: int) -> str:
    """The text on one line, cut after *most* characters."""
    line = printable(text).replace("\n", "\\n").replace("\t", "\\t")
    return line if len(line) <= most else f"{line[: most - 1]}…"


class Terminal:
    """Writes to the standard output and error, without secrets."""

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self._redactor = Redactor()

    def redact(self, texts: Iterable[str]) -> None:
        """Redact these texts from now on, also as messages may quote them."""
        self._redactor.keep(texts)

    def out(self, text: str) -> None:
        """Write a result of the command to the standard output."""
        click.echo(self.clean(text))

    def err(self, text: str) -> None:
        """Write a message to the standard error."""
        click.echo(self.clean(text), err=True)

    def error(self, error: BaseException) -> None:
        """Write an error; with its traceback if verbose."""
        if isinstance(error, CatalogSyncError):
            self.err(f"error: {error}")
        else:
            kind = type(error).__name__
            hint = "" if self.verbose else "; use -v for the traceback"
            self.err(f"error: unexpected {kind}: {error}{hint}")
        if self.verbose:
            # Local variables may contain settings with secrets.
            lines = traceback.TracebackException.from_exception(
                error, capture_locals=False
            ).format()
            self.err("".join(lines).rstrip())

    def redacted(self, tree: Json) -> Json:
        """The same tree without secrets."""
        return cast("Json", self._redactor.tree(tree))

    def clean(self, text: str) -> str:
        """The text without secrets and control characters."""
        return printable(self._redactor.text(text))


class _Lines(logging.Formatter):
    """Formats a record as a line of text; with the traceback if verbose."""

    def __init__(self, *, verbose: bool, stamped: bool = False) -> None:
        super().__init__()
        self._verbose = verbose
        self._stamped = stamped

    def format(self, record: logging.LogRecord) -> str:
        """The level and the message, after the time if *stamped*."""
        text = super().format(record) if self._verbose else record.getMessage()
        if not self._stamped:
            return f"{record.levelname.lower()}: {text}"
        is_plain = record.levelno == logging.INFO
        line = text if is_plain else f"{record.levelname.lower()}: {text}"
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        return f"{at.isoformat(timespec='milliseconds')} {line}"


class LogHandler(logging.Handler):
    """Passes log records to the terminal."""

    def __init__(self, terminal: Terminal, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._terminal = terminal
        self.setFormatter(_Lines(verbose=terminal.verbose))

    def serve(self, *, as_json: bool) -> None:
        """Switch to the format of a service: with the time, or JSON."""
        verbose = self._terminal.verbose
        lines = _Lines(verbose=verbose, stamped=True)
        self.setFormatter(JsonFormatter() if as_json else lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; messages of a service go to the standard output."""
        is_result = record.name == _SERVE and record.levelno < logging.WARNING
        write = self._terminal.out if is_result else self._terminal.err
        try:
            write(self.format(record))
        except OSError:
            self.handleError(record)
