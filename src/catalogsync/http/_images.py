"""Fetching images from any address, safely.

Addresses of images come from records that somebody else writes. So the fetcher connects
to public addresses only: what counts is the address of the connection itself, after DNS
and after each redirect. It limits size and time, and the content decides on the type.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b
from importlib import import_module
from typing import Any

import aiohttp
import attrs
from yarl import URL

from catalogsync.catalog.images import FetchedImage, StoredImage
from catalogsync.errors import MissingExtraError, RefusedError, TransientError
from catalogsync.events import Request, report_request
from catalogsync.retry import retry_after

__all__ = ["ImageFetcher", "ImageOptions", "open_images"]

_CHUNK = 1 << 16
_MAX_REDIRECTS = 5
_NOT_PUBLIC = "not a public address"
_EMBEDDED = (
    (ipaddress.ip_network("::ffff:0:0/96"), 0),
    (ipaddress.ip_network("::/96"), 0),
    (ipaddress.ip_network("64:ff9b::/96"), 0),
    (ipaddress.ip_network("2002::/16"), 80),
)
"""IPv6 networks with an IPv4 address inside, and how far from the end it is, in bits."""
_LOCAL = tuple(map(ipaddress.ip_network, ("fec0::/10", "64:ff9b:1::/48")))
"""Networks that are not public, although `ipaddress` may say so."""
_FAILURES: tuple[
    tuple[type[Exception], type[RefusedError | TransientError], str], ...
] = (
    (aiohttp.TooManyRedirects, RefusedError, "its address redirects too often"),
    (aiohttp.NonHttpUrlClientError, RefusedError, "it redirects to another protocol"),
    (
        aiohttp.ClientConnectorCertificateError,
        RefusedError,
        "the certificate of its server is not trusted",
    ),
    (aiohttp.ClientConnectorError, TransientError, "its server cannot be reached"),
    (aiohttp.ClientPayloadError, TransientError, "the answer of its server broke off"),
    (ValueError, RefusedError, "its address is not valid"),
)
_SVG_START = 4096
_ENOUGH_FAILURES = 5
_PAUSE = 60.0

_TYPES = ("avif", "gif", "jpg", "png", "webp")


def _types(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each.lower().replace("jpeg", "jpg") for each in value)


@attrs.frozen(kw_only=True)
class ImageOptions:
    """How images are fetched that a sink stores itself.

    Attributes:
        at_once: Images that are fetched and uploaded at the same time; each is held in
            memory meanwhile.
        max_size: Largest image in bytes.
        timeout: Seconds for one image, including all of its content.
        types: Accepted types, as endings of file names. The content decides, not the
            name. `svg` can contain scripts: accept it only from sources that you trust.
        recheck: Whether each run asks the servers if an image has changed under the same
            address. If not, a new image needs a new address.
        allow_private: Whether to connect to private, loopback and link-local addresses
            too, such as a server in your own network.
    """

    at_once: int = attrs.field(default=8, validator=attrs.validators.ge(1))
    max_size: int = attrs.field(default=20 << 20, validator=attrs.validators.ge(1))
    timeout: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    types: tuple[str, ...] = attrs.field(default=_TYPES, converter=_types)
    recheck: bool = True
    allow_private: bool = False


@attrs.define(kw_only=True)
class ImageFetcher:
    """Fetches images; `open_images` makes it.

    Both methods raise `RefusedError` for an image that another attempt would not help,
    and `TransientError` for one that may be there later. Messages omit the address.

    Attributes:
        session: The aiohttp session, which connects as `options` allow.
        options: Limits.
        match: Recognises the type of a content; None: it is not an image.
    """

    session: aiohttp.ClientSession
    options: ImageOptions
    match: Callable[[bytes], Any] = attrs.field(repr=False)
    _silent: dict[str, tuple[int, float]] = attrs.field(
        factory=dict[str, tuple[int, float]], init=False
    )

    async def changed(self, address: str, seen: StoredImage) -> bool:
        """Whether an address has something else than when it was fetched.

        No content is read. An address whose server sends neither an `ETag` nor
        `Last-Modified` counts as unchanged.

        Args:
            address: The address.
            seen: What was fetched from it.
        """
        if not self.options.recheck or not (seen.etag or seen.modified):
            return False
        async with self._opened("HEAD", address, seen) as response:
            if response.status in {200, 304}:
                return not _is_same(response, seen)
        async with self._opened("GET", address, seen) as response:  # it refuses HEAD
            if response.status in {200, 304}:
                return not _is_same(response, seen)
            raise _problem(response)

    async def fetch(
        self, address: str, seen: StoredImage | None
    ) -> FetchedImage | None:
        """Fetch an image, unless it is as it was.

        Args:
            address: The address.
            seen: What was fetched from it; None: nothing was.

        Returns:
            The image, or None if it has not changed.
        """
        async with self._opened("GET", address, seen) as response:
            if seen is not None and _is_same(response, seen):
                return None
            if response.status != 200:
                raise _problem(response)
            content = await self._content(response)
            return FetchedImage(
                content=content,
                digest=blake2b(content, digest_size=16).hexdigest(),
                type=self._type(content),
                etag=response.headers.get("ETag", ""),
                modified=response.headers.get("Last-Modified", ""),
            )

    @asynccontextmanager
    async def _opened(
        self, method: str, address: str, seen: StoredImage | None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer, whose failures are raised as our errors."""
        url = _parsed(address)
        host, started, status = url.host or "", time.perf_counter(), None
        self._check_silent(host)
        try:
            async with self.session.request(
                method, url, headers=_conditions(seen), max_redirects=_MAX_REDIRECTS
            ) as response:
                status = response.status
                self._silent.pop(host, None)
                yield response
        except (aiohttp.ClientError, OSError, ValueError) as error:
            found = _error(error, self.options)
            if isinstance(found, TransientError):
                self._note_silent(host)
            raise found from None
        finally:
            report_request(
                Request(
                    method=method,
                    host=host,
                    path=url.raw_path,
                    status=status,
                    seconds=time.perf_counter() - started,
                )
            )

    def _check_silent(self, host: str) -> None:
        """Do not wait again for a host that has just failed several times in a row."""
        failures, since = self._silent.get(host, (0, 0.0))
        if failures >= _ENOUGH_FAILURES and time.monotonic() - since < _PAUSE:
            raise TransientError("its server did not answer before")

    def _note_silent(self, host: str) -> None:
        failures, _ = self._silent.get(host, (0, 0.0))
        self._silent[host] = failures + 1, time.monotonic()

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        most = self.options.max_size
        problem = f"larger than {most} bytes (`max_size`)"
        if (response.content_length or 0) > most:
            raise RefusedError(problem)
        content = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            content += chunk
            if len(content) > most:
                raise RefusedError(problem)
        if not content:
            raise RefusedError("it is empty")
        return bytes(content)

    def _type(self, content: bytes) -> str:
        found = self.match(content)
        type_ = (
            "svg"
            if found is None and _is_svg(content)
            else getattr(found, "extension", "")
        )
        if not type_:
            raise RefusedError("its content is not an image")
        if type_ not in self.options.types:
            raise RefusedError(f"{type_} is not among the accepted `types`")
        return str(type_)


