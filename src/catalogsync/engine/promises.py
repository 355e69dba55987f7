"""Checks of everything that adapters return, one function for each method.

An answer that breaks its protocol raises `BrokenPromiseError`, which names the
adapter, the method and the rule. Without these checks, a wrong answer could pass for a
right one: a product that `find` returns under a wrong key would be created again by
every run. The engine calls adapters through this module only.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar, cast

import attrs

from catalogsync.catalog.changes import (
    Change,
    Conflict,
    Existing,
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceOutcome,
    Write,
)
from catalogsync.catalog.outcomes import Again, Outcome, OutcomeStatus, Rejected
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.errors import BatchRefusedError, BrokenPromiseError, TransientError
from catalogsync.protocols import (
    AdoptBy,
    AdoptingSink,
    CheckResult,
    CountsRequests,
    Cursor,
    HandleSink,
    HasEndpoint,
    Limits,
    LookupSource,
    NormalizingSink,
    Page,
    ReferencingSink,
    RemovingSink,
    SelfChecking,
    Sink,
    SizedSink,
    Source,
)

from .defects import DefectError, explained
from .pages import is_cancelled

__all__ = [
    "check_sides",
    "find",
    "find_foreign",
    "find_references",
    "findings",
    "get",
    "handle",
    "owned",
    "read",
    "shape",
    "weigh",
    "write",
    "write_references",
]

T = TypeVar("T")

_END = object()


@attrs.frozen
class _Method:
    """A method of an adapter, with checks whose messages name it."""

    adapter: object
    name: str

    def broke(self, problem: str) -> BrokenPromiseError:
        return BrokenPromiseError(
            f"{type(self.adapter).__qualname__}.{self.name}", problem
        )

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Turn errors of the adapter that would act as signals into `DefectError`."""
        task = asyncio.current_task()
        try:
            yield
        except BaseException as error:
            if _is_meant(error, task):
                raise
            raise DefectError(explained(error, self.adapter)) from error

    async def awaited(self, *args: Any, **named: Any) -> Any:
        """Call a method that must be `async def`.

        Raises:
            DefectError: It raised an error that would act as a signal.
        """
        with self.guarded():
            answer = getattr(self.adapter, self.name)(*args, **named)
            if not _is(answer, Awaitable):
                problem = f"must be `async def` with a return, returned {_kind(answer)}"
                raise self.broke(problem)
            return await answer

    def called(self, *args: Any) -> Any:
        """Call a method that must be a plain `def`.

        Raises:
            DefectError: It raised an error that would act as a signal.
        """
        try:
            answer = getattr(self.adapter, self.name)(*args)
        except BaseException:
            with self.guarded():
                raise
        if _is(answer, Coroutine):
            answer.close()
            raise self.broke("must be a plain `def`, not `async def`")
        return answer

    def must_be(
        self, value: object, kind: type[Any] | tuple[type[Any], ...], what: str = ""
    ) -> None:
        """Check the class of a value; any of several will do."""
        if isinstance(value, bool) and kind is not bool:
            pass  # True is an int, and never meant as one
        elif isinstance(value, kind):
            return
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join("None" if k is type(None) else k.__name__ for k in kinds)
        raise self.broke(f"{what or 'its answer'} must be {names}, is {_kind(value)}")

    def listed(self, value: object, what: str = "") -> Sequence[Any]:
        """Check that a value is a sequence, but not text."""
        if _is(value, str, bytes) or not _is(value, Sequence):
            problem = f"{what or 'its answer'} must be a list, is {_kind(value)}"
            raise self.broke(problem)
        return cast("Sequence[Any]", value)

    def mapped(self, value: object, what: str = "") -> Mapping[Any, Any]:
        """Check that a value is a mapping."""
        if not _is(value, Mapping):
            problem = f"{what or 'its answer'} must be a mapping, is {_kind(value)}"
            raise self.broke(problem)
        return cast("Mapping[Any, Any]", value)

    def of_source(self, key: ProductKey, name: str) -> None:
        """Check that a key belongs to this source."""
        if key.source != name:
            problem = f"returned {key}, but the name of the source is {name!r}"
            raise self.broke(problem)

    def asked_for(
        self, key: object, asked: Collection[object], kind: type[Any]
    ) -> None:
        """Check that an answer was asked for."""
        self.must_be(key, kind, "each key")
        if key not in asked:
            raise self.broke(f"answered for {_named(key)}, which was not asked for")


