"""Refusals: a status and one line of text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["RefusalError", "one_line"]

_LONGEST = 500
_NONE: Mapping[str, str] = MappingProxyType({})


class RefusalError(Exception):
    """A request is refused.

    Attributes:
        status: Status of the response.
        headers: Additional headers of the response.
    """

    def __init__(
        self, status: int, text: str, *, headers: Mapping[str, str] = _NONE
    ) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


def one_line(text: str) -> str:
    """The text on one line, shortened, without lone surrogates."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
