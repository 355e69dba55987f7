"""One POST to a receiver whose address and headers stay out of all messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

import aiohttp
import attrs
from yarl import URL

from catalogsync._lib.redact import Redactor, secrets_in_address
from catalogsync.errors import CatalogSyncError
from catalogsync.http import HttpOptions, open_http

__all__ = ["Post", "redactor_of"]

_SHORTEST_TOKEN = 6
_DELIMITERS = re.compile("[/?&=:@,]+")


def redactor_of(url: str, rest: str) -> Redactor:
    """Knows what a server may repeat; a part of an address is often the token.

    Args:
        url: The address.
        rest: What follows the host in it.
    """
    redactor = Redactor()
    redactor.keep(secrets_in_address(url))
    parts = [part for part in _DELIMITERS.split(rest) if len(part) >= _SHORTEST_TOKEN]
    redactor.keep([rest, *parts, *map(unquote_plus, parts)])
    return redactor


@attrs.frozen(kw_only=True)
class Post:
    """A request.

    Attributes:
        url: Address of the receiver.
        body: The body.
        headers: All headers.
        secret: The secret that signs it; None: there is none.
    """

    url: str = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    secret: str | None = attrs.field(default=None, repr=False)

    async def send(
        self, http: HttpOptions, session: aiohttp.ClientSession | None
    ) -> int:
        """Send it once; returns the HTTP status.

        Raises:
            CatalogSyncError: There is no answer; the message has no secrets.
        """
        url = URL(self.url)
        try:
            async with open_http(url.origin(), http, session=session) as client:
                reply = await client.send(
                    "POST",
                    url.raw_path,
                    query=url.raw_query_string,
                    body=self.body,
                    headers=self.headers,
                )
        except CatalogSyncError as error:
            values = [
                part for each in self.headers.values() for part in (each, *each.split())
            ]
            redactor = redactor_of(self.url, url.raw_path.strip("/"))
            redactor.keep([*url.query.values(), *values, self.secret or ""])
            raise CatalogSyncError(redactor.text(str(error))) from None
        return reply.status
