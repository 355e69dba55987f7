"""The settings of a Medusa store."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from catalogsync.errors import MisconfiguredError
from catalogsync.http import HttpOptions, address_repr, base_url, open_http

from .client import ApiKey, Auth, Login, MedusaClient
from .server import check_supported, read_flags
from .sink import MedusaSink
from .store_context import discover

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["MedusaSettings"]

_KEEP_ALIVE = 4.0


@attrs.frozen(kw_only=True)
class MedusaSettings:
    """A Medusa 2 store as a sink, through its Admin API.

    Set either `email` and `password` of an admin user, or a secret `api_key`. A login
    is faster: Medusa hashes an API key on every request, which takes longer than most
    answers.

    Attributes:
        url: Address of the server, without `/admin`.
        email: E-mail address of an admin user.
        password: Password of this user.
        api_key: A secret API key (`sk_...`).
        sales_channel: Id or name; None: the store's default, or its only one.
        shipping_profile: Id or name; None: the default one, or the only one.
        stock_location: Id or name; None: the store's default, or its only one.
        currency: ISO 4217 code of the only currency to write; None: all that the
            store supports.
        name: Name of the sink, for reports.
        http: Timeouts, proxy and certificates.
    """

    url: str = attrs.field(repr=address_repr)
    email: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    api_key: str | None = attrs.field(default=None, repr=False)
    sales_channel: str | None = None
    shipping_profile: str | None = None
    stock_location: str | None = None
    currency: str | None = None
    name: str = "medusa"
    http: HttpOptions = attrs.field(factory=HttpOptions)

    @asynccontextmanager
    async def open(
        self, session: ClientSession | None = None
    ) -> AsyncGenerator[MedusaSink]:
        """Open the sink for the length of a block.

        Logs in and looks up sales channel, shipping profile and stock location; changes
        nothing.

        Args:
            session: The host's own aiohttp session, which stays open; None: a new one.

        Raises:
            MisconfiguredError: A setting is wrong or missing; the error names it.
            UnauthorizedError: The credentials are not accepted.
            TransientError: The server cannot be reached.
        """
        auth = self._auth()
        url = base_url("url", self.url)
        async with open_http(url, self.http, session=session, idle=_KEEP_ALIVE) as http:
            client = MedusaClient(http, auth)
            flags = await read_flags(client)
            client.bypasses_cache = "caching" in flags
            await check_supported(client, flags)
            places = await discover(
                client,
                sales_channel=self.sales_channel,
                shipping_profile=self.shipping_profile,
                stock_location=self.stock_location,
                currency=self.currency,
            )
            yield MedusaSink(name=self.name, client=client, places=places)

    def _auth(self) -> Auth:
        if self.api_key and not (self.email or self.password):
            return ApiKey(self.api_key)
        if self.email and self.password and not self.api_key:
            return Login(self.email, self.password)
        problem = "set either email and password, or a secret api_key"
        raise MisconfiguredError("api_key", problem)
