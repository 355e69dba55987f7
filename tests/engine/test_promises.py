"""Adapters that break their protocol: reported, and never accepted."""

# What is tried here is of the wrong type on purpose.
# pyright: basic

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    BatchRefusedError,
    CatalogSyncError,
    Change,
    Conflict,
    Existing,
    Limits,
    MemorySink,
    Options,
    Outcome,
    OutcomeStatus,
    Page,
    Product,
    ProductKey,
    Prune,
    RefusedError,
    Rejected,
    RunStatus,
    TransientError,
    as_source,
    sync,
)
from catalogsync.catalog.changes import ExistingReference, ReferenceOutcome
from catalogsync.errors import BrokenPromiseError
from catalogsync.report import Counts

from .fakes import FaultySink, catalog, fast, key, priced, product

WRONG: list[Any] = [None, "text", 5, b"bytes", object(), (n for n in range(2)), {1, 2}]
Bad = Callable[..., Any]


@attrs.define
class Source:
    """Returns what the test says."""

    answer: Any
    name: str = "shop"
    requests: int = 0

    async def read(self, _: Any, /) -> Any:
        return self.answer

    async def get(self, _: Any, /) -> Any:
        return self.answer


async def reported(run: Any, *texts: str) -> None:
    """The run raises or its report says it; nothing passes for a success."""
    try:
        report = await run
    except BrokenPromiseError as error:
        text = str(error)
    else:
        assert report.status is not RunStatus.SUCCEEDED
        text = str(report)
    for each in texts:
        assert each in text


def pages() -> list[Any]:
    """Invalid pages, or pages with something wrong in them."""
    good = catalog(2)
    return [
        *WRONG,
        good,
        Page(products=None),  # type: ignore[arg-type]
        Page(products=(p for p in good)),  # type: ignore[arg-type]
        Page(products=["x"]),  # type: ignore[list-item]
        Page(products=[None]),  # type: ignore[list-item]
        Page(products=good, next="cur2"),  # type: ignore[arg-type]
        Page(products=good, next=5),  # type: ignore[arg-type]
        Page(products=good, next=None),  # type: ignore[arg-type]
        Page(products=good, next=(2,)),  # type: ignore[arg-type]
        Page(products=good, total="2"),  # type: ignore[arg-type]
        Page(products=good, total=True),
        Page(products=good, rejected=["x"]),  # type: ignore[list-item]
        Page(products=good, rejected=None),  # type: ignore[arg-type]
        Page(
            products=good,
            rejected=[Rejected(key="shop:9", reason="x", where="y")],  # type: ignore[arg-type]
        ),
        Page(products=good, before="shop:1"),  # type: ignore[arg-type]
        Page(products=[Product(key=ProductKey("other", "1"), title="x")]),
    ]


@pytest.mark.parametrize("number", range(len(pages())))
async def test_a_source_that_gives_no_page(number: int) -> None:
    sink = MemorySink()
    run = sync(Source(pages()[number]), sink, options=fast())
    await reported(run, "Source.read")
    assert not sink.products


@pytest.mark.parametrize("number", range(len(pages())))
async def test_a_lookup_that_gives_no_page(number: int) -> None:
    options = fast(keys=[key(0), key(1)])
    await reported(
        sync(Source(pages()[number]), MemorySink(), options=options), "Source.get"
    )


async def test_a_lookup_that_gives_others() -> None:
    options = fast(keys=[key(0)])
    source = Source(Page(products=catalog(2)))
    await reported(sync(source, MemorySink(), options=options), "shop:1", "asked for")


class NotAwaitable:
    """Has a plain `def` where `async def` is needed."""

    name = "shop"

    def read(self, _: Any, /) -> Any:
        return Page(products=catalog(1))


class Yields:
    """Is an async generator where a page is needed."""

    name = "shop"

    async def read(self, _: Any, /) -> Any:
        yield Page(products=catalog(1))


