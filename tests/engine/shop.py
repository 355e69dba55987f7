"""A sink like a real store: handles, incomplete products, people, lost answers."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from catalogsync import (
    Change,
    ConflictError,
    Create,
    Existing,
    Field,
    Limits,
    Outcome,
    Product,
    ProductKey,
    ProductStatus,
    TransientError,
    Update,
)
from catalogsync.catalog.changes import Delete, Found, SellOut, Unpublish

Hook = Callable[["Shop", Sequence[Change]], Awaitable[None]]


@attrs.define(kw_only=True)
class Row:
    """A product in the shop.

    Attributes:
        key: Our key; None: it is somebody else's.
        handle: Its handle.
        product: Its real fields.
        last_applied: Our last-applied state.
        missing_parts: What is missing of it.
        age: Seconds since it was changed.
    """

    key: ProductKey | None
    handle: str
    product: Product
    last_applied: str | None = None
    missing_parts: tuple[str, ...] = ()
    age: float = 0.0


@attrs.define(kw_only=True)
class Shop:
    """A sink with unique handles, whose rows are found by key.

    Attributes:
        before: Called in the next writes before the work; may raise.
        after: Called after the work; may raise, so that the answer is lost.
        on_find: Called before each find with its number, from 1.
        unique: Whether a second product with a handle is refused.
        writes: What was written, as actions and ids.
    """

    name: str = "shop"
    endpoint: str = "shop in memory"
    limits: Limits = attrs.field(factory=partial(Limits, collides=True))
    rows: list[Row] = attrs.field(factory=list[Row])
    before: deque[Hook | None] = attrs.field(factory=deque[Hook | None])
    after: deque[Hook | None] = attrs.field(factory=deque[Hook | None])
    find_faults: deque[Exception] = attrs.field(factory=deque[Exception])
    owned_faults: deque[Exception] = attrs.field(factory=deque[Exception])
    on_find: Callable[[int], None] = lambda _: None
    unique: bool = True
    page: int = 3
    writes: list[list[str]] = attrs.field(factory=list[list[str]])
    finds: int = 0

    @property
    def sells_out(self) -> bool:
        return True

    def handle(self, product: Product, /) -> str:
        return f"{product.title.lower()}-{product.key.id}"

    def of(self, key: ProductKey) -> list[Row]:
        return [row for row in self.rows if row.key == key]

    def one(self, key: ProductKey) -> Row:
        (row,) = self.of(key)
        return row

    def titles(self) -> dict[str, str]:
        """Title of each product of ours, by id; each is there once."""
        keys = [row.key for row in self.rows if row.key]
        assert len(keys) == len(set(keys)), "a product is there twice"
        return {row.key.id: row.product.title for row in self.rows if row.key}

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        self.finds += 1
        self.on_find(self.finds)
        await asyncio.sleep(0)
        if self.find_faults:
            raise self.find_faults.popleft()
        return {p.key: existing(rows[0]) for p in desired if (rows := self.of(p.key))}

    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: Any, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        found: dict[ProductKey, Found] = {}
        for product in desired:
            for row in self.rows:
                if row.key is None and row.product.title == product.title:
                    theirs = attrs.evolve(row.product, key=product.key)
                    found[product.key] = Existing(
                        product=theirs, native=row, foreign=True
                    )
        return found

    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        rows = [row for row in self.rows if row.key and row.key.source == source]
        for start in itertools.count(0, self.page):
            await asyncio.sleep(0)
            if self.owned_faults:
                raise self.owned_faults.popleft()
            some = rows[start : start + self.page]
            if not some:
                return
            yield [existing(row) for row in some]

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        self.writes.append([f"{c.action} {c.key.id}" for c in changes])
        assert len({change.action for change in changes}) == 1
        await asyncio.sleep(0)
        if self.before and (hook := self.before.popleft()):
            await hook(self, changes)
        self.work(changes)
        if self.after and (hook := self.after.popleft()):
            await hook(self, changes)
        return [change.done() for change in changes]

    def work(self, changes: Sequence[Change]) -> None:
        """Really do it, whole or not at all."""
        taken = {row.handle for row in self.rows}
        for change in changes:
            if isinstance(change, Create):
                assert change.handle is not None
                if self.unique and change.handle in taken:
                    raise ConflictError(f"handle {change.handle} is taken")
        for change in changes:
            self._work(change)

    def _work(self, change: Change) -> None:
        if isinstance(change, Create):
            row = Row(
                key=change.key,
                handle=change.handle or "",
                product=change.product,
                last_applied=change.last_applied,
            )
            self.rows.append(row)
            return
        row = change.existing.native
        assert isinstance(row, Row)
        match change:
            case Update():
                row.key, row.product = change.key, change.product
                row.last_applied, row.missing_parts = change.last_applied, ()
            case Unpublish():
                row.product = attrs.evolve(row.product, status=ProductStatus.DRAFT)
                row.last_applied = change.last_applied
            case SellOut():
                row.product, row.last_applied = change.after, change.last_applied
            case Delete():
                if row in self.rows:
                    self.rows.remove(row)
            case _:
                row.key = row.last_applied = None


def existing(row: Row) -> Existing:
    return Existing(
        product=row.product,
        last_applied=row.last_applied,
        native=row,
        missing_parts=row.missing_parts,
        age=row.age if row.missing_parts else None,
    )


def loses() -> Hook:
    """The answer is lost, before or after the work."""

    async def hook(_: Shop, __: Sequence[Change]) -> None:
        raise TransientError("no answer", retry_after=0)

    return hook
