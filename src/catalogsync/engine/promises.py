"""Checks of everything that adapters return, one function for each method.

An answer that breaks its protocol raises `BrokenPromiseError`, which names the
adapter, the method and the rule. Without these checks, a wrong answer could pass for a
right one: a product that `find` returns under a wrong key would be created again by
every run. The engine calls adapters through this module only; `methods` has the checks
that all of them share.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from itertools import islice
from typing import Any, cast

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
from catalogsync.catalog.drafts import Draft, Fingerprint
from catalogsync.catalog.outcomes import Again, Outcome, OutcomeStatus, Rejected
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.errors import BatchRefusedError, BrokenPromiseError, TransientError
from catalogsync.protocols import (
    AdoptBy,
    AdoptingSink,
    CatalogVersion,
    CheckResult,
    CountsRequests,
    Cursor,
    FingerprintingSink,
    HandleSink,
    HasEndpoint,
    Limits,
    LookupSource,
    NormalizingSink,
    Page,
    ReferencingSink,
    RemovingSink,
    SelectingSource,
    SelfChecking,
    Sink,
    SizedSink,
    Source,
)

from .methods import Method, is_a, kind_of, named

__all__ = [
    "build",
    "built",
    "check_sides",
    "find",
    "find_foreign",
    "find_references",
    "findings",
    "fingerprint",
    "fingerprints",
    "get",
    "handle",
    "owned",
    "read",
    "select",
    "shape",
    "weigh",
    "write",
    "write_references",
]

_END = object()


def check_sides(source: Source, sink: Sink) -> None:
    """Check the properties of both sides.

    Raises:
        BrokenPromiseError: One is of the wrong type.
    """
    for side in (source, sink):
        Method(side, "name").must_be(side.name, str)
        if isinstance(side, CountsRequests):
            Method(side, "requests").must_be(side.requests, int)
    Method(sink, "limits").must_be(sink.limits, Limits)
    if isinstance(sink, HasEndpoint):
        Method(sink, "endpoint").must_be(sink.endpoint, str)


async def read(source: Source, cursor: Cursor | None) -> Page:
    """`Source.read`, checked."""
    method = Method(source, "read")
    page = await method.awaited(cursor)
    return _page(method, source.name, page)


def select(source: SelectingSource, fields: frozenset[Field]) -> Source:
    """`SelectingSource.select`, checked."""
    method = Method(source, "select")
    chosen = method.called(fields)
    if getattr(chosen, "name", None) != source.name or not hasattr(chosen, "read"):
        raise method.broke(f"its answer must be a source named {source.name!r}")
    return cast("Source", chosen)


async def get(source: LookupSource, keys: Sequence[ProductKey]) -> Page:
    """`LookupSource.get`, checked."""
    method = Method(source, "get")
    page = _page(method, source.name, await method.awaited(keys))
    asked = frozenset(keys)
    for product in page.products:
        method.asked_for(product.key, asked, ProductKey)
    return page


def build(draft: Draft) -> Product | Rejected:
    """`Draft.build`, checked."""
    method = Method(draft, "build")
    item = method.called()
    method.must_be(item, (Product, Rejected))
    if item.key != draft.key:
        raise method.broke(f"built {item.key} from the draft of {draft.key}")
    return cast("Product | Rejected", item)


def built(page: Page, known: Collection[ProductKey] = ()) -> Page:
    """A page with products in place of its drafts, except for the known ones."""
    if not any(isinstance(item, Draft) for item in page.products):
        return page
    products: list[Product | Draft] = []
    rejected = [*page.rejected]
    for item in page.products:
        made: Product | Draft | Rejected = item
        if isinstance(item, Draft) and item.key not in known:
            made = build(item)
        if isinstance(made, Rejected):
            rejected.append(made)
        else:
            products.append(made)
    return attrs.evolve(page, products=products, rejected=rejected)


def _page(method: Method, name: str, page: object) -> Page:
    method.must_be(page, Page)
    page = cast("Page", page)
    for product in method.listed(page.products, "Page.products"):
        method.must_be(product, (Product, Draft), "each of Page.products")
        method.must_be(product.key, ProductKey, "each key")
        method.of_source(product.key, name)
        if isinstance(product, Draft):
            method.must_be(product.digest, bytes, "Draft.digest")
            method.must_be(product.size, int, "Draft.size")
    for record in method.listed(page.rejected, "Page.rejected"):
        method.must_be(record, Rejected, "each of Page.rejected")
        method.must_be(record.key, (ProductKey, type(None)), "Rejected.key")
        if record.key is not None:
            method.of_source(record.key, name)
        method.must_be(record.reason, str, "Rejected.reason")
        method.must_be(record.where, str, "Rejected.where")
    for key in method.listed(page.deleted, "Page.deleted"):
        method.must_be(key, ProductKey, "each of Page.deleted")
        method.of_source(key, name)
    cursors = method.listed(page.next, "Page.next")
    # A lazy sequence may have any number of items, so only one is checked.
    is_made = isinstance(cursors, tuple | list)
    for cursor in cursors if is_made else islice(cursors, 1):
        method.must_be(cursor, str, "each cursor of Page.next")
    method.must_be(page.total, (int, type(None)), "Page.total")
    for what in ("before", "last"):
        value = getattr(page, what)
        method.must_be(value, (ProductKey, type(None)), f"Page.{what}")
    method.must_be(page.version, (CatalogVersion, type(None)), "Page.version")
    return page


async def find(
    sink: Sink, desired: Sequence[Product], fields: frozenset[Field]
) -> Mapping[ProductKey, Found]:
    """`Sink.find`, checked."""
    method = Method(sink, "find")
    found = await method.awaited(desired, fields=fields)
    return _found(method, desired, found, foreign=False)


def fingerprint(
    sink: FingerprintingSink, existing: Existing, fields: frozenset[Field]
) -> Fingerprint | None:
    """`FingerprintingSink.fingerprint`, checked."""
    method = Method(sink, "fingerprint")
    answer = method.called(existing, fields=fields)
    method.must_be(answer, (Fingerprint, type(None)))
    return cast("Fingerprint | None", answer)


async def fingerprints(
    sink: FingerprintingSink, keys: Sequence[ProductKey], fields: frozenset[Field]
) -> Mapping[ProductKey, str]:
    """`FingerprintingSink.fingerprints`, checked."""
    method = Method(sink, "fingerprints")
    asked = frozenset(keys)
    found = method.mapped(await method.awaited(keys, fields=fields))
    for key, digest in found.items():
        method.asked_for(key, asked, ProductKey)
        method.must_be(digest, str, f"the digest of {key}")
    return found


async def find_foreign(
    sink: AdoptingSink,
    desired: Sequence[Product],
    by: AdoptBy,
    fields: frozenset[Field],
) -> Mapping[ProductKey, Found]:
    """`AdoptingSink.find_foreign`, checked."""
    method = Method(sink, "find_foreign")
    found = await method.awaited(desired, by=by, fields=fields)
    return _found(method, desired, found, foreign=True)


def _found(
    method: Method, desired: Iterable[Product], found: object, *, foreign: bool
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
    method: Method, key: ProductKey, existing: Existing, *, foreign: bool
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
    method = Method(sink, "write")
    try:
        answers = await method.awaited(changes)
    except BatchRefusedError as error:
        _check_refusal(method, error)
        raise
    return _check_answers(method, changes, answers)


def _check_refusal(method: Method, error: BatchRefusedError) -> None:
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
    method: Method, changes: Iterable[Change], answers: object
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
    method: Method,
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
    method = Method(sink, "owned")
    with method.guarded():
        pages: Any = sink.owned(source)
        if is_a(pages, Coroutine):
            pages.close()
        if not is_a(pages, AsyncIterable):
            raise method.broke(
                f"must be `async def` with a yield, returned {kind_of(pages)}"
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
    method = Method(sink, "find_references")
    found = await method.awaited(desired)
    for reference, existing in method.mapped(found).items():
        method.asked_for(reference, desired, Reference)
        name = named(reference)
        method.must_be(existing, ExistingReference, f"the result for {name}")
        method.must_be(existing.id, str, f"the id of {name}")
        method.must_be(existing.name, str, f"the name of {name}")
        method.must_be(existing.parent, (str, type(None)), f"the parent of {name}")
    return cast("Mapping[Reference, ExistingReference]", found)


async def write_references(
    sink: ReferencingSink, changes: Sequence[ReferenceChange]
) -> Sequence[ReferenceOutcome]:
    """`ReferencingSink.write_references`, checked."""
    method = Method(sink, "write_references")
    outcomes = await method.awaited(changes)
    asked = {change.reference for change in changes}
    seen: set[Reference] = set()
    for outcome in method.listed(outcomes):
        method.must_be(outcome, ReferenceOutcome, "each outcome")
        method.asked_for(outcome.reference, asked, Reference)
        name = named(outcome.reference)
        if outcome.reference in seen:
            raise method.broke(f"answered for {name} twice")
        seen.add(outcome.reference)
        method.must_be(outcome.id, (str, type(None)), f"the id of {name}")
        method.must_be(outcome.reason, str, f"the reason for {name}")
    return cast("Sequence[ReferenceOutcome]", outcomes)


def shape(sink: NormalizingSink, product: Product) -> Product:
    """`NormalizingSink.shape`, checked."""
    method = Method(sink, "shape")
    shaped = method.called(product)
    method.must_be(shaped, Product)
    shaped = cast("Product", shaped)
    if shaped.key != product.key:
        raise method.broke(f"changed the key {product.key} to {shaped.key}")
    return shaped


def weigh(sink: SizedSink, change: Write) -> int:
    """`SizedSink.weigh`, checked."""
    method = Method(sink, "weigh")
    weight = method.called(change)
    method.must_be(weight, int)
    if cast("int", weight) < 0:
        raise method.broke(f"its answer must be 0 or more, is {weight}")
    return cast("int", weight)


def handle(sink: HandleSink, product: Product) -> str:
    """`HandleSink.handle`, checked."""
    method = Method(sink, "handle")
    name = method.called(product)
    method.must_be(name, str)
    if not name:
        raise method.broke("its answer must not be empty")
    return cast("str", name)


async def findings(side: SelfChecking) -> Sequence[CheckResult]:
    """`SelfChecking.check`, checked."""
    method = Method(side, "check")
    found = method.listed(await method.awaited())
    for finding in found:
        method.must_be(finding, CheckResult, "each finding")
    return found
