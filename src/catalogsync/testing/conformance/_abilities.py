"""The promises of sinks with optional abilities."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs

from catalogsync.adapters.memory import as_source
from catalogsync.catalog.changes import (
    Action,
    Existing,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Category, Product, ProductStatus
from catalogsync.diff.compare import own_references
from catalogsync.engine import Options, promises, sync
from catalogsync.engine.removing import removal
from catalogsync.protocols import (
    AdoptBy,
    AdoptingSink,
    CountsRequests,
    FingerprintingSink,
    HandleSink,
    HasEndpoint,
    NormalizingSink,
    ReferencingSink,
    RemovingSink,
    SelfChecking,
    SellOutSink,
    SizedSink,
)

from ._promise import (
    NotApplicableError,
    Promise,
    expect,
    explained,
    promise,
    same,
)
from ._sink_kit import ALL, SinkKit

ABILITIES: list[Promise[SinkKit]] = []


@promise(
    ABILITIES, mend="Shape twice and compare: cut, round and strip to a fixed point."
)
async def shape_is_stable(kit: SinkKit) -> None:
    """`shape` of a shaped product is the same product."""
    sink = kit.able(NormalizingSink, "shape")
    long = " ".join(["A title of many words, which may be too long for a store."] * 20)
    for product in (kit.product(), kit.product("2", title=long, description=long)):
        once = promises.shape(sink, product)
        same(promises.shape(sink, once), once, "the product, shaped twice")


@promise(ABILITIES, mend="Estimate the size of the whole request for a change.")
async def weight_grows(kit: SinkKit) -> None:
    """A change with a longer text weighs more."""
    sink = kit.able(SizedSink, "weigh")
    short, long = await kit.changes(
        kit.product("1", description="x"), kit.product("2", description="x" * 5000)
    )
    weights = [promises.weigh(sink, short), promises.weigh(sink, long)]
    expect(weights[1] > weights[0], f"weights of a short and a long text: {weights}")


@promise(ABILITIES, mend="Derive the handle from the key as well as from the title.")
async def handles_are_unique(kit: SinkKit) -> None:
    """A product has the same handle each time; one with the same title has another."""
    sink = kit.able(HandleSink, "handle")
    one, two = (kit.product(id_, title="The same title") for id_ in "12")
    handles = [promises.handle(sink, each) for each in (one, one, two)]
    same(handles[1], handles[0], "the handle, asked for again")
    expect(handles[2] != handles[0], f"two products have the handle {handles[0]!r}")


@promise(ABILITIES, mend="Digest the same columns in both methods, and all of them.")
async def fingerprints_follow(kit: SinkKit) -> None:
    """`fingerprints` agrees with what `find` returned, until the product changes."""
    sink = kit.able(FingerprintingSink, "fingerprints")
    product = kit.product()
    variant = next(iter(product.variants or ()))
    price = attrs.evolve(next(iter(variant.prices or ())), amount=Decimal("47.11"))
    changed = attrs.evolve(variant, prices=[price])
    await kit.put(product)
    for after in (
        attrs.evolve(product, variants=[changed]),
        attrs.evolve(product, variants=[changed], title="Another title"),
    ):
        found = promises.fingerprint(sink, await kit.existing(product), ALL)
        if found is None:
            raise NotApplicableError("it has no fingerprint of a complete product")
        keys = [product.key, kit.key("unknown")]
        now = await promises.fingerprints(sink, keys, found.fields)
        same(dict(now), {product.key: found.digest}, "fingerprints")
        await kit.put(after)
        then = await promises.fingerprints(sink, keys, found.fields)
        expect(then != now, "the digest is the same after an update")


async def _owned(kit: SinkKit, source: str | None = None) -> list[Existing]:
    sink = kit.able(RemovingSink, "owned")
    pages = promises.owned(sink, source or kit.source)
    return [existing async for page in pages for existing in page]


@promise(ABILITIES, mend="List by `source`, in pages with a stable order.")
async def owned_lists_all(kit: SinkKit) -> None:
    """`owned` lists each product of the source once, with last-applied state, and no other."""
    same(await _owned(kit), [], "owned before the first write")
    products = kit.some(7)
    await kit.put(*products)
    owned = await _owned(kit)
    keys = sorted(str(each.product.key) for each in owned)
    same(keys, sorted(str(product.key) for product in products), "owned")
    for each in owned:
        found = await kit.existing(kit.product(each.product.key.id))
        same(each.last_applied, found.last_applied, f"the state of {each.product.key}")
        same(each.product.title, found.product.title, f"title of {each.product.key}")
    same(await _owned(kit, f"{kit.source}-2"), [], "owned under another source")


async def _removed(kit: SinkKit, product: Product, action: Action) -> Existing:
    """Remove a product; returns what there was."""
    kit.able(RemovingSink, "owned")
    await kit.put(product)
    existing = await kit.existing(product)
    (answer,) = await kit.write([removal(existing, action)])
    is_done = isinstance(answer, Outcome) and answer.status is OutcomeStatus.REMOVED
    expect(
        is_done, f"{type(removal(existing, action)).__name__} was answered: {answer}"
    )
    return existing


@promise(ABILITIES, mend="Answer `change.done()` for a product that is already gone.")
async def deletes(kit: SinkKit) -> None:
    """`Delete` removes a product; once more is done as well."""
    existing = await _removed(kit, kit.product(), Action.DELETE)
    same(await kit.found(kit.product()), {}, "found after Delete")
    await kit.write([removal(existing, Action.DELETE)])
    same(await _owned(kit), [], "owned after Delete")


@promise(
    ABILITIES,
    mend="Set the status to draft, store `change.last_applied`, keep the rest.",
)
async def unpublishes(kit: SinkKit) -> None:
    """`Unpublish` hides a product and stores its last-applied state; nothing else changes."""
    product = kit.product(status=ProductStatus.PUBLISHED)
    before = await _removed(kit, product, Action.UNPUBLISH)
    (change,) = [removal(before, Action.UNPUBLISH)]
    after = await kit.existing(product)
    hidden = attrs.evolve(before.product, status=ProductStatus.DRAFT)
    same(after.product, hidden, "the product after Unpublish")
    same(after.last_applied, getattr(change, "last_applied", None), "its state")


@promise(
    ABILITIES,
    mend="Write the stock of `change.variants`, then store `change.last_applied`.",
)
async def sells_out(kit: SinkKit) -> None:
    """`SellOut` sets the stock that we wrote to 0; it comes back with the product."""
    kit.able(SellOutSink, "sells_out")
    product = kit.product()
    if not any(
        v.stock for shaped in kit.shaped(product) for v in shaped.variants or ()
    ):
        raise NotApplicableError("it holds no stock")
    before = await _removed(kit, product, Action.SELL_OUT)
    (change,) = [removal(before, Action.SELL_OUT)]
    after = await kit.existing(product)
    same(after.product, getattr(change, "after", None), "the product after SellOut")
    same(after.last_applied, getattr(change, "last_applied", None), "its state")
    await kit.put(product)
    back = await kit.existing(product)
    same(back.product, before.product, "the product when it is back")
    same(back.last_applied, before.last_applied, "its state when it is back")


@promise(
    ABILITIES, mend="Remove key and last-applied state in one step, and nothing else."
)
async def releases(kit: SinkKit) -> None:
    """A product that was released is no longer found, nor owned."""
    await _removed(kit, kit.product(), Action.RELEASE)
    same(await kit.found(kit.product()), {}, "found after Release")
    same(await _owned(kit), [], "owned after Release")


@promise(
    ABILITIES,
    mend="Find products without a key by SKU, and put the key on them in Adopt.",
)
async def adopts(kit: SinkKit) -> None:
    """A product without a key is found by its SKUs; `Adopt` makes it ours, as one product."""
    sink = kit.able(AdoptingSink, "find_foreign")
    product = kit.product()
    await _removed(kit, product, Action.RELEASE)
    foreign = await promises.find_foreign(sink, [product], AdoptBy.SKU, ALL)
    expect(isinstance(foreign.get(product.key), Existing), f"found foreign: {foreign}")
    await kit.put(product, adopt=[AdoptBy.SKU])
    await kit.idle(product, after="after Adopt")
    same(len(await _owned(kit)), 1, "owned after Adopt")
    left = await promises.find_foreign(sink, [product], AdoptBy.SKU, ALL)
    same(left, {}, "still foreign after Adopt")


@promise(
    ABILITIES, mend="Take user, password and token out of what `endpoint` returns."
)
async def endpoint_is_public(kit: SinkKit) -> None:
    """Name and endpoint stay the same and contain no secret."""
    sink = kit.able(HasEndpoint, "endpoint")
    same(sink.endpoint, sink.endpoint, "the endpoint, asked for again")
    shown = f"{kit.sink.name} {sink.endpoint} {sink!r}"
    for secret in kit.setup.secrets:
        expect(secret not in shown, "a secret is in the name, the endpoint or `repr`")
    user, at, _ = sink.endpoint.partition("://")[2].rpartition("@")
    expect(not (at and ":" in user), "the endpoint contains a user and a password")


@promise(
    ABILITIES, mend="Return a CheckResult for each setting, with what to do about it."
)
async def check_explains(kit: SinkKit) -> None:
    """`check` passes on a working system, and each result has a text."""
    sink = kit.able(SelfChecking, "check")
    explained(await promises.findings(sink))


@promise(ABILITIES, mend="Count every request that is sent, and never start again.")
async def requests_add_up(kit: SinkKit) -> None:
    """The number of requests grows with each call."""
    sink = kit.able(CountsRequests, "requests")
    counts = [sink.requests]
    for id_ in "12":
        await kit.put(kit.product(id_))
        counts.append(sink.requests)
    expect(counts[0] < counts[1] < counts[2], f"requests before and after: {counts}")


def _category(kit: SinkKit, id_: str, parent: Reference | None = None) -> Reference:
    kind, name = ReferenceKind.CATEGORY, f"Kit {kit.source} {id_}"
    return Reference(kind=kind, source=kit.source, id=id_, name=name, parent=parent)


def _tag(kit: SinkKit, text: str) -> Reference:
    name = f"Kit {kit.source} {text}"
    return Reference(kind=ReferenceKind.TAG, source=kit.source, id=name, name=name)


async def _write_references(
    kit: SinkKit, changes: Sequence[ReferenceChange]
) -> Sequence[ReferenceOutcome]:
    sink = kit.able(ReferencingSink, "write_references")
    outcomes = await promises.write_references(sink, changes)
    same(len(outcomes), len(changes), "outcomes of `write_references`")
    for outcome in outcomes:
        expect(outcome.id, f"{outcome.reference.id} was refused: {outcome.reason}")
    return outcomes


@promise(ABILITIES, mend="Store the key of a category, and look it up by that.")
async def references_are_found(kit: SinkKit) -> None:
    """Categories are found as they were written: id, name, parent and last-applied state."""
    sink = kit.able(ReferencingSink, "find_references")
    top = _category(kit, "top")
    below = _category(kit, "below", top)
    both = frozenset({top, below})
    same(await promises.find_references(sink, both), {}, "found before the first write")
    (first,) = await _write_references(kit, [ReferenceChange(reference=top)])
    state = '{"kit": "a last-applied state"}'
    change = ReferenceChange(reference=below, parent=first.id, last_applied=state)
    (second,) = await _write_references(kit, [change])
    found = await promises.find_references(sink, both)
    same(set(found), both, "found after the write")
    same((found[top].id, found[below].id), (first.id, second.id), "their ids")
    same(
        (found[below].name, found[below].parent), (below.name, first.id), "name, parent"
    )
    same(found[below].last_applied, state, "the last-applied state")
    expect(found[top].ours, "a category of ours has ours=False")


@promise(ABILITIES, mend="Look a tag up by its text, letter by letter.")
async def tags_are_found(kit: SinkKit) -> None:
    """Tags are found by their text as they were written, and others are not."""
    sink = kit.able(ReferencingSink, "find_references")
    tags = [_tag(kit, text) for text in ("blue", "green")]
    others = frozenset({*tags, _tag(kit, "red")})
    same(
        await promises.find_references(sink, others), {}, "found before the first write"
    )
    outcomes = await _write_references(
        kit, [ReferenceChange(reference=t) for t in tags]
    )
    found = await promises.find_references(sink, others)
    same(set(found), {*tags}, "found after the write")
    for tag, outcome in zip(tags, outcomes, strict=True):
        same((found[tag].id, found[tag].name), (outcome.id, tag.name), "id and text")


@promise(ABILITIES, mend="If it exists already, return its id with created=False.")
async def references_once(kit: SinkKit) -> None:
    """A category or a tag that exists already is used, not created twice."""
    for reference in (_category(kit, "twice"), _tag(kit, "twice")):
        change = ReferenceChange(reference=reference)
        (first,) = await _write_references(kit, [change])
        (second,) = await _write_references(kit, [change])
        same(second.id, first.id, f"the id of the second {reference.kind.value}")
        same((first.created, second.created), (True, False), "`created`")


@promise(ABILITIES, mend="Write `change.references` of a product, the complete list.")
async def references_of_products(kit: SinkKit) -> None:
    """A product has the categories, tags, type and collection that it was written with, and loses them."""
    kit.able(ReferencingSink, "find_references")
    for ids in (("a", "b"), ("b",), ()):
        names = {id_: f"Kit {kit.source} {id_}" for id_ in ids}
        product = kit.product(
            categories=[Category(id=i, name=name) for i, name in names.items()],
            tags=[*names.values()],
            type=next(iter(names.values()), None),
            collection=next(iter(names.values()), None),
        )
        await kit.put(product)
        report = await sync(
            as_source([product], name=kit.source), kit.sink, options=Options(grace=0)
        )
        same(report.counts.unchanged, 1, f"unchanged, with {ids}")
        for shaped in kit.shaped(product):
            _same_number(await kit.existing(product), shaped)


def _same_number(existing: Existing, shaped: Product) -> None:
    """As many references as the sink can hold of the product."""
    desired = own_references(shaped)
    for field, names in existing.references.items():
        held = desired.get(field, ())
        same(len(names), len(held), f"{field.value} of the product")
