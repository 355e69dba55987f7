"""The public API as the type checkers see it; never run, must pass both."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, assert_type

import attrs

from catalogsync import (
    UNSET,
    Action,
    BatchRefusedError,
    BrokenReplyError,
    CatalogSyncError,
    Category,
    Change,
    Conflict,
    ConflictError,
    Dimensions,
    EventHook,
    Existing,
    Field,
    Image,
    InvalidValueError,
    Limits,
    LookupSource,
    MemorySink,
    MisconfiguredError,
    OnDeleted,
    OnManualEdit,
    Options,
    Outcome,
    OutcomeStatus,
    Owner,
    Page,
    Plan,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    RefusedError,
    Rejected,
    Report,
    RetryPolicy,
    Run,
    RunFailedError,
    RunStatus,
    Sink,
    Source,
    StateSettings,
    StockLevel,
    Sync,
    Transform,
    TransientError,
    UnauthorizedError,
    Variant,
    WhenBusy,
    __version__,
    as_source,
    batcher,
    run_blocking,
    sync,
)
from catalogsync.adapters.memory import MemorySource
from catalogsync.batching import batched
from catalogsync.catalog.changes import (
    ExistingReference,
    FieldDiff,
    Found,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
    Removal,
    Update,
    VariantChange,
    Write,
)
from catalogsync.catalog.products import Json, Unset
from catalogsync.diff.compare import plan
from catalogsync.diff.describe import diff
from catalogsync.diff.ownership import ManualEdit
from catalogsync.engine import RetrySource
from catalogsync.engine.retrying import find_failed
from catalogsync.errors import MissingExtraError
from catalogsync.events import Event
from catalogsync.protocols import (
    AdoptBy,
    AdoptingSink,
    CheckResult,
    CountsRequests,
    Cursor,
    HasEndpoint,
    NormalizingSink,
    ReferencingSink,
    RemovingSink,
    SelfChecking,
    SizedSink,
)
from catalogsync.report import CategoryCounts, Counts, Discrepancy
from catalogsync.state import FailedProduct, RunRecord, StateStore
from catalogsync.testing.conformance import (
    Setup,
    sink_promises,
    source_promises,
    state_promises,
)


@attrs.frozen
class CsvSource:
    """A source as a user writes it."""

    rows: Sequence[Mapping[str, str]]
    name: str = "csv"

    async def read(self, cursor: Cursor | None, /) -> Page:
        products: list[Product] = []
        rejected: list[Rejected] = []
        for number, row in enumerate(self.rows):
            try:
                price = Price(amount=Decimal(row["price"]), currency="EUR")
                products.append(
                    Product(
                        key=ProductKey(self.name, row["id"]),
                        title=row["title"],
                        variants=[Variant(id="default", prices=[price])],
                    )
                )
            except InvalidValueError as error:
                where = f"row {number}"
                rejected.append(Rejected(key=None, reason=str(error), where=where))
        return Page(products=products, rejected=rejected, total=len(self.rows))


@attrs.define
class DictSink:
    """A sink as a user writes it."""

    name: str = "dict"
    limits: Limits = attrs.field(factory=Limits)
    existing: dict[ProductKey, Existing] = attrs.field(
        factory=dict[ProductKey, Existing]
    )

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        return {p.key: self.existing[p.key] for p in desired if p.key in self.existing}

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        for change in changes:
            if isinstance(change, Removal):
                del self.existing[change.key]
                continue
            self.existing[change.key] = Existing(
                product=change.product, last_applied=change.last_applied
            )
        return [change.done() for change in changes]


@attrs.define
class AbleSink(DictSink):
    """A sink with every optional ability."""

    requests: int = 0

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        return {r: ExistingReference(id=r.id, name=r.name) for r in references}

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        return [ReferenceOutcome(reference=c.reference, id="1") for c in changes]

    def shape(self, product: Product, /) -> Product:
        return attrs.evolve(product, title=product.title[:50])

    def weigh(self, change: Write, /) -> int:
        return len(change.last_applied)

    async def check(self) -> Sequence[CheckResult]:
        return [CheckResult(ok=True, what="memory", text="is there")]


@attrs.frozen
class AbleSource(CsvSource):
    """A source with every optional ability."""

    requests: int = 0

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        return Page(products=[])

    async def check(self) -> Sequence[CheckResult]:
        return []


def protocols() -> Sequence[object]:
    sources: list[Source] = [CsvSource([]), AbleSource([]), as_source([])]
    sinks: list[Sink] = [DictSink(), AbleSink(), MemorySink()]
    lookup: LookupSource = AbleSource([])
    referencing: ReferencingSink = AbleSink()
    shaping: NormalizingSink = AbleSink()
    weighing: SizedSink = AbleSink()
    checkable: list[SelfChecking] = [AbleSink(), AbleSource([])]
    metered: list[CountsRequests] = [AbleSink(), AbleSource([])]
    hook: EventHook = note
    edit: Transform = veto
    pruning: RemovingSink = MemorySink()
    adopting: AdoptingSink = MemorySink()
    located: HasEndpoint = MemorySink()
    plain = (sources, sinks, checkable, metered, hook, edit)
    able = (lookup, referencing, shaping, weighing, pruning, adopting, located)
    return (*plain, *able)


def note(event: Event, /) -> None:
    assert_type(event.run_id, str)


def veto(product: Product) -> Product | None:
    return product if product.variants else None


def model(product: Product, variant: Variant, price: Price) -> None:
    assert_type(product.key, ProductKey)
    assert_type(product.title, str)
    assert_type(product.description, str | Unset | None)
    assert_type(product.status, ProductStatus | Unset)
    assert_type(product.images, tuple[Image, ...] | Unset)
    assert_type(product.categories, tuple[Category, ...] | Unset)
    assert_type(product.tags, tuple[str, ...] | Unset)
    assert_type(product.weight, Decimal | Unset | None)
    assert_type(product.dimensions, Dimensions | Unset | None)
    assert_type(product.attributes, Mapping[str, Json] | Unset)
    assert_type(product.variants, tuple[Variant, ...] | Unset)
    assert_type(variant.title, str | Unset)
    assert_type(variant.options, Mapping[str, str])
    assert_type(variant.prices, tuple[Price, ...] | Unset)
    assert_type(variant.stock, tuple[StockLevel, ...] | Unset)
    assert_type(price.amount, Decimal)
    assert_type(price.currency, str)
    assert_type(ProductKey.parse("shop:1"), ProductKey)
    assert_type(bool(UNSET), bool)
    for tag in product.tags or ():
        assert_type(tag, str)
    if product.tags is not UNSET:
        assert_type(product.tags, tuple[str, ...])


def make() -> Product:
    """Lists of any kind may be given."""
    return Product(
        key=ProductKey("shop", "1"),
        title="Cup",
        images=[Image(url="https://a/1.png")],
        categories=(Category(id="a", name="A", parent=None),),
        tags={"a", "b"},
        dimensions=Dimensions(length=Decimal(1)),
        attributes={"a": [1, {"b": None}]},
        variants=iter([Variant(id="v", stock=[StockLevel(quantity=1)])]),
    )


def pure(product: Product, existing: Existing) -> None:
    change = plan(product, existing)
    assert_type(change, Write | None)
    assert_type(plan(product, None, {Field.TAGS: ("1",)}), Write | None)
    if change is not None:
        assert_type(diff(change), tuple[FieldDiff, ...])
        assert_type(change.key, ProductKey)
        assert_type(change.action, Action)
        if isinstance(change, Update):
            assert_type(change.variants, tuple[VariantChange, ...])
        assert_type(change.references, Mapping[Field, tuple[str, ...]])
        assert_type(change.done(), Outcome)
    assert_type(list(batched(["a"], 2)), list[list[str]])
    assert_type(batched(["a"], weight=9, weigh=len), Iterator[list[str]])
    collect = batcher(2, weight=10, weigh=weigh)
    assert_type(collect.send(product), list[Product] | None)
    assert_type(RetryPolicy(attempts=3, timeout=None).delays(), tuple[float, ...])


def weigh(product: Product) -> int:
    return len(product.title)


def outcomes(existing: Found, outcome: Outcome, reference: Reference) -> str:
    assert_type(outcome.status, OutcomeStatus)
    assert_type(reference.kind, ReferenceKind)
    assert_type(reference.parent, Reference | None)
    match existing:
        case Existing():
            return existing.product.title
        case Conflict():
            return existing.reason


async def runs(source: Source, sink: Sink) -> None:
    options = Options(
        batch_size=10,
        writers=None,
        pages_ahead=2,
        retry=RetryPolicy(),
        transform=veto,
        limit=5,
        keys=[ProductKey("shop", "1")],
        owns={Field.TITLE: Owner.ON_CREATE},
        on_manual_edit=OnManualEdit.KEEP,
        adopt=[AdoptBy.SKU],
        prune=Prune.UNPUBLISH,
        on_deleted=OnDeleted.LEAVE,
        when_busy=WhenBusy.WAIT,
    )
    assert_type(options.prune, Prune | None)
    assert_type(options.adopt, tuple[AdoptBy, ...])
    assert_type(await sync(source, sink, options=options, hooks=[note]), Report)
    assert_type(await Sync(source, sink).plan(print), Report)
    async with Sync(source, sink, job="nightly").run() as run:
        started: Run = assert_type(run, Run)
        assert_type(await started, Report)
        assert_type(run.run_id, str)
        assert_type(run.counts, Counts)
        run.stop(grace=1.0, reason="enough")
        report = await run.report()
    assert_type(report.status, RunStatus)
    assert_type(report.counts.created, int)
    assert_type(report.categories, CategoryCounts)
    assert_type(report.failures, tuple[Outcome, ...])
    assert_type(report.manual_edits, tuple[ManualEdit, ...])
    assert_type(report.discrepancies, tuple[Discrepancy, ...])
    assert_type(report.to_dict(), dict[str, Any])
    assert_type(report.raise_for_status(accept_degraded=True), Report)


async def remembered(source: Source, sink: Sink, plan_file: Plan) -> None:
    async with StateSettings(url="memory:").open() as store:
        assert_type(store, StateStore)
        assert_type(await sync(source, sink, state=store), Report)
        assert_type(await store.runs(job="nightly"), Sequence[RunRecord])
        assert_type(await store.failures("nightly"), Sequence[FailedProduct])
        failed = await find_failed(source, store, job="nightly")
        assert_type(failed, RetrySource)
        retry = Sync(failed.name, sink, job="nightly", state=store).retry(failed)
        assert_type(await retry, Report)
        assert_type(await Sync(source, sink, state=store).failed(), RetrySource)
    assert_type(await Sync(plan_file.head.source, sink).apply(plan_file), Report)
    assert_type(await Sync("shop", sink).release(), Report)


def blocking() -> None:
    assert_type(run_blocking(CsvSource([]), DictSink()), Report)
    assert_type(run_blocking(Settings(), Settings2()), Report)
    assert_type(__version__, str)


@attrs.frozen
class Settings:
    """Settings of a source."""

    def open(self) -> contextlib.AbstractAsyncContextManager[CsvSource]:
        return contextlib.nullcontext(CsvSource([]))


@attrs.frozen
class Settings2:
    """Settings of a sink."""

    def open(self) -> contextlib.AbstractAsyncContextManager[DictSink]:
        return contextlib.nullcontext(DictSink())


def iterables(products: AsyncIterator[Product]) -> None:
    assert_type(as_source([make()], name="a"), MemorySource)
    assert_type(as_source(products, page_size=10), MemorySource)
    assert_type(MemorySink().products, dict[ProductKey, Product])


def errors(error: CatalogSyncError) -> Literal["repeat", "set aside", "stop"]:
    match error:
        case ConflictError() | BrokenReplyError() | TransientError():
            assert_type(error.retry_after, float | None)
            return "repeat"
        case BatchRefusedError():
            assert_type(error.culprits, Mapping[ProductKey, str])
            return "set aside"
        case RefusedError():
            assert_type(error.said, str)
            return "set aside"
        case RunFailedError():
            assert_type(error.report, Report)
        case MisconfiguredError():
            assert_type(error.setting, str)
        case UnauthorizedError() | MissingExtraError() | _:
            pass
    return "stop"


@source_promises
async def csv_keeps_its_promises(file: str) -> AsyncIterator[CsvSource]:
    yield CsvSource([{"file": file}])


@sink_promises
async def dict_keeps_its_promises() -> AsyncIterator[Setup[DictSink]]:
    yield Setup(DictSink(), refused=lambda key: Product(key=key, title="!"))


@state_promises
async def state_keeps_its_promises() -> AsyncIterator[StateStore]:
    async with StateSettings().open() as store:
        yield store


assert_type(csv_keeps_its_promises, Callable[..., None])
