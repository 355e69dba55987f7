"""Reading pages and single products of an API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import attrs
from yarl import URL

from catalogsync._lib.digests import digest_of
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import BrokenReplyError, InvalidValueError, MisconfiguredError
from catalogsync.http import Reply
from catalogsync.mapping import Record, RecordMapping, Sample
from catalogsync.protocols import CheckResult, Cursor, Page

from ._client import ApiClient, Ask, Parameters, with_parameters
from ._paths import JsonPath, lists_in
from ._settings import JSONAPISettings
from ._walks import Answer, Chain, Counting, Walk, whole

__all__ = ["JSONAPISource", "RawPage", "joined", "made_of"]

_MOST_RECORDS = 10**12


@attrs.frozen(kw_only=True)
class _Paths:
    """Where everything is in an answer."""

    items: JsonPath
    total: JsonPath
    next: JsonPath
    more: JsonPath
    item: JsonPath

    @classmethod
    def of(cls, settings: JSONAPISettings) -> _Paths:
        paging = settings.paging
        return cls(
            items=JsonPath.of("items", settings.items),
            total=JsonPath.of("total", settings.total),
            next=JsonPath.of("paging.next", paging.next),
            more=JsonPath.of("paging.more", paging.more),
            item=JsonPath.of("lookup_item", settings.lookup_item),
        )


@attrs.frozen(kw_only=True)
class RawPage:
    """The records of a page.

    Attributes:
        records: The records with their positions, without those of the page before.
        following: The pages that follow.
        total: Number of all records; None: the server does not say.
        before: The record that the page before ended with; None: pages do not overlap.
        last: The last record, for pages that overlap.
    """

    records: Sequence[tuple[str, object]] = attrs.field(repr=False)
    following: Sequence[Cursor]
    total: int | None
    before: object = attrs.field(repr=False)
    last: object = attrs.field(repr=False)


@attrs.define(kw_only=True)
class JSONAPISource:
    """Reads an API page by page; `JSONAPISettings.open` makes it.

    Attributes:
        settings: The settings.
        client: Sends the requests.
        paths: Where everything is in an answer.
        clock: Seconds since the epoch; replaced in tests.
    """

    settings: JSONAPISettings
    client: ApiClient
    paths: _Paths
    clock: Callable[[], float] = time.time
    _walk: Walk = attrs.field(init=False)
    _context: bytes | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._context = self.settings.map.digest
        self._walk = self.new_walk()

    @classmethod
    def of(cls, settings: JSONAPISettings, client: ApiClient) -> JSONAPISource:
        """A source with compiled paths.

        Raises:
            MisconfiguredError: A path is not a JMESPath, or the total has no place.
            MissingExtraError: The extra `mapping` is not installed.
        """
        return cls(settings=settings, client=client, paths=_Paths.of(settings))

    @property
    def name(self) -> str:
        """Namespace of the product keys."""
        return self.settings.name

    @property
    def requests(self) -> int:
        """Requests for products sent so far."""
        return self.client.http.requests

    @property
    def complete(self) -> bool:
        """Whether it asks for all products."""
        return self.settings.changed_since is None

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page.

        Raises:
            BrokenReplyError: The answer is cut, or it is not the page, or the list
                does not end.
            TransientError: The server is busy or cannot be reached.
            UnauthorizedError: The credentials are not accepted.
            MisconfiguredError: The API refuses the request, or the records are not
                where a setting says.
        """
        if cursor is None:
            self._walk = self.new_walk()
        return self._page(await self.raw_page(self._walk, cursor))

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their records, or those with these ids."""
        walk, chosen = self.new_walk(), frozenset(keys)
        cursors: list[Cursor | None] = [None]
        found: list[Sample] = []
        while cursors and len(found) < most:
            cursor = cursors.pop(0)
            page = await self.raw_page(walk, cursor)
            cursors += page.following
            for where, record in page.records:
                key = self._key(record)
                if not chosen or (key and key.id in chosen):
                    found.append(self.sample(record, where))
        return found[:most]

    def sample(self, record: object, where: str) -> Sample:
        """A record with the product that it makes."""
        mapping = self.settings.map
        result = made_of(mapping, self.name, record, where)
        if not isinstance(record, Mapping):
            return Sample(records=(), result=result)
        raw = Record(where=where, values=cast("Mapping[str, object]", record))
        unmapped = mapping.unmapped(raw) if isinstance(result, Product) else ()
        return Sample(records=[raw], result=result, unmapped=unmapped)

    async def check(self) -> Sequence[CheckResult]:
        """Connect to the API and read the first page."""
        answer = await self._answer(self.new_walk().ask(None), first=True)
        total = answer.total
        count = f"{len(answer.records)} records in the first page"
        text = count if total is None else f"{count}, {total} in all"
        return [
            CheckResult(ok=True, what="source", text=f"{self.client.http.url}: {text}")
        ]

    def new_walk(self) -> Walk:
        """A way through all pages, from the first one."""
        paging, graphql = self.settings.paging, self.settings.graphql
        url, since = URL(self.settings.url), self.settings.changed_since
        more: Parameters = since.parameters(self.clock()) if since else {}
        base = Ask(
            path=url.raw_path,
            query=with_parameters(url.raw_query_string, {} if graphql else more),
            graphql=graphql.query if graphql else "",
            variables={**graphql.variables, **more} if graphql else {},
        )
        if paging.style in {"offset", "page"}:
            return Counting(base=base, paging=paging, more=self.paths.more)
        return Chain(
            base=base,
            origin=self.client.http.url,
            paging=paging,
            next=self.paths.next,
            more=self.paths.more,
        )

    async def _answer(self, ask: Ask, *, first: bool = False) -> Answer:
        reply = await self.client.ask(ask)
        empty = reply.status == 204
        body = None if empty else self.client.body(reply, graphql=bool(ask.graphql))
        return Answer(
            what=reply.what,
            records=() if empty else self._records(reply, body, first=first),
            total=None if empty else self._total(reply, body),
            body=body,
            link=joined(reply.headers, "Link"),
        )

    def _records(self, reply: Reply, body: object, *, first: bool) -> Sequence[object]:
        path = self.paths.items
        found = path.search(body)
        if isinstance(found, list):
            return cast("list[object]", found)
        where = f"`{path.text}`" if path.text else "the answer itself"
        problem = f"{reply.what}: {where} is not a list of records"
        if not first:
            raise BrokenReplyError(problem)
        hint = lists_in(body)
        advice = f"; the answer has lists at {hint}" if hint else ""
        raise MisconfiguredError("items", f"{problem}{advice}")

    def _total(self, reply: Reply, body: object) -> int | None:
        """The number of all records, if a setting says where it is."""
        header, path = self.settings.total_header, self.paths.total
        if not header and not path.text:
            return None
        place = f"header {header}" if header else f"`{path.text}`"
        given = reply.headers.get(header) if header else path.search(body)
        total = whole(given)
        if total is None or total > _MOST_RECORDS:
            problem = f"{reply.what}: no number of records in {place}"
            raise BrokenReplyError(problem)
        return total

    async def _try_overlap(self, walk: Counting, answer: Answer) -> None:
        """Find out whether the server can give pages that overlap.

        It cannot if it accepts only certain sizes, or rounds offsets.
        """
        window = walk.second(answer)
        if window is None:
            return
        second = await self._answer(walk.ask_for(window))
        records, last = second.records, answer.records[-1]
        if len(records) >= window.known and self.is_same(
            records[window.known - 1], last
        ):
            return
        again = await self._answer(walk.ask(None))
        # If the first page is another one now, the list has moved, and the run says so.
        if again.records and self.is_same(again.records[-1], last):
            walk.overlap = False

    async def raw_page(self, walk: Walk, cursor: Cursor | None) -> RawPage:
        """Read the records of one page of a walk; raises what `read` does."""
        answer = await self._answer(walk.ask(cursor), first=cursor is None)
        if cursor is None and isinstance(walk, Counting):
            await self._try_overlap(walk, answer)
        following = walk.following(cursor, answer)
        known, records = walk.known(cursor), answer.records
        place = walk.place(cursor)
        return RawPage(
            records=[
                (place.of(n), r) for n, r in enumerate(records[known:], known + 1)
            ],
            following=following,
            total=answer.total,
            before=records[known - 1] if 0 < known <= len(records) else None,
            last=records[-1] if isinstance(walk, Counting) and records else None,
        )

    def is_same(self, one: object, other: object) -> bool:
        """Whether two records are the same one."""
        key = None if self.settings.grouped else self._key(one)
        try:
            return one == other if key is None else key == self._key(other)
        except RecursionError:  # both are nested deeply
            return False

    def _page(self, raw: RawPage) -> Page:
        made = [self._made(record, where) for where, record in raw.records]
        return Page(
            products=[each for each in made if not isinstance(each, Rejected)],
            rejected=[each for each in made if isinstance(each, Rejected)],
            next=raw.following,
            total=raw.total,
            before=self._key(raw.before) if raw.before is not None else None,
            last=self._key(raw.last) if raw.last is not None else None,
        )

    def _made(self, record: object, where: str) -> Draft | Product | Rejected:
        """A draft; if its digest is not known, the product or why there is none."""
        build = partial(made_of, self.settings.map, self.name, record, where)
        key = self._key(record)
        if key is None or self._context is None:
            return build()
        try:
            content = repr(record).encode(errors="surrogatepass")
        except RecursionError:  # it is nested deeply
            return build()
        digest = digest_of(self._context, content)
        return Draft(
            key=key,
            digest=digest,
            size=4 * len(content),
            build=build,
            dated=self.settings.map.as_of is not None,
        )

    def _key(self, record: object) -> ProductKey | None:
        """The key of a record; None: it has no valid one."""
        if not isinstance(record, Mapping):
            return None
        try:
            values = cast("Mapping[str, object]", record)
            found = self.settings.map.group_of(Record(where="", values=values))
            return None if found is None else ProductKey(self.name, found)
        except InvalidValueError:
            return None


def made_of(
    mapping: RecordMapping, source: str, record: object, where: str
) -> Product | Rejected:
    """The product of a record, or why there is none."""
    if not isinstance(record, Mapping):
        reason = f"must be an object, not {type(record).__name__}"
        return Rejected(key=None, reason=reason, where=where)
    values = cast("Mapping[str, object]", record)
    return mapping.product(source, [Record(where=where, values=values)])


def joined(headers: Mapping[str, str], name: str) -> str:
    """All headers of a name as one."""
    every = getattr(headers, "getall", None)
    return ", ".join(every(name, [])) if every else headers.get(name, "")
