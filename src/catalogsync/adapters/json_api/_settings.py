"""Settings of the source."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.http import (
    HttpClient,
    HttpOptions,
    RateLimiter,
    address_repr,
    base_url,
    open_http,
)
from catalogsync.mapping import RecordMapping, refuse_of_files

from ._auth import Authorizer, Credentials, Fixed, OAuth
from ._client import ApiClient

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from ._grouped import GroupedJSONAPISource
    from ._lookup import LookupJSONAPISource
    from ._source import JSONAPISource

    OpenedJSONAPI: TypeAlias = (
        JSONAPISource | LookupJSONAPISource | GroupedJSONAPISource
    )

__all__ = ["ChangedSince", "GraphQL", "JSONAPISettings", "Paging"]

_NAMES = {"offset": "offset", "page": "page", "cursor": "cursor"}
_SIZES = {"offset": "limit", "page": "per_page", "cursor": "limit"}
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_one_or_more = attrs.validators.ge(1)


def _address_repr(text: str | None) -> str:
    return repr(text) if text is None else address_repr(text)


@attrs.frozen(kw_only=True)
class Paging:
    """How a list is divided into pages.

    Attributes:
        style: `offset` and `page` count records and pages; `cursor` finds the next
            cursor in the answer; `next` finds the next address in the answer; `link`
            finds it in the header `Link`; `none`: one answer has everything.
        size: Records to ask for at once.
        size_parameter: Parameter for `size`. None: `limit`, and `per_page` with
            `page`; `next` and `link` send none. Empty: the server decides.
        parameter: Parameter for the offset, the page or the cursor. None: `offset`,
            `page` or `cursor`.
        first: Number of the first page.
        next: JMESPath to the next cursor or address; missing, null, false or empty at
            the end.
        more: JMESPath to whether there is another page; None: the server does not say.
        overlap: Whether pages begin with the last record of the page before, so that a
            list that moves while it is read is noticed; with `offset` and `page`.
        max_pages: A list with more pages is taken for one that does not end.
    """

    style: Literal["none", "offset", "page", "cursor", "next", "link"] = "none"
    size: int = attrs.field(default=100, validator=_one_or_more)
    size_parameter: str | None = None
    parameter: str | None = None
    first: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    next: str | None = None
    more: str | None = None
    overlap: bool = True
    max_pages: int = attrs.field(default=100_000, validator=_one_or_more)

    def __attrs_post_init__(self) -> None:
        if self.style in {"cursor", "next"} and not self.next:
            problem = f"is missing: where is the next page, with style `{self.style}`?"
            raise MisconfiguredError("next", problem)
        if self.parameter == "":
            raise MisconfiguredError("parameter", "must not be empty")

    @property
    def name(self) -> str:
        """The parameter for the offset, the page or the cursor."""
        return self.parameter or _NAMES.get(self.style, "")

    @property
    def size_name(self) -> str:
        """The parameter for the size, or an empty text if none is sent."""
        if self.size_parameter is None:
            return _SIZES.get(self.style, "")
        return self.size_parameter


@attrs.frozen(kw_only=True)
class ChangedSince:
    """Asks only for what changed a short time ago.

    Attributes:
        parameter: Parameter, or variable of a GraphQL query, for the time.
        window: How far back to ask, in seconds. Several times the time from one run to
            the next: the windows must overlap, also after a run that failed.
        format: `iso`: such as `2026-05-01T12:00:00Z`; `date`: `2026-05-01`; `unix` and
            `unix_ms`: seconds or milliseconds since 1970.
    """

    parameter: str
    window: float = attrs.field(validator=attrs.validators.gt(0))
    format: Literal["iso", "date", "unix", "unix_ms"] = "iso"

    def parameters(self, now: float) -> Mapping[str, str | int]:
        """The parameter with its value.

        Args:
            now: Seconds since the epoch.
        """
        then = max(0.0, now - self.window)
        moment = dt.datetime.fromtimestamp(then, tz=dt.UTC)
        values: dict[str, str | int] = {
            "iso": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "date": f"{moment:%Y-%m-%d}",
            "unix": int(then),
            "unix_ms": int(then * 1000),
        }
        return {self.parameter: values[self.format]}


@attrs.frozen(kw_only=True)
class GraphQL:
    """A query for a GraphQL API.

    Attributes:
        query: The query, with variables for the size and the cursor of a page, such as
            `query ($first: Int!, $after: String) {...}`.
        connection: Path to a connection below `data`, such as `products`. It sets
            `items`, and a `paging` by cursor, if these are not set.
        variables: Other variables of the query.
        lookup: A query for one product, with the variable `$id`; None: products cannot be
            looked up.
    """

    query: str
    connection: str | None = None
    variables: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    lookup: str | None = None


@attrs.frozen(kw_only=True)
class JSONAPISettings:
    """Any JSON or GraphQL API as a source.

    Attributes:
        url: Address of the list of products, for example
            `https://api.example.com/v2/products?status=active`.
        map: Where the fields of a product are in a record.
        name: Name of the source, for product keys.
        items: JMESPath to the list of records in an answer; None: the answer is the list.
        total: JMESPath to the number of all records; None: not in the answer.
        total_header: Header with the number of all records, such as `X-Total-Count`.
        paging: How the list is divided into pages.
        grouped: Whether the records of a product may stand in several pages, as in a
            list of variants. All pages are then read before the first product.
        graphql: A GraphQL query; None: the API is not GraphQL.
        changed_since: Asks only for what changed a short time ago; None: for
            everything. A run then counts as one over some products, and may not prune.
        lookup: Address of one product with `{id}`, for example
            `https://api.example.com/v2/products/{id}`; None: products cannot be
            looked up.
        lookup_item: JMESPath to the record in the answer for one product; None: the
            answer is the record.
        auth: How to authenticate; None: the API is open.
        headers: Other headers to send. Their values are secret.
        max_requests: Requests in any `per` seconds. 0: no limit but the server's.
        per: Seconds for `max_requests`.
        http: Timeouts, proxy, certificates and the largest answer.
    """

    url: str = attrs.field(repr=address_repr)
    map: RecordMapping = attrs.field(validator=refuse_of_files)
    name: str = "api"
    items: str | None = None
    total: str | None = None
    total_header: str | None = None
    paging: Paging = attrs.field(factory=Paging)
    grouped: bool = False
    graphql: GraphQL | None = None
    changed_since: ChangedSince | None = None
    lookup: str | None = attrs.field(default=None, repr=_address_repr)
    lookup_item: str | None = None
    auth: Credentials | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    max_requests: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    per: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))
    http: HttpOptions = attrs.field(factory=HttpOptions)

    def __attrs_post_init__(self) -> None:
        for name in self.headers:
            if not _HEADER.fullmatch(name):
                raise MisconfiguredError("headers", f"{name!r} is not a header's name")
        if self.lookup and "{id}" not in self.lookup:
            raise MisconfiguredError("lookup", "must contain `{id}`")
        if self.grouped and self.can_look_up:
            problem = "cannot be set with `grouped`: one record is not all of a product"
            raise MisconfiguredError("lookup", problem)
        if self.map.members is not None and not self.grouped:
            raise MisconfiguredError("map.members", "needs `grouped = true`")

    @asynccontextmanager
    async def open(
        self, session: ClientSession | None = None
    ) -> AsyncGenerator[OpenedJSONAPI]:
        """Open the source for the length of a block, without a request.

        Args:
            session: The host's own aiohttp session, which stays open; None: a new one.

        Raises:
            MisconfiguredError: A setting is not valid.
            MissingExtraError: The extra `mapping` is not installed.
        """
        from ._lookup import LookupJSONAPISource
        from ._source import JSONAPISource

        settings = _completed(attrs.evolve(self, map=self.map.reloaded()))
        _check_name(settings.name)
        async with AsyncExitStack() as stack:
            client = await _client(stack, settings, session)
            source = JSONAPISource.of(settings, client)
            if settings.grouped:
                from ._grouped import open_grouped

                yield await stack.enter_async_context(open_grouped(source))
            elif settings.can_look_up:
                yield LookupJSONAPISource(source)
            else:
                yield source

    @property
    def can_look_up(self) -> bool:
        """Whether single products can be looked up."""
        return bool(self.lookup or (self.graphql and self.graphql.lookup))


def _completed(settings: JSONAPISettings) -> JSONAPISettings:
    """The settings with those that follow from a GraphQL connection."""
    query = settings.graphql
    if query is None:
        return settings
    below = f"data.{query.connection}"
    paging, items = settings.paging, settings.items
    if query.connection:
        items = items or f"{below}.nodes || {below}.edges[].node"
        if paging.style == "none":
            paging = attrs.evolve(
                paging,
                style="cursor",
                next=paging.next or f"{below}.pageInfo.endCursor",
                more=paging.more or f"{below}.pageInfo.hasNextPage",
            )
    if paging.style == "cursor":
        paging = attrs.evolve(
            paging,
            parameter=paging.parameter or "after",
            size_parameter=paging.size_parameter or "first",
        )
    return attrs.evolve(settings, paging=paging, items=items)


def _check_name(name: str) -> None:
    try:
        ProductKey(name, "1")
    except InvalidValueError as error:
        raise MisconfiguredError("name", error.problem) from None


async def _client(
    stack: AsyncExitStack, settings: JSONAPISettings, session: ClientSession | None
) -> ApiClient:
    url = base_url("url", settings.url)
    limiter = None
    if settings.max_requests:
        limiter = RateLimiter(settings.max_requests, settings.per)
    http = await stack.enter_async_context(
        open_http(url.origin(), settings.http, session=session, limiter=limiter)
    )
    http.keep_secret(*settings.headers.values())
    auth = await _authorizer(stack, settings, http, session)
    return ApiClient(http=http, auth=auth, sent=settings.headers)


async def _authorizer(
    stack: AsyncExitStack,
    settings: JSONAPISettings,
    api: HttpClient,
    session: ClientSession | None,
) -> Authorizer:
    given = settings.auth
    if given is None or not given.oauth_url:
        return Fixed.of(given, api)
    try:
        url = base_url("auth.oauth_url", given.oauth_url)
        http = await stack.enter_async_context(
            open_http(url, settings.http, session=session)
        )
    except MisconfiguredError as error:
        setting = "auth.oauth_url" if error.setting == "url" else error.setting
        raise MisconfiguredError(setting, error.problem) from None
    return OAuth(given=given, http=http, api=api)
