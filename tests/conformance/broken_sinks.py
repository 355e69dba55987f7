"""Sinks that break one promise each: small variations of the sink in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import attrs

from catalogsync import (
    UNSET,
    BatchRefusedError,
    Change,
    ConflictError,
    Create,
    Existing,
    Field,
    Limits,
    MemorySink,
    Outcome,
    Product,
    ProductKey,
    ProductStatus,
    RefusedError,
    Update,
)
from catalogsync.catalog.changes import (
    Adopt,
    Delete,
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
    Release,
    SellOut,
    Unpublish,
)
from catalogsync.catalog.drafts import Fingerprint
from catalogsync.catalog.products import evolve_unchecked
from catalogsync.protocols import AdoptBy, CheckResult

REFUSED = "a title that is refused"


@attrs.define(kw_only=True)
class Shelf(MemorySink):
    """The sink that the others spoil: all abilities, and an await in each method."""

    requests: int = 0
    categories: dict[str, ExistingReference] = attrs.field(factory=dict)

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        self.requests += 1
        await asyncio.sleep(0)
        found = await MemorySink.find(self, desired, fields=fields)
        return {key: self._linked(each) for key, each in found.items()}

    def _linked(self, each: Found) -> Found:
        assert isinstance(each, Existing)
        ids = {
            category.id: category.name
            for key in (c.id for c in each.product.categories or ())
            if (category := self.categories.get(key))
        }
        tags = {t: t for t in each.product.tags or () if t in self.categories}
        references = {Field.CATEGORIES: ids, Field.TAGS: tags}
        return attrs.evolve(each, references=references)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        self.requests += 1
        await asyncio.sleep(0)
        bad = {c.key: "refused" for c in changes if c.product.title == REFUSED}
        if bad:
            raise BatchRefusedError("refused", culprits=bad)
        return await MemorySink.write(self, changes)

    def shape(self, product: Product, /) -> Product:
        return attrs.evolve(product, title=product.title[:200], tags=UNSET)

    def weigh(self, change: Any, /) -> int:
        return len(repr(change.product))

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint:
        return Fingerprint(repr(existing.product), fields)

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        return {k: repr(self.products[k]) for k in keys if k in self.products}

    def handle(self, product: Product, /) -> str:
        return f"{product.title}-{product.key}"

    async def check(self) -> Sequence[CheckResult]:
        return [CheckResult(ok=True, what="shelf", text="is there")]

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        return {r: self.categories[r.id] for r in references if r.id in self.categories}

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        return [self._write_reference(change) for change in changes]

    def _write_reference(self, change: ReferenceChange) -> ReferenceOutcome:
        id_ = change.reference.id
        is_new = id_ not in self.categories
        self.categories[id_] = ExistingReference(
            id=id_,
            name=change.name,
            parent=change.parent,
            ours=True,
            last_applied=change.last_applied,
        )
        return ReferenceOutcome(reference=change.reference, id=id_, created=is_new)

    def store(self, change: Any, product: Product | None = None) -> None:
        self.products[change.key] = product or change.product
        self.last_applied[change.key] = change.last_applied


def refused(key: ProductKey) -> Product:
    return Product(key=key, title=REFUSED)


class FindsList(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        return [*(await super().find(desired, fields=fields)).values()]


class FindsNone(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        return {product.key: found.get(product.key) for product in desired}


class FindsAnything(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        return {p.key: Existing(product=p) for p in desired} | dict(found)


class NoDescription(Shelf):
    """A column is missing, and `shape` does not say so."""

    def store(self, change: Any, product: Product | None = None) -> None:
        self.products[change.key] = attrs.evolve(change.product, description=None)
        self.last_applied[change.key] = change.last_applied

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        answers = await super().write(changes)
        for change in changes:
            if not isinstance(change, Delete | Release):
                self.store(change)
        return answers


class Floats(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        return {
            key: attrs.evolve(e, product=_float(e.product)) for key, e in found.items()
        }


def _float(product: Product) -> Product:
    import struct

    def single(amount: Decimal) -> Decimal:
        (value,) = struct.unpack("f", struct.pack("f", float(amount)))
        return round(Decimal(value), 2)

    variants = [
        attrs.evolve(
            variant,
            prices=[
                attrs.evolve(p, amount=single(p.amount)) for p in variant.prices or ()
            ],
        )
        for variant in product.variants or ()
    ]
    return attrs.evolve(product, variants=variants)


class CaseBlind(Shelf):
    """As a column is whose collation ignores case."""

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        by_id = {key.id.lower().strip(): key for key in self.products}
        found: dict[ProductKey, Found] = {}
        for product in desired:
            here = by_id.get(product.key.id.lower().strip())
            if here and here.source == product.key.source:
                ours = attrs.evolve(self.products[here], key=product.key)
                state = self.last_applied[here]
                found[product.key] = Existing(product=ours, last_applied=state)
        return found


class IdOnly(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        by_id = {key.id: product for key, product in self.products.items()}
        return {
            p.key: Existing(product=attrs.evolve(by_id[p.key.id], key=p.key))
            for p in desired
            if p.key.id in by_id
        }


class ShortColumn(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        return {
            key: attrs.evolve(e, last_applied=(e.last_applied or "")[:50])
            for key, e in found.items()
        }


class FirstState(Shelf):
    """The state of the creation stays for ever."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        before = dict(self.last_applied)
        answers = await super().write(changes)
        self.last_applied |= {k: v for k, v in before.items() if k in self.last_applied}
        return answers


