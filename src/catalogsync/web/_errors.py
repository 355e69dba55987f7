"""Requests that are not answered as they want: a status and one line for a person."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["RefusalError", "one_line"]

_LONGEST = 500
_NONE: Mapping[str, str] = MappingProxyType({})


class RefusalError(Exception):
    """A request is refused.

    Attributes:
        status: Of the answer.
        headers: Of the answer.
    """

    def __init__(
        self, status: int, text: str, *, headers: Mapping[str, str] = _NONE
    ) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


def one_line(text: str) -> str:
    """The text on one line, not too long, and such as any encoding takes."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
