"""Looking up single products of an API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

import attrs
from yarl import URL

from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.mapping import Sample
from catalogsync.protocols import CheckResult, Cursor, Page

from ._client import Ask
from ._source import JSONAPISource, made_of

__all__ = ["LookupJSONAPISource"]

_GONE = frozenset({404, 410})


@attrs.frozen
class LookupJSONAPISource:
    """A `JSONAPISource` that can also look up single products.

    Attributes:
        pages: Reads the pages.
    """

    pages: JSONAPISource

    @property
    def name(self) -> str:
        """Namespace of the product keys."""
        return self.pages.name

    @property
    def requests(self) -> int:
        """Requests for products sent so far."""
        return self.pages.requests

    @property
    def complete(self) -> bool:
        """Whether it asks for all products."""
        return self.pages.complete

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page, as `JSONAPISource.read` does."""
        return await self.pages.read(cursor)

    async def check(self) -> Sequence[CheckResult]:
        """Connect to the API and read the first page."""
        return await self.pages.check()

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        """Read single products; raises the same errors as `read`.

        A product is rejected if the API answers with another one.
        """
        products: list[Product] = []
        rejected: list[Rejected] = []
        for key in keys:
            if key.source != self.name:
                continue
            made = await self._single(key)
            if isinstance(made, Product):
                products.append(made)
            elif made is not None:
                rejected.append(made)
        return Page(products=products, rejected=rejected)

    async def samples(
        self, most: int, /, *, keys: Sequence[str] = ()
    ) -> Sequence[Sample]:
        """The first products with their records, or those with these ids."""
        if not keys:
            return await self.pages.samples(most)
        found: list[Sample] = []
        for id_ in keys[:most]:
            record = await self._record(ProductKey(self.name, id_))
            if record is not None:
                found.append(self.pages.sample(record, f"product {id_}"))
        return found

    async def _single(self, key: ProductKey) -> Product | Rejected | None:
        """The product or why it is rejected; None: it does not exist."""
        source, where = self.pages, f"product {key.id}"
        if (record := await self._record(key)) is None:
            return None
        made = made_of(source.settings.map, source.name, record, where)
        if made.key not in {None, key}:
            reason = f"the API answers with product {made.key} instead of {key}"
            return Rejected(key=key, reason=reason, where=where, path="key")
        return made if made.key else attrs.evolve(cast("Rejected", made), key=key)

    async def _record(self, key: ProductKey) -> object:
        """The record of a product; None: it does not exist."""
        source = self.pages
        ask = self._ask(key)
        reply = await source.client.ask(ask)
        if reply.status in _GONE and not reply.body.lstrip().startswith(b"<"):
            return None
        body = source.client.body(reply, graphql=bool(ask.graphql))
        record = source.paths.item.search(body)
        if isinstance(record, list):
            found = cast("list[object]", record)
            return found[0] if found else None
        return record

    def _ask(self, key: ProductKey) -> Ask:
        settings = self.pages.settings
        url = URL(settings.url)
        if settings.graphql and settings.graphql.lookup:
            return Ask(
                path=url.raw_path,
                query=url.raw_query_string,
                graphql=settings.graphql.lookup,
                variables={"id": key.id},
            )
        text = (settings.lookup or "").replace("{id}", quote(key.id, safe=""))
        target = url.join(URL(text, encoded=True))
        return Ask(path=target.raw_path, query=target.raw_query_string)
