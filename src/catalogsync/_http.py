"""HTTP for adapters: one client on aiohttp that says what failures mean.

It never repeats by itself what may have been done already: repeating is the
engine's task. It follows no redirects, so credentials stay with their host, and
bounds what it reads.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
from yarl import URL

from . import _json
from .errors import (
    BrokenReplyError,
    MisconfiguredError,
    TransientError,
)
from .ratelimit import RateLimiter
from .retry import retry_after

__all__ = ["HttpClient", "HttpOptions", "Reply", "base_url", "open_http"]

_MAY_PASS = frozenset({408, 425, 429, 502, 503, 504})
_CHUNK = 1 << 16


@attrs.frozen(kw_only=True)
class HttpOptions:
    """How an adapter talks to its server.

    Attributes:
        timeout: Seconds for one request, answer included.
        connect_timeout: Seconds to reach the server.
        proxy: Address of an HTTP proxy.
        ca_file: File with the certificates to trust, instead of the system's.
        max_body: Most bytes of an answer, after decompression.
    """

    timeout: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    connect_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    proxy: str | None = attrs.field(default=None, repr=False)
    ca_file: str | None = None
    max_body: int = attrs.field(default=64 << 20, validator=attrs.validators.ge(1))


@attrs.frozen
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        headers: As the server sent them.
        body: Decompressed.
        what: The request, for messages.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    what: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            BrokenReplyError: It is none.
        """
        try:
            return _json.loads(self.body)
        except ValueError as error:
            raise BrokenReplyError(f"{self.what}: not JSON ({error})") from None

    def raise_if_passing(self) -> None:
        """Raise `TransientError` for a status that tells to come again later."""
        if self.status in _MAY_PASS:
            wait = retry_after(self.headers)
            raise TransientError(f"{self.what}: HTTP {self.status}", retry_after=wait)


def base_url(setting: str, text: str) -> URL:
    """Check the address of a server.

    Raises:
        MisconfiguredError: It is not an http or https address, or holds
            credentials, which belong into settings of their own.
    """
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        problem = "must be an address such as https://shop.example.com"
        raise MisconfiguredError(setting, problem)
    if url.user or url.password:
        raise MisconfiguredError(setting, "must not hold a user name or password")
    return url.with_query(None).with_fragment(None)


@attrs.define(kw_only=True)
class HttpClient:
    """Sends requests to one server and counts them.

    Attributes:
        session: The aiohttp session, which may be the host's own.
        url: Address of the server; request paths are appended.
        options: Timeouts, proxy and bounds.
        limiter: Waits before each request, if there is one.
        requests: Requests sent so far.
    """

    session: aiohttp.ClientSession
    url: URL
    options: HttpOptions
    limiter: RateLimiter | None = None
    requests: int = 0

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and read the whole answer.

        Args:
            method: Such as `GET`.
            path: Below the server's address, with a leading slash, encoded.
            query: Encoded, without the question mark.
            body: JSON, if any.
            headers: Added to the usual ones.

        Raises:
            TransientError: The server could not be reached, or was too slow.
            BrokenReplyError: The answer broke off, or is too large.
            MisconfiguredError: The server redirects to another address.
        """
        if self.limiter is not None:
            await self.limiter.wait()
        url = URL(
            f"{str(self.url).rstrip('/')}{path}{'?' if query else ''}{query}",
            encoded=True,
        )
        what = f"{method} {self.url.origin()}{url.path}"
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        self.requests += 1
        try:
            async with self.session.request(
                method,
                url,
                data=body,
                headers=sent,
                allow_redirects=False,
                proxy=self.options.proxy,
                timeout=aiohttp.ClientTimeout(
                    total=self.options.timeout,
                    sock_connect=self.options.connect_timeout,
                ),
            ) as response:
                if 300 <= response.status < 400 and response.status != 304:
                    raise _redirected(response)
                content = await self._content(response, what)
                return Reply(response.status, response.headers, content, what)
        except aiohttp.ClientPayloadError as error:
            raise BrokenReplyError(f"{what}: the answer broke off") from error
        except TimeoutError as error:
            message = f"{what}: no answer within {self.options.timeout:g} s"
            raise TransientError(message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"{what}: {_plainly(error)}") from error

    async def _content(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        most = self.options.max_body
        if (response.content_length or 0) > most:
            raise BrokenReplyError(f"{what}: the answer is larger than {most} bytes")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > most:
                raise BrokenReplyError(
                    f"{what}: the answer is larger than {most} bytes"
                )
            chunks.append(chunk)
        return b"".join(chunks)


def _redirected(response: aiohttp.ClientResponse) -> MisconfiguredError:
    place = response.headers.get("Location", "")
    try:
        target = URL(place).with_query(None).with_user(None)
    except ValueError:
        target = URL()
    return MisconfiguredError(
        "url", f"the server redirects to {target}; use that address"
    )


def _plainly(error: Exception) -> str:
    """What happened, without the address, which stands in front already."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the certificate is not trusted ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be found"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect ({error.os_error.strerror or error.os_error})"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    return str(error) or type(error).__name__


@asynccontextmanager
async def open_http(
    url: URL,
    options: HttpOptions,
    *,
    session: aiohttp.ClientSession | None = None,
    limiter: RateLimiter | None = None,
    idle: float = 15.0,
) -> AsyncGenerator[HttpClient]:
    """Open a client for the length of a block.

    Args:
        url: Address of the server.
        options: Timeouts, proxy and bounds.
        session: The host's own session; it is used and left open.
        limiter: Waits before each request.
        idle: Seconds that an unused connection is kept; below what the server
            keeps it, so that no request is sent into a closed one.
    """
    if session is not None:
        yield HttpClient(session=session, url=url, options=options, limiter=limiter)
        return
    connector = aiohttp.TCPConnector(keepalive_timeout=idle, ssl=_trust(options))
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as own:
        yield HttpClient(session=own, url=url, options=options, limiter=limiter)


def _trust(options: HttpOptions) -> Any:
    if options.ca_file is None:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise MisconfiguredError("http.ca_file", f"cannot be read: {error}") from None