def _is_meant(error: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Whether an error may pass as it is, given the task that it was raised in."""
    match error:
        case StopIteration() | StopAsyncIteration():
            return False
        case GeneratorExit():  # raised when an unfinished generator is closed
            return asyncio.current_task() is not task
        case asyncio.CancelledError():
            return is_cancelled()
        case _:  # one that is not an `Exception` ends the process, not only the run
            return True


def _is(value: object, *kinds: type[Any]) -> bool:
    return isinstance(value, kinds)


def _kind(value: object) -> str:
    """The class of a value, or short text itself, which often shows the mistake."""
    if value is None:
        return "None"
    if isinstance(value, str) and len(value) < 60:
        return f"the text {value!r}"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"


def _named(key: object) -> str:
    if isinstance(key, Reference):
        return f"the {key.kind.value} {key.id!r}"
    return str(key)


def check_sides(source: Source, sink: Sink) -> None:
    """Check the properties of both sides.

    Raises:
        BrokenPromiseError: One is of the wrong type.
    """
    for side in (source, sink):
        _Method(side, "name").must_be(side.name, str)
        if isinstance(side, CountsRequests):
            _Method(side, "requests").must_be(side.requests, int)
    _Method(sink, "limits").must_be(sink.limits, Limits)
    if isinstance(sink, HasEndpoint):
        _Method(sink, "endpoint").must_be(sink.endpoint, str)


async def read(source: Source, cursor: Cursor | None) -> Page:
    """`Source.read`, checked."""
    method = _Method(source, "read")
    page = await method.awaited(cursor)
    return _page(method, source.name, page)


async def get(source: LookupSource, keys: Sequence[ProductKey]) -> Page:
    """`LookupSource.get`, checked."""
    method = _Method(source, "get")
    page = _page(method, source.name, await method.awaited(keys))
    asked = frozenset(keys)
    for product in page.products:
        method.asked_for(product.key, asked, ProductKey)
    return page


def _page(method: _Method, name: str, page: object) -> Page:
    method.must_be(page, Page)
    page = cast("Page", page)
    for product in method.listed(page.products, "Page.products"):
        method.must_be(product, Product, "each of Page.products")
        method.of_source(product.key, name)
    for record in method.listed(page.rejected, "Page.rejected"):
        method.must_be(record, Rejected, "each of Page.rejected")
        method.must_be(record.key, (ProductKey, type(None)), "Rejected.key")
        if record.key is not None:
            method.of_source(record.key, name)
        method.must_be(record.reason, str, "Rejected.reason")
        method.must_be(record.where, str, "Rejected.where")
    cursors = method.listed(page.next, "Page.next")
    # A lazy sequence may have any number of items, so only one is checked.
    is_made = isinstance(cursors, tuple | list)
    for cursor in cursors if is_made else islice(cursors, 1):
        method.must_be(cursor, str, "each cursor of Page.next")
    method.must_be(page.total, (int, type(None)), "Page.total")
    for what in ("before", "last"):
        value = getattr(page, what)
        method.must_be(value, (ProductKey, type(None)), f"Page.{what}")
    return page


async def find(
    sink: Sink, desired: Sequence[Product], fields: frozenset[Field]
) -> Mapping[ProductKey, Found]:
    """`Sink.find`, checked."""
    method = _Method(sink, "find")
    found = await method.awaited(desired, fields=fields)
    return _found(method, desired, found, foreign=False)


async def find_foreign(
    sink: AdoptingSink,
    desired: Sequence[Product],
    by: AdoptBy,
    fields: frozenset[Field],
) -> Mapping[ProductKey, Found]:
    """`AdoptingSink.find_foreign`, checked."""
    method = _Method(sink, "find_foreign")
    found = await method.awaited(desired, by=by, fields=fields)
    return _found(method, desired, found, foreign=True)


def _found(
    method: _Method, desired: Iterable[Product], found: object, *, foreign: bool
) -> Mapping[ProductKey, Found]:
    asked = {product.key for product in desired}
    for key, existing in method.mapped(found).items():
        method.asked_for(key, asked, ProductKey)
        if existing is None:
            raise method.broke(
                f"returned None for {key}; leave out products that do not exist"
            )
        method.must_be(existing, (Existing, Conflict), f"the result for {key}")
        if isinstance(existing, Existing):
            _existing(method, key, existing, foreign=foreign)
        else:
            method.must_be(existing.reason, str, f"the reason for {key}")
    return cast("Mapping[ProductKey, Found]", found)


def _existing(
    method: _Method, key: ProductKey, existing: Existing, *, foreign: bool
) -> None:
    method.must_be(existing.product, Product, f"Existing.product of {key}")
    if existing.product.key != key:
        raise method.broke(f"returned the product {existing.product.key} for {key}")
    method.must_be(
        existing.last_applied,
        (str, type(None)),
        f"Existing.last_applied of {key}",
    )
    for part in method.listed(
        existing.missing_parts, f"Existing.missing_parts of {key}"
    ):
        method.must_be(part, str, f"each of Existing.missing_parts of {key}")
    method.must_be(existing.age, (int, float, type(None)), f"Existing.age of {key}")
    for names in method.mapped(
        existing.references, f"Existing.references of {key}"
    ).values():
        method.mapped(names, f"Existing.references of {key}")
    if existing.foreign is not foreign:
        problem = f"returned {key} with foreign={existing.foreign}, must be {foreign}"
        raise method.broke(problem)


async def write(
    sink: Sink, changes: Sequence[Change]
) -> tuple[Sequence[Outcome | Again], BrokenPromiseError | None]:
    """`Sink.write`, checked.

    Returns:
        The valid answers, and the error of the first invalid one. The valid ones count
        even so: they say what was done.
    """
    method = _Method(sink, "write")
    try:
        answers = await method.awaited(changes)
    except BatchRefusedError as error:
        _check_refusal(method, error)
        raise
    return _check_answers(method, changes, answers)


def _check_refusal(method: _Method, error: BatchRefusedError) -> None:
    for key, reason in error.culprits.items():
        method.must_be(key, ProductKey, "each key of BatchRefusedError.culprits")
        method.must_be(
            reason, str, f"the reason for {key} in BatchRefusedError.culprits"
        )
    for key, holder in error.holders.items():
        method.must_be(key, ProductKey, "each key of BatchRefusedError.holders")
        method.must_be(
            holder, ProductKey, f"the holder for {key} in BatchRefusedError.holders"
        )


def _check_answers(
    method: _Method, changes: Iterable[Change], answers: object
) -> tuple[list[Outcome | Again], BrokenPromiseError | None]:
    unanswered = {change.key: change for change in changes}
    asked = frozenset(unanswered)
    valid: list[Outcome | Again] = []
    broken: BrokenPromiseError | None = None
    try:
        listed = method.listed(answers)
    except BrokenPromiseError as error:
        return valid, error
    for answer in listed:
        try:
            _check_answer(method, answer, asked, unanswered)
        except BrokenPromiseError as error:
            broken = broken or error
            continue
        del unanswered[answer.key]
        valid.append(answer)
    return valid, broken


def _check_answer(
    method: _Method,
    answer: Any,
    asked: Collection[ProductKey],
    unanswered: Mapping[ProductKey, Change],
) -> None:
    method.must_be(answer, (Outcome, Again), "each answer")
    method.asked_for(answer.key, asked, ProductKey)
    if answer.key not in unanswered:
        raise method.broke(f"answered for {answer.key} twice")
    if isinstance(answer, Again):
        method.must_be(answer.error, TransientError, f"the error of {answer.key}")
        return
    method.must_be(answer.status, OutcomeStatus, f"the status of {answer.key}")
    method.must_be(answer.reason, str, f"the reason for {answer.key}")
    method.must_be(answer.said, str, f"Outcome.said of {answer.key}")
    method.must_be(
        answer.holder, (ProductKey, type(None)), f"the holder for {answer.key}"
    )
    change = unanswered[answer.key]
    done = change.done().status
    allowed = {
        done,
        OutcomeStatus.UNCHANGED,
        OutcomeStatus.FAILED,
        OutcomeStatus.UNRESOLVED,
    }
    if answer.status not in allowed:
        problem = f"answered {answer.status.value!r} for {answer.key}"
        raise method.broke(f"{problem}, but the action is {change.action.value}")


async def owned(
    sink: RemovingSink, source: str
) -> AsyncGenerator[Sequence[Existing], None]:
    """`RemovingSink.owned`, checked page by page."""
    method = _Method(sink, "owned")
    with method.guarded():
        pages: Any = sink.owned(source)
        if _is(pages, Coroutine):
            pages.close()
        if not _is(pages, AsyncIterable):
            raise method.broke(
                f"must be `async def` with a yield, returned {_kind(pages)}"
            )
        pages = aiter(pages)
    while True:
        with method.guarded():
            page: Any = await anext(pages, _END)
        if page is _END:
            return
        for existing in method.listed(page, "each page"):
            method.must_be(existing, Existing, "each product")
            method.must_be(existing.product, Product, "Existing.product")
            method.of_source(existing.product.key, source)
            _existing(method, existing.product.key, existing, foreign=False)
        yield page


async def find_references(
    sink: ReferencingSink, desired: frozenset[Reference]
) -> Mapping[Reference, ExistingReference]:
    """`ReferencingSink.find_references`, checked."""
    method = _Method(sink, "find_references")
    found = await method.awaited(desired)
    for reference, existing in method.mapped(found).items():
        method.asked_for(reference, desired, Reference)
        name = _named(reference)
        method.must_be(existing, ExistingReference, f"the result for {name}")
        method.must_be(existing.id, str, f"the id of {name}")
        method.must_be(existing.name, str, f"the name of {name}")
        method.must_be(existing.parent, (str, type(None)), f"the parent of {name}")
    return cast("Mapping[Reference, ExistingReference]", found)


async def write_references(
    sink: ReferencingSink, changes: Sequence[ReferenceChange]
) -> Sequence[ReferenceOutcome]:
    """`ReferencingSink.write_references`, checked."""
    method = _Method(sink, "write_references")
    outcomes = await method.awaited(changes)
    asked = {change.reference for change in changes}
    seen: set[Reference] = set()
    for outcome in method.listed(outcomes):
        method.must_be(outcome, ReferenceOutcome, "each outcome")
        method.asked_for(outcome.reference, asked, Reference)
        name = _named(outcome.reference)
        if outcome.reference in seen:
            raise method.broke(f"answered for {name} twice")
        seen.add(outcome.reference)
        method.must_be(outcome.id, (str, type(None)), f"the id of {name}")
        method.must_be(outcome.reason, str, f"the reason for {name}")
    return cast("Sequence[ReferenceOutcome]", outcomes)


def shape(sink: NormalizingSink, product: Product) -> Product:
    """`NormalizingSink.shape`, checked."""
    method = _Method(sink, "shape")
    shaped = method.called(product)
    method.must_be(shaped, Product)
    shaped = cast("Product", shaped)
    if shaped.key != product.key:
        raise method.broke(f"changed the key {product.key} to {shaped.key}")
    return shaped


def weigh(sink: SizedSink, change: Write) -> int:
    """`SizedSink.weigh`, checked."""
    method = _Method(sink, "weigh")
    weight = method.called(change)
    method.must_be(weight, int)
    if cast("int", weight) < 0:
        raise method.broke(f"its answer must be 0 or more, is {weight}")
    return cast("int", weight)


def handle(sink: HandleSink, product: Product) -> str:
    """`HandleSink.handle`, checked."""
    method = _Method(sink, "handle")
    name = method.called(product)
    method.must_be(name, str)
    if not name:
        raise method.broke("its answer must not be empty")
    return cast("str", name)


async def findings(side: SelfChecking) -> Sequence[CheckResult]:
    """`SelfChecking.check`, checked."""
    method = _Method(side, "check")
    found = method.listed(await method.awaited())
    for finding in found:
        method.must_be(finding, CheckResult, "each finding")
    return found
