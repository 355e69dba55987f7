"""Requests to an API, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import attrs

from catalogsync._lib import strict_json
from catalogsync.errors import (
    BrokenReplyError,
    MisconfiguredError,
    TransientError,
    UnauthorizedError,
)
from catalogsync.http import HttpClient, Reply

from ._auth import Authorizer
from ._pace import Pace, asked_to_wait

__all__ = ["ApiClient", "Ask", "Parameters", "with_parameters"]

Parameters = Mapping[str, str | int]
_LONGEST_QUOTE = 300
_TRY_LATER = frozenset({408, 425, 429, 502, 503, 504})
_THROTTLED = frozenset({"THROTTLED", "RATE_LIMITED", "TOO_MANY_REQUESTS"})
_FORBIDDEN = frozenset(
    {"UNAUTHENTICATED", "FORBIDDEN", "ACCESS_DENIED", "UNAUTHORIZED"}
)


@attrs.frozen
class Ask:
    """What to ask an API for.

    Attributes:
        path: Encoded path on the server.
        query: Encoded query of the address.
        parameters: What a page needs, in addition.
        graphql: GraphQL query, whose variables the parameters are; empty: none.
        variables: Other variables.
    """

    path: str
    query: str = ""
    parameters: Parameters = attrs.field(factory=dict[str, str | int])
    graphql: str = ""
    variables: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.define(kw_only=True)
class ApiClient:
    """Sends requests with credentials, at the pace that the server allows.

    Attributes:
        http: The HTTP client for the origin of the API.
        auth: Adds the credentials.
        sent: Headers for all requests.
        pace: Waits while the server announces that no requests are left.
    """

    http: HttpClient
    auth: Authorizer
    sent: Mapping[str, str] = attrs.field(repr=False)
    pace: Pace = attrs.field(factory=Pace)

    async def ask(self, ask: Ask) -> Reply:
        """Send a request; any status but a refusal of the credentials is returned.

        Raises:
            TransientError: The server is busy, or cannot be reached.
            UnauthorizedError: It does not accept the credentials.
        """
        headers = await self.auth.headers()
        reply = await self._send(ask, headers)
        if reply.status == 401 and self.auth.refused(headers):
            reply = await self._send(ask, await self.auth.headers())
        if reply.status == 401:
            problem = "the API does not accept the credentials (auth, headers)"
            said = self._said(reply)
            raise UnauthorizedError(f"{reply.what}: HTTP 401: {problem}{said}")
        self._check_busy(reply)
        return reply

    async def _send(self, ask: Ask, headers: Mapping[str, str]) -> Reply:
        await self.pace.wait()
        body = None
        query = with_parameters(ask.query, self.auth.parameters)
        if not ask.graphql:
            query = with_parameters(query, ask.parameters)
        else:
            variables = {**ask.variables, **ask.parameters}
            body = strict_json.dumps({"query": ask.graphql, "variables": variables})
        reply = await self.http.send(
            "GET" if body is None else "POST",
            ask.path,
            query=query,
            body=body,
            headers={**self.sent, **headers},
        )
        self.pace.learn(reply.headers)
        return reply

    def _check_busy(self, reply: Reply) -> None:
        if reply.status in _TRY_LATER:
            wait = asked_to_wait(reply.headers)
            raise TransientError(f"{reply.what}: HTTP {reply.status}", retry_after=wait)

    def body(self, reply: Reply, *, graphql: bool = False) -> object:
        """The JSON of a successful answer, with exact numbers.

        Args:
            reply: The answer.
            graphql: Whether it can contain the errors of GraphQL.

        Raises:
            MisconfiguredError: The API refuses the request.
            UnauthorizedError: It is not allowed.
            BrokenReplyError: The answer is not JSON.
            TransientError: The server failed.
        """
        if reply.status == 403:
            said = self._said(reply)
            problem = f"HTTP 403: the credentials do not allow this{said}"
            raise UnauthorizedError(f"{reply.what}: {problem}")
        if reply.status >= 500:
            problem = f"{reply.what}: HTTP {reply.status}{self._said(reply)}"
            raise TransientError(problem, unexplained=reply.status == 500)
        if reply.status >= 400:
            problem = f"{reply.what}: HTTP {reply.status}{self._said(reply)}"
            raise MisconfiguredError("url", f"the API refuses the request: {problem}")
        body: object = reply.json(exact=True)
        if graphql:
            self._check_graphql(reply, body)
        return body

    def _check_graphql(self, reply: Reply, body: object) -> None:
        """Raise the error that GraphQL reports with status 200."""
        if not isinstance(body, Mapping):
            raise BrokenReplyError(f"{reply.what}: not an answer of GraphQL")
        errors = cast("Mapping[str, object]", body).get("errors")
        if not errors:
            return
        first = cast("list[object]", errors)[0] if isinstance(errors, list) else errors
        said, code = _graphql_error(first)
        problem = f"{reply.what}: {self.http.quoted(said)}"
        if code in _THROTTLED:
            raise TransientError(problem, retry_after=asked_to_wait(reply.headers))
        if code in _FORBIDDEN:
            raise UnauthorizedError(problem)
        if code == "INTERNAL_SERVER_ERROR":
            raise TransientError(problem, unexplained=True)
        raise MisconfiguredError("graphql.query", f"the API refuses it: {problem}")

    def _said(self, reply: Reply) -> str:
        """The server's own words, if they are few."""
        text = " ".join(
            reply.body[: 4 * _LONGEST_QUOTE].decode(errors="replace").split()
        )
        text = self.http.quoted(text)
        if not text or text.startswith("<"):
            return ""
        cut = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
        return f" ({cut})"


def with_parameters(given: str, parameters: Parameters) -> str:
    """A query with parameters, which take the place of those of the same name."""
    new = {name: str(value) for name, value in parameters.items()}
    if not new:
        return given
    old = parse_qsl(given, keep_blank_values=True)
    return urlencode([*((n, v) for n, v in old if n not in new), *new.items()])


def _graphql_error(error: object) -> tuple[str, str]:
    """Message and code of an error."""
    if not isinstance(error, Mapping):
        return str(error)[:_LONGEST_QUOTE], ""
    fields = cast("Mapping[str, object]", error)
    extensions = fields.get("extensions")
    code = (
        cast("Mapping[str, object]", extensions).get("code")
        if isinstance(extensions, Mapping)
        else None
    )
    return str(fields.get("message", "an error without a message"))[
        :_LONGEST_QUOTE
    ], str(code or "").upper()