@pytest.mark.parametrize("source", [NotAwaitable(), Yields()])
async def test_a_read_that_cannot_be_awaited(source: Any) -> None:
    run = sync(source, MemorySink(), options=fast())
    await reported(run, f"{type(source).__name__}.read", "async def")


async def test_other_properties_of_the_wrong_type() -> None:
    source = as_source(catalog(1))
    sink: Any
    for sink in (MemorySink(name=5), MemorySink(limits={"batch": 3})):  # type: ignore[arg-type]
        await reported(sync(source, sink), "MemorySink.")
    await reported(sync(Source(Page(products=[]), requests="3"), MemorySink()))  # type: ignore[arg-type]


@attrs.define(kw_only=True)
class Sink(MemorySink):
    """Returns what the test says instead of the right answer.

    Attributes:
        find_gives: Makes the answer of `find` from the right one.
        write_gives: Makes that of `write`.
    """

    find_gives: Bad | None = None
    write_gives: Bad | None = None

    async def find(self, desired: Sequence[Product], /, **more: Any) -> Any:
        right = await MemorySink.find(self, desired, **more)
        return self.find_gives(desired, right) if self.find_gives else right

    async def write(self, changes: Sequence[Change], /) -> Any:
        right = await MemorySink.write(self, changes)
        return self.write_gives(changes, right) if self.write_gives else right


def ours(desired: Sequence[Product], **more: Any) -> dict[ProductKey, Any]:
    return {
        p.key: Existing(**{"product": p, "last_applied": "{}", **more}) for p in desired
    }


FINDS: list[Bad] = [
    *(lambda _, __, value=value: value for value in WRONG),
    lambda _, __: [],
    lambda _, right: list(right),
    lambda desired, _: {str(p.key): Existing(product=p) for p in desired},
    lambda desired, _: {p.key.id: Existing(product=p) for p in desired},
    lambda desired, _: {p: Existing(product=p) for p in desired},
    lambda desired, _: dict.fromkeys(p.key for p in desired),
    lambda desired, _: {p.key: p for p in desired},
    lambda desired, _: {p.key: [Existing(product=p)] for p in desired},
    lambda desired, right: {
        **right,
        key("nobody"): Existing(product=product("nobody")),
    },
    lambda desired, right: {**right, key("nobody"): Conflict(reason="x")},
    lambda desired, _: {p.key: Existing(product=None) for p in desired},  # type: ignore[arg-type]
    lambda desired, _: {p.key: Existing(product=product("nobody")) for p in desired},
    lambda desired, _: ours(desired, last_applied=5),
    lambda desired, _: ours(desired, last_applied=b"{}"),
    lambda desired, _: ours(desired, missing_parts="no variant"),
    lambda desired, _: ours(desired, missing_parts=None),
    lambda desired, _: ours(desired, age="5"),
    lambda desired, _: ours(desired, references=["x"]),
    lambda desired, _: ours(desired, foreign=True),
    lambda desired, _: {p.key: Conflict(reason=None) for p in desired},  # type: ignore[arg-type]
]


@pytest.mark.parametrize("gives", FINDS)
async def test_a_find_that_is_wrong(gives: Bad) -> None:
    sink = Sink(find_gives=gives)
    await reported(sync(as_source(catalog(3)), sink, options=fast()), "Sink.find: ")
    assert not sink.products


@pytest.mark.parametrize("gives", FINDS)
async def test_a_find_of_foreign_products_that_is_wrong(gives: Bad) -> None:
    class Adopts(Sink):
        async def find_foreign(self, desired: Any, /, **_: Any) -> Any:
            return gives(desired, {})

    options = fast(adopt=["sku"])
    run = sync(as_source(catalog(3)), Adopts(), options=options)
    found = gives(catalog(3), {})
    if isinstance(found, Mapping) and all(
        isinstance(o, Existing) and o.foreign for o in found.values()
    ):
        await run
        return
    await reported(run, "Adopts.find_foreign: ")


