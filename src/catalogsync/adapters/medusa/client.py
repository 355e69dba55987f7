"""A client for Medusa's Admin API: login, requests, and the meaning of errors.

Observed on Medusa 2.21.2: a secret API key is sent as the user name of HTTP Basic; each
such request costs the server about 32 ms, where a token costs 2. While its database is
down, Medusa answers 500, or 401 to a valid API key, after 60 seconds. A 500 can also
mean that one product is invalid.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from secrets import token_hex
from typing import Any, Protocol, cast

import attrs

from catalogsync._lib import strict_json
from catalogsync.errors import (
    BrokenReplyError,
    MisconfiguredError,
    RefusedError,
    TransientError,
    UnauthorizedError,
)
from catalogsync.http import HttpClient, Reply
from catalogsync.retry import http_date

from .schema import Body, shaped

__all__ = ["ApiKey", "Auth", "Login", "MedusaClient", "MedusaRefusedError"]

_BATCHES = ("/products/batch", "/variants/batch")
_SPARE = 300.0
_TRIES = 3
_MOST_ROWS = 1_000_000
_TOKEN = re.compile(r"[!-~]{1,16384}")
_NO_REASON = frozenset({"unknown_error", "unexpected_state", "database_error"})


class MedusaRefusedError(RefusedError):
    """Medusa rejects a request.

    Attributes:
        status: HTTP status.
        type: Medusa's name for the kind of error.
    """

    def __init__(self, what: str, status: int, kind: str, said: str) -> None:
        super().__init__(
            f"Medusa rejected the request ({what}: HTTP {status})", said=said
        )
        self.status = status
        self.type = kind


class Auth(Protocol):
    """A way to authenticate."""

    async def headers(self, http: HttpClient) -> Mapping[str, str]:
        """The headers to send; logs in first if necessary."""
        ...

    def accepted(self) -> None:
        """Called when the server accepted the headers."""
        ...

    def refused(self, reply: Reply, sent: Mapping[str, str]) -> Exception | None:
        """Called after a 401 to these headers: the error, or None to retry."""
        ...


@attrs.define
class ApiKey:
    """A secret API key."""

    key: str = attrs.field(repr=False)
    _worked: bool = attrs.field(default=False, init=False)

    async def headers(self, http: HttpClient) -> Mapping[str, str]:
        """HTTP Basic with the key as the user name."""
        token = base64.b64encode(f"{self.key}:".encode()).decode()
        http.keep_secret(self.key, token)
        return {"Authorization": f"Basic {token}"}

    def accepted(self) -> None:
        """Remember that the key is valid."""
        self._worked = True

    def refused(self, reply: Reply, sent: Mapping[str, str]) -> Exception | None:
        """While its database is down, Medusa refuses keys that worked before."""
        if self._worked:
            problem = "HTTP 401 for a key that worked before"
            return TransientError(f"{reply.what}: {problem}")
        problem = "Medusa does not accept the secret API key (api_key)"
        return UnauthorizedError(f"{reply.what}: {problem}")


@attrs.define
class Login:
    """E-mail address and password, exchanged for a token that is renewed in time.

    Attributes:
        email: E-mail address of an admin user.
        password: Password of this user.
        clock: Seconds since the epoch; replaced in tests.
    """

    email: str
    password: str = attrs.field(repr=False)
    clock: Callable[[], float] = time.time
    _token: str = attrs.field(default="", init=False, repr=False)
    _ends: float = attrs.field(default=0.0, init=False)
    _fresh: bool = attrs.field(default=False, init=False)
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)

    async def headers(self, http: HttpClient) -> Mapping[str, str]:
        """A token that is valid for some minutes at least."""
        async with self._turn:
            if self._token and self.clock() > self._ends - _SPARE:
                await self._refresh(http)
            if not self._token:
                await self._log_in(http)
        return self._headers()

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def accepted(self) -> None:
        """Remember that the token is valid."""
        self._fresh = False

    def refused(self, reply: Reply, sent: Mapping[str, str]) -> Exception | None:
        """Log in once more; the refusal of a new token that has not expired is final."""
        if sent != self._headers():
            return None
        if self._fresh and self.clock() < self._ends:
            problem = "Medusa does not accept the login (email, password)"
            return UnauthorizedError(f"{reply.what}: {problem}")
        self._token = ""
        return None

    async def _log_in(self, http: HttpClient) -> None:
        body = strict_json.dumps({"email": self.email, "password": self.password})
        http.keep_secret(self.password)
        reply = await http.send("POST", "/auth/user/emailpass", body=body)
        if reply.status == 401:
            problem = "Medusa does not accept the login (email, password)"
            raise UnauthorizedError(f"{reply.what}: {problem}")
        self._keep(http, reply)

    async def _refresh(self, http: HttpClient) -> None:
        reply = await http.send("POST", "/auth/token/refresh", headers=self._headers())
        self._token = ""
        if reply.status == 200:
            self._keep(http, reply)

    def _keep(self, http: HttpClient, reply: Reply) -> None:
        token = _checked(http, reply).get("token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise BrokenReplyError(f"{reply.what}: no token")
        http.keep_secret(token)
        self._token, self._fresh = token, True
        self._ends = self.clock() + _lifetime(token)


def _lifetime(token: str) -> float:
    """The lifetime of a JWT in seconds, independent of the server's clock.

    Infinite if the token does not state it.
    """
    try:
        payload = token.split(".")[1]
        data = strict_json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
        return float(data["exp"] - data["iat"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return float("inf")


@attrs.define
class MedusaClient:
    """Sends requests to the Admin API.

    Attributes:
        http: The HTTP connection to the server.
        auth: Adds the credentials.
        bypasses_cache: Whether each read gets a unique query, so that the server's
            cache cannot answer it.
    """

    http: HttpClient
    auth: Auth
    bypasses_cache: bool = False

    async def get(self, path: str, query: str = "") -> dict[str, Any]:
        """Send a GET request.

        Raises:
            BrokenReplyError: The reply does not have the requested shape.
            MedusaRefusedError: The resource does not exist, or the request is invalid.
            TransientError: The server failed; the request may succeed later.
            UnauthorizedError: The server does not accept the credentials.
            MisconfiguredError: There is no Medusa server at this address.
        """
        body, _ = await self._send("GET", path, query, None)
        return body

    async def get_public(self, path: str) -> dict[str, Any]:
        """Read a route that needs no login; raises as `get` does.

        A Medusa version without this route asks for a login first.
        """
        await self.auth.headers(self.http)
        reply = await self.http.send("GET", path)
        if reply.status == 401:
            return await self.get(path)
        return Body(reply.what, _checked(self.http, reply))

    async def get_dated(
        self, path: str, query: str
    ) -> tuple[dict[str, Any], datetime | None]:
        """As `get`, with the server's time, or None if it did not send a valid one."""
        body, headers = await self._send("GET", path, query, None)
        return body, _date(headers)

    async def get_all(
        self, path: str, name: str, query: str, *, size: int
    ) -> list[dict[str, Any]]:
        """Read a list, page by page; raises as `get` does.

        Args:
            path: Path of the list.
            name: Name of the list in the replies; its rows have an `id`.
            query: Columns and filters.
            size: Rows per page.
        """
        found: dict[str, dict[str, Any]] = {}
        while True:
            reply = await self.get(path, f"limit={size}&offset={len(found)}&{query}")
            before, count, rows = len(found), reply["count"], reply[name]
            found |= {row["id"]: row for row in rows}
            new = len(found) - before
            if new < len(rows) or count > _MOST_ROWS or (not rows and before < count):
                problem = (
                    f"{len(rows)} rows after {before} of {count}, {new} of them new"
                )
                raise BrokenReplyError(f"GET {path}: {problem}")
            if len(found) >= count:
                return list(found.values())

    async def post(
        self, path: str, body: Mapping[str, Any] | bytes, query: str = ""
    ) -> dict[str, Any]:
        """Send a POST request; raises as `get` does."""
        data = body if isinstance(body, bytes) else strict_json.dumps(body)
        answer, _ = await self._send("POST", path, query, data)
        if not isinstance(body, bytes) and path.endswith(_BATCHES):
            _check_updated(f"POST {path}", body, answer)
        return answer

    async def post_form(
        self, path: str, body: bytes, content_type: str
    ) -> dict[str, Any]:
        """Send a form in a POST request; raises as `get` does."""
        answer, _ = await self._send("POST", path, "", body, content_type)
        return answer

    async def delete(self, path: str) -> None:
        """Send a DELETE request; raises as `get` does."""
        await self._send("DELETE", path, "", None)

    async def _send(
        self,
        method: str,
        path: str,
        query: str,
        body: bytes | None,
        content_type: str = "application/json",
    ) -> tuple[Body, Mapping[str, str]]:
        unique_query = query
        if self.bypasses_cache and method == "GET":
            unique_query = query.replace("fields=", f"fields=_{token_hex(8)},", 1)
        for _ in range(_TRIES):
            headers = await self.auth.headers(self.http)
            more = {} if body is None else {"Content-Type": content_type}
            reply = await self.http.send(
                method,
                path,
                query=unique_query,
                body=body,
                headers={**headers, **more},
            )
            if reply.status != 401:
                found = _checked(self.http, reply)
                self.auth.accepted()
                return shaped(reply.what, found, query), reply.headers
            error = self.auth.refused(reply, headers)
            if error is not None:
                raise error
        raise UnauthorizedError(f"{method} {path}: HTTP 401, also after a new login")


