"""HTTP for adapters: a client on aiohttp that raises the errors of catalogsync.

It never repeats a request that may have had an effect; retries are left to the engine.
It follows no redirects, so that credentials stay with their host, refuses plain http
to other machines unless a setting allows it, limits the size of answers, and keeps
secrets out of messages that quote a server.
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
    RefusedError,
    TransientError,
    UnauthorizedError,
)
from catalogsync.events import Request, report_request
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

_NOT_BEGUN = frozenset({425, 429})
_SAFE = frozenset({"GET", "HEAD"})
_MAY_PASS = frozenset({408, 425, 429, 502, 503, 504})
_CHUNK = 1 << 16
_LARGE = 1 << 20
_LONGEST_QUOTE = 4000
_LONGEST_WORD = 20


@attrs.frozen(kw_only=True)
class HttpOptions:
    """Timeouts, proxy, certificates and limits of a client.

    Attributes:
        timeout: Seconds for one request, including its answer.
        connect_timeout: Seconds to connect to the server.
        proxy: Address of an HTTP proxy. None: the one in the environment
            (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), except for servers on this
            machine. An empty text: no proxy.
        ca_file: File with the certificates to trust; None: those of the system.
        max_body: Largest answer in bytes, after decompression.
        allow_plain_http: Whether to use http, without encryption, with other
            machines.
    """

    timeout: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    connect_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    proxy: str | None = attrs.field(default=None, repr=False)
    ca_file: str | None = None
    max_body: int = attrs.field(default=64 << 20, validator=attrs.validators.ge(1))
    allow_plain_http: bool = False


@attrs.frozen
class Reply:
    """A server's answer, with any status.

    Attributes:
        status: HTTP status.
        headers: The answer's headers; names in any case.
        body: The decompressed body.
        what: Method and address of the request, for messages.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    what: str

    def json(self, *, exact: bool = False) -> Any:
        """The body as JSON.

        Args:
            exact: Whether numbers with a fraction become `Decimal` instead of `float`,
                with exactly the digits that the server sent.

        Raises:
            BrokenReplyError: The body is not valid JSON.
        """
        loads = strict_json.loads_exact if exact else strict_json.loads
        try:
            return loads(self.body)
        except ValueError as error:
            problem = f"{self.what}: not JSON ({error})"
        raise BrokenReplyError(
            problem
        )  # without the original error, which contains the body

    def raise_if_passing(self) -> None:
        """Raise `TransientError` for a status that asks to try again later."""
        if self.status in _MAY_PASS:
            problem, wait = (
                f"{self.what}: HTTP {self.status}",
                retry_after(self.headers),
            )
            raise TransientError(
                problem, retry_after=wait, begun=self.status not in _NOT_BEGUN
            )


