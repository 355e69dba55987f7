"""Who calls, and what they may do."""

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

__all__ = ["Guard", "retry_later"]

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_CSRF = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORT = re.compile(r":[0-9]+$")

_ANYBODY = Caller("anybody", Role.OPERATE)


def retry_later(what: str, seconds: float) -> RefusalError:
    """Too much came from an address."""
    wait = math.ceil(seconds)
    text = f"too many {what} from your address: wait {wait} s"
    return RefusalError(429, text, headers={"Retry-After": str(wait)})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


@attrs.define
class Guard:
    """Lets in who has a token, or a browser that is logged in with one.

    Attributes:
        access: Who may do what.
        refusals: Counts wrong tokens and signatures.
        sessions: The browsers that are logged in.
    """

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
        """Say who calls.

        Raises:
            RefusalError: Nobody who may do that, or a page of a foreign origin.
        """
        self.check_origin(request)
        caller = self._identify(request)
        self.check_role(caller, needed)
        return caller

    def check_role(self, caller: Caller, needed: Role) -> None:
        """See to it that a caller may do that.

        Raises:
            RefusalError: They may not.
        """
        if not caller.role.allows(needed):
            raise RefusalError(403, f"this needs a token with the role {needed.value}")

    def session(self, request: web.Request) -> Session | None:
        """The session of a browser; None: nobody is logged in.

        Raises:
            RefusalError: None is needed, but only on this machine.
        """
        if self.access.open:
            _check_local(request)
            return self._anybody
        return self.sessions.find(request)

    def log_in(self, request: web.Request, token: str) -> Caller:
        """Say whose token it is.

        Raises:
            RefusalError: Nobody's, or there were too many wrong ones.
        """
        self.check_address(request)
        caller = self._find(token.strip())
        if caller is None:
            self.refused(request)
            raise RefusalError(401, "this token is not known")
        return caller

    def check_address(self, request: web.Request) -> None:
        """Listen to nobody who was wrong too often.

        Raises:
            RefusalError: This one was.
        """
        wait = self.refusals.wait(address_of(request.remote))
        if wait:
            raise retry_later("wrong tokens or signatures", wait)

    def refused(self, request: web.Request) -> None:
        """Note that a token or a signature was wrong."""
        self.refusals.spend(address_of(request.remote))

    def is_allowed_origin(self, request: web.Request) -> bool:
        """Whether the page that calls is on the list."""
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
            text = "this needs a token: Authorization: Bearer TOKEN"
            raise RefusalError(401, text, headers=_CHALLENGE)
        self.check_address(request)
        scheme, _, token = header.partition(" ")
        caller = self._find(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            self.refused(request)
            text = "this token is not known"
            raise RefusalError(401, text, headers=_CHALLENGE)
        return caller

    def _find(self, token: str) -> Caller | None:
        """The caller with a token; takes as long wherever it differs."""
        given, found = _digest(token), None
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, given):
                found = caller
        return found

    def check_origin(self, request: web.Request) -> None:
        """A page from elsewhere starts nothing, whatever its browser sends along.

        Raises:
            RefusalError: It is from elsewhere, and would.
        """
        origin = request.headers.get("Origin")
        if origin is None or request.method in _SAFE or origin in self.access.cors:
            return
        if origin.partition("://")[2] != request.host:
            raise RefusalError(403, "pages of this origin may not call")


def _check_local(request: web.Request) -> None:
    """See to it that the caller is on this machine, and means it.

    A name that somebody else's DNS leads here is none of ours.
    """
    transport = request.transport
    ours = transport.get_extra_info("sockname") if transport else None
    if isinstance(ours, tuple):  # else it is a socket in the file system
        address, *_ = cast("tuple[str, int]", ours)
        if not ipaddress.ip_address(address).is_loopback:
            raise RefusalError(401, "without a token only 127.0.0.1 is open")
    if _PORT.sub("", request.host).lower() not in _LOCAL_NAMES:
        raise RefusalError(403, "without a token it must be called by 127.0.0.1")