class TitlesOnly(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        if len(fields) > 1:
            return found
        bare = dict.fromkeys(("description", "status"), UNSET)
        return {
            key: attrs.evolve(e, product=attrs.evolve(e.product, **bare))
            for key, e in found.items()
        }


class Placeholders(Shelf):
    """`find` reserves a place."""

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        for product in desired:
            self.products.setdefault(product.key, product)
        return found


class CreatesOnly(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        if all(isinstance(change, Update) for change in changes):
            return [change.done() for change in changes]
        return await super().write(changes)


class Desired(Shelf):
    """Writes what the source said, and so clears what it does not supply."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, Update) and change.desired:
                self.products[change.key] = change.desired
        return answers


class TitlesAnyway(Shelf):
    """Writes a title that it did not read."""

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        if Field.TITLE in fields:
            return found
        return {
            key: attrs.evolve(each, product=attrs.evolve(each.product, title="?"))
            for key, each in found.items()
            if isinstance(each, Existing)
        }


class NeverClears(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        before = dict(self.products)
        answers = await super().write(changes)
        for change in changes:
            old = before.get(change.key)
            if isinstance(change, Update) and old and not change.product.description:
                product = attrs.evolve(change.product, description=old.description)
                self.products[change.key] = product
        return answers


class KeepsVariants(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        before = dict(self.products)
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, Update) and change.key in before:
                old = {v.id: v for v in before[change.key].variants or ()}
                new = {v.id: v for v in change.product.variants or ()}
                product = attrs.evolve(change.product, variants=[*(old | new).values()])
                self.products[change.key] = product
        return answers


class AnswersOnce(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        return (await super().write(changes))[:1]


class LastBatch(Shelf):
    """A file that each write replaces."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        kept = dict(self.products) if not isinstance(changes[0], Create) else {}
        answers = await super().write(changes)
        written = {change.key for change in changes}
        self.products = kept | {k: p for k, p in self.products.items() if k in written}
        return answers


@attrs.define(kw_only=True)
class ReadsAndReplaces(Shelf):
    """Reads the file, waits, and replaces it; yet claims four writers."""

    limits: Limits = attrs.field(factory=partial(Limits, writers=4))

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        before = dict(self.products)
        answers = await super().write(changes)
        after = {c.key: self.products[c.key] for c in changes if c.key in self.products}
        await asyncio.sleep(0)
        self.products = before | after
        return answers


class Overwrites(Shelf):
    """Claims that creations collide, and overwrites."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        for change in changes:
            if isinstance(change, Create):
                self.products.pop(change.key, None)
        return await super().write(changes)


class ChecksFirst(Shelf):
    """Looks first, then waits, then writes."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        taken = [c for c in changes if isinstance(c, Create) and c.key in self.products]
        if taken:
            message = "is there already"
            raise ConflictError(message)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for change in changes:
            if isinstance(change, Create):
                self.products.pop(change.key, None)
        return await MemorySink.write(self, changes)


@attrs.define(kw_only=True)
class Remembers(Shelf):
    """`find` answers from what it saw the first time."""

    limits: Limits = attrs.field(factory=partial(Limits, collides=False))
    seen: dict[ProductKey, Found | None] = attrs.field(factory=dict)

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        for product in desired:
            self.seen.setdefault(product.key, found.get(product.key))
        return {p.key: e for p in desired if (e := self.seen[p.key])}


class AtLeastThree(Shelf):
    """Small batches are put off, and never come."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        if len(changes) < 3 and isinstance(changes[0], Create):
            return [change.done() for change in changes]
        return await super().write(changes)


@attrs.define(kw_only=True)
class GivesUp(Shelf):
    """After two finds in a row it takes the system for down."""

    finds: int = 0

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        self.finds += 1
        return await super().find(desired, fields=fields)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        if self.finds > 1 and isinstance(changes[0], Create):
            message = "closed"
            raise RuntimeError(message)
        self.finds = 0
        return await super().write(changes)


@attrs.define(kw_only=True)
class KeepsLock(Shelf):
    """A cancelled `find` keeps its lock."""

    locked: bool = False

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        if self.locked:
            message = "is locked"
            raise RuntimeError(message)
        self.locked = True
        found = await super().find(desired, fields=fields)
        self.locked = False
        return found


class Halves(Shelf):
    """A product is there before its state, so a killed write leaves a part of it."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        await super().write([])
        for change in changes:
            if isinstance(change, Create):
                self.products[change.key] = attrs.evolve(change.product, variants=[])
                await asyncio.sleep(0)
                self.products.pop(change.key)
        return await super().write(changes)

    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        found = await super().find(desired, fields=fields)
        return {key: e for key, e in found.items() if e.last_applied is not None}


class Swallows(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await super().write(changes)


class Background(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="flush")
        return await super().write(changes)


class RaisesValueError(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        try:
            return await super().write(changes)
        except RefusedError as error:
            raise ValueError(str(error)) from error


class RefusesLate(Shelf):
    """One by one, until one is refused."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        return [(await super(RefusesLate, self).write([c]))[0] for c in changes]


class CutsWords(Shelf):
    """One word less each time."""

    def shape(self, product: Product, /) -> Product:
        title = product.title
        if len(title) > 200:
            title = title.rsplit(maxsplit=1)[0]
        return attrs.evolve(product, title=title, tags=UNSET)


class WeighsOne(Shelf):
    def weigh(self, change: Any, /) -> int:
        return 1


class TitleHandle(Shelf):
    def handle(self, product: Product, /) -> str:
        return product.title.lower()


class FirstPage(Shelf):
    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        async for page in super().owned(source):
            yield page[:5]


class OwnsAll(Shelf):
    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        async for page in super().owned(source):
            for each in page:
                yield [attrs.evolve(each, last_applied=None)]


class DeletesOnce(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        for change in changes:
            if isinstance(change, Delete) and change.key not in self.products:
                raise KeyError(change.key)
        return await super().write(changes)


class DeletesInstead(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, Unpublish):
                self.products.pop(change.key)
        return answers


class StaysOnSale(Shelf):
    """Selling out stores the state, and leaves the stock."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        kept = {c.key: self.products.get(c.key) for c in changes}
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, SellOut) and (product := kept[change.key]):
                self.products[change.key] = product
        return answers


class HidesInstead(Shelf):
    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, SellOut):
                hidden = evolve_unchecked(change.after, status=ProductStatus.DRAFT)
                self.products[change.key] = hidden
        return answers


class ForgetsSale(Shelf):
    """Selling out keeps the old state, so that a run repeats it forever."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        kept = {c.key: self.last_applied.get(c.key) for c in changes}
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, SellOut) and (state := kept[change.key]):
                self.last_applied[change.key] = state
        return answers


class OnlyState(Shelf):
    """Release removes the state, and leaves the key."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        kept = {c.key: self.products.get(c.key) for c in changes}
        answers = await super().write(changes)
        for change in changes:
            if isinstance(change, Release) and (product := kept[change.key]):
                self.products[change.key] = product
        return answers


class Copies(Shelf):
    """Adopt writes a second product."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        foreign = list(self.foreign)
        answers = await super().write(changes)
        if any(isinstance(change, Adopt) for change in changes):
            self.foreign = foreign
        return answers


class AdoptsNothing(Shelf):
    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        return {}


@attrs.define(kw_only=True)
class ShowsPassword(Shelf):
    def __attrs_post_init__(self) -> None:
        self.endpoint = "https://admin:secret@shop.example"


class NoWords(Shelf):
    async def check(self) -> Sequence[CheckResult]:
        return [CheckResult(ok=True, what="shelf", text="")]


class ResetsCount(Shelf):
    async def find(self, desired: Sequence[Product], /, *, fields: Any) -> Any:
        self.requests = 0
        return await super().find(desired, fields=fields)


class FlatTree(Shelf):
    def _write_reference(self, change: ReferenceChange) -> ReferenceOutcome:
        return Shelf._write_reference(self, attrs.evolve(change, parent=None))


class CreatesAgain(Shelf):
    def _write_reference(self, change: ReferenceChange) -> ReferenceOutcome:
        outcome = Shelf._write_reference(self, change)
        return attrs.evolve(outcome, created=True)


class NeverInCategories(Shelf):
    def _linked(self, each: Found) -> Found:
        linked = Shelf._linked(self, each)
        return attrs.evolve(linked, references={})


class AnyTag(Shelf):
    """Every tag exists as soon as there is one."""

    async def find_references(self, references: Any, /) -> Any:
        found = await Shelf.find_references(self, references)
        tags = [r for r in references if r.kind.value == "tag"]
        known = [found[tag] for tag in tags if tag in found]
        return {**found, **{tag: known[0] for tag in tags if known}}


class TitlesAgree(Shelf):
    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint:
        return Fingerprint(existing.product.title, fields)

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        return {k: self.products[k].title for k in keys if k in self.products}


BROKEN: list[tuple[str, type[Shelf]]] = [
    ("well-formed", FindsList),
    ("well-formed", FindsNone),
    ("finds-nothing-first", FindsAnything),
    ("finds-what-it-wrote", NoDescription),
    ("money-is-exact", Floats),
    ("keys-are-exact", CaseBlind),
    ("keys-are-exact", IdOnly),
    ("keeps-last-applied", ShortColumn),
    ("keeps-last-applied", FirstState),
    ("fields-asked-for", TitlesOnly),
    ("find-changes-nothing", Placeholders),
    ("updates-arrive", CreatesOnly),
    ("keeps-what-is-not-supplied", Desired),
    ("lanes-touch-nothing-else", TitlesAnyway),
    ("clears", NeverClears),
    ("variants-come-and-go", KeepsVariants),
    ("answers-for-each", AnswersOnce),
    ("batches-add-up", LastBatch),
    ("calls-overlap", ReadsAndReplaces),
    ("creations-collide", Overwrites),
    ("creations-collide", ChecksFirst),
    ("lost-answers", Remembers),
    ("spares-neighbours", AtLeastThree),
    ("waits-and-repeats", GivesUp),
    ("find-can-be-cancelled", KeepsLock),
    ("killed-between-awaits", Halves),
    ("killed-between-awaits", Swallows),
    ("nothing-left-running", Background),
    ("refusals-are-refusals", RaisesValueError),
    ("refused-batches-write-nothing", RefusesLate),
    ("shape-is-stable", CutsWords),
    ("weight-grows", WeighsOne),
    ("handles-are-unique", TitleHandle),
    ("fingerprints-follow", TitlesAgree),
    ("owned-lists-all", FirstPage),
    ("owned-lists-all", OwnsAll),
    ("deletes", DeletesOnce),
    ("unpublishes", DeletesInstead),
    ("sells-out", StaysOnSale),
    ("sells-out", HidesInstead),
    ("sells-out", ForgetsSale),
    ("releases", OnlyState),
    ("adopts", Copies),
    ("adopts", AdoptsNothing),
    ("endpoint-is-public", ShowsPassword),
    ("check-explains", NoWords),
    ("requests-add-up", ResetsCount),
    ("references-are-found", FlatTree),
    ("tags-are-found", AnyTag),
    ("references-once", CreatesAgain),
    ("references-of-products", NeverInCategories),
]