def _parsed(address: str) -> URL:
    try:
        url = URL(address)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise RefusedError("its address does not begin with http:// or https://")
    return url


def _conditions(seen: StoredImage | None) -> Mapping[str, str]:
    """Headers that ask for the content only if it has changed."""
    headers = {"Accept": "image/*", "Accept-Encoding": "identity"}
    if seen is not None and seen.etag:
        headers["If-None-Match"] = seen.etag
    if seen is not None and seen.modified:
        headers["If-Modified-Since"] = seen.modified
    return headers


def _is_same(response: aiohttp.ClientResponse, seen: StoredImage) -> bool:
    """Whether an answer says that nothing has changed, if not by its status."""
    if response.status == 304:
        return True
    if response.status != 200:
        return False
    if seen.etag:
        return response.headers.get("ETag", "") == seen.etag
    return (
        bool(seen.modified) and response.headers.get("Last-Modified") == seen.modified
    )


def _problem(response: aiohttp.ClientResponse) -> RefusedError | TransientError:
    text = f"its server answers HTTP {response.status}"
    if response.status in {408, 425, 429} or response.status >= 500:
        return TransientError(text, retry_after=retry_after(response.headers))
    return RefusedError(text)


def _error(error: Exception, options: ImageOptions) -> RefusedError | TransientError:
    """What an exception means, without the address."""
    if isinstance(error, TimeoutError):
        return TransientError(f"not complete within {options.timeout:g} s")
    cause = getattr(error, "os_error", None)
    if cause is not None and _NOT_PUBLIC in str(cause):
        text = f"its server has {_NOT_PUBLIC}; to accept that, set `allow_private`"
        return RefusedError(text)
    for kind, decision, text in _FAILURES:
        if isinstance(error, kind):
            return decision(text)
    return TransientError("its server gave no usable answer")


def _is_svg(content: bytes) -> bool:
    start = content[:_SVG_START].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_xml = start.startswith((b"<?xml", b"<svg", b"<!--", b"<!doctype svg"))
    return is_xml and b"<svg" in start and b"<html" not in start


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv4 address inside an IPv6 one counts as itself.

    Args:
        text: The address; of IPv6, perhaps with a zone.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    for network, behind in _EMBEDDED:
        if isinstance(address, ipaddress.IPv6Address) and address in network:
            inside = (int(address) >> behind) & 0xFFFFFFFF
            return is_public(str(ipaddress.IPv4Address(inside)))
    is_local = address.is_multicast or any(address in local for local in _LOCAL)
    return address.is_global and not is_local


def _public_socket(info: Any) -> socket.socket:
    """A socket for a connection to this address, if it is public."""
    family, kind, protocol, _, place = info
    if not is_public(place[0]):
        raise OSError(errno.EACCES, _NOT_PUBLIC)
    return socket.socket(family=family, type=kind, proto=protocol)


@asynccontextmanager
async def open_images(options: ImageOptions) -> AsyncGenerator[ImageFetcher]:
    """Open a fetcher for the length of a block.

    It uses no proxy, because a proxy would choose the address of the connection.

    Raises:
        MissingExtraError: The extra `images` is not installed.
    """
    try:
        match: Callable[[bytes], Any] = import_module("filetype").image_match
    except ImportError as error:
        raise MissingExtraError("uploading images", "images") from error
    factory = None if options.allow_private else _public_socket
    connector = aiohttp.TCPConnector(
        socket_factory=factory, limit=2 * options.at_once, keepalive_timeout=15.0
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=options.timeout),
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield ImageFetcher(session=session, options=options, match=match)