def _date(headers: Mapping[str, str]) -> datetime | None:
    return http_date(headers.get("Date", ""))


def _checked(http: HttpClient, reply: Reply) -> dict[str, Any]:
    """The body of a successful reply; raises the matching error for any other."""
    reply.raise_if_passing()
    if reply.status >= 400:
        raise _error(http, reply)
    body = reply.json()
    if not isinstance(body, dict):
        raise BrokenReplyError(f"{reply.what}: not a JSON object")
    return cast("dict[str, Any]", body)


def _error(http: HttpClient, reply: Reply) -> Exception:
    try:
        body = reply.json()
    except BrokenReplyError:
        body = None
    if not isinstance(body, dict):
        return _unknown_error(reply)
    fields = cast("dict[str, object]", body)
    said, kind = (
        http.quoted(text) if isinstance(text := fields.get(name), str) else ""
        for name in ("message", "type")
    )
    if reply.status >= 500 and (not kind or kind in _NO_REASON):
        message = f"{reply.what}: HTTP {reply.status}: {said}"
        return TransientError(message, unexplained=reply.status == 500)
    if reply.status == 403 and kind == "forbidden":
        problem = f"the role of this login does not allow it: {said}"
        return UnauthorizedError(f"{reply.what}: {problem}")
    return MedusaRefusedError(reply.what, reply.status, kind, said)


def _unknown_error(reply: Reply) -> Exception:
    """The error for a reply that Medusa's own error handler did not write."""
    if reply.status == 404:
        problem = f"{reply.what} does not exist; is this the address of a Medusa 2?"
        return MisconfiguredError("url", problem)
    if reply.status >= 500:
        return TransientError(
            f"{reply.what}: HTTP {reply.status}", unexplained=reply.status == 500
        )
    return MedusaRefusedError(reply.what, reply.status, "", "")


def _check_updated(
    what: str, body: Mapping[str, Any], answer: Mapping[str, Any]
) -> None:
    """Check that an answer names the rows that were to be updated.

    Another JSON object, such as one from a proxy, must not pass for success.
    """
    asked = [row["id"] for row in body.get("update") or ()]
    if asked:
        updated = {row["id"] for row in answer.get("updated") or ()}
        if missing := [id_ for id_ in asked if id_ not in updated]:
            raise BrokenReplyError(f"{what}: {missing[0]} is missing in `updated`")