async def test_a_find_by_text_doubles_nothing() -> None:
    """It would create everything again in every run."""
    sink = Sink(find_gives=lambda _, right: {str(k): o for k, o in right.items()})
    await sync(as_source(catalog(2)), sink)
    for _ in range(2):
        with pytest.raises(BrokenPromiseError, match="'shop:0'"):
            await sync(as_source(catalog(2)), sink)
    assert len(sink.products) == 2


WRITES: list[Bad] = [
    *(lambda _, __, value=value: value for value in WRONG if value is not None),
    lambda _, __: None,
    lambda _, right: {o.key: o for o in right},
    lambda _, right: (o for o in right),
    lambda _, right: [o.key for o in right],
    lambda _, right: [None for _ in right],
    lambda _, right: [o.status for o in right],
    lambda _, right: [Outcome(str(o.key), o.status) for o in right],  # type: ignore[arg-type]
    lambda _, right: [Outcome(o.key, "created") for o in right],  # type: ignore[arg-type]
    lambda _, right: [Outcome(o.key, "fine") for o in right],  # type: ignore[arg-type]
    lambda _, right: [Outcome(o.key, True) for o in right],  # type: ignore[arg-type]
    lambda _, right: [Outcome(o.key, OutcomeStatus.UPDATED) for o in right],
    lambda _, right: [Outcome(o.key, OutcomeStatus.SKIPPED) for o in right],
    lambda _, right: [Outcome(o.key, OutcomeStatus.FAILED, None) for o in right],  # type: ignore[arg-type]
    lambda _, right: [Outcome(o.key, OutcomeStatus.FAILED, holder="x") for o in right],  # type: ignore[arg-type]
    lambda _, right: [*right, Outcome(key("nobody"), OutcomeStatus.CREATED)],
    lambda _, right: [*right, *right],
    lambda _, right: [*right, Outcome(right[0].key, OutcomeStatus.FAILED, "no")],
    lambda changes, _: [c.again("busy") for c in changes],
    lambda changes, _: [c.again(ValueError("busy")) for c in changes],
    lambda changes, _: [c.again(None) for c in changes],
]


@pytest.mark.parametrize("gives", WRITES)
async def test_a_write_that_answers_wrong(gives: Bad) -> None:
    """Once something is written there is a report, and what was done stays done."""
    sink = Sink(write_gives=gives)
    report = await sync(as_source(catalog(3)), sink, options=fast())
    assert report.status is RunStatus.FAILED
    assert "Sink.write: " in report.problem
    assert len(sink.products) == 3
    sink.write_gives = None
    again = await sync(as_source(catalog(3)), sink, options=fast())
    assert again.status is RunStatus.SUCCEEDED
    assert again.counts == Counts(fetched=3, unchanged=3)


@pytest.mark.parametrize("gives", WRITES)
async def test_a_removal_that_answers_wrong(gives: Bad) -> None:
    sink = Sink()
    await sync(as_source(catalog(3)), sink)
    sink.write_gives = gives

    class Gone(Source):
        async def get(self, _: Any, /) -> Any:
            return Page(products=[])

    source = Gone(Page(products=catalog(1)))
    options = fast(prune=Prune.DELETE, max_prune=5)
    report = await sync(source, sink, options=options)
    assert report.status is RunStatus.FAILED
    assert "Sink.write: " in report.problem


REFUSALS: list[Bad] = [
    lambda culprit: {"culprits": {str(culprit): "taken"}},
    lambda culprit: {"culprits": {culprit: None}},
    lambda culprit: {"culprits": {culprit: "taken"}, "holders": {culprit: "shop:1"}},
    lambda culprit: {"culprits": {culprit: "taken"}, "holders": {"shop:1": culprit}},
]


@pytest.mark.parametrize("names", REFUSALS)
async def test_a_refusal_that_names_products_wrong(names: Bad) -> None:
    def refuses(changes: Sequence[Change], _: Any) -> Any:
        raise BatchRefusedError("taken", **names(changes[0].key))

    run = sync(as_source(catalog(3)), Sink(write_gives=refuses), options=fast())
    await reported(run, "Sink.write: ", "BatchRefusedError.")


