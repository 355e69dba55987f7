"""The settings of a Medusa store."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.http import (
    HttpOptions,
    ImageOptions,
    address_repr,
    base_url,
    open_http,
    open_images,
)

from .client import ApiKey, Auth, Login, MedusaClient
from .reading import read_context
from .server import check_supported, read_flags
from .sink import MedusaSink
from .source import MedusaSource
from .store_context import discover
from .uploads import Uploads

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["MedusaSettings", "MedusaSourceSettings"]

_KEEP_ALIVE = 4.0
_MOST = 500


def _source_name(_: object, __: object, value: str) -> None:
    try:
        ProductKey(value, "1")
    except InvalidValueError as error:
        raise MisconfiguredError("name", error.problem) from None


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
        stock: What the source's quantities count: `on_hand`, the pieces on the shelf,
            including those of open orders; `available`, the pieces that can still be
            sold, to which the sink adds what the store has reserved for open orders.
        images: `link`: products link to the addresses of the source; `upload`: images
            are fetched and stored in Medusa's file storage, once for each content. Needs
            a state store and the extra `images`.
        image_options: How images are fetched, for `upload`.
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
    stock: Literal["on_hand", "available"] = "on_hand"
    images: Literal["link", "upload"] = "link"
    image_options: ImageOptions = attrs.field(factory=ImageOptions)
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
            MissingExtraError: Images are uploaded, and the extra `images` is missing.
        """
        auth = _auth(self.email, self.password, self.api_key)
        async with (
            _client(self.url, auth, self.http, session) as client,
            _uploads(client, self.image_options, self.images) as uploads,
        ):
            places = await discover(
                client,
                sales_channel=self.sales_channel,
                shipping_profile=self.shipping_profile,
                stock_location=self.stock_location,
                currency=self.currency,
                counts=self.stock,
            )
            yield MedusaSink(
                name=self.name, client=client, places=places, image_storage=uploads
            )


@attrs.frozen(kw_only=True)
class MedusaSourceSettings:
    """A Medusa 2 store as a source, through its Admin API.

    Set either `email` and `password` of an admin user, or a secret `api_key`.

    Attributes:
        url: Address of the server, without `/admin`.
        name: Name of the source, for product keys; never change it while another store
            is in use. An external id that begins with it, as in `shop:1`, gives the key
            `shop:1` again.
        email: E-mail address of an admin user.
        password: Password of this user.
        api_key: A secret API key (`sk_...`).
        key: What becomes the key of a product: `external_id`, or Medusa's id where it
            has none; `id`: always Medusa's id.
        drafts: Whether to read products that shoppers do not see.
        handle_attribute: Name of an attribute that gets the handle; None: it is left
            out.
        stock_location: Id or name of the location whose levels have no location in
            products; None: the store's default, or its only one.
        page_size: Products in a page, from 1 to 500.
        http: Timeouts, proxy and certificates.
    """

    url: str = attrs.field(repr=address_repr)
    name: str = attrs.field(validator=_source_name)
    email: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    api_key: str | None = attrs.field(default=None, repr=False)
    key: Literal["external_id", "id"] = "external_id"
    drafts: bool = True
    handle_attribute: str | None = None
    stock_location: str | None = None
    page_size: int = 200
    http: HttpOptions = attrs.field(factory=HttpOptions)

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.page_size <= _MOST:
            problem = f"must be 1 to {_MOST}, is {self.page_size}"
            raise MisconfiguredError("page_size", problem)

    @asynccontextmanager
    async def open(
        self, session: ClientSession | None = None
    ) -> AsyncGenerator[MedusaSource]:
        """Open the source for the length of a block; logs in.

        Args:
            session: The host's own aiohttp session, which stays open; None: a new one.

        Raises:
            MisconfiguredError: A setting is wrong or missing; the error names it.
            UnauthorizedError: The credentials are not accepted.
            TransientError: The server cannot be reached.
        """
        auth = _auth(self.email, self.password, self.api_key)
        async with _client(self.url, auth, self.http, session) as client:
            yield MedusaSource(
                name=self.name,
                client=client,
                page_size=self.page_size,
                drafts=self.drafts,
                prepare=partial(
                    read_context,
                    client,
                    name=self.name,
                    by_external_id=self.key == "external_id",
                    handles=self.handle_attribute,
                    stock_location=self.stock_location,
                ),
            )


def _auth(email: str | None, password: str | None, api_key: str | None) -> Auth:
    if api_key and not (email or password):
        return ApiKey(api_key)
    if email and password and not api_key:
        return Login(email, password)
    problem = "set either email and password, or a secret api_key"
    raise MisconfiguredError("api_key", problem)


@asynccontextmanager
async def _uploads(
    client: MedusaClient, options: ImageOptions, images: Literal["link", "upload"]
) -> AsyncGenerator[Uploads | None]:
    """Where images are stored; None: products link to their addresses."""
    if images == "link":
        yield None
        return
    async with open_images(options) as fetcher:
        yield Uploads(client, fetcher)


@asynccontextmanager
async def _client(
    address: str, auth: Auth, options: HttpOptions, session: ClientSession | None
) -> AsyncGenerator[MedusaClient]:
    """A client for a store that a sync can rely on."""
    url = base_url("url", address)
    async with open_http(url, options, session=session, idle=_KEEP_ALIVE) as http:
        client = MedusaClient(http, auth)
        flags = await read_flags(client)
        client.bypasses_cache = "caching" in flags
        await check_supported(client, flags)
        yield client
