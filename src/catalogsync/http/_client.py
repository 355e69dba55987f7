"""HTTP for adapters: one client on aiohttp that says what failures mean.

It never repeats by itself what may have been done already: repeating is the
engine's task. It follows no redirects, so credentials stay with their host, speaks
plain http only within this machine unless told otherwise, bounds what it reads, and
tells no secret of ours where it quotes a server.
"""

from __future__ import annotations

import io
import ipaddress
import os
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
from yarl import URL

from catalogsync._lib import strict_json
from catalogsync._lib.redact import Redactor, secrets_in_address
from catalogsync.errors import (
    BrokenReplyError,
    CatalogSyncError,
    MisconfiguredError,
    TransientError,
)
from catalogsync.events import Request, tell_request
from catalogsync.retry import retry_after

from .ratelimit import RateLimiter

__all__ = [
    "HttpClient",
    "HttpOptions",
    "Reply",
    "address_repr",
    "base_url",
    "open_http",
]

_MAY_PASS = frozenset({408, 425, 429, 502, 503, 504})
_CHUNK = 1 << 16
_LARGE = 1 << 20
_LONGEST_QUOTE = 4000
_LONGEST_WORD = 20


@attrs.frozen(kw_only=True)
class HttpOptions:
    """How an adapter talks to its server.

    Attributes:
        timeout: Seconds for one request, answer included.
        connect_timeout: Seconds to reach the server.
        proxy: Address of an HTTP proxy. None: what the environment says
            (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), but not for this machine
            itself; an empty text: no proxy.
        ca_file: File with the certificates to trust, instead of the system's.
        max_body: Most bytes of an answer, after decompression.
        allow_plain_http: Also speak http, without encryption, to other machines.
    """

    timeout: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    connect_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    proxy: str | None = attrs.field(default=None, repr=False)
    ca_file: str | None = None
    max_body: int = attrs.field(default=64 << 20, validator=attrs.validators.ge(1))
    allow_plain_http: bool = False


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
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    what: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            BrokenReplyError: It is none.
        """
        try:
            return strict_json.loads(self.body)
        except ValueError as error:
            problem = f"{self.what}: not JSON ({error})"
        raise BrokenReplyError(problem)  # with no error behind it that holds the body

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
    if url.user or url.password or "@" in url.raw_path:
        raise MisconfiguredError(setting, "must not hold a user name or password")
    return url.with_query(None).with_fragment(None)


def address_repr(text: str) -> str:
    """The repr of an address, without what in it may be a secret."""
    _, at, rest = text.rpartition("@")
    address, mark, _ = rest.replace("#", "?", 1).partition("?")
    return repr(f"{at and '***@'}{address}{mark and '?***'}")


def _check_plain(url: URL, options: HttpOptions, proxy: str | None) -> None:
    """Refuse to send in clear text what others could read."""
    if url.scheme == "https" or options.allow_plain_http:
        return
    places = [url, *([URL(proxy)] if proxy else [])]
    if not all(_is_loopback(place.host or "") for place in places):
        problem = (
            "use https; with http, everybody on the way can read and change what is"
            " sent, and `http.allow_plain_http = true` says that this is wanted"
        )
        raise MisconfiguredError("url", problem)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy_of(url: URL, options: HttpOptions) -> str | None:
    """The proxy on the way to a server: the setting's, or the environment's."""
    if options.proxy is not None:
        return _checked_proxy(options.proxy, "http.proxy") if options.proxy else None
    host = url.host or ""
    if _is_loopback(host) or proxy_bypass(f"{host}:{url.port}"):
        return None
    found = getproxies().get(url.scheme)
    if not found:
        return None
    name = f"{url.scheme.upper()}_PROXY"
    return _checked_proxy(found if "://" in found else f"http://{found}", name)


def _checked_proxy(text: str, setting: str) -> str:
    """The address of a proxy, which may hold credentials: it is not told."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    behind = f"{url.raw_path}{url.raw_query_string}{url.raw_fragment}"
    if url.scheme not in {"http", "https"} or not url.host or "@" in behind:
        problem = "must be an address such as http://proxy.example.com:3128"
        raise MisconfiguredError(setting, problem)
    return text


