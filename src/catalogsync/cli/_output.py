"""What goes to the terminal: nothing that steers it, and no secrets."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

import click

from catalogsync.errors import CatalogSyncError
from catalogsync.models import Json

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
        """Let these stand in no line from now on, nor as a message may quote them."""
        self._secrets.update(form for text in texts for form in _forms(text))

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

    def censored(self, tree: Json) -> Json:
        """The same without the secrets in its texts."""
        match tree:
            case str():
                return self._without_secrets(tree)
            case list():
                return [self.censored(item) for item in tree]
            case Mapping():
                return {name: self.censored(item) for name, item in tree.items()}
            case _:
                return tree

    def _without_secrets(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _clean(self, text: str) -> str:
        return printable(self._without_secrets(text))


def _forms(text: str) -> Iterator[str]:
    """A text as it is, and as it stands in code, in JSON and in addresses."""
    yield from (text, repr(text)[1:-1], quote(text), quote(text, safe=""))
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
