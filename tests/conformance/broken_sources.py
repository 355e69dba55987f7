"""Sources that break one promise each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
from tests.conformance.adapters import KEYS

from catalogsync import Field, Page, Product, ProductKey, Rejected
from catalogsync.adapters.memory import MemorySource
from catalogsync.catalog.drafts import Draft
from catalogsync.diff.ownership import narrowed
from catalogsync.protocols import CheckResult, Cursor
from catalogsync.testing.conformance import example

PRODUCTS = [example(key) for key in KEYS]


@attrs.define(kw_only=True)
class Pages(MemorySource):
    """The source that the others spoil: two products in a page, and all abilities."""

    products: Any = attrs.field(factory=lambda: [*PRODUCTS])
    name: str = "kit"
    page_size: int = 2
    requests: int = 0

    async def read(self, cursor: Cursor | None, /) -> Page:
        self.requests += 1
        await asyncio.sleep(0)
        begin = int(cursor or 0)
        page = await MemorySource.read(self, cursor)
        before = self.products[begin - 1].key if begin else None
        rest = range(self.page_size, len(self.products), self.page_size)
        return attrs.evolve(
            page,
            next=[] if begin else [str(number) for number in rest],
            total=len(self.products),
            before=before,
            last=page.products[-1].key,
        )

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        return Page(products=[p for p in self.products if p.key in keys])

    def select(self, fields: frozenset[Field], /) -> Any:
        part = [narrowed(product, fields) for product in self.products]
        return attrs.evolve(self, products=part)

    async def check(self) -> Sequence[CheckResult]:
        return [CheckResult(ok=True, what="list", text="can be read")]

    async def shift(self) -> None:
        self.products = self.products[1:]


class SelectsTitles(Pages):
    """Knows that a product always has a title, and forgets that it has stock."""

    def select(self, fields: frozenset[Field], /) -> Any:
        return super().select(fields - {Field.STOCK})


class AsList(Pages):
    async def read(self, cursor: Cursor | None, /) -> Any:
        return (await super().read(cursor)).products


class ListsOthers(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        other = attrs.evolve(PRODUCTS[0], key=ProductKey("other", "1"))
        return attrs.evolve(page, products=[other])


class Circle(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        return attrs.evolve(page, next=["2"])


class Overlaps(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        twice = [*page.products, PRODUCTS[0]] if cursor == "6" else page.products
        return attrs.evolve(page, products=twice, total=None)


class TotalOfPage(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        return attrs.evolve(page, total=len(page.products))


_numbers = itertools.count()


class Counted(Pages):
    """Ids from a counter."""

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        keys = [ProductKey("kit", f"{next(_numbers)}") for _ in page.products]
        pairs = zip(page.products, keys, strict=True)
        products = [attrs.evolve(product, key=key) for product, key in pairs]
        return attrs.evolve(page, products=products, last=keys[-1])


class Timed(Pages):
    """Each record has the time of the request."""

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        stamp = {"read_at": next(_numbers)}
        products = [
            attrs.evolve(product, attributes=stamp) for product in page.products
        ]
        return attrs.evolve(page, products=products)


@attrs.define(kw_only=True)
class Forward(Pages):
    """Reads on from wherever it is, as an open file does."""

    place: int = 0

    async def read(self, cursor: Cursor | None, /) -> Page:
        self.place = self.place + 2 if cursor else 0
        page = await super().read(f"{min(self.place, 6)}")
        more = [f"{self.place + 2}"] if self.place < 6 else []
        return attrs.evolve(page, next=more, before=None)


@attrs.define(kw_only=True)
class OneBuffer(Pages):
    """The page in flight is in the source."""

    cursor: Any = None

    async def read(self, cursor: Cursor | None, /) -> Page:
        self.cursor = cursor
        await asyncio.sleep(0)
        return await super().read(self.cursor)


class BeforeIsFirst(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        return attrs.evolve(page, before=PRODUCTS[0].key if cursor else None)


class Blind(Pages):
    """Neither total nor `before`."""

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        return attrs.evolve(page, before=None, last=None, total=None)


class BeforeAtTheEnd(Pages):
    """Only the last page says what was before it."""

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        before = page.before if cursor == "6" else None
        return attrs.evolve(page, before=before, total=None)


class NoReason(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        nothing = Rejected(key=None, reason="", where="page 1")
        return attrs.evolve(page, rejected=[nothing], total=None)


class OtherPrice(Pages):
    """`get` knows another title."""

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        page = await super().get(keys)
        products = [attrs.evolve(product, title="Short") for product in page.products]
        return Page(products=products)


class RejectsMissing(Pages):
    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        page = await super().get(keys)
        missing = {*keys} - {product.key for product in page.products}
        rejected = [Rejected(key=k, reason="HTTP 404", where="get") for k in missing]
        return attrs.evolve(page, rejected=rejected)


class Swallows(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await super().read(cursor)


@attrs.define(kw_only=True)
class StaysLocked(Pages):
    """What a cancelled call took, it keeps."""

    is_open: bool = False

    async def read(self, cursor: Cursor | None, /) -> Page:
        if self.is_open:
            message = "is open already"
            raise RuntimeError(message)
        self.is_open = True
        page = await super().read(cursor)
        self.is_open = False
        return page


class Prefetches(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="prefetch")
        return await super().read(cursor)


class ChecksNothing(Pages):
    async def check(self) -> Sequence[CheckResult]:
        return []


class CountsCalls(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        self.requests = 1
        return page


@attrs.define(kw_only=True)
class EachOnce(Pages):
    """What was delivered once does not come again."""

    seen: set[Any] = attrs.field(factory=set)

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        if cursor in self.seen:
            page = attrs.evolve(page, products=page.products[:1])
        self.seen.add(cursor)
        return page


class Numbered(Pages):
    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        drafts = [
            Draft(
                key=each.key,
                digest=f"{self.requests}".encode(),
                size=1,
                build=partial(attrs.evolve, each),
            )
            for each in page.products
            if isinstance(each, Product)
        ]
        return attrs.evolve(page, products=drafts)


BROKEN: list[tuple[str, type[Pages]]] = [
    ("well-formed", AsList),
    ("well-formed", ListsOthers),
    ("pass-ends", Circle),
    ("keys-once", Overlaps),
    ("total-agrees", TotalOfPage),
    ("same-again", Counted),
    ("same-again", Timed),
    ("second-run-is-idle", Timed),
    ("page-again", Forward),
    ("digests-repeat", Numbered),
    ("pages-at-once", OneBuffer),
    ("before-is-last", BeforeIsFirst),
    ("moves-are-noticed", Blind),
    ("cut-pages-are-noticed", BeforeAtTheEnd),
    ("shifts-are-noticed", BeforeAtTheEnd),
    ("rejections-explain", NoReason),
    ("lookup-finds", OtherPrice),
    ("lookup-leaves-out", RejectsMissing),
    ("select-agrees", SelectsTitles),
    ("read-can-be-cancelled", Swallows),
    ("read-can-be-cancelled", StaysLocked),
    ("nothing-left-running", Prefetches),
    ("check-explains", ChecksNothing),
    ("requests-add-up", CountsCalls),
    ("faults-lose-nothing", EachOnce),
]