async def test_an_update_that_is_said_to_be_a_removal() -> None:
    def gives(changes: Any, _: Any) -> list[Outcome]:
        return [Outcome(c.key, OutcomeStatus.REMOVED) for c in changes]

    report = await sync(as_source(catalog(1)), Sink(write_gives=gives))
    assert "answered 'removed' for shop:0, but the action is create" in report.problem


async def test_valid_answers_count_beside_invalid_ones() -> None:
    def gives(_: Any, right: list[Any]) -> list[Any]:
        return [right[0], Outcome(right[1].key, "created"), *right[2:]]  # type: ignore[arg-type]

    report = await sync(as_source(catalog(4)), Sink(write_gives=gives), options=fast())
    assert report.counts.created == 3
    assert [(o.key, o.status) for o in report.failures] == [
        (key(1), OutcomeStatus.UNRESOLVED)
    ]
    assert "status of shop:1 must be OutcomeStatus, is the text 'created'" in (
        report.problem
    )


@pytest.mark.parametrize("method", ["find", "write"])
async def test_a_sink_whose_methods_are_not_async(method: str) -> None:
    class Plain(MemorySink):
        pass

    setattr(Plain, method, lambda *_, **__: [])
    run = sync(as_source(catalog(2)), Plain(), options=fast())
    await reported(run, f"Plain.{method}", "async def")


SHAPES: list[Bad] = [
    *(lambda _, value=value: value for value in WRONG),
    lambda p: attrs.evolve(p, key=ProductKey("shop", "z" + p.key.id)),
    lambda p: (p,),
]


@pytest.mark.parametrize("gives", SHAPES)
async def test_a_shape_that_is_wrong_fails_its_product(gives: Bad) -> None:
    class Shaping(MemorySink):
        def shape(self, product: Product, /) -> Any:
            return gives(product) if product.key == key(1) else product

    sink = Shaping()
    report = await sync(as_source(catalog(3)), sink)
    assert report.counts.created == 2
    assert [o.key for o in report.failures] == [key(1)]
    assert "Shaping.shape: " in report.failures[0].reason


async def test_pure_methods_that_are_async() -> None:
    class Async(MemorySink):
        async def shape(self, product: Product, /) -> Product:
            return product

    report = await sync(as_source(catalog(1)), Async())
    assert "must be a plain `def`" in report.failures[0].reason


@pytest.mark.parametrize("value", [None, "5", 1.5, -1, True])
async def test_a_weight_that_is_wrong(value: Any) -> None:
    class Heavy(MemorySink):
        def weigh(self, change: Change, /) -> Any:
            return value

    sink = Heavy(limits=Limits(weight=100))
    await reported(sync(as_source(catalog(2)), sink), "Heavy.weigh: ")


@pytest.mark.parametrize("value", [None, "", 5, ["x"]])
async def test_a_handle_that_is_wrong(value: Any) -> None:
    class Named(MemorySink):
        def handle(self, product: Product, /) -> Any:
            return value

    await reported(sync(as_source(catalog(2)), Named()), "Named.handle: ")


OWNED: list[Bad] = [
    *(lambda value=value: value for value in WRONG),
    lambda: [product(1)],
    lambda: [None],
    lambda: [Existing(product=Product(key=ProductKey("other", "1"), title="x"))],
    lambda: [Existing(product=product(1), foreign=True)],
    lambda: Existing(product=product(1)),
    lambda: {key(1): Existing(product=product(1))},
]


@pytest.mark.parametrize("gives", OWNED)
async def test_an_owned_that_is_wrong(gives: Bad) -> None:
    class Owns(MemorySink):
        async def owned(self, source: str, /) -> AsyncIterator[Any]:
            yield gives()

    options = fast(prune=Prune.UNPUBLISH)
    await reported(sync(as_source(catalog(1)), Owns(), options=options), "Owns.owned: ")


async def test_an_owned_that_returns_a_list() -> None:
    class Owns(MemorySink):
        async def owned(self, source: str, /) -> Any:
            return []

    options = fast(prune=Prune.UNPUBLISH)
    await reported(sync(as_source(catalog(1)), Owns(), options=options), "with a yield")


