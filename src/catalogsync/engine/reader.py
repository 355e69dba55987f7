"""Taking in what a source gives, and noticing when it breaks its word.

One pass reads every page once. A source that broke its word during a pass (the
total or the list moved, a key came twice, the count is short, it does not end) is
read once more; products that are through already are not taken again. A key that
stands twice in the same places again is a mistake in the source: its first record is
taken, the others are rejected.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from functools import partial

import attrs

from catalogsync.batching import ROOM, weight_of
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus, Rejected
from catalogsync.catalog.products import Product, ProductKey, Variant
from catalogsync.errors import BrokenReplyError, MisconfiguredError, TransientError
from catalogsync.events import PageRead, PassRepeated
from catalogsync.protocols import Cursor, LookupSource, Page, Source

from . import promises
from .marks import Marks
from .options import Options
from .pages import Read, read_ahead
from .passes import Pass
from .recorder import Recorder

__all__ = ["Reader"]

_LOOKUP = 50
_LOST_IN_A_ROW = 2


class _LimitReached(Exception):  # noqa: N818 - a signal, not an error
    """As many products as were asked for are in."""


@attrs.define
class Reader:
    """Reads a source and delivers its products one by one.

    Attributes:
        source: What is read.
        options: Pages ahead, retries, transform, limit and keys.
        recorder: Where everything that comes in is entered.
        deliver: Takes a product and its weight; waits while the pipeline is full.
        on_page: Called when the products of a page are delivered.
        group: Owns the tasks that read ahead.
    """

    source: Source
    options: Options
    recorder: Recorder
    deliver: Callable[[Product, int], Awaitable[None]]
    on_page: Callable[[], Awaitable[None]]
    group: asyncio.TaskGroup
    _known: Marks = attrs.field(factory=Marks, init=False)
    _seen: Marks = attrs.field(factory=Marks, init=False)
    _desired: frozenset[ProductKey] | None = attrs.field(default=None, init=False)
    _rejected: dict[ProductKey, Rejected] = attrs.field(
        factory=dict[ProductKey, Rejected], init=False
    )
    _set_aside: dict[tuple[Rejected, int], Rejected] = attrs.field(
        factory=dict[tuple[Rejected, int], Rejected], init=False
    )

    async def run(self) -> None:
        """Read everything that is asked for.

        Raises:
            CatalogSyncError: Nothing could be read at all, or the source is not
                accessible any more.
        """
        keys = self.options.keys
        self._desired = None if keys is None else frozenset(keys)
        try:
            if keys is not None and isinstance(self.source, LookupSource):
                seen = await self._look_up(self.source, keys)
            else:
                seen = await self._passes()
            self._seen = seen.keys
        except _LimitReached:
            return
        finally:
            self._settle_rejected()
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
        self._tell_lost(seen)
        return seen

    async def _passes(self) -> Pass:
        seen = first = await self._pass()
        verdict = seen.verdict()
        if verdict:
            event = PassRepeated(run_id=self.recorder.run_id, reason=verdict)
            self.recorder.emit(event)
            self._known = seen.keys
            try:
                seen = await self._pass()
            except MisconfiguredError as error:
                self.recorder.problem(f"{verdict}; {error}")
                return seen
            verdict = seen.verdict()
        if verdict and seen.repeats_as(first):
            self._set_repeats_aside(seen)
        elif verdict:
            self.recorder.problem(f"{verdict}, also when it was read again")
        self._tell_lost(seen)
        return seen

    def _set_repeats_aside(self, seen: Pass) -> None:
        """Take the first record of each key, which was delivered; reject the others."""
        for repeat in seen.repeats:
            if self._desired is None or repeat.key in self._desired:
                self._put_aside(repeat.rejected(), 1)

    def _tell_lost(self, seen: Pass) -> None:
        for text in seen.lost:
            if text != seen.problem:
                self.recorder.problem(text)

    async def _pass(self) -> Pass:
        seen = Pass()
        ahead = self.options.pages_ahead
        try:
            async with aclosing(
                read_ahead(partial(self._page, seen), ahead=ahead, group=self.group)
            ) as pages:
                await self._take_all(pages, seen)
        except BrokenReplyError as error:
            if not self._has_begun():
                raise
            seen.problem = str(error)
        return seen

    async def _take_all(self, pages: AsyncIterator[Read | None], seen: Pass) -> None:
        lost = 0
        async for read in pages:
            if read is not None:
                lost = 0
                await self._take(read, seen)
                seen.end(read.page)
                continue
            seen.last = None
            lost += 1
            if lost == _LOST_IN_A_ROW:
                return

    async def _page(self, seen: Pass, cursor: Cursor | None) -> Read | None:
        what = "read the first page" if cursor is None else f"read page {cursor}"
        return await self._repeat(
            seen, what, partial(promises.read, self.source, cursor)
        )

    async def _repeat(
        self, seen: Pass, what: str, read: Callable[[], Awaitable[Page]]
    ) -> Read | None:
        """Read by the retry policy; None: no try was left, and the run goes on."""
        started, on_retry = time.perf_counter(), self.recorder.retrying(what)
        try:
            async for attempt in self.options.retry.tries(on_retry=on_retry):
                with attempt:
                    with self.recorder.phase("read"):
                        page = await read()
                    self._tell(page, time.perf_counter() - started)
                    return Read.of(page)
        except TransientError as error:
            if not self._has_begun():
                raise
            seen.lose(what, error)
            return None
        # What repeats takes this one error for the end of its loop.
        raise RuntimeError(f"{what}: the source raised StopAsyncIteration")

    def saw(self, key: ProductKey) -> bool:
        """Whether any pass saw a record with this key."""
        return hash(key) in self._known or hash(key) in self._seen

    @property
    def doubt(self) -> str:
        """Why a product that was not seen may be there all the same; empty: it is not."""
        count = sum(record.key is None for record in self.recorder.rejected)
        if count:
            what = "a record" if count == 1 else f"{count} records"
            return f"{what} without a readable key could be any product"
        return "" if self.recorder.fetched else "the source is empty"

    def _has_begun(self) -> bool:
        """Whether anything came in, so that there is something to report."""
        return bool(self.recorder.fetched or self._rejected or self._set_aside)

    def _tell(self, page: Page, seconds: float) -> None:
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
        for record in page.rejected:
            self._reject(record, seen)
        for product, weight in zip(page.products, read.weights, strict=True):
            # Beside a record that is no product, the one that is one counts.
            if seen.first_time(product.key) or product.key in self._rejected:
                await self._offer(product, weight)
        await self.on_page()

    def _reject(self, record: Rejected, seen: Pass) -> None:
        """Note it; whether it stays rejected is known when all is read."""
        if record.key is None:
            number = seen.first_nameless(record)
            if self.options.keys is None:
                self._put_aside(record, number)
        elif seen.first_time(record.key) and self._is_desired(record.key):
            self._rejected.setdefault(record.key, record)
        self._check_limit()

    def _put_aside(self, record: Rejected, number: int) -> None:
        """Note a record; the *number*th of its like counts once in all passes."""
        self._set_aside.setdefault((record, number), record)

    def _settle_rejected(self) -> None:
        for record in self._rejected.values():
            self.recorder.reject(record)
        for record in self._set_aside.values():
            self.recorder.set_aside(record)
        self._rejected.clear()
        self._set_aside.clear()

    async def _offer(self, product: Product, weight: int) -> None:
        if not self._is_desired(product.key):
            return
        self._rejected.pop(product.key, None)
        self.recorder.fetch(product.key, product)
        after = self._transform(product)
        if after is not None:
            after = self._counted(after)
            known = weight if after is product else weight_of(after)
            await self.deliver(after, known)
        self._check_limit()

    def _counted(self, product: Product) -> Product:
        """The product with no stock where more was sold than there was."""
        variants = product.variants or ()
        if all(n >= 0 for v in variants for n in _quantities(v)):
            return product
        what = "a stock below 0, which counts as 0,"
        self.recorder.warn_of(what, str(product.key))
        return attrs.evolve(product, variants=[*map(_not_below_zero, variants)])

    def _check_limit(self) -> None:
        taken = self.recorder.fetched + len(self._rejected) + len(self._set_aside)
        if self.options.limit is not None and taken >= self.options.limit:
            raise _LimitReached

    def _is_desired(self, key: ProductKey) -> bool:
        if hash(key) in self._known and key not in self._rejected:
            return False
        return self._desired is None or key in self._desired

    def _transform(self, product: Product) -> Product | None:
        """The product as the user's hook wants it; None: it has its outcome."""
        if self.options.transform is None:
            return product
        status, reason = OutcomeStatus.SKIPPED, "vetoed by the transform"
        try:
            after = self.options.transform(product)
        except Exception as error:  # noqa: BLE001 - the user's code, one product
            status = OutcomeStatus.FAILED
            after, reason = None, f"the transform raised {error!r}"
        problem = _transformed_wrongly(product, after)
        if problem:
            status, reason, after = OutcomeStatus.FAILED, problem, None
        if after is None:
            self.recorder.settle(Outcome(product.key, status, reason))
        return after


def _quantities(variant: Variant) -> Iterator[int]:
    return (level.quantity for level in variant.stock or ())


def _not_below_zero(variant: Variant) -> Variant:
    if all(n >= 0 for n in _quantities(variant)):
        return variant
    stock = [
        attrs.evolve(level, quantity=max(level.quantity, 0))
        for level in variant.stock or ()
    ]
    return attrs.evolve(variant, stock=stock)


def _transformed_wrongly(before: Product, after: object) -> str:
    if after is None:
        return ""
    if not isinstance(after, Product):
        return f"the transform returned {type(after).__name__}, not a product"
    if after.key != before.key:
        return f"the transform changed the key to {after.key}"
    return ""
