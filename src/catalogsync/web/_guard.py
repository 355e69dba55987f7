"""Who may do what over HTTP: authentication and authorization."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import re
from collections.abc import Mapping
from typing import cast

import attrs
from aiohttp import web

from catalogsync.config import Access, Role

from ._errors import RefusalError
from ._rate_limit import Buckets, address_of
from ._sessions import Caller, Session, Sessions

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_CSRF = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORT = re.compile(r":[0-9]+$")

_ANYBODY = Caller("anybody", Role.OPERATE)


def retry_later(what: str, seconds: float) -> RefusalError:
    """An answer to too many requests or failures from an address."""
    wait = math.ceil(seconds)
    text = f"too many {what} from your address; retry in {wait} s"
    return RefusalError(429, text, headers={"Retry-After": str(wait)})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


@attrs.define
class Guard:
    """Authenticates requests by token or session, and checks roles."""

    access: Access
    refusals: Buckets = attrs.field(init=False)
    sessions: Sessions = attrs.field(factory=Sessions, init=False)
    _anybody: Session = attrs.field(init=False, repr=False)
    _callers: Mapping[bytes, Caller] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.refusals = Buckets(self.access.refusals_per_minute)
        self._anybody = Session(_ANYBODY, math.inf)
        self._callers = {
            _digest(token.token): Caller(name, token.role)
            for name, token in self.access.tokens.items()
        }

    def admit(self, request: web.Request, needed: Role) -> Caller:
        """Authenticate a request and check its role and origin.

        Raises:
            RefusalError: The caller is unknown or not allowed to do this, or the
                request comes from a page of another origin.
        """
        self.check_origin(request)
        caller = self._identify(request)
        self.check_role(caller, needed)
        return caller

    def check_role(self, caller: Caller, needed: Role) -> None:
        """Refuse a caller whose role is not sufficient."""
        if not caller.role.allows(needed):
            raise RefusalError(403, f"a token with the role {needed.value} is required")

    def session(self, request: web.Request) -> Session | None:
        """The session of a browser; None: not logged in.

        Raises:
            RefusalError: No login is needed, but the request is not local.
        """
        if self.access.open:
            _check_local(request)
            return self._anybody
        return self.sessions.find(request)

    def log_in(self, request: web.Request, token: str) -> Caller:
        """The caller with this token.

        Raises:
            RefusalError: The token is not valid, or there were too many wrong ones.
        """
        self.check_address(request)
        caller = self._find(token.strip())
        if caller is None:
            self.refused(request)
            raise RefusalError(401, "invalid token")
        return caller

    def check_address(self, request: web.Request) -> None:
        """Refuse an address that sent too many wrong tokens or signatures."""
        wait = self.refusals.wait(address_of(request.remote))
        if wait:
            raise retry_later("wrong tokens or signatures", wait)

    def refused(self, request: web.Request) -> None:
        """Count a wrong token or signature."""
        self.refusals.spend(address_of(request.remote))

    def is_allowed_origin(self, request: web.Request) -> bool:
        """Whether CORS allows the origin of the request."""
        return request.headers.get("Origin") in self.access.cors

    def _identify(self, request: web.Request) -> Caller:
        if self.access.open:
            _check_local(request)
            return _ANYBODY
        header = request.headers.get("Authorization")
        if header is None:
            if session := self.sessions.find(request):
                if request.method not in _SAFE:
                    session.check(request.headers.get(_CSRF, ""))
                return session.caller
            text = "a token is required: Authorization: Bearer TOKEN"
            raise RefusalError(401, text, headers=_CHALLENGE)
        self.check_address(request)
        scheme, _, token = header.partition(" ")
        caller = self._find(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            self.refused(request)
            text = "invalid token"
            raise RefusalError(401, text, headers=_CHALLENGE)
        return caller

    def _find(self, token: str) -> Caller | None:
        """The caller with a token, compared in constant time."""
        given, found = _digest(token), None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, given):
                found = caller
        return found

    def check_origin(self, request: web.Request) -> None:
        """Refuse unsafe requests from pages of other origins, even with a cookie."""
        origin = request.headers.get("Origin")
        if origin is None or request.method in _SAFE or origin in self.access.cors:
            return
        if origin.partition("://")[2] != request.host:
            raise RefusalError(403, "origin not allowed")


def _check_local(request: web.Request) -> None:
    """Check that a request without a token is local.

    The check of the host name prevents DNS rebinding.
    """
    transport = request.transport
    ours = transport.get_extra_info("sockname") if transport else None
    if isinstance(ours, tuple):  # otherwise it is a Unix socket
        address, *_ = cast("tuple[str, int]", ours)
        if not ipaddress.ip_address(address).is_loopback:
            raise RefusalError(
                401, "unauthenticated access is allowed on 127.0.0.1 only"
            )
    if _PORT.sub("", request.host).lower() not in _LOCAL_NAMES:
        raise RefusalError(
            403, "unauthenticated access requires Host localhost or 127.0.0.1"
        )
