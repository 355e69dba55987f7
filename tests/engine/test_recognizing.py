"""A product is built only if its record or the sink's row is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import attrs
import pytest

from catalogsync import (
    Existing,
    Field,
    MemorySink,
    Options,
    Page,
    Product,
    ProductKey,
    Rejected,
    Report,
    StateSettings,
    StockLevel,
    sync,
)
from catalogsync.catalog.drafts import Draft, Fingerprint
from catalogsync.errors import BrokenPromiseError
from catalogsync.state import StateStore

from .fakes import check, fast, key, priced


@pytest.fixture
async def store() -> AsyncIterator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


class Printed(MemorySink):
    """A sink that knows what its products look like."""

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint | None:
        return Fingerprint(f"{existing.product}{existing.last_applied}", fields)

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        return {
            each: f"{self.products[each]}{self.last_applied.get(each)}"
            for each in keys
            if each in self.products
        }


@attrs.define(slots=False)
class Drafts:
    """A source that counts what it builds."""

    records: list[Product | Rejected]
    name: str = "shop"
    built: Counter[ProductKey | None] = attrs.field(factory=Counter[ProductKey | None])

    async def read(self, _: str | None, /) -> Page:
        return Page(products=[self.draft(record) for record in self.records])

    def draft(self, record: Product | Rejected) -> Draft:
        def build() -> Product | Rejected:
            self.built[record.key] += 1
            return record

        assert record.key is not None
        return Draft(
            key=record.key, digest=repr(record).encode(), size=100, build=build
        )

    def taken(self) -> Counter[ProductKey | None]:
        """What was built since the last call."""
        built, self.built = self.built, Counter()
        return built


async def run(
    source: Drafts, sink: MemorySink, store: StateStore, **options: Any
) -> Report:
    report = await sync(source, sink, options=fast(**options), job="j", state=store)
    check(report)
    return report


async def known(store: StateStore, number: int = 3) -> tuple[Drafts, Printed]:
    """Both sides, after runs that compared everything."""
    source, sink = Drafts([priced(n) for n in range(number)]), Printed()
    assert (await run(source, sink, store)).counts.created == number
    assert (await run(source, sink, store)).counts.unchanged == number
    assert source.taken().total() == 2 * number
    return source, sink


async def test_nothing_is_built(store: StateStore) -> None:
    source, sink = await known(store)
    assert (await run(source, sink, store)).counts.unchanged == 3
    assert not source.taken()


async def test_a_new_record_is_built(store: StateStore) -> None:
    source, sink = await known(store)
    source.records[1] = priced(1, "2.00")
    assert (await run(source, sink, store)).counts.updated == 1
    assert source.taken() == {key(1): 1}
    assert sink.products[key(1)] == source.records[1]


async def test_a_new_row_is_compared(store: StateStore) -> None:
    source, sink = await known(store)
    sink.products[key(2)] = attrs.evolve(sink.products[key(2)], title="Theirs")
    report = await run(source, sink, store)
    assert (report.counts.updated, report.counts.unchanged) == (1, 2)
    assert source.taken() == {key(2): 1}
    assert sink.products[key(2)] == source.records[2]


async def test_a_product_that_people_deleted_comes_back(store: StateStore) -> None:
    source, sink = await known(store)
    del sink.products[key(0)]
    assert (await run(source, sink, store)).counts.created == 1
    assert sink.products[key(0)] == source.records[0]


def _renamed(product: Product) -> Product:
    return attrs.evolve(product, title=product.title.upper())


@pytest.mark.parametrize(
    "other",
    [{"transform": _renamed}, {"owns": {Field.PRICES: "never"}}],
    ids=["transform", "rules"],
)
async def test_other_rules_compare_everything(
    store: StateStore, other: dict[str, Any]
) -> None:
    source, sink = await known(store)
    await run(source, sink, store, **other)
    assert source.taken().total() == 3


async def test_without_a_state_store_all_is_built() -> None:
    source, sink = Drafts([priced(1)]), Printed()
    for _ in range(3):
        await sync(source, sink, options=fast())
    assert source.taken() == {key(1): 3}


async def test_what_has_to_be_said_again_is_compared_again(store: StateStore) -> None:
    """Such as a stock below 0."""
    sold = priced(1)
    variant = attrs.evolve(
        next(iter(sold.variants or ())), stock=[StockLevel(quantity=-1)]
    )
    source = Drafts([attrs.evolve(sold, variants=[variant])])
    sink = Printed()
    for _ in range(3):
        report = await run(source, sink, store)
        assert "stock below 0" in report.warnings[0]
    assert source.taken() == {key(1): 3}


async def test_a_record_that_is_no_product(store: StateStore) -> None:
    """It fails in each run, also if the store thinks that it knows it."""
    bad = Rejected(key=key(1), reason="no title", where="row 1")
    source, sink = await known(store)
    source.records[1] = bad
    for _ in range(2):
        report = await run(source, sink, store)
        assert report.counts.failed == 1
        assert report.failures[0].reason == "no title (row 1)"
    source, sink = await known(store, 4)
    digests = {each.key: repr(each).encode() for each in source.records}
    source.records[3] = attrs.evolve(bad, key=key(3))

    def forged(record: Product | Rejected) -> Draft:
        draft = Drafts.draft(source, record)
        return attrs.evolve(draft, digest=digests[record.key])

    source.draft = forged  # type: ignore[method-assign]
    sink.products[key(3)] = attrs.evolve(sink.products[key(3)], title="Theirs")
    report = await run(source, sink, store)
    assert report.failures[0].reason == "no title (row 1)"


async def test_a_key_twice_on_a_page(store: StateStore) -> None:
    """Only the first record counts, and it is compared."""
    source, sink = await known(store)
    source.records.append(priced(1, "9.00"))
    for _ in range(3):
        report = await run(source, sink, store)
        assert (report.counts.unchanged, report.counts.failed) == (3, 1)
        assert sink.products[key(1)] == source.records[1]


def _draft(**wrong: Any) -> Draft:
    values: dict[str, Any] = {
        "key": key(1),
        "digest": b"1",
        "size": 1,
        "build": lambda: priced(1),
    }
    return Draft(**{**values, **wrong})


@pytest.mark.parametrize(
    ("draft", "problem"),
    [
        (_draft(digest="text"), "Draft.digest must be bytes"),
        (_draft(size=None), "Draft.size must be int"),
        (_draft(key="shop:1"), "each key must be ProductKey"),
        (_draft(build=lambda: None), "its answer must be Product or Rejected"),
        (_draft(build=lambda: priced(2)), "built shop:2 from the draft of shop:1"),
    ],
)
async def test_broken_drafts(draft: Draft, problem: str) -> None:
    source = Drafts([])
    source.read = _page_of(draft)  # type: ignore[method-assign]
    with pytest.raises(BrokenPromiseError, match=problem):
        await sync(source, MemorySink(), options=Options())


def _page_of(draft: Draft) -> Callable[[str | None], Any]:
    async def read(_: str | None, /) -> Page:
        return Page(products=[draft])

    return read


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "its answer must be a mapping"),
        ({key(99): "x"}, "answered for shop:99, which was not asked for"),
        ({key(1): b"x"}, "the digest of shop:1 must be str"),
    ],
)
async def test_broken_fingerprints(
    store: StateStore, answer: object, problem: str
) -> None:
    source, sink = await known(store)

    class Wrong(Printed):
        async def fingerprints(self, *_: Any, **__: Any) -> Any:
            return answer

    wrong = Wrong(products=sink.products, last_applied=sink.last_applied)
    wrong.endpoint = sink.endpoint
    with pytest.raises(BrokenPromiseError, match=problem):
        await run(source, wrong, store)
