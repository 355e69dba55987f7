"""Sessions of browsers, kept in memory: a restart logs everybody out."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable

import attrs
from aiohttp import web

from catalogsync.config import Role

from ._errors import RefusalError

_COOKIE = "catalogsync_session"
_LASTS = 12 * 3600
_MOST = 1000


@attrs.frozen
class Caller:
    """An authenticated caller."""

    name: str
    role: Role


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


@attrs.define(eq=False)
class Session:
    """The session of a browser.

    Attributes:
        until: End of the session, on the clock of `Sessions`.
    """

    caller: Caller
    until: float
    csrf: str = attrs.field(factory=secrets.token_urlsafe, init=False, repr=False)

    def check(self, csrf: str) -> None:
        """Refuse a form whose CSRF token does not belong to this session."""
        if not hmac.compare_digest(_digest(self.csrf), _digest(csrf)):
            text = "this form is not from a page of your session; reload the page"
            raise RefusalError(403, text)


@attrs.define
class Sessions:
    """The open sessions, by the hashes of their ids."""

    clock: Callable[[], float] = time.monotonic
    _open: dict[bytes, Session] = attrs.field(
        factory=dict[bytes, Session], init=False, repr=False
    )

    def find(self, request: web.Request) -> Session | None:
        """The session of a request, compared in constant time."""
        given = _digest(request.cookies.get(_COOKIE, ""))
        found = None
        for known, session in self._open.items():
            if hmac.compare_digest(known, given):
                found = session
        return found if found and self.is_open(found) else None

    def is_open(self, session: Session) -> bool:
        """Whether a session has not ended."""
        return session.until > self.clock()

    def begin(
        self, caller: Caller, request: web.Request, response: web.Response
    ) -> None:
        """Log a browser in, with a cookie for the folder of the login page."""
        now = self.clock()
        self._open = {i: each for i, each in self._open.items() if each.until > now}
        while len(self._open) >= _MOST:
            self._close(next(iter(self._open)))
        session_id = secrets.token_urlsafe()
        self._open[_digest(session_id)] = Session(caller, now + _LASTS)
        _set_cookie(request, response, session_id, _LASTS)

    def end(self, request: web.Request, response: web.Response) -> None:
        """Log a browser out."""
        self._close(_digest(request.cookies.get(_COOKIE, "")))
        _set_cookie(request, response, "", 0)

    def _close(self, digest: bytes) -> None:
        if session := self._open.pop(digest, None):
            session.until = -math.inf


def _set_cookie(
    request: web.Request, response: web.Response, value: str, seconds: int
) -> None:
    # Without a path, the cookie is for the folder of the page that sets it. Behind a
    # proxy that changes paths, only the browser knows that folder.
    response.set_cookie(
        _COOKIE,
        value,
        max_age=seconds,
        path="",
        secure=_is_secure(request),
        httponly=True,
        samesite="Strict",
    )


def _is_secure(request: web.Request) -> bool:
    return request.secure or request.headers.get("X-Forwarded-Proto") == "https"