@attrs.define(kw_only=True)
class HttpClient:
    """Sends requests to one server and counts them.

    Attributes:
        session: The aiohttp session, which may be the host's own.
        url: Address of the server; request paths are appended.
        options: Timeouts, proxy and bounds.
        limiter: Waits before each request, if there is one.
        trust: The certificates to trust; True: what the session trusts.
        requests: Requests sent so far.
        proxy: The proxy that requests go through, if any.
    """

    session: aiohttp.ClientSession
    url: URL
    options: HttpOptions
    limiter: RateLimiter | None = None
    trust: ssl.SSLContext | bool = attrs.field(default=True, repr=False)
    requests: int = 0
    proxy: str | None = attrs.field(init=False, repr=False)
    _redactor: Redactor = attrs.field(factory=Redactor, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.proxy = _proxy_of(self.url, self.options)
        self.keep_secret(*secrets_in_address(self.proxy or ""))

    def keep_secret(self, *texts: str) -> None:
        """Let these stand in no message, should the server repeat them."""
        self._redactor.keep(texts)

    def quoted(self, text: str) -> str:
        """A server's words for a message: without our secrets, and not too many."""
        text = self._redactor.text(text)
        return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"

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
            MisconfiguredError: The server redirects to another address, or its
                certificate is not trusted.
        """
        if self.limiter is not None:
            await self.limiter.wait()
        url = URL(
            f"{str(self.url).rstrip('/')}{path}{'?' if query else ''}{query}",
            encoded=True,
        )
        what = f"{method} {self.url.origin()}{url.raw_path}"
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        self.requests += 1
        started = time.perf_counter()
        reply: Reply | None = None
        try:
            async with self.session.request(
                method,
                url,
                data=_payload(body),
                headers=sent,
                allow_redirects=False,
                raise_for_status=False,
                ssl=self.trust,
                proxy=self.proxy,
                timeout=aiohttp.ClientTimeout(
                    total=self.options.timeout,
                    sock_connect=self.options.connect_timeout,
                ),
            ) as response:
                if 300 <= response.status < 400 and response.status != 304:
                    problem = self.quoted(_redirected(response, path))
                    raise MisconfiguredError("url", problem)
                content = await self._content(response, what)
                reply = Reply(response.status, response.headers, content, what)
                return reply
        except (aiohttp.ClientError, OSError) as error:
            failure = self._failure(error, what)
            # Not the error itself, which holds the request with its credentials.
            cause = getattr(error, "os_error", None)
        finally:
            tell_request(
                Request(
                    method=method,
                    host=url.host or "",
                    path=url.raw_path,
                    status=reply.status if reply else None,
                    seconds=time.perf_counter() - started,
                    sent=len(body or b""),
                    received=len(reply.body) if reply else 0,
                )
            )
        raise failure from cause

    async def _content(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        most = self.options.max_body
        if (response.content_length or 0) > most:
            raise BrokenReplyError(f"{what}: the answer is larger than {most} bytes")
        content = bytearray()  # a list of pieces could be far larger than its text
        async for chunk in response.content.iter_chunked(_CHUNK):
            content += chunk
            if len(content) > most:
                raise BrokenReplyError(
                    f"{what}: the answer is larger than {most} bytes"
                )
        return bytes(content)

    def _failure(self, error: Exception, what: str) -> CatalogSyncError:
        match error:
            case aiohttp.ClientPayloadError():
                return BrokenReplyError(f"{what}: the answer broke off")
            case aiohttp.ClientConnectorCertificateError():
                return MisconfiguredError("url", _distrusted(error))
            case aiohttp.ConnectionTimeoutError():
                seconds = self.options.connect_timeout
                return TransientError(f"{what}: no connection within {seconds:g} s")
            case TimeoutError():
                seconds = self.options.timeout
                return TransientError(f"{what}: no answer within {seconds:g} s")
            case _:
                return TransientError(f"{what}: {self.quoted(_plainly(error))}")


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """A large body as a file: aiohttp writes that in pieces."""
    if body is None or len(body) <= _LARGE:
        return body
    return io.BytesIO(body)


def _redirected(response: aiohttp.ClientResponse, path: str) -> str:
    """What to do about a redirect; the address is that of the server, not the page."""
    place = response.headers.get("Location", "")
    try:
        target = response.url.join(URL(place, encoded=True))
        origin = URL.build(
            scheme=target.scheme, host=target.raw_host or "", port=target.port
        )
    except (ValueError, TypeError):
        origin = target = URL()
    if not place or origin.scheme not in {"http", "https"} or not origin.host:
        return "the server redirects, but not to an address of the web"
    if target == response.url:
        return "the server redirects to the same address, without end"
    address = f"{origin}{_shown_path(target.raw_path.removesuffix(path))}"
    return f"the server redirects to {address}; use that address"


def _shown_path(path: str) -> str:
    """A path without what in it may be a token, such as that of a login."""
    return "/".join(
        "***" if len(part) > _LONGEST_WORD and not part.isalpha() else part
        for part in path.split("/")
    )


def _distrusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    why = getattr(cause, "verify_message", "") or str(cause)
    place = f"the certificate of {error.host}"
    return f"{place} is not trusted ({why}); `http.ca_file` names those to trust"


def _plainly(error: Exception) -> str:
    """What happened, without the address, which stands in front already."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answers HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        proxy = isinstance(error, aiohttp.ClientProxyConnectionError)
        whom = " to the proxy" if proxy else ""
        return f"cannot connect{whom} ({_reason(error)})"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    return str(error) or type(error).__name__


def _reason(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the host name {error.host} cannot be found"
    if isinstance(cause, ssl.SSLError) or not cause.errno:
        return str(cause)
    return os.strerror(cause.errno)


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

    Raises:
        MisconfiguredError: An option is wrong, or the address is one of plain http
            on another machine, which is not allowed.
    """
    trust = _trust(options)
    _check_plain(url, options, _proxy_of(url, options))
    own = session is None
    if session is None:
        connector = aiohttp.TCPConnector(keepalive_timeout=idle)
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        )
    try:
        yield HttpClient(
            session=session, url=url, options=options, limiter=limiter, trust=trust
        )
    finally:
        if own:
            await session.close()


def _trust(options: HttpOptions) -> ssl.SSLContext | bool:
    if options.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ValueError) as error:
        raise MisconfiguredError("http.ca_file", f"cannot be read: {error}") from None
