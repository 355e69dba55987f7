"""Credentials of an API: fixed ones, and OAuth 2 with client credentials."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Protocol, cast
from urllib.parse import quote_plus, urlencode

import attrs

from catalogsync.errors import BrokenReplyError, MisconfiguredError, UnauthorizedError
from catalogsync.http import HttpClient, Reply

__all__ = ["Authorizer", "Credentials", "Fixed", "OAuth"]

_LONGEST_TOKEN = 16_384
_SPARE = 30.0
_HALF = 0.5


@attrs.frozen(kw_only=True)
class Credentials:
    """How to authenticate: set the fields of exactly one way.

    Attributes:
        username: User name for HTTP Basic, with `password`.
        password: Password for HTTP Basic.
        token: A token that is sent as `Authorization: Bearer`.
        key: An API key, sent in the header or the parameter that is named next.
        header: Name of the header for `key`, such as `X-Api-Key`.
        parameter: Name of the query parameter for `key`, such as `api_key`.
        client_id: OAuth 2 client credentials: the client, with `client_secret` and
            `oauth_url`.
        client_secret: Secret of the client.
        oauth_url: Address that gives tokens, such as
            `https://login.example.com/oauth/token`.
        scope: Scopes to ask for, separated by spaces; empty: none.
        audience: Audience to ask for, which some servers need; empty: none.
        in_body: Whether to send the client and its secret in the body instead of with
            HTTP Basic.
    """

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    token: str = attrs.field(default="", repr=False)
    key: str = attrs.field(default="", repr=False)
    header: str = ""
    parameter: str = ""
    client_id: str = ""
    client_secret: str = attrs.field(default="", repr=False)
    oauth_url: str = ""
    scope: str = ""
    audience: str = ""
    in_body: bool = False

    def __attrs_post_init__(self) -> None:
        ways = {
            "username": (self.username, self.password),
            "token": (self.token,),
            "key": (self.key, self.header or self.parameter),
            "client_id": (self.client_id, self.client_secret, self.oauth_url),
        }
        begun = [name for name, values in ways.items() if any(values)]
        if len(begun) != 1:
            problem = (
                "set one of: `username` and `password`; `token`; `key` with `header` or"
                " `parameter`; `client_id`, `client_secret` and `oauth_url`"
            )
            raise MisconfiguredError("", problem)
        (way,) = begun
        if not all(ways[way]) and way != "username":
            needs = {
                "key": "`key` and either `header` or `parameter`",
                "client_id": "`client_id`, `client_secret` and `oauth_url`",
            }
            raise MisconfiguredError(way, f"set {needs[way]} together")
        if self.header and self.parameter:
            raise MisconfiguredError("header", "set either `header` or `parameter`")


class Authorizer(Protocol):
    """A way to authenticate."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What to add to the query of each request."""
        ...

    async def headers(self) -> Mapping[str, str]:
        """The headers to send; asks for a token first if necessary."""
        ...

    def refused(self, sent: Mapping[str, str]) -> bool:
        """Called after a 401 to these headers: whether another try makes sense."""
        ...


@attrs.frozen
class Fixed:
    """Credentials that never change.

    Attributes:
        parameters: What to add to the query.
        sent: What to add to the headers.
    """

    parameters: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    sent: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)

    @classmethod
    def of(cls, given: Credentials | None, http: HttpClient) -> Fixed:
        """The fixed ones among the credentials; the client keeps them secret."""
        if given is None:
            return cls()
        if given.token:
            http.keep_secret(given.token)
            return cls(sent={"Authorization": f"Bearer {given.token}"})
        if given.key:
            http.keep_secret(given.key)
            if given.header:
                return cls(sent={given.header: given.key})
            return cls(parameters={given.parameter: given.key})
        return cls(sent=basic(http, given.username, given.password))

    async def headers(self) -> Mapping[str, str]:
        """The headers to send."""
        return self.sent

    def refused(self, sent: Mapping[str, str]) -> bool:
        """No: they do not change."""
        return False


