"""Refusals: a status and one line of text; every error becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

from catalogsync.errors import CatalogSyncError, TransientError
from catalogsync.state.protocols import StateError

UNEXPECTED = 500
"""Status of the response to an error that nobody foresaw."""

_LONGEST = 500
_NONE: Mapping[str, str] = MappingProxyType({})


class RefusalError(Exception):
    """A request is refused."""

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


def refusal_of(error: Exception) -> RefusalError:
    """The response to an error."""
    match error:
        case RefusalError():
            return error
        case web.HTTPException():
            allow = error.headers.get("Allow")
            headers = {"Allow": allow} if allow else {}
            return RefusalError(error.status, error.reason.lower(), headers=headers)
        case StateError() | TransientError():
            return RefusalError(503, str(error))
        case CatalogSyncError():
            return RefusalError(409, str(error))
        case _:
            text = "unexpected error; see the log"
            return RefusalError(UNEXPECTED, text)