REFERENCES: list[Bad] = [
    *(lambda _, value=value: value for value in WRONG),
    lambda desired: {r.id: ExistingReference(id="1", name="x") for r in desired},
    lambda desired: {r: "1" for r in desired},  # noqa: C420
    lambda desired: {r: ExistingReference(id=5, name="x") for r in desired},  # type: ignore[arg-type]
    lambda desired: {r: ExistingReference(id="1", name=None) for r in desired},  # type: ignore[arg-type]
    lambda desired: {
        attrs.evolve(r, id="nobody"): ExistingReference(id="1", name="x")
        for r in desired
    },
]


@pytest.mark.parametrize("gives", REFERENCES)
async def test_references_that_are_wrong(gives: Bad) -> None:
    class Refers(MemorySink):
        async def find_references(self, desired: Any, /) -> Any:
            return gives(desired)

        async def write_references(self, changes: Any, /) -> Any:
            raise AssertionError

    source = as_source([product(1, tags=["a"])])
    await reported(sync(source, Refers()), "Refers.find_references: ")


WRITTEN: list[Bad] = [
    *(lambda _, value=value: value for value in WRONG),
    lambda changes: [c.reference for c in changes],
    lambda changes: [ReferenceOutcome(reference=c.reference, id=5) for c in changes],  # type: ignore[arg-type]
    lambda changes: [ReferenceOutcome(reference="a", id="5") for _ in changes],  # type: ignore[arg-type]
    lambda changes: [
        ReferenceOutcome(reference=attrs.evolve(c.reference, id="z"), id="5")
        for c in changes
    ],
    lambda changes: (
        [ReferenceOutcome(reference=c.reference, id="5") for c in changes] * 2
    ),
]


@pytest.mark.parametrize("gives", WRITTEN)
async def test_written_references_that_are_wrong(gives: Bad) -> None:
    class Refers(MemorySink):
        async def find_references(self, desired: Any, /) -> Any:
            return {}

        async def write_references(self, changes: Any, /) -> Any:
            return gives(changes)

    source = as_source([product(1, tags=["a"])])
    await reported(sync(source, Refers()), "Refers.write_references: ")


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.just(key(0))
    | st.just(OutcomeStatus.CREATED)
    | st.just(Outcome(key(0), OutcomeStatus.CREATED))
    | st.just(Outcome(key(9), OutcomeStatus.CREATED))
    | st.just(Existing(product=product(0)))
    | st.just(Page(products=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.sampled_from(["read", "find", "write"]), junk)
async def test_whatever_an_adapter_returns(method: str, value: Any) -> None:
    """Only errors of ours end a run, and no report is wrong."""
    source = Source(value) if method == "read" else as_source([product(0)])
    sink = Sink()
    if method == "find":
        sink.find_gives = lambda *_: value
    elif method == "write":
        sink.write_gives = lambda *_: value
    try:
        report = await sync(source, sink, options=Options())  # type: ignore[arg-type]
    except CatalogSyncError:
        assert not sink.products
        return
    if report.counts.created:
        assert sink.products
    if report.status is RunStatus.SUCCEEDED:
        assert len(sink.products) == report.counts.fetched


class Buggy(MemorySink):
    """Has a defect, called by way of another function."""

    async def write(self, changes: Sequence[Change], /) -> Any:
        return [self._row(change)["ident"] for change in changes]

    def _row(self, change: Change) -> dict[str, str]:
        return {"id": change.key.id}

    def shape(self, product: Product, /) -> Product:
        return attrs.evolve(product, weight=self._grams(product))

    def _grams(self, product: Product) -> Decimal:
        return Decimal("x") if product.title == "odd" else Decimal(1)


async def test_a_defect_keeps_its_class_place_and_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, "catalogsync"):
        report = await sync(as_source(catalog(2)), Buggy())
    assert report.status is RunStatus.FAILED
    assert "KeyError: 'ident' in Buggy.write (test_promises.py:" in report.problem
    (record,) = [r for r in caplog.records if r.exc_info]
    assert record.exc_info
    assert record.exc_info[0] is KeyError
    assert "Buggy.write (test_promises.py:" in record.getMessage()


