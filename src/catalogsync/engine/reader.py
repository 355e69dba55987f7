"""The reader: reads the source, and notices when the source contradicts itself.

Pages come from `pages`, already built. The reader applies the transform, selects the
products that the options ask for, and delivers each of them once.

One pass reads every page once. If a pass is inconsistent (the total or the list
moved, a key appeared twice, records are missing, it does not end), the source is read
once more; products that were delivered already are not delivered again. If the second
pass is no better, the run is incomplete. One case is harmless: a key that appears
twice in the same records in both passes is a mistake in the source, so its first
record is taken and the others are rejected.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Sequence,
)
from contextlib import aclosing
from functools import partial

import attrs

from catalogsync.batching import ROOM, weight_of
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus, Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import BrokenReplyError, MisconfiguredError, TransientError
from catalogsync.events import PageRead, PassRepeated
from catalogsync.protocols import Cursor, LookupSource, Page, Source

from . import promises
from .hash_set import HashSet
from .options import Options
from .pages import Read, read_ahead
from .passes import Pass
from .recognizing import Fetched, Recognizer
from .recorder import Recorder
from .updates import Updates

__all__ = ["Reader"]

_LOOKUP = 50
_MAX_LOST_IN_A_ROW = 2


class _LimitReached(Exception):  # noqa: N818 - a signal, not an error
    """`Options.limit` is reached."""


@attrs.define(kw_only=True)
class Reader:
    """Reads a source and delivers its products one by one.

    Attributes:
        source: The source.
        options: Options of the run: pages ahead, retries, transform, limit and keys.
        recorder: Receives every product and record.
        recognizer: Knows the records that need not be built.
        updates: Refuses an update that is out of order.
        deliver: Takes a product and its size in bytes; waits while the queue is full.
        on_page: Called when all products of a page are delivered.
    """

    source: Source
    options: Options
    recorder: Recorder
    recognizer: Recognizer
    updates: Updates
    deliver: Callable[[Fetched, int], Awaitable[None]]
    on_page: Callable[[], Awaitable[None]]
    _earlier: HashSet = attrs.field(factory=HashSet, init=False)
    _seen: HashSet = attrs.field(factory=HashSet, init=False)
    # Rejected records are kept to the end: the second pass may read them properly.
    _rejected: dict[ProductKey, Rejected] = attrs.field(
        factory=dict[ProductKey, Rejected], init=False
    )
    _set_aside: dict[tuple[Rejected, int], Rejected] = attrs.field(
        factory=dict[tuple[Rejected, int], Rejected], init=False
    )
    _deleted: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _selected: frozenset[ProductKey] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        keys = self.options.keys
        self._selected = None if keys is None else frozenset(keys)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Read all products, or those that the options select.

        Args:
            group: Owns the tasks that read ahead.

        Raises:
            CatalogSyncError: Nothing could be read at all, or the source is no longer
                accessible.
        """
        keys = self.options.keys
        try:
            if keys is not None and isinstance(self.source, LookupSource):
                seen = await self._look_up(self.source, keys)
            else:
                seen = await self._read_passes(group)
            self._seen = seen.keys
        except _LimitReached:
            return
        finally:
            self._record_rejected()
        warns = self.options.prune is None and self.options.only is None
        for key in self.deleted if warns else ():
            what = "the source says that it was deleted, and `prune` is not set"
            self.recorder.count_warning(what, str(key))
        absent = [key for key in keys or () if hash(key) not in seen.keys]
        if absent and not seen.lost:
            names = ", ".join(map(str, absent))
            self.recorder.warn(f"the source does not have {names}")

    async def _look_up(self, source: LookupSource, keys: Sequence[ProductKey]) -> Pass:
        seen, at, size = Pass(), 0, _LOOKUP
        while chunk := keys[at : at + size]:
            at += len(chunk)
            what = f"look up {len(chunk)} products"
            read = await self._repeat(seen, what, partial(promises.get, source, chunk))
            if read is not None:
                await self._take(read, seen)
                heaviest = max(read.weights, default=1)
                size = min(_LOOKUP, max(1, ROOM // heaviest))
        self._report_lost(seen)
        return seen

    async def _read_passes(self, group: asyncio.TaskGroup) -> Pass:
        seen = first = await self._read_pass(group)
        verdict = seen.verdict()
        if verdict:
            event = PassRepeated(run_id=self.recorder.run_id, reason=verdict)
            self.recorder.emit(event)
            self._earlier = seen.keys
            try:
                seen = await self._read_pass(group)
            except MisconfiguredError as error:
                self.recorder.add_problem(f"{verdict}; {error}")
                return seen
            verdict = seen.verdict()
        if verdict and seen.repeats_as(first):
            self._reject_repeats(seen)
        elif verdict:
            self.recorder.add_problem(f"{verdict}, also when it was read again")
        self._report_lost(seen)
        return seen

    def _reject_repeats(self, seen: Pass) -> None:
        """Reject the records that repeat a key; the first ones were delivered."""
        for repeat in seen.repeats:
            if self._selected is None or repeat.key in self._selected:
                self._keep_aside(repeat.rejected(), 1)

    def _report_lost(self, seen: Pass) -> None:
        for text in seen.lost:
            if text != seen.problem:
                self.recorder.add_problem(text)

    async def _read_pass(self, group: asyncio.TaskGroup) -> Pass:
        seen = Pass()
        ahead = self.options.pages_ahead
        try:
            async with aclosing(
                read_ahead(partial(self._read_page, seen), ahead=ahead, group=group)
            ) as pages:
                await self._take_pages(pages, seen)
        except BrokenReplyError as error:
            if not self._has_begun():
                raise
            seen.problem = str(error)
        return seen

    async def _take_pages(self, pages: AsyncIterator[Read | None], seen: Pass) -> None:
        lost = 0
        async for read in pages:
            if read is not None:
                lost = 0
                await self._take(read, seen)
                seen.end(read.page)
                continue
            seen.last = None  # the next page does not follow the last one read
            lost += 1
            if lost == _MAX_LOST_IN_A_ROW:
                return

    async def _read_page(self, seen: Pass, cursor: Cursor | None) -> Read | None:
        what = "read the first page" if cursor is None else f"read page {cursor}"
        return await self._repeat(
            seen, what, partial(promises.read, self.source, cursor)
        )

    async def _repeat(
        self, seen: Pass, what: str, read: Callable[[], Awaitable[Page]]
    ) -> Read | None:
        """Read with retries; None: the page is lost, and the run goes on."""
        started, on_retry = time.perf_counter(), self.recorder.retrying(what)
        try:
            async for attempt in self.options.retry.tries(on_retry=on_retry):
                with attempt:
                    with self.recorder.phase("read"):
                        page = await read()
                    seconds = time.perf_counter() - started
                    await self.updates.check(page.version)
                    found = await Read.of(page, self.recognizer)
                    self._emit(found.page, seconds)
                    return found
        except TransientError as error:
            if not self._has_begun():
                raise
            seen.add_lost(what, error)
            return None
        raise AssertionError("unreachable")

    def has_seen(self, key: ProductKey) -> bool:
        """Whether any pass saw a record with this key."""
        return hash(key) in self._earlier or hash(key) in self._seen

    @property
    def deleted(self) -> frozenset[ProductKey]:
        """The products that the source said were deleted, and did not give."""
        return frozenset(key for key in self._deleted if not self.has_seen(key))

    @property
    def uncertainty(self) -> str:
        """Why a product that was not seen may still be there; empty: it is not."""
        count = sum(record.key is None for record in self.recorder.rejected)
        if count:
            what = "a record" if count == 1 else f"{count} records"
            return f"{what} without a readable key could be any product"
        return "" if self.recorder.fetched else "the source is empty"

    def _has_begun(self) -> bool:
        """Whether anything was read, so that there is something to report."""
        return bool(self.recorder.fetched or self._rejected or self._set_aside)

    def _emit(self, page: Page, seconds: float) -> None:
        if self.recorder.resumed:
            return
        event = PageRead(
            run_id=self.recorder.run_id,
            products=len(page.products),
            rejected=len(page.rejected),
            total=page.total,
            seconds=seconds,
        )
        self.recorder.emit(event)

    async def _take(self, read: Read, seen: Pass) -> None:
        page = read.page
        seen.begin(page)
        self._deleted.update(page.deleted)
        for record in page.rejected:
            self._reject(record, seen)
        for item, weight in zip(read.items, read.weights, strict=True):
            # A product counts more than a rejected record with the same key.
            if seen.add_key(item.key) or item.key in self._rejected:
                await self._accept(item, weight)
        await self.on_page()

    def _reject(self, record: Rejected, seen: Pass) -> None:
        """Keep a record that is not a product until everything is read."""
        if record.key is None:
            number = seen.add_keyless(record)
            if self.options.keys is None:
                self._keep_aside(record, number)
        elif seen.add_key(record.key) and self._is_selected(record.key):
            self._rejected.setdefault(record.key, record)
        self._check_limit()

    def _keep_aside(self, record: Rejected, number: int) -> None:
        """Keep a record; the *number*th of equal ones counts once in all passes."""
        self._set_aside.setdefault((record, number), record)

    def _record_rejected(self) -> None:
        for record in self._rejected.values():
            self.recorder.record_rejected(record)
        for record in self._set_aside.values():
            self.recorder.set_aside(record)
        self._rejected.clear()
        self._set_aside.clear()

    async def _accept(self, item: Fetched, weight: int) -> None:
        if not self._is_selected(item.key):
            return
        self._rejected.pop(item.key, None)
        self.recorder.record_fetched(item.key, item.product)
        if item.product is not None and self.options.transform is not None:
            after = self._transform(item.product)
            if after is not None and after is not item.product:
                weight = weight_of(after)
            item = attrs.evolve(item, product=after, draft=None)
        if item.product is not None or item.known is not None:
            await self.deliver(item, weight)
        self._check_limit()

    def _check_limit(self) -> None:
        taken = self.recorder.fetched + len(self._rejected) + len(self._set_aside)
        if self.options.limit is not None and taken >= self.options.limit:
            raise _LimitReached

    def _is_selected(self, key: ProductKey) -> bool:
        """Whether to deliver a product: selected, and not by an earlier pass."""
        if hash(key) in self._earlier and key not in self._rejected:
            return False
        return self._selected is None or key in self._selected

    def _transform(self, product: Product) -> Product | None:
        """The product after the user's transform; None: it has its outcome."""
        transform = self.options.transform
        if transform is None:
            return product
        status, reason = OutcomeStatus.SKIPPED, "vetoed by the transform"
        try:
            after = transform(product)
        except Exception as error:  # noqa: BLE001 - the user's code, one product
            status = OutcomeStatus.FAILED
            after, reason = None, f"the transform raised {error!r}"
        problem = _transform_problem(product, after)
        if problem:
            status, reason, after = OutcomeStatus.FAILED, problem, None
        if after is None:
            self.recorder.record(Outcome(product.key, status, reason))
        return after


def _transform_problem(before: Product, after: object) -> str:
    if after is None:
        return ""
    if not isinstance(after, Product):
        return f"the transform returned {type(after).__name__}, not a product"
    if after.key != before.key:
        return f"the transform changed the key to {after.key}"
    return ""
