"""Settings of the source; reading pages and single products.

Observed on DummyJSON: `limit` in a reply is the number of products returned, not the
number requested; an empty `limit` and a `skip` past the end both give an empty page
with status 200; more than 100 requests in 10 seconds are refused.

Each page except the first is read with the record before it. If that record is not
the last one of the previous page, the list has moved in between. Products are ordered
by id, so they come and go but never change their order: this check notices every move
that could hide a product.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, cast, overload
from urllib.parse import quote

import attrs

from catalogsync._lib.digests import digest_of, json_bytes
from catalogsync.catalog.checks import shortened
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Category, Field, Price, Product, ProductKey
from catalogsync.errors import (
    BrokenReplyError,
    InvalidValueError,
    MisconfiguredError,
    TransientError,
)
from catalogsync.http import (
    HttpClient,
    HttpOptions,
    RateLimiter,
    Reply,
    address_repr,
    base_url,
    open_http,
)
from catalogsync.protocols import CheckResult, Cursor, Page

from ._records import FIELDS, Mapper, names_of

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["DummyJSONSettings", "DummyJSONSource"]

_WINDOW = 10.0
# Not ids but routes of the server, below `/products` too; they return lists.
_ROUTES = frozenset({"categories", "category-list"})
_NO_ID = frozenset({400, 414, 431})
_MOST_PRODUCTS = 100_000_000
_MOST_CATEGORIES = 100_000


@attrs.frozen(kw_only=True)
class DummyJSONSettings:
    """The product API of DummyJSON as a source.

    Attributes:
        url: Address of the server.
        name: Name of the source, for product keys.
        page_size: Products in a page. The source requests one more, to detect changes
            while it reads; with a server that allows no more, it requests the page
            again and detects fewer changes.
        currency: ISO 4217 code of all prices; the server does not name one.
        max_requests: Requests in any 10 seconds; the public server refuses more
            than 100. 0: no limit.
        http: Timeouts, proxy and certificates.
    """

    url: str = attrs.field(default="https://dummyjson.com", repr=address_repr)
    name: str = "dummyjson"
    page_size: int = attrs.field(default=30, validator=attrs.validators.ge(1))
    currency: str = "USD"
    max_requests: int = attrs.field(default=90, validator=attrs.validators.ge(0))
    http: HttpOptions = attrs.field(factory=HttpOptions)

    @asynccontextmanager
    async def open(
        self, session: ClientSession | None = None
    ) -> AsyncGenerator[DummyJSONSource]:
        """Open the source for the length of a block, without a request.

        Args:
            session: The host's own aiohttp session, which stays open; None: a new one.

        Raises:
            MisconfiguredError: A setting is not valid.
        """
        _check(self)
        limiter = RateLimiter(self.max_requests, _WINDOW) if self.max_requests else None
        url = base_url("url", self.url)
        async with open_http(
            url, self.http, session=session, limiter=limiter
        ) as client:
            yield DummyJSONSource(settings=self, client=client)


def _check(settings: DummyJSONSettings) -> None:
    try:
        ProductKey(settings.name, "1")
    except InvalidValueError as error:
        raise MisconfiguredError("name", error.problem) from None
    try:
        Price(amount=Decimal(0), currency=settings.currency)
    except InvalidValueError as error:
        raise MisconfiguredError("currency", error.problem) from None


@attrs.define(kw_only=True)
class DummyJSONSource:
    """Reads DummyJSON; `DummyJSONSettings.open` makes it.

    Attributes:
        settings: Its settings.
        client: Sends the requests.
        names: Names of the fields to request.
    """

    settings: DummyJSONSettings
    client: HttpClient
    names: Sequence[str] = FIELDS
    _mapper: Mapper | None = attrs.field(default=None, init=False)

    @property
    def name(self) -> str:
        """Namespace of the product keys."""
        return self.settings.name

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.client.requests

    def select(self, fields: frozenset[Field], /) -> DummyJSONSource:
        """The same source, requesting only what these fields need."""
        return attrs.evolve(self, names=names_of(fields))

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the cursor is the number of products to skip.

        Raises:
            BrokenReplyError: The answer is not the requested page: it is incomplete,
                not JSON, or another page.
            TransientError: The server is busy or cannot be reached.
            MisconfiguredError: There is no DummyJSON at this address.
        """
        mapper = await self._prepared(restart=cursor is None)
        size = self.settings.page_size
        skip = int(cursor or 0)
        before, records, total = await self._records(skip, overlap=min(skip, 1))
        following = _Skips(range(size, total, size)) if cursor is None else ()
        drafts, rejected = _sorted_out(mapper, records, f"page skip={skip}")
        return Page(
            products=drafts,
            rejected=rejected,
            next=following,
            total=total,
            before=_last_key(mapper, before),
            last=_last_key(mapper, records),
        )

    async def _records(
        self, skip: int, *, overlap: int
    ) -> tuple[list[object], list[object], int]:
        """The *overlap* records before a page, those of the page, and the total."""
        begin, size = skip - overlap, self.settings.page_size
        limit = size + overlap
        query = f"limit={limit}&skip={begin}&sortBy=id&order=asc&{self._select}"
        reply = await self.client.send("GET", "/products", query=query)
        records, total = _page_parts(_body(reply), reply, skip=begin)
        if overlap and len(records) == size < total - begin:
            # The server may limit the size of a page.
            return await self._records(skip, overlap=0)
        _check_count(reply, records, total, skip=begin, size=limit)
        return records[:overlap], records[overlap:], total

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read single products by id; raises the same errors as `read`.

        A product is rejected if the server refuses its id or returns another one.
        """
        mapper = await self._prepared()
        products: list[Product] = []
        rejected: list[Rejected] = []
        for key in keys:
            if key.source != self.name:
                continue
            try:
                product = await self._single(mapper, key)
            except InvalidValueError as error:
                rejected.append(_rejected(key, error, f"product {key.id}"))
                continue
            if product is not None:
                products.append(product)
        return Page(products=products, rejected=rejected)

    async def _single(self, mapper: Mapper, key: ProductKey) -> Product | None:
        """A product by its id; None: it does not exist."""
        if key.id in _ROUTES:
            raise InvalidValueError("id", "is the name of a route of the server")
        path = f"/products/{quote(key.id, safe='')}"
        reply = await self.client.send("GET", path, query=self._select)
        # A 404 that is not a JSON object comes from something else, such as a proxy.
        if reply.status == 404 and _is_object(reply):
            return None
        return _asked_for(mapper, key, _record(reply))

    async def check(self) -> Sequence[CheckResult]:
        """Connect to the server and count its products."""
        query = "limit=1&skip=0&select=title"
        reply = await self.client.send("GET", "/products", query=query)
        records, total = _page_parts(_body(reply), reply, skip=0)
        _check_count(reply, records, total, skip=0, size=1)
        text = f"{self.client.url} has {total} products"
        return [CheckResult(ok=True, what="source", text=text)]

    async def _prepared(self, *, restart: bool = False) -> Mapper:
        """The mapper, with the names of the categories; requested once in each pass."""
        if self._mapper is None or restart:
            self._mapper = Mapper(
                source=self.name,
                currency=self.settings.currency,
                categories=await self._categories(),
            )
        return self._mapper

    async def _categories(self) -> dict[str, Category]:
        """The categories by slug; none if they are not needed."""
        if "category" not in self.names:
            return {}
        reply = await self.client.send("GET", "/products/categories")
        _check_status(reply)
        return _categories(reply)

    @property
    def _select(self) -> str:
        return f"select={','.join(self.names)}"


@attrs.frozen
class _Skips(Sequence[Cursor]):
    """The cursors of pages, made lazily: the server decides how many there are."""

    skips: range

    def __len__(self) -> int:
        return len(self.skips)

    @overload
    def __getitem__(self, index: int) -> Cursor: ...
    @overload
    def __getitem__(self, index: slice) -> _Skips: ...
    def __getitem__(self, index: int | slice) -> Cursor | _Skips:
        if isinstance(index, slice):
            return _Skips(self.skips[index])
        return str(self.skips[index])


def _check_status(reply: Reply) -> None:
    reply.raise_if_passing()
    if reply.status >= 500:
        raise TransientError(f"{reply.what}: HTTP {reply.status}")
    if reply.status != 200:
        problem = f"{reply.what}: HTTP {reply.status}; is this a DummyJSON server?"
        raise MisconfiguredError("url", problem)


def _is_object(reply: Reply) -> bool:
    """Whether an answer is a JSON object.

    Raises:
        BrokenReplyError: It is the beginning of an object.
    """
    try:
        return isinstance(reply.json(), dict)
    except BrokenReplyError:
        if reply.body.lstrip().startswith(b"{"):
            raise
        return False


def _body(reply: Reply) -> Mapping[str, Any]:
    _check_status(reply)
    body = reply.json()
    if not isinstance(body, dict):
        raise BrokenReplyError(f"{reply.what}: not a JSON object")
    return cast("dict[str, Any]", body)


def _record(reply: Reply) -> Mapping[str, Any]:
    """The record in the answer for an id.

    Raises:
        InvalidValueError: The server refuses the id.
    """
    if reply.status in _NO_ID:
        raise InvalidValueError("id", f"is refused with HTTP {reply.status}")
    _check_status(reply)
    return _body(reply)


def _categories(reply: Reply) -> dict[str, Category]:
    body: Any = reply.json()
    if not isinstance(body, list):
        raise BrokenReplyError(f"{reply.what}: not a list of categories")
    items = cast("list[dict[str, Any]]", body)
    if len(items) > _MOST_CATEGORIES:
        problem = f"implausible number of categories: {len(items)}"
        raise BrokenReplyError(f"{reply.what}: {problem}")
    found: dict[str, Category] = {}
    for item in items:
        try:
            category = Category(id=item["slug"], name=item["name"])
        except (InvalidValueError, KeyError, TypeError):
            continue
        found[category.id] = category
    return found


def _page_parts(
    body: Mapping[str, Any], reply: Reply, *, skip: int
) -> tuple[list[object], int]:
    """The records and the total of the page that was requested."""
    records, total = body.get("products"), body.get("total")
    if not isinstance(records, list) or type(total) is not int:
        raise BrokenReplyError(f"{reply.what}: no `products` or no `total`")
    if not 0 <= total <= _MOST_PRODUCTS:
        raise BrokenReplyError(f"{reply.what}: implausible total: {total}")
    if body.get("skip", skip) != skip:
        raise BrokenReplyError(f"{reply.what}: `skip` is not {skip}")
    return cast("list[object]", records), total


def _check_count(
    reply: Reply, records: Sequence[object], total: int, *, skip: int, size: int
) -> None:
    expected = max(0, min(size, total - skip))
    if len(records) != expected:
        problem = f"{len(records)} products instead of {expected} at skip {skip}"
        raise BrokenReplyError(f"{reply.what}: {problem}")


def _sorted_out(
    mapper: Mapper, records: Sequence[object], place: str
) -> tuple[list[Draft], list[Rejected]]:
    drafts: list[Draft] = []
    rejected: list[Rejected] = []
    for number, record in enumerate(records):
        where = f"{place}, record {number}"
        try:
            key = mapper.key(record)
        except InvalidValueError as error:
            rejected.append(_rejected(None, error, where))
            continue
        fields = cast("Mapping[str, Any]", record)
        text = json_bytes(fields)
        drafts.append(
            Draft(
                key=key,
                digest=digest_of(mapper.context, text),
                size=3 * len(text),
                build=partial(_built, mapper, key, fields, where),
            )
        )
    return drafts, rejected


def _built(
    mapper: Mapper, key: ProductKey, record: Mapping[str, Any], where: str
) -> Product | Rejected:
    try:
        return mapper.product(key, record)
    except InvalidValueError as error:
        return _rejected(key, error, where)


def _rejected(key: ProductKey | None, error: InvalidValueError, where: str) -> Rejected:
    return Rejected(key=key, reason=str(error), where=where, path=error.path)


def _last_key(mapper: Mapper, records: Sequence[object]) -> ProductKey | None:
    """The key of the last record; None: there is no record, or its key is not valid."""
    try:
        return mapper.key(records[-1]) if records else None
    except InvalidValueError:
        return None


def _asked_for(mapper: Mapper, key: ProductKey, record: Mapping[str, Any]) -> Product:
    """The product of a record that was requested by its key."""
    if (found := mapper.key(record)) != key:
        raise InvalidValueError(
            "id", f"is {shortened(found.id)!r} instead of {key.id!r}"
        )
    return mapper.product(key, record)