async def test_a_defect_below_a_library_is_placed_in_the_adapter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ArithmeticError):
        await sync(as_source([product(1, title="odd")]), Buggy())
    assert "InvalidOperation" in caplog.text
    assert "in Buggy._grams (test_promises.py:" in caplog.text


async def test_a_last_applied_that_is_not_kept_is_noticed() -> None:
    class Forgetful(MemorySink):
        async def find(self, desired: Any, /, **more: Any) -> Any:
            found = await super().find(desired, **more)
            return {k: attrs.evolve(o, last_applied=None) for k, o in found.items()}  # type: ignore[misc]

    sink, source = Forgetful(), as_source([priced(n) for n in range(3)])
    first = await sync(source, sink, options=fast(verify=True))
    assert {d.fields for d in first.discrepancies} == {("last_applied",)}
    second = await sync(source, sink, options=fast())
    assert second.status is RunStatus.DEGRADED
    (warning,) = second.warnings
    assert "last_applied" in warning


@pytest.mark.parametrize("keep", [lambda t: t[:40], lambda t: "{}", lambda t: t + "x"])
async def test_a_last_applied_that_is_kept_otherwise_is_noticed(
    keep: Callable[[str], str],
) -> None:
    class Cuts(MemorySink):
        async def find(self, desired: Any, /, **more: Any) -> Any:
            found = await super().find(desired, **more)
            return {
                k: attrs.evolve(o, last_applied=keep(o.last_applied))
                for k, o in found.items()
            }  # type: ignore[misc, union-attr, arg-type]

    source = as_source([priced(n) for n in range(3)])
    report = await sync(source, Cuts(), options=fast(verify=True))
    assert {d.fields for d in report.discrepancies} == {("last_applied",)}


async def test_a_last_applied_that_is_kept_is_no_discrepancy() -> None:
    source = as_source([priced(n) for n in range(3)])
    report = await sync(source, MemorySink(), options=fast(verify=True))
    assert report.status is RunStatus.SUCCEEDED


def test_a_creation_is_not_taken_to_collide() -> None:
    assert not Limits().collides
    assert MemorySink().limits.collides


async def test_the_error_names_what_was_raised_by_several_tasks() -> None:
    class Grouped(MemorySink):
        async def write(self, changes: Any, /) -> Any:
            raise ExceptionGroup("several", [ZeroDivisionError("x"), ValueError("y")])

    report = await sync(as_source(catalog(1)), Grouped())
    assert "ExceptionGroup: ZeroDivisionError: x" in report.problem


GROUPS = st.recursive(
    st.sampled_from([TransientError("busy"), RefusedError("bad"), ValueError("x")]),
    lambda inner: st.builds(
        ExceptionGroup, st.just("group"), st.lists(inner, min_size=1, max_size=3)
    ),
)


def leaves(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in leaves(each)]


@settings(deadline=None)
@given(GROUPS)
async def test_the_errors_of_several_tasks_count_like_one(error: Exception) -> None:
    """A `TaskGroup` in an adapter made a defect of an error that passes."""
    sink, goods, found = FaultySink(), catalog(2), leaves(error)
    sink.find_faults.append(error)
    run = sync(as_source(goods), sink, options=fast())
    if all(isinstance(each, TransientError) for each in found):
        assert (await run).status is RunStatus.SUCCEEDED
        assert sink.holds(*goods)
        return
    ours = all(isinstance(each, CatalogSyncError) for each in found)
    with pytest.raises(RefusedError if ours else (ValueError, ExceptionGroup)):
        await run


async def test_an_error_of_ours_is_not_a_defect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Down(MemorySink):
        async def write(self, changes: Any, /) -> Any:
            raise TransientError("busy")

    await sync(as_source(catalog(1)), Down(), options=fast())
    assert not [r for r in caplog.records if r.exc_info]
