"""A source, or a store, whose answers are anything at all for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import attrs
from hypothesis import strategies as st
from tests.chaos.things import Found, Thing, desired, existing_by_medusa, once
from tests.engine.fakes import fast

from catalogsync import (
    MemorySink,
    Options,
    Product,
    ProductKey,
    Report,
    RunStatus,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.protocols import AdoptBy
from catalogsync.testing.medusa import _STATE, State, medusa_app
from catalogsync.testing.medusa._accidents import Stage, interrupt

from .shop import NAME, PRODUCTS, RECORDS, open_shop, serve_records
from .spoiling import Spoiler, Trouble, troubles
from .verdicts import Verdict, attempt, judged, note
from .wire import Wire, serve_app, session

_PRUNE: dict[str, Any] = {"batch_size": 3, "grace": 0, "prune": "delete"}
_DISTURBED = fast(max_prune=0.5, **_PRUNE)
_MENDING = fast(max_prune=1000, max_refusals=1000, **_PRUNE)
_STAGES: tuple[Stage, ...] = ("alone", "product", "variants", "items", "links")


@attrs.frozen
class RepliesCase:
    """A catalog, and what happens to answers.

    Attributes:
        begin: Number of the first record.
        size: How many there are.
        page_size: How many come at a time.
        second: Whether an earlier run wrote what the source showed then.
        damage: What became since then of a product in a store: how far a server
            came that died while it made it, or the loss of its key.
        opening: Whether the troubles begin before the sink is open.
        troubles: What happens.
        bare: Whether there are no SKUs, so that handles alone are unique.
    """

    begin: int
    size: int
    page_size: int
    second: bool
    damage: Stage | Literal["", "key"]
    opening: bool
    troubles: Sequence[Trouble]
    bare: bool = False

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the source shows."""
        return self._some(self.size)

    def _some(self, size: int) -> list[dict[str, Any]]:
        records = RECORDS[self.begin : self.begin + size]
        return [_without_codes(record) for record in records] if self.bare else records

    @property
    def before(self) -> list[dict[str, Any]]:
        """What it showed to the earlier run."""
        records = self._some(self.size + 1)
        if self.size > 1:
            del records[1]
        records[0] = {**records[0], "price": 77, "stock": 1, "brand": "Before"}
        if not self.bare and self.damage in {"", "key"}:
            # Else nothing unique would be left of it, should the store deny it.
            records[0]["title"] = "Before"
        if self.damage != "key":  # else they stay, as those of other people
            records[0] |= {"tags": ["before"], "images": [], "category": "before"}
        return records


def _without_codes(record: dict[str, Any]) -> dict[str, Any]:
    bare = {k: v for k, v in record.items() if k not in {"sku", "meta", "barcode"}}
    if "variants" in bare:
        bare["variants"] = [_without_codes(variant) for variant in bare["variants"]]
    return bare


def source_cases() -> st.SearchStrategy[RepliesCase]:
    """Any at the source."""
    return st.builds(
        RepliesCase,
        begin=st.integers(0, 50),
        size=st.integers(1, 8),
        page_size=st.integers(1, 4),
        second=st.booleans(),
        damage=st.just(""),
        opening=st.just(False),
        troubles=troubles(10, ""),
    )


def sink_cases() -> st.SearchStrategy[RepliesCase]:
    """Any at the store."""
    return st.builds(
        RepliesCase,
        begin=st.integers(0, 50),
        size=st.integers(1, 5),
        page_size=st.just(30),
        second=st.booleans(),
        damage=st.sampled_from(["", "", "key", *_STAGES]),
        opening=st.sampled_from([False, False, False, True]),
        troubles=troubles(30, "", "", "GET /admin/products", "POST"),
        bare=st.booleans(),
    )


def play_source(case: RepliesCase) -> Verdict:
    """A DummyJSON that answers wrongly for a while, and a memory that does not."""
    return judged(partial(_play_source, case))


async def _play_source(case: RepliesCase, verdict: Verdict) -> None:
    sink = MemorySink()
    products = PRODUCTS[case.begin : case.begin + case.size]
    right = {product.key: _sorted(product) for product in products}
    if case.second:
        async with open_shop(serve_records(case.before), 30) as source:
            await sync(source, sink)
    before = dict(sink.products)
    spoiler = Spoiler(serve_records(case.records), case.troubles)
    async with open_shop(spoiler, case.page_size) as source:
        report = await attempt(verdict, source, sink, _DISTURBED)
    wrong = [
        key
        for key, product in right.items()
        if key not in sink.products or _sorted(sink.products[key]) != product
    ]
    if not spoiler.lied:
        _explained(verdict, wrong, report, len(right))
        gone = before.keys() & right.keys() - sink.products.keys()
        verdict.lost += [f"{key} was removed" for key in gone]
    spoiler.troubles = ()
    async with open_shop(spoiler, case.page_size) as source:
        after = await sync(source, sink, options=_MENDING)
    verdict.expect(after.status is RunStatus.SUCCEEDED, f"the next run: {after}")
    there = {key: _sorted(product) for key, product in sink.products.items()}
    verdict.expect(there == right, f"not right in the end: {there}")


def _sorted(product: Product) -> Product:
    """The same, whatever the order in which variants and tags came."""
    variants = sorted(product.variants or (), key=lambda variant: variant.id)
    return attrs.evolve(product, variants=variants, tags=sorted(product.tags or ()))


