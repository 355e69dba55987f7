"""A Medusa in which stories happen, and what must hold after each run."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any, TypeAlias

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.chaos.proxy import proxy
from tests.conftest import Medusa
from tests.engine.fakes import NEVER_HELD, check

from catalogsync import (
    Field,
    OnManualEdit,
    Options,
    Owner,
    Page,
    Product,
    ProductKey,
    Prune,
    Report,
    RetryPolicy,
    RunStatus,
    Sink,
    StateSettings,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.catalog.drafts import Draft, Unchanged
from catalogsync.diff.last_applied import LastApplied
from catalogsync.guard import Budgets
from catalogsync.state import StateStore
from catalogsync.testing import FaultPlan
from catalogsync.testing.faults import (
    Fault,
    When,
    bad_gateway,
    delay,
    lost,
    reset,
)

from .differences import holds, wrong_parts
from .story import EDITS, SOURCE, Catalog, Chapter, Event, beginning, family_of

FAST = RetryPolicy(wait_initial=0, wait_jitter=0)
WHOLE = Options(retry=FAST, max_prune=100, grace=0, guard=NEVER_HELD)
RUNS: Mapping[str, Options] = {
    "run": WHOLE,
    "run_small": attrs.evolve(WHOLE, batch_size=1, guard=Budgets.off()),
    "run_owns": WHOLE,
    "run_keep": attrs.evolve(WHOLE, on_manual_edit=OnManualEdit.KEEP),
    "run_prune": attrs.evolve(WHOLE, prune=Prune.UNPUBLISH),
    "run_sold_out": attrs.evolve(WHOLE, prune=Prune.SOLD_OUT),
    "run_delete": attrs.evolve(WHOLE, prune=Prune.DELETE, batch_size=2),
    "broken_run": attrs.evolve(WHOLE, retry=RetryPolicy(attempts=1)),
    "killed_run": WHOLE,
}
SOME_SECONDS = (0.003, 0.01, 0.02)
_BREAKS = (lost, reset, bad_gateway)
_HOLDER = re.compile(rf"is taken by product .* which is {SOURCE}:([\w.]+)")
_FIELDS = ",".join(
    [
        *("id", "external_id", "title", "description", "status", "weight", "metadata"),
        *("tags.value", "images.url", "images.rank", "categories.external_id"),
        *("categories.id", "options.title", "options.id", "options.values.value"),
        *(
            f"variants.{name}"
            for name in (
                *("id", "title", "sku", "barcode", "metadata", "manage_inventory"),
                *("options.value", "options.option.title", "prices.id"),
                *("prices.amount", "prices.currency_code"),
                "inventory_items.inventory_item_id",
                "inventory_items.inventory.sku",
                "inventory_items.inventory.location_levels.stocked_quantity",
                "inventory_items.inventory.location_levels.location_id",
            )
        ),
    ]
)


@attrs.define
class Listed:
    """A source with a catalog that can look up single products."""

    catalog: Catalog
    name: str = SOURCE

    async def read(self, _: str | None, /) -> Page:
        drafts = tuple(map(draft, self.catalog.values()))
        return Page(products=drafts, total=len(drafts))

    async def get(self, keys: Sequence[ProductKey], /) -> Page:
        return Page(products=[self.catalog[k.id] for k in keys if k.id in self.catalog])


Kept: TypeAlias = Mapping[ProductKey, Unchanged]
Memory: TypeAlias = Callable[[Kept], Kept]


def kept(found: Kept) -> Kept:
    """What was kept."""
    return found


@attrs.define
class Remembering:
    """A state store that may be wrong about products that need no change."""

    store: StateStore
    memory: Memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def unchanged(self, endpoint: str, keys: Sequence[ProductKey], /) -> Kept:
        return self.memory(await self.store.unchanged(endpoint, keys))


def draft(product: Product) -> Draft:
    """A product that is not built yet."""
    digest = blake2b(repr(product).encode(), digest_size=16).digest()
    return Draft(key=product.key, digest=digest, size=2000, build=lambda: product)


@attrs.define
class Hang:
    """A request that gets no answer, and is carried out or not."""

    commits: bool
    struck: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        if self.commits:
            await handler(request)
        self.struck.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@attrs.define
class World:
    """A store, the people in it, and the source of its products.

    Attributes:
        medusa: The store, as people reach it.
        sink: The store, as we reach it: over a line that can break.
        plan: When the line breaks.
        delays: How slow the line is.
        state: What outlives a run.
        families: The products at the source.
        theirs: What people added: id of the product, what, and its value.
        reports: The reports of all runs.
    """

    medusa: Medusa
    sink: Sink
    plan: FaultPlan
    delays: Sequence[Fault]
    state: StateStore
    families: dict[str, Catalog] = attrs.field(factory=dict[str, Catalog])
    theirs: list[tuple[str, str, str]] = attrs.field(factory=list[tuple[str, str, str]])
    told: list[str] = attrs.field(factory=list[str])
    reports: list[Report] = attrs.field(factory=list[Report])

    @property
    def catalog(self) -> Catalog:
        """All products at the source."""
        return {id_: p for some in self.families.values() for id_, p in some.items()}

    async def live(self, story: Sequence[Chapter]) -> None:
        """Let a story happen; after each whole run, all is as it should be."""
        number = itertools.count(1)
        for index in range(max(len(chapter.events) for chapter in story)):
            self.families[f"f{index}"] = beginning(f"f{index}")
        await self._run(Event("run"))
        for chapter in story:
            for family, events in zip(self.families, chapter.events, strict=False):
                for event in events:
                    await self._happen(family, event, f"{next(number)}")
            await self._run(chapter.run)
        await self._run(Event("run"))

    async def _happen(self, family: str, event: Event, new: str) -> None:
        if event.what in EDITS:
            EDITS[event.what](self.families[family], event.a, event.b, new)
        else:
            await self._deed(family, event, new)

    # --- runs ---

    async def _run(self, event: Event) -> None:
        options = RUNS[event.what]
        if event.what == "run_owns":
            owners = {Field.OPTIONS: event.a % 3, Field.VARIANTS: event.b % 3}
            owns = {field: [*Owner][number] for field, number in owners.items()}
            options = attrs.evolve(options, owns=owns)
        if event.what == "killed_run":
            await self._kill(options, event)
            return
        if event.what == "broken_run":
            fault = _BREAKS[event.b % len(_BREAKS)]
            self.plan.add(fault("POST", "*", on=[event.a + 1]))
            await self._sync(options)
            self._repair()
            return
        report = await self._sync(options)
        await self._check(report, options)
        again = await self._sync(options)
        failed = again.counts.failed
        assert failed == report.counts.failed, f"{report}\n{again}"
        assert again.counts.unchanged == len(self.catalog) - failed, str(again)

    async def _kill(self, options: Options, event: Event) -> None:
        """End a run in the midst of a request, which Medusa has or has not."""
        hang = Hang(commits=event.b % 2 == 0)
        when: When = {"on": [event.a + 1]}
        self.plan.add(Fault("stall", hang, "POST", "*", when))
        async with asyncio.TaskGroup() as group:
            run = group.create_task(self._sync(options))
            struck = group.create_task(hang.struck.wait())
            await asyncio.wait({run, struck}, return_when=asyncio.FIRST_COMPLETED)
            run.cancel()
            struck.cancel()
        self._repair()

    def _repair(self) -> None:
        """The line no longer breaks; it may still be slow."""
        self.plan.clear()
        self.plan.add(*self.delays)

    async def _sync(self, options: Options) -> Report:
        source = Listed(dict(self.catalog))
        report = await sync(
            source, self.sink, options=options, state=self.state, job="shop"
        )
        self.told.append(str(report))
        self.reports.append(report)
        check(report)
        return report

    async def _check(self, report: Report, options: Options) -> None:
        assert report.status in {RunStatus.SUCCEEDED, RunStatus.DEGRADED}, report
        failed = {failure.key.id for failure in report.failures}
        # What may be in the way: a product that left or cannot be written itself, or a
        # variant that left, where the job may not remove it.
        keeps_variants = options.owns.get(Field.VARIANTS, Owner.ALWAYS) != Owner.ALWAYS
        for failure in report.failures:
            if "which is not ours" in failure.reason:
                continue
            holder = _HOLDER.search(failure.reason)
            assert holder, failure
            may_stay = keeps_variants or holder[1] in failed
            assert holder[1] not in self.catalog or may_stay, failure
        rows = await self.rows()
        kept = {(e.key.id, e.diff.path) for e in report.manual_edits if e.kept}
        for id_, product in self.catalog.items():
            found = rows.get(id_, [])
            if id_ not in failed:
                assert len(found) == 1, (id_, found)
                wrong = {
                    path: values
                    for path, values in wrong_parts(product, found[0])
                    if (id_, path) not in kept and not options.owns
                }
                assert not wrong, (id_, wrong, str(report))
        self._check_theirs([row for found in rows.values() for row in found])
        if options.prune is Prune.SOLD_OUT:
            left = {id_: some for id_, some in rows.items() if id_ not in self.catalog}
            self._check_sold_out([row for some in left.values() for row in some])
        if options.prune is Prune.DELETE:
            assert rows.keys() <= self.catalog.keys() | failed

    def _check_sold_out(self, rows: Sequence[Any]) -> None:
        """What left the source is marked; nothing that we wrote is left to be sold.

        People may give stock to a product afterwards (77 pieces), or show one that we
        had hidden: then it is theirs.
        """
        for row in rows:
            state = LastApplied.parse(row["metadata"].get("catalogsync"))
            shown = state.unpublished and row["status"] == "published"
            if shown or not state.lists.get(Field.STOCK):
                continue
            assert state.sold_out, row
            for variant in row["variants"] or ():
                metadata: dict[str, Any] = variant["metadata"] or {}
                id_ = metadata.get("catalogsync_id")
                if id_ and state.wrote_variant(id_):
                    found = [
                        level["stocked_quantity"]
                        for link in variant["inventory_items"][:1]
                        for level in link["inventory"]["location_levels"] or ()
                    ]
                    assert {*found} <= {0, 77}, (row["external_id"], found)

    def _check_theirs(self, rows: Sequence[Any]) -> None:
        by_id = {row["id"]: row for row in rows}
        for id_, what, value in self.theirs:
            if id_ in by_id:
                assert value in holds(by_id[id_], what), (what, value, by_id[id_])

    async def rows(self) -> dict[str, list[Any]]:
        path = f"/admin/products?limit=1000&fields={_FIELDS}"
        found: dict[str, list[Any]] = {}
        for row in (await self.medusa.get(path))["products"]:
            source, _, id_ = (row["external_id"] or "").partition(":")
            if source == SOURCE:
                found.setdefault(id_, []).append(row)
        return found

    # --- people ---

    async def _deed(self, family: str, event: Event, new: str) -> None:
        found = (await self.rows()).items()
        rows = [row for id_, some in found if family_of(id_) == family for row in some]
        rows.sort(key=lambda row: str(row["external_id"]))
        if not rows:
            return
        row = rows[event.a % len(rows)]
        variants = sorted(row["variants"] or (), key=_in_order)
        variant = variants[event.b % len(variants)] if variants else None
        await getattr(self, f"_{event.what}")(row, variant, new)

    async def _change(self, row: Any, body: Any) -> None:
        await self.medusa.post(f"/admin/products/{row['id']}", body)

    async def _change_variant(self, row: Any, variant: Any, body: Any) -> None:
        if variant is not None:
            path = f"/admin/products/{row['id']}/variants/{variant['id']}"
            await self.medusa.post(path, body)

    async def _their_tag(self, row: Any, _: Any, new: str) -> None:
        made = await self.medusa.post("/admin/product-tags", {"value": f"their {new}"})
        path = f"/admin/products/{row['id']}?fields=tags.id"
        have = (await self.medusa.get(path))["product"]["tags"]
        tags = [{"id": tag["id"]} for tag in (*have, made["product_tag"])]
        await self._change(row, {"tags": tags})
        self.theirs.append((row["id"], "tag", f"their {new}"))

    async def _their_image(self, row: Any, _: Any, new: str) -> None:
        url = f"https://theirs.example/{new}.webp"
        images = [{"url": image["url"]} for image in row["images"]]
        await self._change(row, {"images": [*images, {"url": url}]})
        self.theirs.append((row["id"], "image", url))

    async def _their_category(self, row: Any, _: Any, new: str) -> None:
        body = {"name": f"Their {new}", "is_active": True}
        made = await self.medusa.post("/admin/product-categories", body)
        id_ = made["product_category"]["id"]
        path = f"/admin/product-categories/{id_}/products"
        await self.medusa.post(path, {"add": [row["id"]]})
        self.theirs.append((row["id"], "category", id_))

    async def _their_metadata(self, row: Any, _: Any, new: str) -> None:
        await self._change(row, {"metadata": {f"their_{new}": "x"}})
        self.theirs.append((row["id"], "metadata", f"their_{new}"))

    async def _their_variant(self, row: Any, _: Any, new: str) -> None:
        options = row["options"]
        if not options:
            return
        path = f"/admin/products/{row['id']}"
        added = [{"value": f"their {new}"}]
        update = {"product_option_id": options[0]["id"], "add": added}
        await self.medusa.post(f"{path}/options/batch", {"update": [update]})
        values = {o["title"]: o["values"][0]["value"] for o in options if o["values"]}
        values[options[0]["title"]] = f"their {new}"
        if len(values) < len(options):
            return
        body: Any = {"title": f"Their {new}", "options": values, "prices": []}
        await self.medusa.post(f"{path}/variants", body)
        self.theirs.append((row["id"], "variant", f"Their {new}"))

    async def _their_option(self, row: Any, _: Any, new: str) -> None:
        await self._add_option(row, f"Their {new}", [f"{new}a", f"{new}b"])

    async def _their_empty_option(self, row: Any, _: Any, new: str) -> None:
        await self._add_option(row, f"Their {new}", [])

    async def _add_option(self, row: Any, title: str, values: list[str]) -> None:
        option = {"title": title, "values": values, "is_exclusive": True}
        path = f"/admin/products/{row['id']}/options/batch"
        await self.medusa.post(path, {"add": [option]})
        self.theirs.append((row["id"], "option", title))

    async def _use_their_option(self, row: Any, variant: Any, _: str) -> None:
        """A person chooses a value of each option of people for a variant."""
        theirs = {
            option["title"]: option["values"][-1]["value"]
            for option in row["options"]
            if option["title"].startswith("Their ") and option["values"]
        }
        rows: list[Any] = variant["options"] if variant else []
        chosen = {o["option"]["title"]: o["value"] for o in rows}
        chosen |= theirs
        if theirs and chosen.keys() == {option["title"] for option in row["options"]}:
            path = f"/admin/products/{row['id']}/variants/{variant['id']}"
            await self.medusa.ask("POST", path, {"options": chosen})

    async def _empty_title(self, row: Any, variant: Any, _: str) -> None:
        if variant is not None and not str(variant["title"]).startswith("Their"):
            await self._change_variant(row, variant, {"title": ""})

    async def _other_price(self, row: Any, variant: Any, _: str) -> None:
        if variant is not None and variant.get("prices"):
            price = {**variant["prices"][0], "amount": 99}
            body = {"prices": [{n: price[n] for n in ("id", "amount")}]}
            body["prices"][0]["currency_code"] = "usd"
            await self._change_variant(row, variant, body)

    async def _other_sku(self, row: Any, variant: Any, new: str) -> None:
        await self._change_variant(row, variant, {"sku": f"P{new}"})

    async def _other_stock(self, row: Any, variant: Any, _: str) -> None:
        for link in _items(variant):
            for level in link["inventory"]["location_levels"] or ():
                update: Any = {
                    "inventory_item_id": link["inventory_item_id"],
                    "location_id": level["location_id"],
                    "stocked_quantity": 77,
                }
                path = "/admin/inventory-items/location-levels/batch"
                await self.medusa.post(path, {"create": [], "update": [update]})

    async def _unmanage(self, row: Any, variant: Any, _: str) -> None:
        await self._change_variant(row, variant, {"manage_inventory": False})

    async def _hide(self, row: Any, _: Any, __: str) -> None:
        await self._change(row, {"status": "draft"})

    async def _delete_variant(self, row: Any, variant: Any, _: str) -> None:
        if variant is not None and not str(variant["title"]).startswith("Their"):
            path = f"/admin/products/{row['id']}/variants/{variant['id']}"
            assert (await self.medusa.ask("DELETE", path))[0] == 200

    async def _delete_product(self, row: Any, _: Any, __: str) -> None:
        path = f"/admin/products/{row['id']}"
        assert (await self.medusa.ask("DELETE", path))[0] == 200

    async def _rename_category(self, row: Any, _: Any, new: str) -> None:
        for category in row["categories"][:1]:
            path = f"/admin/product-categories/{category['id']}"
            await self.medusa.post(path, {"name": f"Renamed {new}"})

    async def _delete_item(self, row: Any, variant: Any, _: str) -> None:
        for link in _items(variant):
            path = f"/admin/inventory-items/{link['inventory_item_id']}"
            await self.medusa.ask("DELETE", path)

    async def _second_item(self, row: Any, variant: Any, new: str) -> None:
        if not _items(variant):
            return
        made = await self.medusa.post("/admin/inventory-items", {"sku": f"2nd{new}"})
        path = f"/admin/products/{row['id']}/variants/{variant['id']}/inventory-items"
        item = made["inventory_item"]["id"]
        body = {"inventory_item_id": item, "required_quantity": 1}
        await self.medusa.post(path, body)

    async def _other_item_sku(self, row: Any, variant: Any, new: str) -> None:
        for link in _items(variant):
            path = f"/admin/inventory-items/{link['inventory_item_id']}"
            await self.medusa.ask("POST", path, {"sku": f"I{new}"})

    async def _rename_option_by_hand(self, row: Any, _: Any, new: str) -> None:
        for option in row["options"][:1]:
            if option["title"] != "Title" and not option["title"].startswith("Their "):
                path = f"/admin/product-options/{option['id']}"
                await self.medusa.post(path, {"title": f"Renamed {new}"})

    async def _value_by_hand(self, row: Any, _: Any, new: str) -> None:
        for option in row["options"][:1]:
            if option["title"] != "Title":
                values = [v["value"] for v in option["values"]]
                path = f"/admin/product-options/{option['id']}"
                await self.medusa.post(path, {"values": [*values, f"More {new}"]})

    async def _drop_variant_by_hand(self, row: Any, variant: Any, _: str) -> None:
        if variant is not None and not str(variant["title"]).startswith("Their"):
            rest = [{"id": v["id"]} for v in row["variants"] if v is not variant]
            await self._change(row, {"variants": rest})

    async def _hold_sku(self, row: Any, variant: Any, new: str) -> None:
        """A person gives a product of their own the SKU of one of ours."""
        if variant is None or not variant["sku"]:
            return
        await self._change_variant(row, variant, {"sku": None})
        body = {
            "title": f"Own {new}",
            "options": [{"title": "Own", "values": ["x"]}],
            "variants": [
                {
                    "title": "x",
                    "sku": variant["sku"],
                    "manage_inventory": False,
                    "options": {"Own": "x"},
                    "prices": list[Any](),
                }
            ],
        }
        await self.medusa.ask("POST", "/admin/products", body)

    async def _release_sku(self, _: Any, __: Any, ___: str) -> None:
        path = "/admin/products?limit=1000&fields=id,title"
        for row in (await self.medusa.get(path))["products"]:
            if row["title"].startswith("Own "):
                await self.medusa.ask("DELETE", f"/admin/products/{row['id']}")


def _in_order(variant: Any) -> list[str]:
    """The same order in all stores, whatever ids these give."""
    return [str(variant[name]) for name in ("metadata", "sku", "title", "id")]


def _items(variant: Any) -> list[Any]:
    """What the store counts for a variant."""
    return [] if variant is None else variant.get("inventory_items") or []


@asynccontextmanager
async def world(
    medusa: Medusa, memory: Memory = kept, seed: int | None = None
) -> AsyncGenerator[World]:
    """An empty store, and the way to it.

    Args:
        medusa: The store.
        memory: What the state store makes of the products that need no change.
        seed: Which requests take longer than others; None if none does.
    """
    delays = () if seed is None else [delay(t, rate=0.2) for t in SOME_SECONDS]
    plan = FaultPlan(*delays, seed=seed or 0)
    async with proxy(medusa.url, plan) as line:
        settings = MedusaSettings(
            url=line.url, email=medusa.email, password=medusa.password
        )
        async with settings.open() as sink, StateSettings().open() as state:
            remembering: Any = Remembering(state, memory)
            yield World(medusa, sink, plan, delays, remembering)
