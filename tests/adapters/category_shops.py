"""Shops with categories, for the sink and for a person who works in them by hand."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any, Protocol

import attrs
from tests.adapters.sql_databases import Hand

from catalogsync import Change, Existing, Field, Limits, Outcome, Product, ProductKey
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.catalog.changes import (
    ExistingReference,
    Found,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.protocols import ReferencingSink

SOURCE = "shop"


@attrs.frozen
class Row:
    """A category as it is in the shop.

    Attributes:
        name: Its name.
        parent: The id of what contains it.
        key: Its id at the source; None for one that a person made.
    """

    name: str
    parent: str | None
    key: str | None = None


Rows = Mapping[str, Row]


def line(id_: str, rows: Rows) -> list[str]:
    """All that contain a category, nearest first; in a cycle, itself too."""
    found: list[str] = []
    here = rows[id_].parent
    while here is not None and here not in found:
        found.append(here)
        here = rows[here].parent
    return found


def assert_no_cycle(rows: Rows) -> None:
    """No category contains itself."""
    for id_ in rows:
        assert id_ not in line(id_, rows), rows


class Shop(Protocol):
    """A shop, as a person sees it who may do anything in it."""

    def open(self) -> Any:
        """The sink, for the length of a block."""
        ...

    async def rows(self) -> dict[str, Row]:
        """All categories."""
        ...

    async def change(self, id_: str, row: Row) -> None:
        """Rename or move a category."""
        ...

    async def add(self, row: Row) -> str:
        """Make a category."""
        ...

    async def remove(self, id_: str) -> None:
        """Delete a category that contains none."""
        ...

    async def placed(self) -> dict[str, set[str]]:
        """The categories of each product, by its id at the source."""
        ...


# --- in memory ---


@attrs.define
class MemoryShop:
    """A shop that is its own sink; categories are things of their own."""

    name: str = "memory"
    limits: Limits = attrs.field(factory=Limits)
    categories: dict[str, Row] = attrs.field(factory=dict[str, Row])
    last_applied: dict[str, str] = attrs.field(factory=dict[str, str])
    products: dict[ProductKey, Change] = attrs.field(factory=dict[ProductKey, Change])
    made: int = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[MemoryShop]:
        yield self

    async def rows(self) -> dict[str, Row]:
        return dict(self.categories)

    async def change(self, id_: str, row: Row) -> None:
        self.categories[id_] = row

    async def add(self, row: Row) -> str:
        self.made += 1
        self.categories[f"{self.made}"] = row
        return f"{self.made}"

    async def remove(self, id_: str) -> None:
        del self.categories[id_]
        for key, change in self.products.items():
            ids = [each for each in _categories(change) if each != id_]
            references = {Field.CATEGORIES: tuple(ids)}
            self.products[key] = attrs.evolve(change, references=references)

    async def placed(self) -> dict[str, set[str]]:
        return {key.id: set(_categories(c)) for key, c in self.products.items()}

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        return {
            key: Existing(
                product=self.products[key].product,
                last_applied=self.products[key].last_applied,
                references={
                    Field.CATEGORIES: {
                        id_: self.categories[id_].name
                        for id_ in _categories(self.products[key])
                    }
                },
            )
            for key in (product.key for product in desired)
            if key in self.products
        }

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        for change in changes:
            before = self.products.get(change.key)
            kept = before.references if before else {}
            references = change.references or kept
            self.products[change.key] = attrs.evolve(change, references=references)
        return [change.done() for change in changes]

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        keys = {row.key: id_ for id_, row in self.categories.items() if row.key}
        return {
            reference: self._existing(keys[reference.id])
            for reference in references
            if reference.id in keys
        }

    def _existing(self, id_: str) -> ExistingReference:
        row = self.categories[id_]
        return ExistingReference(
            id=id_,
            name=row.name,
            parent=row.parent,
            ours=True,
            above=tuple(line(id_, self.categories)),
            last_applied=self.last_applied.get(id_),
        )

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        return [await self._write(change) for change in changes]

    async def _write(self, change: ReferenceChange) -> ReferenceOutcome:
        row = Row(change.name, change.parent, change.reference.id)
        assert change.parent is None or change.parent in self.categories
        if change.existing:
            await self.change(id_ := change.existing.id, row)
        else:
            id_ = await self.add(row)
        self.last_applied[id_] = change.last_applied
        created = change.existing is None
        return ReferenceOutcome(reference=change.reference, id=id_, created=created)


def _categories(change: Change) -> Iterable[str]:
    return change.references.get(Field.CATEGORIES, ())


# --- a SQL database ---


@attrs.frozen
class SQLShop:
    """A SQL database."""

    url: str

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[ReferencingSink]:
        async with SQLSettings(url=self.url).open() as sink:
            yield sink

    async def rows(self) -> dict[str, Row]:
        found = await Hand(self.url)(
            "SELECT id, name, parent_id, source_id FROM category"
        )
        return {str(i): Row(n, p and str(p), key) for i, n, p, key in found}

    async def change(self, id_: str, row: Row) -> None:
        parent = row.parent and int(row.parent)
        statement = "UPDATE category SET name = :name, parent_id = :parent"
        await Hand(self.url)(
            f"{statement} WHERE id = :id", id=int(id_), name=row.name, parent=parent
        )

    async def add(self, row: Row) -> str:
        parent = row.parent and int(row.parent)
        statement = "INSERT INTO category (name, parent_id) VALUES (:name, :parent)"
        ((id_,),) = await Hand(self.url)(
            f"{statement} RETURNING id", name=row.name, parent=parent
        )
        return str(id_)

    async def remove(self, id_: str) -> None:
        where = "category_id = :id"
        await Hand(self.url)(f"DELETE FROM product_category WHERE {where}", id=int(id_))
        await Hand(self.url)("DELETE FROM category WHERE id = :id", id=int(id_))

    async def placed(self) -> dict[str, set[str]]:
        found = await Hand(self.url)(
            "SELECT source_id, category_id FROM product"
            " JOIN product_category ON product_id = product.id"
        )
        placed: dict[str, set[str]] = {}
        for key, category in found:
            placed.setdefault(key, set()).add(str(category))
        return placed

    async def forget(self) -> None:
        """Have categories as an earlier version left them."""
        await Hand(self.url)("UPDATE category SET receipt = NULL")

    async def empty(self) -> None:
        """Have no categories and products; makes the tables."""
        async with SQLSettings(url=self.url).open() as sink:
            await sink.write([])
        for table in ("product", "category"):
            await Hand(self.url)(f"DELETE FROM {table}")


# --- Medusa ---

_PATH = "/admin/product-categories"


@attrs.frozen
class MedusaShop:
    """A Medusa, and what its Admin API lets a person do."""

    medusa: Any

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[ReferencingSink]:
        login = {"email": self.medusa.email, "password": self.medusa.password}
        async with MedusaSettings(url=self.medusa.url, **login).open() as sink:
            yield sink

    async def rows(self) -> dict[str, Row]:
        fields = "id,name,parent_category_id,external_id"
        found = await self.medusa.get(f"{_PATH}?limit=1000&fields={fields}")
        return {
            raw["id"]: Row(
                raw["name"],
                raw["parent_category_id"],
                (raw["external_id"] or "").removeprefix(f"{SOURCE}:") or None,
            )
            for raw in found["product_categories"]
        }

    async def change(self, id_: str, row: Row) -> None:
        body = {"name": row.name, "parent_category_id": row.parent}
        await self.medusa.post(f"{_PATH}/{id_}", body)

    async def add(self, row: Row) -> str:
        body = {"name": row.name, "parent_category_id": row.parent, "is_active": True}
        made = await self.medusa.post(_PATH, body)
        return str(made["product_category"]["id"])

    async def remove(self, id_: str) -> None:
        status, body = await self.medusa.ask("DELETE", f"{_PATH}/{id_}")
        assert status == 200, body

    async def placed(self) -> dict[str, set[str]]:
        fields = "id,external_id,categories.id"
        found = await self.medusa.get(f"/admin/products?limit=1000&fields={fields}")
        return {
            raw["external_id"].removeprefix(f"{SOURCE}:"): {
                category["id"] for category in raw["categories"]
            }
            for raw in found["products"]
        }

    async def shopped(self) -> dict[str, list[str]]:
        """What a shopper sees: each category's name, and those above it."""
        trigger = "include_ancestors_tree=true&fields=name,*parent_category"
        status, body = await self.medusa.ask(
            "GET",
            f"/store/product-categories?limit=1000&{trigger}",
            headers={"x-publishable-api-key": self.medusa.publishable_key},
        )
        assert status == 200, body
        return {raw["id"]: _names(raw) for raw in body["product_categories"]}

    async def lines(self) -> dict[str, list[str]]:
        """What a shopper sees who asks for one alone: itself, and what contains it."""
        lines: dict[str, list[str]] = {}
        for id_ in await self.rows():
            lines[id_] = []
            here = await self._alone(id_, "ancestors")
            while here:
                lines[id_].append(here["id"])
                here = here.get("parent_category")
        return lines

    async def contained(self) -> dict[str, set[str]]:
        """What a shopper sees below one that is asked for alone."""
        found: dict[str, set[str]] = {}
        for id_ in await self.rows():
            found[id_] = set()
            rest = [await self._alone(id_, "descendants")]
            while rest:
                children = rest.pop()["category_children"]
                found[id_] |= {each["id"] for each in children}
                rest += children
        return found

    async def _alone(self, id_: str, tree: str) -> Any:
        path = f"/store/product-categories/{id_}?include_{tree}_tree=true"
        key = {"x-publishable-api-key": self.medusa.publishable_key}
        status, body = await self.medusa.ask("GET", path, headers=key)
        assert status == 200, body
        return body["product_category"]

    async def forget(self) -> None:
        """Have categories as an earlier version left them."""
        for id_ in await self.rows():
            await self.medusa.post(f"{_PATH}/{id_}", {"metadata": None})

    async def empty(self) -> None:
        """Have no categories and products."""
        found = await self.medusa.get("/admin/products?limit=1000&fields=id")
        ids = [raw["id"] for raw in found["products"]]
        await self.medusa.post("/admin/products/batch", {"delete": ids})
        rows = await self.rows()
        for id_, row in rows.items():
            await self.change(id_, attrs.evolve(row, parent=None))
        for id_ in rows:
            await self.remove(id_)