def _explained(
    verdict: Verdict, wrong: Iterable[ProductKey], report: Report | None, size: int
) -> None:
    """Wrong products are reported, one by one or as unread."""
    if report is None:
        return
    reported = {outcome.key for outcome in report.failures}
    silent = [str(key) for key in wrong if key not in reported]
    unread = size - report.counts.fetched if report.problem else 0
    if len(silent) > unread:
        verdict.lost.append(f"not right, and nobody says so: {silent}; {report}")


def play_sink(case: RepliesCase) -> Verdict:
    """A Medusa that answers wrongly for a while."""
    return judged(partial(_play_sink, case))


async def _play_sink(case: RepliesCase, verdict: Verdict) -> None:
    app = medusa_app()
    spoiler, state = Spoiler(serve_app(app)), app[_STATE]
    if case.second:
        async with (
            open_shop(serve_records(case.before), 30) as source,
            _store(spoiler) as sink,
        ):
            await sync(source, sink, options=_MENDING)
            await _damage(case, state, sink)
    report = await _disturbed(case, verdict, spoiler)
    right = desired(case.records)
    existing = _existing(state)
    _once(verdict, existing)
    if not spoiler.lied:
        wrong = [
            id_ for id_, found in once(right).items() if existing.ours.get(id_) != found
        ]
        keys = [ProductKey(NAME, id_) for id_ in wrong]
        _explained(verdict, keys, report, len(right))
    spoiler.troubles = ()
    async with (
        open_shop(serve_records(case.records), 30) as source,
        _store(spoiler) as sink,
    ):
        after = await sync(source, sink, options=_adopting(case, _MENDING))
    verdict.expect(after.status is RunStatus.SUCCEEDED, f"the next run: {after}")
    existing = _existing(state)
    _once(verdict, existing)
    ours = {id_: found[0] for id_, found in existing.ours.items()}
    if spoiler.lied:
        ours = {id_: _desired_of(ours[id_], right.get(id_)) for id_ in ours}
    for id_ in ours.keys() | right.keys():
        there, trigger = ours.get(id_), right.get(id_)
        verdict.expect(there == trigger, f"{id_} is {there} in the end, not {trigger}")


async def _damage(case: RepliesCase, state: State, sink: MedusaSink) -> None:
    product = next(iter(state.products.values()))
    if case.damage == "key":
        nothing = {"update": [{"id": product["id"], "external_id": None}]}
        await sink.client.post("/admin/products/batch", nothing)
    elif case.damage:
        interrupt(state, product, case.damage)


def _adopting(case: RepliesCase, options: Options) -> Options:
    by = AdoptBy.HANDLE if case.bare else AdoptBy.SKU
    return attrs.evolve(options, adopt=[by] if case.damage == "key" else [])


@asynccontextmanager
async def _store(spoiler: Spoiler) -> AsyncIterator[MedusaSink]:
    settings = MedusaSettings(
        url="https://store.test", email="admin@example.com", password="supersecret"
    )
    async with settings.open(session(Wire(spoiler))) as sink:
        yield sink


async def _disturbed(
    case: RepliesCase, verdict: Verdict, spoiler: Spoiler
) -> Report | None:
    if case.opening:
        spoiler.order(case.troubles)
    async with open_shop(serve_records(case.records), case.page_size) as source:
        try:
            async with _store(spoiler) as sink:
                if not case.opening:
                    spoiler.order(case.troubles)
                return await attempt(verdict, source, sink, _adopting(case, _DISTURBED))
        except Exception as error:  # noqa: BLE001 - any of them is looked at
            note(verdict, error)
    return None


def _existing(state: State) -> Found:
    """What the store holds, with the prices that everybody pays and the stock there is.

    A store that gave a wrong location has stock at one that is not there.
    """
    places = state.locations.keys()
    products = [
        {**raw, "variants": [_plainly(variant, places) for variant in raw["variants"]]}
        for raw in state.products.values()
    ]
    return existing_by_medusa(products, state.categories.values())


def _plainly(variant: Mapping[str, Any], places: Collection[str]) -> Mapping[str, Any]:
    prices = [row for row in variant.get("prices") or () if not row["rules"]]
    items = [
        {**link, "inventory": _at(link["inventory"], places)}
        for link in variant["inventory_items"] or ()
    ]
    return {**variant, "prices": prices, "inventory_items": items}


def _at(item: Mapping[str, Any], places: Collection[str]) -> Mapping[str, Any]:
    there = [each for each in item["location_levels"] if each["location_id"] in places]
    return {**item, "location_levels": there}


def _once(verdict: Verdict, existing: Found) -> None:
    """Nothing is there twice."""
    verdict.expect(not existing.twice, f"twice: {existing.twice}")
    twice = [key for key, found in existing.ours.items() if len(found) > 1]
    verdict.expect(not twice, f"twice: {twice}")


def _desired_of(there: Thing, trigger: Thing | None) -> Thing:
    """Without what the store made pass for the work of other people."""
    if trigger is None:
        return there
    return attrs.evolve(
        there,
        images=tuple(url for url in there.images if url in trigger.images),
        categories=there.categories & trigger.categories,
        tags=there.tags & trigger.tags,
    )
