"""The promises of sources."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import attrs

from catalogsync.adapters.memory import MemorySink
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.diff.ownership import narrowed
from catalogsync.engine import Options, promises, sync
from catalogsync.errors import TransientError
from catalogsync.protocols import (
    CountsRequests,
    Cursor,
    LookupSource,
    Page,
    SelectingSource,
    SelfChecking,
    Source,
)
from catalogsync.report import RunStatus
from catalogsync.retry import RetryPolicy

from ._faults import busy_once, interrupted, left_running, shifted, truncated
from ._promise import (
    NotApplicableError,
    Promise,
    Setup,
    expect,
    explained,
    promise,
    same,
)

SOURCE: list[Promise[SourceKit]] = []
_MOST_PAGES = 10_000
_OFTEN = 40
_AT_ONCE = RetryPolicy(attempts=3, wait_initial=0, wait_jitter=0)


@attrs.frozen
class SourceKit:
    """A source to check."""

    setup: Setup[Source]

    @property
    def source(self) -> Source:
        return self.setup.adapter

    async def prepare(self) -> None:
        """See whether the system answers."""
        await self.ask()

    async def read(self, cursor: Cursor | None) -> Page:
        """One page, with products in place of its drafts."""
        return promises.built(await promises.read(self.source, cursor))

    async def ask(self) -> None:
        """Ask the system something."""
        await self.read(None)

    async def pages(self) -> dict[Cursor | None, Page]:
        """One pass: all pages by cursor, in order."""
        pages: dict[Cursor | None, Page] = {}
        cursors: list[Cursor | None] = [None]
        while cursors:
            cursor = cursors.pop(0)
            expect(cursor not in pages, f"the cursor {cursor!r} came twice")
            expect(len(pages) < _MOST_PAGES, f"no end after {_MOST_PAGES} pages")
            pages[cursor] = page = await self.read(cursor)
            cursors += page.next
        return pages

    async def products(self) -> list[Product]:
        """The products of one pass."""
        found = [p for page in (await self.pages()).values() for p in _products(page)]
        expect(found, "no product: the kit needs a system with some")
        return found

    def lookup(self) -> LookupSource:
        if not isinstance(self.source, LookupSource):
            raise NotApplicableError("it has no `get`")
        return self.source


def _products(page: Page) -> list[Product]:
    """The products of a page, built from its drafts."""
    return [p for p in promises.built(page).products if isinstance(p, Product)]


def _by_key(products: Sequence[Product]) -> dict[ProductKey, Product]:
    return {product.key: product for product in products}


@promise(SOURCE, mend="Return what the protocol says; the line above names the method.")
async def well_formed(kit: SourceKit) -> None:
    """Every answer has the types and keys that its protocol allows."""
    promises.check_sides(kit.source, MemorySink())
    products = await kit.products()
    if isinstance(kit.source, LookupSource):
        await promises.get(kit.source, [products[0].key])
    if isinstance(kit.source, SelfChecking):
        await promises.findings(kit.source)


@promise(SOURCE, mend="Leave `Page.next` empty on the last page.")
async def pass_ends(kit: SourceKit) -> None:
    """The cursors lead to the last page, and none comes twice."""
    await kit.products()


@promise(
    SOURCE,
    mend="Read with a stable order, make pages that do not overlap, and return whole"
    " products, also if their variants are on several pages of the system.",
)
async def keys_once(kit: SourceKit) -> None:
    """A key appears only once in a pass."""
    keys = [product.key for product in await kit.products()]
    twice = sorted({str(key) for key in keys if keys.count(key) > 1})
    expect(not twice, f"more than once: {', '.join(twice[:5])}")


@promise(SOURCE, mend="Set `Page.total` to the size of the whole source, or to None.")
async def total_agrees(kit: SourceKit) -> None:
    """A total is the number of all records of the source, rejected ones included."""
    pages = (await kit.pages()).values()
    totals = {page.total for page in pages} - {None}
    if not totals:
        raise NotApplicableError("its pages have no total")
    size = sum(
        len(page.products) + len(page.rejected) + len(page.deleted) for page in pages
    )
    same(totals, {size}, "the totals of the pages")


@promise(SOURCE, mend="Derive ids from the record, never from a counter or the time.")
async def same_again(kit: SourceKit) -> None:
    """A second pass yields the same products."""
    first, second = _by_key(await kit.products()), _by_key(await kit.products())
    same(sorted(map(str, second)), sorted(map(str, first)), "keys of the second pass")
    for key, product in first.items():
        same(second[key], product, f"{key} in the second pass")


@promise(SOURCE, mend="Let the cursor alone say which page to read; keep no position.")
async def page_again(kit: SourceKit) -> None:
    """A page can be read again, in any order, as happens after an error."""
    for cursor, page in reversed([*(await kit.pages()).items()][:20]):
        again = await kit.read(cursor)
        same([*again.products], [*page.products], f"the page {cursor!r}, read again")


@promise(SOURCE, mend="Digest the record and your settings; no time, nothing random.")
async def digests_repeat(kit: SourceKit) -> None:
    """A draft has the same digest in each pass, as long as its record is the same."""
    passes: list[dict[ProductKey, bytes]] = []
    for _ in range(2):
        page = await promises.read(kit.source, None)
        passes.append({d.key: d.digest for d in page.products if isinstance(d, Draft)})
    if not passes[0]:
        raise NotApplicableError("it returns products, not drafts")
    same(passes[1], passes[0], "digests of the second pass")


@promise(SOURCE, mend="Keep nothing about a page in the source while it is read.")
async def pages_at_once(kit: SourceKit) -> None:
    """Cursors that came together can be read at the same time."""
    pages = await kit.pages()
    together = next((page.next for page in pages.values() if len(page.next) > 1), ())
    if not together:
        raise NotApplicableError("its pages never name several cursors")
    async with asyncio.TaskGroup() as group:
        tasks = {cursor: group.create_task(kit.read(cursor)) for cursor in together[:4]}
    for cursor, task in tasks.items():
        products = [*task.result().products]
        same(products, [*pages[cursor].products], f"the page {cursor!r}")


@promise(SOURCE, mend="Read each page together with the record before it.")
async def before_is_last(kit: SourceKit) -> None:
    """`Page.before` is the `Page.last` of the page before it, if the list did not move."""
    pages = [*(await kit.pages()).values()]
    if not any(page.before for page in pages):
        raise NotApplicableError("its pages have no `before`")
    for previous, page in pairwise(pages):
        if page.before is not None:
            same(page.before, previous.last, "`before` of a page")


@promise(SOURCE, mend="Fill in `Page.before` and `.last`, or at least `Page.total`.")
async def moves_are_noticed(kit: SourceKit) -> None:
    """A list that shifts while it is read shows it: by `before`, or by the total."""
    if kit.setup.shift is None:
        raise NotApplicableError("the test gives no `shift`")
    first = await kit.read(None)
    if not first.next:
        raise NotApplicableError("the test system has only one page")
    await kit.setup.shift()
    page = await kit.read(first.next[0])
    moved = page.before is not None and page.before != first.last
    same_total = page.total is not None and page.total == first.total
    expect(moved or not same_total, "the page after the shift looks as before")
    expect(moved or page.total is not None, "neither `before` nor a total")


@promise(SOURCE, mend="Fill in `Page.total`, or `Page.before` and `.last`.")
async def cut_pages_are_noticed(kit: SourceKit) -> None:
    """A run whose page lost a record on the way is not complete."""
    pages = await _countable(kit)
    for cursor, page in pages.items():
        if page.products and (page.next or page.total is not None):
            await _is_noticed(truncated(kit.source, pages, cursor), "lost a record")
            return
    raise NotApplicableError("no page but the last one has a product")


@promise(SOURCE, mend="Fill in `Page.before` and `.last`, or at least `Page.total`.")
async def shifts_are_noticed(kit: SourceKit) -> None:
    """If the first record vanishes after the first page, the run is not complete."""
    pages = await _countable(kit)
    if len(pages) < 2 or any(not page.products for page in pages.values()):
        raise NotApplicableError("the test system has only one page, or an empty one")
    await _is_noticed(
        shifted(kit.source, pages), "missed a record of a list that moved"
    )


async def _countable(kit: SourceKit) -> dict[Cursor | None, Page]:
    """All pages, if they say anything about their number or their order."""
    pages = await kit.pages()
    if all(page.total is None and page.before is None for page in pages.values()):
        raise NotApplicableError("its pages have neither a total nor `before`")
    return pages


async def _is_noticed(source: Source, what: str) -> None:
    report = await sync(source, MemorySink(), options=Options(retry=_AT_ONCE))
    seen = f"the run {what}, and succeeded"
    expect(report.status not in {RunStatus.SUCCEEDED, RunStatus.DEGRADED}, seen)


@promise(SOURCE, mend="Give each `Rejected` a reason, and a position in the source.")
async def rejections_explain(kit: SourceKit) -> None:
    """An invalid record is in `Page.rejected`, with its position and what is wrong."""
    pages = (await kit.pages()).values()
    rejected = [record for page in pages for record in page.rejected]
    if not rejected:
        raise NotApplicableError("the test system has no invalid record")
    for record in rejected:
        expect(record.reason.strip(), f"no reason: {record!r}")
        expect(record.where.strip(), f"no position: {record!r}")


@promise(SOURCE, mend="Return from `get` what `read` returns for the same record.")
async def lookup_finds(kit: SourceKit) -> None:
    """`get` returns the same products as a pass."""
    source, products = kit.lookup(), (await kit.products())[:3]
    found = await promises.get(source, [product.key for product in products])
    same(_by_key(_products(found)), _by_key(products), "the answer of `get`")


@promise(SOURCE, mend="Leave out of `get` what does not exist, for example on a 404.")
async def lookup_leaves_out(kit: SourceKit) -> None:
    """`get` leaves out products that do not exist; that is not an error."""
    source, known = kit.lookup(), (await kit.products())[0].key
    unknown = ProductKey(source.name, "987654321987")
    page = await promises.get(source, [unknown, known])
    same([product.key for product in page.products], [known], "the answer of `get`")
    same(len(page.rejected), 0, "rejected")


@promise(SOURCE, mend="Return from `select` a source that reads these fields alike.")
async def select_agrees(kit: SourceKit) -> None:
    """With `select`, the same products have the same values in these fields."""
    if not isinstance(kit.source, SelectingSource):
        raise NotApplicableError("it has no `select`")
    whole = await kit.products()
    for fields in ({Field.STOCK}, {Field.PRICES, Field.STOCK}, {Field.DESCRIPTION}):
        only = frozenset(fields)
        chosen = promises.select(kit.source, only)
        part = attrs.evolve(kit, setup=attrs.evolve(kit.setup, adapter=chosen))
        found = [narrowed(product, only) for product in await part.products()]
        expected = [narrowed(product, only) for product in whole]
        same(_by_key(found), _by_key(expected), f"the products with {sorted(only)}")


@promise(SOURCE, mend="Let CancelledError pass, and release everything in `finally`.")
async def read_can_be_cancelled(kit: SourceKit) -> None:
    """A read that is cancelled at any await ends, and the source still works."""
    first = await kit.read(None)
    for at in range(1, _OFTEN):
        end = await interrupted(kit.read(None), at)
        expect(end != "swallowed", f"CancelledError was swallowed at await {at}")
        again = await kit.read(None)
        same([*again.products], [*first.products], f"after a cancellation at {at}")
        if end == "done":
            return


@promise(SOURCE, mend="Await what you start, for example in an `asyncio.TaskGroup`.")
async def nothing_left_running(kit: SourceKit) -> None:
    """No task outlives a call."""
    left = await left_running(kit.pages())
    expect(not left, f"still running: {', '.join(left)}")


@promise(
    SOURCE, mend="Return a CheckResult for each setting, with what to do about it."
)
async def check_explains(kit: SourceKit) -> None:
    """`check` passes on a working system, and each result has a text."""
    if not isinstance(kit.source, SelfChecking):
        raise NotApplicableError("it has no `check`")
    explained(await promises.findings(kit.source))


@promise(SOURCE, mend="Count every request that is sent, and never start again.")
async def requests_add_up(kit: SourceKit) -> None:
    """The number of requests grows with each call."""
    if not isinstance(kit.source, CountsRequests):
        raise NotApplicableError("it has no `requests`")
    before = kit.source.requests
    await kit.ask()
    between = kit.source.requests
    await kit.ask()
    counts = [before, between, kit.source.requests]
    expect(counts[0] < counts[1] < counts[2], f"requests before and after: {counts}")


@promise(
    SOURCE, mend="Make the page from its cursor only; a failed read changes nothing."
)
async def faults_lose_nothing(kit: SourceKit) -> None:
    """A run in which every page fails once has all products in the end."""
    products = await kit.products()
    source = busy_once(kit.source, lambda: TransientError("503"), "read")
    sink = MemorySink()
    report = await sync(source, sink, options=Options(retry=_AT_ONCE))
    good = {RunStatus.SUCCEEDED, RunStatus.DEGRADED}
    expect(report.status in good, f"the run ended as {report.status}: {report.problem}")
    same(set(sink.products), set(_by_key(products)), "keys in the sink")


@promise(SOURCE, mend="Make equal records into equal products.")
async def second_run_is_idle(kit: SourceKit) -> None:
    """A second run over an unchanged source writes nothing."""
    sink = MemorySink()
    await sync(kit.source, sink)
    report = await sync(kit.source, sink)
    counts = report.counts
    written = counts.created + counts.updated
    expect(not written, f"the second run wrote {written} products")
    expect(counts.unchanged, f"the second run: {report}")