def _names(raw: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    here: Mapping[str, Any] | None = raw
    while here:
        names.append(here["name"])
        here = here.get("parent_category")
    return names


# --- a sink that is watched ---


@attrs.frozen(kw_only=True)
class Fault:
    """What goes wrong with a write of categories.

    Attributes:
        at: With which one.
        error: What is raised; None: the first of the changes is refused.
        after: Whether what is raised comes after the work.
    """

    at: int
    error: Exception | None
    after: bool


@attrs.define
class Watched:
    """A sink that looks for cycles after every write of categories.

    Attributes:
        sink: The sink.
        shop: The same for a person.
        fault: What goes wrong.
        before: Called right before the first write.
        group: For how many products it is asked at once.
        writes: How many there were.
    """

    sink: Any
    shop: Shop
    fault: Fault | None = None
    before: Callable[[], Awaitable[None]] | None = None
    group: int = 1
    writes: int = 0

    @property
    def name(self) -> str:
        return str(self.sink.name)

    @property
    def limits(self) -> Limits:
        return attrs.evolve(self.sink.limits, find=self.group)

    def shape(self, product: Product, /) -> Product:
        shape = getattr(self.sink, "shape", None)
        return shape(product) if shape else product

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        found: Mapping[ProductKey, Found] = await self.sink.find(desired, fields=fields)
        return found

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        outcomes: Sequence[Outcome] = await self.sink.write(changes)
        return outcomes

    async def find_references(
        self, references: frozenset[Reference], /
    ) -> Mapping[Reference, ExistingReference]:
        found: Mapping[Reference, ExistingReference] = await self.sink.find_references(
            references
        )
        return found

    async def write_references(
        self, changes: Sequence[ReferenceChange], /
    ) -> Sequence[ReferenceOutcome]:
        assert all(c.reference.kind is ReferenceKind.CATEGORY for c in changes)
        self.writes += 1
        if self.before and self.writes == 1:
            await self.before()
        fault = self.fault if self.fault and self.fault.at == self.writes else None
        if fault and fault.error and not fault.after:
            raise fault.error
        sent = changes[1:] if fault and not fault.error else changes
        outcomes = await self.sink.write_references(sent)
        assert_no_cycle(await self.shop.rows())
        if fault and fault.error:
            raise fault.error
        refused = [
            ReferenceOutcome(reference=change.reference, id=None, reason="no")
            for change in changes[: len(changes) - len(sent)]
        ]
        return [*refused, *outcomes]