def base_url(setting: str, text: str) -> URL:
    """Parse and check the address of a server.

    Args:
        setting: Name of the setting with the address, for the error.
        text: The address.

    Raises:
        MisconfiguredError: It is not an http or https address, or it contains
            credentials, which belong in settings of their own.
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
    """The repr of an address without credentials and query; for `attrs.field(repr=...)`."""
    _, at, rest = text.rpartition("@")
    address, mark, _ = rest.replace("#", "?", 1).partition("?")
    return repr(f"{at and '***@'}{address}{mark and '?***'}")


def _check_plain(url: URL, options: HttpOptions, proxy: str | None) -> None:
    """Refuse unencrypted connections to other machines, unless they are allowed."""
    if url.scheme == "https" or options.allow_plain_http:
        return
    places = [url, *([URL(proxy)] if proxy else [])]
    if not all(_is_loopback(place.host or "") for place in places):
        problem = (
            "use https; with http, anybody on the way can read and change what is"
            " sent; to accept that, set `http.allow_plain_http = true`"
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
    """The proxy for a server, from the setting or the environment."""
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
    """The address of a proxy; messages omit it because it may contain credentials."""
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
    """Sends requests to one server and counts them; `open_http` makes it.

    Attributes:
        session: The aiohttp session.
        url: Address of the server; request paths are appended.
        options: Timeouts, proxy and limits.
        limiter: Delays requests to stay below a rate; None: no delay.
        trust: The certificates to trust; True: those that the session trusts.
        requests: Requests sent so far.
        proxy: Address of the proxy in use; None: requests go straight to the server.
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
        """Replace these texts in all messages, in case the server repeats them."""
        self._redactor.keep(texts)

    def quoted(self, text: str) -> str:
        """A server's message, without secrets, and cut if it is too long."""
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
        """Send one request and read the whole answer, whatever its status.

        Args:
            method: HTTP method, for example `GET`.
            path: Path below the server's address, with a leading slash, encoded.
            query: Query string, encoded, without the question mark.
            body: What to send, JSON unless a header `Content-Type` says otherwise;
                None: no body.
            headers: Sent in addition to `Accept` and `Content-Type`.

        Raises:
            TransientError: The server is unreachable or too slow.
            BrokenReplyError: The answer is incomplete or too large.
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
            sent.setdefault("Content-Type", "application/json")
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
        except (aiohttp.ClientError, OSError, _BrokenOffError) as error:
            found = error.error if isinstance(error, _BrokenOffError) else error
            failure = self._failure(found, what)
            # Not the error itself, which contains the request with its credentials.
            cause = getattr(found, "os_error", None)
        finally:
            report_request(
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

    def raise_for_status(self, reply: Reply) -> None:
        """Raise the error that a status of 400 or above stands for.

        For servers that use HTTP statuses as usual. An adapter that can read more
        from an answer looks at `Reply.status` and `Reply.body` itself.

        Raises:
            TransientError: 408, 425, 429 or 5xx; asking again may help.
            UnauthorizedError: 401 or 403.
            RefusedError: Any other status, with the server's own words.
        """
        reply.raise_if_passing()
        problem = f"{reply.what}: HTTP {reply.status}"
        if reply.status >= 500:
            raise TransientError(problem, unexplained=reply.status == 500)
        if reply.status in {401, 403}:
            raise UnauthorizedError(problem)
        if reply.status >= 400:
            said = self.quoted(reply.body.decode(errors="replace"))
            raise RefusedError(problem, said=said)

    async def _content(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        most = self.options.max_body
        if (response.content_length or 0) > most:
            raise BrokenReplyError(f"{what}: the answer is larger than {most} bytes")
        content = bytearray()  # a list of small chunks could be far larger
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
    """A large body as a file, which aiohttp writes in chunks."""
    if body is None or len(body) <= _LARGE:
        return body
    return io.BytesIO(body)


def _redirected(response: aiohttp.ClientResponse, path: str) -> str:
    """A message about a redirect; it names the base address of the other server."""
    place = response.headers.get("Location", "")
    try:
        target = response.url.join(URL(place, encoded=True))
        origin = URL.build(
            scheme=target.scheme, host=target.raw_host or "", port=target.port
        )
    except (ValueError, TypeError):
        origin = target = URL()
    if not place or origin.scheme not in {"http", "https"} or not origin.host:
        return "the server redirects to an address that is neither http nor https"
    if target == response.url:
        return "the server redirects to the same address"
    address = f"{origin}{_shown_path(target.raw_path.removesuffix(path))}"
    return f"the server redirects to {address}; use that address"


def _shown_path(path: str) -> str:
    """A path without segments that may be a token, such as that of a login."""
    return "/".join(
        "***" if len(part) > _LONGEST_WORD and not part.isalpha() else part
        for part in path.split("/")
    )


def _distrusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    why = getattr(cause, "verify_message", "") or str(cause)
    place = f"the certificate of {error.host}"
    return f"{place} is not trusted ({why}); to trust it, set `http.ca_file`"


def _plainly(error: Exception) -> str:
    """The failure as text, without the address, which the message begins with."""
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


class _BrokenOffError(Exception):
    """A connection that broke before the answer, in a form that aiohttp lets pass."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending PUT and DELETE again when a connection breaks.

    Nobody knows whether the first request was carried out, and the second may then be
    refused. Reading again does no harm.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in _SAFE:
            raise
        raise _BrokenOffError(error) from None


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
        url: Address of the server, as `base_url` gives it.
        options: Timeouts, proxy and limits.
        session: The host's own session, which stays open; None: a new one, without
            cookies.
        limiter: Delays requests to stay below a rate; None: no delay.
        idle: Seconds to keep an unused connection. Choose less than the server does,
            so that no request goes into a connection that it has just closed.

    Raises:
        MisconfiguredError: An option is invalid, or the address is plain http on
            another machine and `HttpOptions.allow_plain_http` is not set.
    """
    trust = _trust(options)
    _check_plain(url, options, _proxy_of(url, options))
    own = session is None
    if session is None:
        connector = aiohttp.TCPConnector(keepalive_timeout=idle)
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=[_send_once],
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
