"""The promises that every sink makes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import attrs

from catalogsync.adapters.memory import as_source
from catalogsync.catalog.changes import Change
from catalogsync.catalog.outcomes import Again, Outcome
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Price,
    Product,
    StockLevel,
    Variant,
    evolve_unchecked,
)
from catalogsync.engine import promises
from catalogsync.errors import (
    BatchRefusedError,
    ConflictError,
    RefusedError,
    TransientError,
)
from catalogsync.report import RunStatus

from ._faults import busy_once, faulty, interrupted, left_running, spoiled
from ._promise import NotApplicableError, Promise, expect, promise, same
from ._sink_kit import SinkKit

SINK: list[Promise[SinkKit]] = []
_OFTEN = 40


@promise(SINK, mend="Return what the protocol says; the line above names the method.")
async def well_formed(kit: SinkKit) -> None:
    """Every answer has the types and keys that its protocol allows."""
    promises.check_sides(as_source([], name=kit.source), kit.sink)
    changes = await kit.changes(*kit.some(2))
    await kit.write(changes)
    await kit.found(*kit.some(3))


@promise(SINK, mend="Leave products out of the answer of `find` that do not exist.")
async def finds_nothing_first(kit: SinkKit) -> None:
    """Products that were never written are not found."""
    found = await kit.found(*kit.some(3))
    same(found, {}, "the answer of `find`")


@promise(SINK, mend="Store every field that you have a place for; `shape` the others.")
async def finds_what_it_wrote(kit: SinkKit) -> None:
    """A product is found as it was written, and a second run writes nothing."""
    products = kit.some(3)
    report = await kit.put(*products)
    same(report.counts.created, 3, "created in the first run")
    await kit.idle(*products, after="after the first run")


@promise(SINK, mend="Store amounts as decimals or minor units, or round in `shape`.")
async def money_is_exact(kit: SinkKit) -> None:
    """Amounts come back with every digit that `shape` leaves."""
    variants = kit.product().variants or ()
    if not (variants and variants[0].prices):
        raise NotApplicableError("the example has no price")
    currency = variants[0].prices[0].currency
    for id_, text in enumerate(("0.07", "1.10", "16777217.01", "90071992547409.93")):
        price = Price(amount=Decimal(text), currency=currency)
        only = attrs.evolve(variants[0], sku=f"{kit.source}-{id_}", prices=[price])
        product = kit.product(f"{id_}", variants=[only])
        report = await kit.run([product])
        if report.counts.failed and not report.problem:
            continue  # too large for the sink, which says so
        await kit.idle(product, after=f"after a price of {text} was written")
        equal = attrs.evolve(price, amount=Decimal(f"{text}0"))
        only = attrs.evolve(only, prices=[equal])
        await kit.idle(attrs.evolve(product, variants=[only]), after=f"with {text}0")


@promise(
    SINK, mend="Look products up by the whole key, `source` and `id`, as they are."
)
async def keys_are_exact(kit: SinkKit) -> None:
    """Keys that differ in case, a space or the source only are different products."""
    ids = ["a", "A", "a ", "a/b?c=d&e", "ü'\"%_\\", "9" * 200]
    products = [kit.product(id_, title=f"Number {n}") for n, id_ in enumerate(ids)]
    products = [_with_sku(p, f"{kit.source}-{n}") for n, p in enumerate(products)]
    await kit.put(*products)
    await kit.idle(*products)
    others = attrs.evolve(kit, source=f"{kit.source}-2")
    same(await kit.found(others.product("a")), {}, "the same id of another source")
    await others.put(others.product("a"))
    await kit.idle(*products, after="after another source wrote the same id")


def _with_sku(product: Product, sku: str) -> Product:
    variants = [attrs.evolve(each, sku=sku) for each in product.variants or ()]
    return attrs.evolve(product, variants=variants)


@promise(
    SINK, mend="Store `change.last_applied` with the product, as text of any length."
)
async def keeps_last_applied(kit: SinkKit) -> None:
    """The last-applied state comes back exactly as the last change had it."""
    for product in (kit.product(), kit.product(title="Another title")):
        (change,) = await kit.changes(product)
        await kit.write([change])
        found = await kit.existing(product)
        same(found.last_applied, change.last_applied, "the last-applied state")


@promise(SINK, mend="Fill in at least the fields in `fields`, whichever they are.")
async def fields_asked_for(kit: SinkKit) -> None:
    """`find` returns each field that it is asked for, with the same value."""
    product = kit.product()
    await kit.put(product)
    whole = (await kit.existing(product)).product
    for field in (Field.TITLE, Field.DESCRIPTION, Field.STATUS):
        found = (await kit.found(product, fields=frozenset({field})))[product.key]
        one = getattr(getattr(found, "product", None), field.value, None)
        same(one, getattr(whole, field.value), f"{field.value}, when asked for alone")


@promise(SINK, mend="Only read in `find`, and return the same for the same question.")
async def find_changes_nothing(kit: SinkKit) -> None:
    """`find` can be called again, for other products too, and changes nothing."""
    here, missing = kit.product(), kit.product("missing")
    await kit.put(here)
    first = await kit.found(here, missing)
    same(await kit.found(here, missing), first, "the second answer of `find`")
    same(set(first), {here.key}, "keys found")


@promise(
    SINK, mend="Write what is in `change.fields`, with the values of `change.product`."
)
async def updates_arrive(kit: SinkKit) -> None:
    """A changed field is written, and nothing is left to do afterwards."""
    await kit.put(kit.product(), kit.product("2"))
    changed = kit.product(title="Another title", description="Another text")
    report = await kit.put(changed, kit.product("2"))
    same((report.counts.updated, report.counts.unchanged), (1, 1), "updated, unchanged")
    await kit.idle(changed, kit.product("2"), after="after an update")


@promise(
    SINK, mend="Write `change.product`, which has everything; not `change.desired`."
)
async def keeps_what_is_not_supplied(kit: SinkKit) -> None:
    """A field that the source no longer supplies stays as it is."""
    product = kit.product()
    await kit.put(product)
    before = (await kit.existing(product)).product
    await kit.put(Product(key=product.key, title="Only a title"))
    after = (await kit.existing(product)).product
    same(after, attrs.evolve(before, title=after.title), "after an update of the title")


@promise(
    SINK, mend="Write the fields in `change.fields` and in its variants, and no others."
)
async def lanes_touch_nothing_else(kit: SinkKit) -> None:
    """A run with `Options.only` changes these fields of existing products only."""
    await kit.put(kit.product(), kit.product("2"))
    before = (await kit.existing(kit.product())).product
    sold = [_with_stock(each, 1) for each in kit.product().variants or ()]
    changed = kit.product(title="Another title", variants=sold or UNSET)
    report = await kit.run([changed, kit.product("3")], only=[Field.STOCK])
    same(report.counts.skipped, 1, "products that the run would have to create")
    same(list(await kit.found(kit.product("3"))), [], "what it created nevertheless")
    after = (await kit.existing(changed)).product
    same(_without_stock(after), _without_stock(before), "all but the stock")
    report = await kit.run([changed], only=[Field.STOCK])
    same(report.counts.updated, 0, "products that a second such run updates")


def _with_stock(variant: Variant, quantity: int) -> Variant:
    levels = variant.stock or (StockLevel(quantity=0),)
    first = attrs.evolve(levels[0], quantity=quantity)
    return attrs.evolve(variant, stock=[first, *levels[1:]])


def _without_stock(product: Product) -> Product:
    variants = tuple(
        evolve_unchecked(each, stock=UNSET) for each in product.variants or ()
    )
    return evolve_unchecked(product, variants=variants)


@promise(SINK, mend="Write None and empty lists too; only UNSET means `leave alone`.")
async def clears(kit: SinkKit) -> None:
    """A value that the source clears is gone."""
    await kit.put(kit.product())
    cleared = kit.product(description=None)
    await kit.put(cleared)
    await kit.idle(cleared, after="after the description was cleared")


@promise(SINK, mend="Carry out `change.variants`, or write the variants as one list.")
async def variants_come_and_go(kit: SinkKit) -> None:
    """Variants are added, changed and removed as the source has them."""
    (only,) = kit.product().variants or (Variant(id="default"),)
    sizes = [
        attrs.evolve(
            only,
            id=s,
            title=s,
            sku=f"{kit.source}-{s}",
            barcode=f"{only.barcode}-{s}" if only.barcode else only.barcode,
            options={"Size": s},
        )
        for s in "SML"
    ]
    for number, variants in enumerate((sizes[:2], sizes, sizes[1:])):
        product = kit.product(variants=variants)
        if [len(each.variants or ()) for each in kit.shaped(product)] != [
            len(variants)
        ]:
            raise NotApplicableError("its `shape` leaves out variants")
        await kit.put(product)
        await kit.idle(product, after=f"after step {number + 1} of add, add, remove")
        found = (await kit.existing(product)).product.variants or ()
        ids = sorted(variant.id for variant in found)
        same(ids, sorted(variant.id for variant in variants), "ids of the variants")


@promise(SINK, mend="Answer for each change of the call: done, failed or again.")
async def answers_for_each(kit: SinkKit) -> None:
    """A batch as large as `limits` allows is written, with one answer for each change."""
    size = min(kit.sink.limits.batch, kit.sink.limits.find, 50)
    products = kit.some(size)
    changes = await kit.changes(*products)
    answers = await kit.write(changes)
    same(len({answer.key for answer in answers}), len(changes), "answers")
    await kit.idle(*products)


@promise(SINK, mend="Add to what is there; a write speaks of its own changes only.")
async def batches_add_up(kit: SinkKit) -> None:
    """A later write leaves the products of earlier ones alone."""
    products = kit.some(4)
    await kit.put(*products, batch_size=1)
    await kit.idle(*products)


@promise(SINK, mend="Set `Limits.writers` and `.finders` to what the sink can stand.")
async def calls_overlap(kit: SinkKit) -> None:
    """As many calls as `limits` allows can be in flight without a loss."""
    products = kit.some(12)
    changes = await kit.changes(*products)
    writers = kit.sink.limits.writers
    for begin in range(0, len(changes), writers):
        async with asyncio.TaskGroup() as group:
            for change in changes[begin : begin + writers]:
                group.create_task(kit.write([change]))
            for _ in range(kit.sink.limits.finders):
                group.create_task(kit.found(*products))
    await kit.idle(*products, after=f"after {writers} writes at a time")


@promise(
    SINK, mend="Refuse a second creation with ConflictError, or set collides=False."
)
async def creations_collide(kit: SinkKit) -> None:
    """With `Limits(collides=True)`, a second creation is refused, even at the same time."""
    if not kit.sink.limits.collides:
        raise NotApplicableError("its limits say `collides=False`")
    changes = await kit.changes(kit.product())
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_collides(kit, changes)) for _ in range(2)]
    same(
        sorted(task.result() for task in tasks), [False, True], "refused of two at once"
    )
    expect(await _collides(kit, changes), "a third creation was not refused")
    await kit.idle(kit.product())


async def _collides(kit: SinkKit, changes: Sequence[Change]) -> bool:
    try:
        (answer,) = await kit.write(changes)
    except ConflictError:
        return True
    return isinstance(answer, Again) and isinstance(answer.error, ConflictError)


@promise(SINK, mend="Let `find` read the system itself; keep no copy from before.")
async def lost_answers(kit: SinkKit) -> None:
    """After an answer that was lost, nothing is written twice, and nothing is missing."""
    products = kit.some(4)
    lost = TransientError("the answer was lost")
    sink = faulty(kit.sink, lambda: lost, lambda n, _: n <= 2, after=True)
    await kit.put(*products, sink=sink, batch_size=2)
    await kit.idle(*products, after="after two lost answers")


@promise(SINK, mend="Make writes of any size, in any order, independent of each other.")
async def spares_neighbours(kit: SinkKit) -> None:
    """If one product is refused, or always gets a 500 or 503, all others are written."""
    errors = (RefusedError("no"), TransientError("500", unexplained=True), None)
    for number, error in enumerate(errors):
        products = kit.some(5, prefix=f"{number}-")
        bad = products[2].key
        await kit.run(products, spoiled(kit.sink, bad, error))
        good = [product for product in products if product.key != bad]
        await kit.idle(*good, after=f"after {error or 503}")
        same(await kit.found(products[2]), {}, "found of the bad product")


@promise(SINK, mend="Keep nothing of a call that failed.")
async def waits_and_repeats(kit: SinkKit) -> None:
    """A run in which each `find` and the first write get a 429 succeeds."""
    products, busy = kit.some(3), TransientError("429", retry_after=0)
    sink = busy_once(kit.sink, lambda: busy, "find")
    sink = faulty(sink, lambda: busy, lambda n, _: n == 1)
    report = await kit.put(*products, sink=sink)
    same(report.counts.created, 3, "created")
    await kit.idle(*products)


@promise(SINK, mend="Let CancelledError pass, and release locks in `finally`.")
async def find_can_be_cancelled(kit: SinkKit) -> None:
    """A `find` that is cancelled at any await ends, and the sink still works."""
    await kit.put(kit.product())
    for at in range(1, _OFTEN):
        end = await interrupted(kit.found(kit.product()), at)
        expect(end != "swallowed", f"CancelledError was swallowed at await {at}")
        await kit.existing(kit.product())
        if end == "done":
            return


@promise(SINK, mend="Make a write all or nothing, or report what is missing in `find`.")
async def killed_between_awaits(kit: SinkKit) -> None:
    """A write that ends at any await is completed by the next run, without duplicates."""
    for at in range(1, _OFTEN):
        products = kit.some(2, prefix=f"{at}-")
        changes = await kit.changes(*products)
        end = await interrupted(promises.write(kit.sink, changes), at)
        expect(end != "swallowed", f"CancelledError was swallowed at await {at}")
        await kit.put(*products)
        await kit.idle(*products, after=f"after an end at await {at}")
        if end == "done":
            return


@promise(SINK, mend="Await what you start, for example in an `asyncio.TaskGroup`.")
async def nothing_left_running(kit: SinkKit) -> None:
    """No task outlives a call."""
    left = await left_running(kit.put(*kit.some(3)))
    expect(not left, f"still running: {', '.join(left)}")


@promise(
    SINK, mend="Raise (Batch)RefusedError before anything is written, or answer failed."
)
async def refusals_are_refusals(kit: SinkKit) -> None:
    """What the system refuses fails with a reason, and its neighbours are written."""
    if kit.setup.refused is None:
        raise NotApplicableError("the test gives no `refused`")
    bad = kit.setup.refused(kit.key("bad"))
    good = kit.some(2)
    report = await kit.run([good[0], bad, good[1]])
    failed = {o.key: o.reason for o in report.failures if o.status == "failed"}
    expect(failed, f"the product that `Setup.refused` makes was accepted: {report}")
    same(set(failed), {bad.key}, f"refused in {report}")
    expect(failed[bad.key].strip(), "the refusal has no reason")
    expect(report.status is RunStatus.DEGRADED, f"the run ended as {report}")
    await kit.idle(*good, after="after a refusal")
    same(await kit.found(bad), {}, "found of the refused product")


@promise(
    SINK, mend="Write nothing before BatchRefusedError; else answer for each change."
)
async def refused_batches_write_nothing(kit: SinkKit) -> None:
    """After a `RefusedError` for a whole call, nothing of it was written."""
    if kit.setup.refused is None:
        raise NotApplicableError("the test gives no `refused`")
    products = [*kit.some(2), kit.setup.refused(kit.key("bad"))]
    changes = await kit.changes(*products)
    try:
        answers = await kit.write(changes)
    except BatchRefusedError as error:
        culprits = set(error.culprits)
        expect(culprits <= {products[2].key}, f"the culprits are {culprits}")
    except RefusedError:
        pass
    else:
        done = [
            a.key for a in answers if isinstance(a, Outcome) and a.status == "created"
        ]
        same(set(done), set(await kit.found(*products)), "answered as created")
        return
    same(await kit.found(*products), {}, "found after the refusal")