def basic(http: HttpClient, user: str, password: str) -> Mapping[str, str]:
    """A header for HTTP Basic, which the client keeps secret."""
    code = b64encode(f"{user}:{password}".encode()).decode()
    http.keep_secret(password, code)
    return {"Authorization": f"Basic {code}"}


@attrs.define(kw_only=True)
class OAuth:
    """Client credentials, exchanged for a token that is renewed in time.

    Attributes:
        given: Client, secret and scopes.
        http: Client for the address that gives tokens.
        api: Client for the API, which must keep the token secret too.
        clock: Seconds, increasing; replaced in tests.
    """

    given: Credentials
    http: HttpClient
    api: HttpClient
    clock: Callable[[], float] = time.monotonic
    _token: str = attrs.field(default="", init=False, repr=False)
    _ends: float = attrs.field(default=0.0, init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    @property
    def parameters(self) -> Mapping[str, str]:
        """Nothing: the token is sent in a header."""
        return {}

    async def headers(self) -> Mapping[str, str]:
        """A token that is valid for some seconds at least.

        Raises:
            UnauthorizedError: The client or its secret is not accepted.
            BrokenReplyError: The answer has no token.
        """
        async with self._turn:
            if not self._token or self.clock() >= self._ends:
                await self._ask()
            return self._headers()

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def refused(self, sent: Mapping[str, str]) -> bool:
        """Ask for another token; the same one is never sent again."""
        if sent == self._headers():
            self._token = ""
        return True

    async def _ask(self) -> None:
        asked = self.clock()
        form = {"grant_type": "client_credentials"}
        form |= {"scope": self.given.scope} if self.given.scope else {}
        form |= {"audience": self.given.audience} if self.given.audience else {}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client, secret = self.given.client_id, self.given.client_secret
        for http in (self.http, self.api):
            http.keep_secret(secret, quote_plus(secret))
        if self.given.in_body:
            form |= {"client_id": client, "client_secret": secret}
        else:  # RFC 6749 wants both encoded
            headers |= basic(self.http, quote_plus(client), quote_plus(secret))
            self.api.keep_secret(headers["Authorization"].removeprefix("Basic "))
        body = urlencode(form).encode()
        reply = await self.http.send("POST", "", body=body, headers=headers)
        self._keep(reply, asked)

    def _keep(self, reply: Reply, asked: float) -> None:
        if reply.status in {400, 401, 403}:
            said = self.http.quoted(_reason(reply))
            problem = f"{reply.what}: the client is not accepted (client_id,"
            raise UnauthorizedError(f"{problem} client_secret, scope){said}")
        self.http.raise_for_status(reply)
        body = reply.json()
        fields = cast("Mapping[str, object]", body if isinstance(body, dict) else {})
        token = fields.get("access_token")
        if not isinstance(token, str) or not _is_sendable(token):
            raise BrokenReplyError(f"{reply.what}: no `access_token` in the answer")
        self.http.keep_secret(token)
        self.api.keep_secret(token)
        self._token, self._ends = token, asked + _lifetime(fields.get("expires_in"))


def _is_sendable(token: str) -> bool:
    return (
        0 < len(token) <= _LONGEST_TOKEN and token.isascii() and (token.isprintable())
    )


def _lifetime(seconds: object) -> float:
    """How long to use a token; infinite if the server does not say."""
    try:
        given = float(cast("str | float", seconds))
    except (TypeError, ValueError, OverflowError):
        return float("inf")
    return max(given - _SPARE, given * _HALF)


def _reason(reply: Reply) -> str:
    """What the server says, in the form that RFC 6749 defines."""
    try:
        body = reply.json()
    except BrokenReplyError:
        return ""
    fields = cast("Mapping[str, object]", body if isinstance(body, dict) else {})
    said = fields.get("error_description") or fields.get("error")
    return f": {said}" if isinstance(said, str) else ""
